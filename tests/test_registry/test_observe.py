"""`trio-actors observe`: the page, its events, its key, and what operators may do; SU41, SU42."""

import io
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import h11
import httpx
import pytest
import trio
import trio.testing
from browser import BROWSER, browsing

from registry import App, Terminal, open_app
from registry.cli import main
from registry.cli.observing import serve_page
from registry.control.acting import ACTS, Operators
from registry.control.desk import CONTROLS, Desk
from registry.control.protocol import ControlError, read_answer, write_request
from registry.observe.feed import SHARE, Feed, pause

WriteApp = Callable[..., Path]
MAIN = """\
namespace: app
entries:
  - {name: host, kind: process.host}
  - name: "<b>odd</b>"
    kind: process.lua
    source: |
      return function()
        process.set_options { upgradable = true }
        local events = process.events()
        while true do
          local event = events:receive()
          if event.kind == process.event.CANCEL then return end
          process.send("seen", "event", event.kind)
        end
      end
  - {name: plain, kind: process.lua, source: "return function() process.inbox():receive() end"}
  - name: operators
    kind: security.policy
    groups: [ops]
    policy:
      actions: [process.cancel, process.upgrade, process.suspend]
      resources: "*"
      effect: allow
      conditions: [{field: meta.id, operator: ne, value: "app:plain"}]
  - {name: service, kind: process.service, process: "<b>odd</b>", host: host,
     lifecycle: {auto_start: true}}
"""


