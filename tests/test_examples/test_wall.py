"""examples/wall: the page, the JSON interface, the websocket, and the page in a real browser."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from browser import BROWSER, browsing
from sockets import connected

from registry import open_app
from registry.cli import main
from registry.kinds.http import edge_of

WALL = Path(__file__).resolve().parents[2] / "examples" / "wall"


@asynccontextmanager
async def wall() -> AsyncIterator[tuple[tuple[str, int], httpx.AsyncClient]]:
    """The example on a free port."""
    async with open_app(WALL, overrides={"wall:web:addr": "127.0.0.1:0"}) as app:
        address = edge_of(app).sites["wall:web"].address
        assert address is not None
        base = f"http://{address[0]}:{address[1]}"
        async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=10) as client:
            yield address, client


async def test_notes_reach_everybody() -> None:
    """By websocket and by POST; who comes later reads them all."""
    async with wall() as (address, client):
        async with connected(address, "/live") as ann, connected(address, "/live") as bob:
            await ann.send("hello")
            for visitor in (ann, bob):
                data = await visitor.receive()
                assert data is not None
                assert json.loads(data) == {"text": "hello", "by": "127.0.0.1"}
            assert (await client.post("/notes", json={"text": "posted"})).status_code == 202
            data = await bob.receive()
            assert data is not None
            assert json.loads(data)["text"] == "posted"
        notes = (await client.get("/notes")).json()["notes"]
        assert [note["text"] for note in notes] == ["hello", "posted"]
        wrong = await client.post("/notes", json={"text": 7})
        assert (wrong.status_code, wrong.json()["error"]["kind"]) == (400, "Invalid")


async def test_the_page() -> None:
    """HTML with its content type; the script in it is inline, so nothing else is loaded."""
    async with wall() as (_, client):
        answer = await client.get("/")
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "<title>The wall</title>" in answer.text
        assert "http://" not in answer.text


@pytest.mark.skipif(BROWSER is None, reason="no headless Chromium is installed here")
async def test_the_page_in_a_browser(tmp_path: Path) -> None:
    """The page runs: it shows what was posted, and its websocket is live."""
    async with wall() as (address, client):
        await client.post("/notes", json={"text": "seen by a browser"})
        async with browsing(f"http://{address[0]}:{address[1]}/", tmp_path) as page:
            await page.shows("seen by a browser", "live")
            await client.post("/notes", json={"text": "while it looks"})
            await page.shows("while it looks")


def test_the_tree_shows_the_edge(capfd: pytest.CaptureFixture[str]) -> None:
    """`trio-actors tree` has a section of servers, routers and endpoints."""
    assert main(["tree", str(WALL)]) == 0
    out = capfd.readouterr().out
    assert "http  6" in out
    assert "wall:web  http.service, starts with the application" in out
