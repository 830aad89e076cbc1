"""A headless Chromium for tests, where one is installed, spoken to by its DevTools protocol."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import trio
from sockets import Socket, connected

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome", "headless_shell")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), None)
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync",
           "--window-size=1500,760", "--remote-debugging-port=0")  # fmt: skip


class Page:
    """One page of the browser."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._asked = 0

    async def ask(self, method: str, **params: Any) -> Any:
        """The result of one DevTools command."""
        self._asked += 1
        await self._socket.send(json.dumps({"id": self._asked, "method": method, "params": params}))
        while True:
            data = await self._socket.receive()
            assert data is not None, "the browser has closed the page"
            answer = json.loads(data)
            if answer.get("id") == self._asked:
                assert "error" not in answer, answer
                return answer["result"]

    async def text(self) -> str:
        """What there is to read on the page."""
        found = await self.ask("Runtime.evaluate", expression="document.body?.innerText ?? ''")
        text: str = found["result"]["value"]
        return text

    async def shows(self, *wanted: str) -> str:
        """The text of the page once all these are in it."""
        while True:
            text = await self.text()
            if all(one in text for one in wanted):
                return text
            await trio.sleep(0.1)

    async def picture(self) -> bytes:
        """What it looks like, as PNG."""
        return base64.b64decode((await self.ask("Page.captureScreenshot"))["data"])


@asynccontextmanager
async def browsing(url: str, folder: Path, seconds: float = 60) -> AsyncIterator[Page]:
    """The page at `url`, for at most so many seconds; the browser keeps its files in `folder`."""
    assert BROWSER is not None
    command = [BROWSER, *OPTIONS, f"--user-data-dir={folder}", "about:blank"]
    quiet = partial(trio.run_process, command, check=False, stderr=subprocess.DEVNULL)
    port_file = folder / "DevToolsActivePort"
    with trio.fail_after(seconds):
        async with trio.open_nursery() as nursery:
            await nursery.start(quiet)
            while not (port_file.exists() and port_file.read_text().count("\n")):
                await trio.sleep(0.05)
            port = int(port_file.read_text().splitlines()[0])
            async with httpx.AsyncClient(trust_env=False) as client:
                opened = await client.put(f"http://127.0.0.1:{port}/json/new?about:blank")
            target = urlsplit(opened.json()["webSocketDebuggerUrl"]).path
            async with connected(("127.0.0.1", port), target, seconds=seconds) as socket:
                page = Page(socket)
                await page.ask("Page.navigate", url=url)
                yield page
            nursery.cancel_scope.cancel()