class Local:
    """The control socket's other end, without a socket."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.asked: list[str] = []
        self.hello = desk_answer(desk, "hello")

    async def ask(self, op: str, **fields: Any) -> Any:
        """As `Connection.ask`."""
        await trio.lowlevel.checkpoint()
        self.asked.append(op)
        return desk_answer(self.desk, op, **fields)


def desk_answer(desk: Desk, op: str, **fields: Any) -> Any:
    """One request."""
    return read_answer(desk.answer(write_request(op, fields)))


@asynccontextmanager
async def observed(
    path: Path, operators: str | None = None, name: str = "shop"
) -> AsyncIterator[tuple[App, Local, str]]:
    """A running application, its desk, and the address of its page."""
    async with open_app(path) as app:
        desk = Desk(f"/apps/{name}", app, None if operators is None else Operators(operators))
        local, urls = Local(desk), list[str]()
        async with trio.open_nursery() as nursery:
            connection: Any = local
            nursery.start_soon(serve_page, connection, ("127.0.0.1", 0), urls.append)
            while not urls:
                await trio.sleep(0.005)
            yield app, local, urls[0]
            nursery.cancel_scope.cancel()


async def events_of(url: str, count: int) -> list[Any]:
    """So many snapshots as the page gets them, fewer if the events end before."""
    parts = urlsplit(url)
    protocol, text = h11.Connection(h11.CLIENT), b""
    target = f"/events?{parts.query}"
    request = h11.Request(method="GET", target=target, headers=[("Host", parts.netloc)])
    async with await trio.open_tcp_stream("127.0.0.1", parts.port or 0) as stream:
        await stream.send_all(protocol.send(request) + protocol.send(h11.EndOfMessage()))
        with trio.fail_after(10):
            while text.count(b"\n\n") < count:
                match protocol.next_event():
                    case h11.NEED_DATA:
                        protocol.receive_data(bytes(await stream.receive_some()))
                    case h11.Response() as answer:
                        assert (b"content-type", b"text/event-stream") in list(answer.headers)
                    case h11.Data() as data:
                        text += bytes(data.data)
                    case _:
                        break
    events = text.decode().split("\n\n")[:-1]
    return [json.loads(event.removeprefix("data: ")) for event in events]


async def test_the_page_and_its_events(write_app: WriteApp) -> None:
    """A page without anything from elsewhere; snapshots only while somebody looks."""
    async with observed(write_app({"main.yaml": MAIN})) as (app, local, url):
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(url)
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert not re.search(r"(src|href)=", answer.text)
        assert '"app": "/apps/shop"' in answer.text
        await trio.sleep(0.05)
        assert local.asked == []  # nobody looks
        [first] = await events_of(url, 1)
        assert first["rows"][0]["name"] == "app:service"
        assert first["processes"] == len(app.node.processes)
        assert local.asked == ["snapshot"]
        two = await events_of(url, 2)
        assert two[1]["at"] > two[0]["at"]


async def test_nothing_without_the_key(write_app: WriteApp) -> None:
    """403 for every path; a POST needs it in a header, which no foreign page can send."""
    async with observed(write_app({"main.yaml": MAIN}), "app:ops") as (_, local, url):
        base, key = url.split("/?key=")
        async with httpx.AsyncClient(trust_env=False) as client:
            for path in ("/", "/events", "/process?pid=x", "/explain", "/?key=wrong", "/?key=%FF"):
                assert (await client.get(f"{base}{path}")).status_code == 403
            act = {"op": "cancel", "pid": "x"}
            assert (await client.post(f"{base}/act", json=act)).status_code == 403
            assert (await client.post(f"{base}/act?key={key}", json=act)).status_code == 404
            assert (await client.get(f"{base}/no?key={key}")).status_code == 404
        assert local.asked == []


async def test_a_process_in_detail(write_app: WriteApp) -> None:
    """Where it waits; of one that has ended, why."""
    async with observed(write_app({"main.yaml": MAIN})) as (app, _, url):
        base, key = url.split("/?key=")
        pid = app.supervisor.status("app:service").pid
        async with httpx.AsyncClient(trust_env=False, headers={"x-key": key}) as client:
            found = (await client.get(f"{base}/process", params={"pid": pid})).json()
            assert (found["pid"], found["id"]) == (pid, "app:<b>odd</b>")
            app.node.terminate(str(pid))
            await trio.sleep(0.01)
            answer = await client.get(f"{base}/process", params={"pid": pid})
            assert answer.status_code == 404
            answer = await client.get(f"{base}/explain", params={"pid": pid})
            assert "terminated" in answer.json()["text"]
            refused = await client.post(f"{base}/act", json={"op": "cancel", "pid": pid})
            assert refused.status_code == 403
            assert "control is off" in refused.json()["error"]["message"]
            for body in (b"[", b"[]", b"{}", b"x" * 5000, b'{"op": "reboot", "pid": "x"}'):
                assert (await client.post(f"{base}/act", content=body)).status_code == 400


async def test_operators_act_as_their_policies_say(write_app: WriteApp) -> None:
    """Off without a group; refused by a condition, a missing allow, or an empty group."""
    async with open_app(write_app({"main.yaml": MAIN})) as app:
        seen: list[str] = []

        async def sees(ctx: Any) -> None:
            ctx.register("seen")
            async for message in ctx.inbox:
                seen.append(message.payload)

        watcher = await app.node.hosts["app:host"].spawn(sees)
        odd = str(app.supervisor.status("app:service").pid)
        plain = await app.spawn("app:plain", "app:host")
        await trio.testing.wait_all_tasks_blocked()  # all have begun
        off = Desk("/a", app)
        desk = Desk("/a", app, Operators("app:ops"))
        assert "acts" not in desk_answer(off, "hello")
        assert desk_answer(desk, "hello")["acts"] == list(ACTS) == list(CONTROLS)

        def refused(which: Desk, op: str, pid: str) -> str:
            with pytest.raises(ControlError) as caught:
                desk_answer(which, op, pid=pid)
            return caught.value.kind

        assert refused(off, "cancel", odd) == "denied"
        assert refused(desk, "cancel", plain) == "PermissionDenied"  # the condition
        assert refused(desk, "terminate", odd) == "PermissionDenied"  # no policy
        assert refused(Desk("/a", app, Operators("app:none")), "cancel", odd) == "PermissionDenied"
        assert refused(desk, "cancel", "{nobody}") == "NotFound"
        assert refused(desk, "suspend", odd) == "Invalid"  # no Server
        assert desk_answer(desk, "upgrade", pid=odd) == {"done": "upgrade", "pid": odd}
        await trio.testing.wait_all_tasks_blocked()
        assert seen == ["pid.outdated"]
        desk_answer(desk, "cancel", pid=odd)
        await trio.testing.wait_all_tasks_blocked()
        assert odd not in app.node.processes
        assert plain in app.node.processes
        for pid in (watcher, plain):  # neither would end when it is asked to
            app.node.terminate(pid)


async def test_looking_has_a_bounded_share(autojump_clock: trio.testing.MockClock) -> None:
    """The slower a snapshot, the longer the pause; all viewers share one."""

    class Slow:
        asked = 0
        busy = 0.0
        gone = False

        async def ask(self, op: str, **fields: Any) -> Any:
            if op == "snapshot":
                self.asked += 1
                self.busy += 0.5
                await trio.sleep(0.5)
            elif self.gone:
                raise ControlError("ended", "the application has ended")
            return {}

    source = Slow()
    feed = Feed(source)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed.run)
        await trio.sleep(100)
        assert source.asked == 0
        for _ in range(3):
            feed.join()
        await trio.sleep(1000)
        assert source.busy / 1000 == pytest.approx(SHARE, rel=0.05)
        for _ in range(3):
            feed.leave()
        asked = source.asked
        await trio.sleep(1000)
        assert source.asked <= asked + 1
        nursery.cancel_scope.cancel()
    source.gone = True
    with pytest.raises(ControlError, match="has ended"):  # also while nobody looks
        await Feed(source).run()
    assert pause(0) == 1.0


async def test_what_a_look_costs_is_what_the_application_says(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A snapshot that comes slowly through a busy machine is no reason to look less often."""

    class Sliced:
        asked = 0

        async def ask(self, op: str, **fields: Any) -> Any:
            self.asked += 1
            await trio.sleep(1.5)
            return {"took": 0.1}

    source = Sliced()
    feed = Feed(source)
    feed.join()
    with trio.move_on_after(1000):
        await feed.run()
    assert source.asked == pytest.approx(1000 / (1.5 + pause(0.1)), abs=1)


async def test_the_end_of_the_application_ends_it(write_app: WriteApp) -> None:
    """Who looks is told by the end of the events; the command fails with the reason."""
    async with open_app(write_app({"main.yaml": MAIN})) as app:

        class Ends(Local):
            async def ask(self, op: str, **fields: Any) -> Any:
                if len(self.asked) == 1:
                    raise ControlError("ended", "the application has ended")
                return await super().ask(op, **fields)

        urls, ends = list[str](), Ends(Desk("/a", app))
        connection: Any = ends
        with pytest.RaisesGroup(pytest.RaisesExc(ControlError, match="has ended")):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(serve_page, connection, ("127.0.0.1", 0), urls.append)
                while not urls:
                    await trio.sleep(0.005)
                assert len(await events_of(urls[0], 2)) == 1


def test_wrong_words_and_no_application(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Exit code 2 for a wrong address or a missing extra, 1 when nothing runs."""
    assert main(["observe", "--addr", "nowhere"]) == 2
    assert "expected" in capfd.readouterr().err
    assert main(["observe", str(tmp_path / "none")]) == 1
    assert "is not running" in capfd.readouterr().err
    for name in [name for name in sys.modules if name.startswith(("registry.edge", "hypercorn"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "registry.kinds.http", raising=False)
    monkeypatch.setitem(sys.modules, "hypercorn", None)
    assert main(["observe"]) == 2
    assert 'pip install "trio-actors[http]"' in capfd.readouterr().err


@pytest.mark.skipif(BROWSER is None, reason="no headless Chromium is installed here")
async def test_a_screenshot_of_logwatch(tmp_path: Path) -> None:
    """The page in a real browser shows examples/logwatch at work under chaos, and can be painted.

    With the variable UPDATE_PICTURES the picture goes into the docs.
    """
    assert BROWSER is not None
    root = Path(__file__).parents[2]
    logwatch = root / "examples" / "logwatch"
    folder = root / "docs" / "images" if os.environ.get("UPDATE_PICTURES") else tmp_path
    picture = folder / "observe.png"
    async with observed(logwatch, name="logwatch") as (app, _, url):
        host = app.terminal()
        here = next(e for e in host.extensions.values() if isinstance(e, Terminal))
        here.stdout = io.StringIO()

        log = tmp_path / "long.log"
        log.write_bytes((logwatch / "data" / "access.log").read_bytes() * 8)
        await app.spawn("logwatch:report", host.id, str(log), "--chaos", "--json")
        async with browsing(url, tmp_path) as page:
            await page.shows("logwatch:ledger_service", "ago: {logwatch:processes")
            while not re.search(r"\d messages/s", await page.text()):  # needs two snapshots
                await trio.sleep(0.1)
            picture.write_bytes(await page.picture())
    assert picture.stat().st_size > 10_000


def test_the_policies_of_the_docs(problems: Callable[..., list[str]]) -> None:
    """docs/how-to/observe.md: its policy is one."""
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "observe.md").read_text()
    assert problems({"main.yaml": page.split("```yaml\n")[1].split("```")[0]}) == []
