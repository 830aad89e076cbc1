"""The control socket: lines, requests, answers, who gets through, and what is left behind."""

import json
import os
import shutil
import socket
import stat
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from registry import open_app
from registry.control import client, places, server
from registry.control.client import connect
from registry.control.desk import OPERATIONS, Desk
from registry.control.places import default_path, is_same_user, listen, runtime_directory
from registry.control.protocol import (
    MAX_REQUEST,
    ControlError,
    Lines,
    LineTooLong,
    read_answer,
    read_request,
    write_request,
)
from registry.control.server import listening, serve

APP = """\
namespace: app
entries:
  - {name: hosts, kind: process.host}
  - {name: serve, kind: process.py, source: code_of_app:serve}
  - name: service
    kind: process.service
    process: serve
    host: hosts
    lifecycle: {auto_start: true}
"""
CODE = """\
async def serve(ctx):
    await ctx.events.receive()
"""
WriteApp = Callable[..., Path]


@pytest.fixture
def app(write_app: WriteApp) -> Path:
    """An application with one service."""
    return write_app({"main.yaml": APP, "code_of_app.py": CODE})


# ---- lines and requests --------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line)), st.data())
def test_lines_do_not_depend_on_how_the_bytes_arrive(
    texts: list[bytes], data: st.DataObject
) -> None:
    """Whatever the pieces, the lines are the same."""
    stream = b"".join(text + b"\n" for text in texts)
    lines, found = Lines(20), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += lines.feed(stream[:size])
        stream = stream[size:]
    assert found == texts


def test_a_line_without_end_is_refused() -> None:
    """No more is kept than the limit."""
    lines = Lines(4)
    assert lines.feed(b"1234") == []
    with pytest.raises(LineTooLong, match="at most 4 bytes"):
        lines.feed(b"5")
    with pytest.raises(LineTooLong):
        Lines(4).feed(b"12345\n")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"nonsense", "expected a line of JSON"),
        (b"\xff", "expected a line of JSON"),
        (b"[" * 100_000, "expected a line of JSON"),
        (b"[]", "expected a JSON object, got list"),
        (b"{}", "expected the text op, got null"),
        (b'{"op": "reboot"}', "expected one of hello, snapshot, process, explain, got 'reboot'"),
        (b'{"op": "explain"}', "explain: expected the field pid"),
        (b'{"op": "explain", "pid": 7}', "explain: pid: expected a PID, got 7"),
        (b'{"op": "snapshot", "exits": true}', "expected an integer from 0 to 1000, got True"),
        (b'{"op": "snapshot", "limit": 0}', "limit: expected an integer above 0, got 0"),
        (b'{"op": "snapshot", "rows": 1}', "snapshot: unexpected field rows"),
        (b'{"op": "snapshot"}', "the application is being opened"),
    ],
)
def test_a_wrong_request_is_one_clear_error(line: bytes, message: str) -> None:
    """It is answered, not dropped, and says what was expected."""
    with pytest.raises(ControlError) as refused:
        read_answer(Desk("/app").answer(line))
    assert message in str(refused.value)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_desk_fail(line: bytes) -> None:
    """Every line gets an answer in one line that is JSON."""
    answer = Desk("/app").answer(line)
    assert answer.endswith(b"\n")
    assert answer.count(b"\n") == 1
    assert json.loads(answer).keys() <= {"ok", "error"}


@given(st.dictionaries(st.text().filter(lambda key: key != "op"), st.text() | st.integers()))
def test_a_request_comes_back_as_it_was(fields: dict[str, Any]) -> None:
    """Write and read are inverse."""
    line = write_request("snapshot", fields)
    assert line.count(b"\n") == 1
    request = read_request(line)
    assert (request.op, request.fields) == ("snapshot", fields)


async def test_every_operation_answers(app: Path) -> None:
    """Each row of the table, asked of a running application."""
    async with open_app(app) as running:
        desk = Desk("/app", running)

        def ask(op: str, **fields: Any) -> Any:
            return read_answer(desk.answer(write_request(op, fields)))

        assert ask("hello") == {
            "protocol": 1,
            "app": "/app",
            "pid": os.getpid(),
            "state": "running",
        }
        (row,) = ask("snapshot")["rows"]
        assert (row["name"], row["entry"]) == ("app:service", "app:serve")
        await trio.testing.wait_all_tasks_blocked()
        seen = ask("process", pid=row["pid"])
        assert seen["id"] == "app:serve"
        assert "ctx.events.receive()" in seen["waits_at"]
        running.node.terminate(row["pid"])
        await trio.testing.wait_all_tasks_blocked()
        assert "terminated" in ask("explain", pid=row["pid"])["text"]
        assert [one["pid"] for one in ask("snapshot", exits=1)["exits"]] == [row["pid"]]
        with pytest.raises(ControlError) as refused:
            ask("process", pid=row["pid"])
        assert refused.value.kind == "NotFound"
    assert set(OPERATIONS) == {"hello", "snapshot", "process", "explain"}


async def test_others_run_while_a_large_answer_is_made(
    app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SU41: in slices the answer is the same; between two slices everybody else has a turn."""
    monkeypatch.setattr("registry.control.slices.SLICE", 0.0)
    async with open_app(app) as running:
        desk, turns = Desk("/app", running), 0
        for _ in range(299):
            await running.spawn("app:serve", "app:hosts")
        await trio.testing.wait_all_tasks_blocked()

        async def neighbour() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        def steady(line: bytes) -> Any:
            answer = read_answer(line)
            varying = dict.fromkeys(("at", "took"), 0)
            rows = [{**row, "uptime": 0} for row in answer["rows"]]
            return {**answer, **varying, "rows": rows, "pools": answer["pools"]}

        async with trio.open_nursery() as nursery:
            nursery.start_soon(neighbour)
            line = write_request("snapshot", {"exits": 3})
            sliced = await desk.reply(line)
            nursery.cancel_scope.cancel()
        assert 0 < read_answer(sliced)["took"] < 60
        assert steady(sliced) == steady(desk.answer(line))
        assert len(read_answer(sliced)["rows"]) == 300
        assert turns > 300 / 16
        with pytest.raises(ControlError, match="unexpected field rows"):
            read_answer(await desk.reply(b'{"op": "snapshot", "rows": 1}'))
        for pid in list(running.node.processes):
            running.node.cancel(pid, 1)


def test_a_fault_of_ours_is_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A look never ends the application."""
    desk = Desk("/app", app=object())  # type: ignore[arg-type]  # has no snapshot
    with pytest.raises(ControlError, match="AttributeError") as refused:
        read_answer(desk.answer(b'{"op": "snapshot"}'))
    assert refused.value.kind == "internal"
    assert "a request failed" in caplog.text


# ---- who gets through ----------------------------------------------------------------------------


def test_the_socket_is_the_users_alone(runtime: Path) -> None:
    """Mode 0600 in a directory of mode 0700."""
    path = default_path(Path("some app"))
    with listen(path):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert stat.S_IMODE(os.stat(path.parent).st_mode) == 0o700
    assert path.name.startswith("some-app-")


def test_without_a_runtime_directory_it_is_one_in_tmp(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Per user, and made with mode 0700."""
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr("tempfile.tempdir", str(runtime))
    assert runtime_directory() == runtime / f"trio-actors-{os.geteuid()}"
    assert stat.S_IMODE(os.stat(runtime_directory()).st_mode) == 0o700


def test_an_unsafe_directory_is_refused(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open to others, a link to somewhere, no directory, somebody else's: nothing is made in it."""
    path = runtime / "trio-actors"
    path.mkdir(mode=0o700)
    path.chmod(0o750)
    with pytest.raises(ControlError, match="expected mode 0700"):
        runtime_directory()
    path.chmod(0o700)
    user = os.geteuid()
    monkeypatch.setattr(places.os, "geteuid", lambda: user + 1)
    with pytest.raises(ControlError, match="belongs to another user"):
        runtime_directory()
    monkeypatch.undo()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    path.rename(runtime / "elsewhere")
    path.symlink_to(runtime / "elsewhere")
    with pytest.raises(ControlError, match="expected a directory"):
        runtime_directory()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime / "nothing"))
    with pytest.raises(ControlError, match="No such file"):
        runtime_directory()


def test_what_lies_at_the_path_is_not_harmed(runtime: Path) -> None:
    """A file stays, a socket in use stays, a stale socket is replaced, a long path is refused."""
    path = runtime / "c"
    path.write_text("mine")
    with pytest.raises(ControlError, match="exists and is no socket"):
        listen(path)
    assert path.read_text() == "mine"
    path.unlink()
    with listen(path):
        with pytest.raises(ControlError, match="another application listens there"):
            listen(path)
        assert places.answers(path)
    assert not places.answers(path)
    listen(path).close()
    with pytest.raises(ControlError, match="longer than 100 bytes"):
        listen(runtime / ("x" * 100))
    with pytest.raises(ControlError, match="No such file"):
        listen(runtime / "nothing" / "c")


@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="no credentials on this platform")
def test_the_kernel_says_who_is_at_the_other_end() -> None:
    """Another user, or no answer of the kernel: refused."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)

    class Other:
        """A peer with these credentials."""

        def __init__(self, answer: bytes | OSError) -> None:
            self.answer = answer

        def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes:
            if isinstance(self.answer, OSError):
                raise self.answer
            return self.answer

    with ours, theirs:
        assert is_same_user(ours)
    assert is_same_user(Other(struct.pack("3i", 1, os.geteuid(), 1)))
    assert not is_same_user(Other(struct.pack("3i", 1, os.geteuid() + 1, 1)))
    assert not is_same_user(Other(b""))
    assert not is_same_user(Other(OSError("no")))


ASK = """\
import socket, sys
peer = socket.socket(socket.AF_UNIX)
peer.settimeout(10)
try:
    peer.connect(sys.argv[1])
    peer.sendall(b'{"op": "hello"}\\n')
    print(peer.recv(1000))
except ConnectionError as error:
    print("closed", type(error).__name__)
except OSError as error:
    print(type(error).__name__)
"""
CLOSED = ("closed ConnectionResetError", "closed BrokenPipeError")
PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or PYTHON is None,
    reason="only root can become somebody else, with a Python that everybody can run",
)
async def test_a_process_of_another_user_is_refused(runtime: Path) -> None:
    """By the mode; and by the kernel's word when somebody has opened the mode by hand."""
    path = runtime / "c"

    async def ask_as_nobody() -> str:
        command = [str(PYTHON), "-c", ASK, str(path)]
        done = await trio.run_process(command, capture_stdout=True, user=65534, cwd="/")
        return done.stdout.decode().strip()

    runtime.chmod(0o755)
    async with talking(path):
        assert await ask_as_nobody() == "PermissionError"
        path.chmod(0o666)
        assert await ask_as_nobody() in ("b''", *CLOSED)


# ---- a conversation ------------------------------------------------------------------------------


@asynccontextmanager
async def talking(
    path: Path, answer: Callable[[bytes], bytes] | None = None
) -> AsyncIterator[None]:
    """Somebody answers at this path while the block runs."""
    with listening(path) as listener:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, listener, answer or Desk("/app").answer)
            yield
            nursery.cancel_scope.cancel()


async def test_requests_are_answered_in_order(runtime: Path) -> None:
    """Many in one piece, pieces of one, an error in between; the connection goes on."""
    path = runtime / "c"
    async with talking(path), await trio.open_unix_socket(path) as stream:
        await stream.send_all(b'{"op": "hello"}\n{"op": "x"}\n{"op":')
        await stream.send_all(b' "hello"}\n')
        lines, found = Lines(10_000), []
        while len(found) < 3:
            found += lines.feed(await stream.receive_some())
        assert [list(json.loads(line)) for line in found] == [["ok"], ["error"], ["ok"]]


async def test_a_request_without_end_ends_the_connection(runtime: Path) -> None:
    """After the refusal; the next one is served."""
    path = runtime / "c"
    async with talking(path):
        async with await trio.open_unix_socket(path) as stream:
            await stream.send_all(b"x" * (MAX_REQUEST + 1))
            with pytest.raises(ControlError, match="at most 65536 bytes"):
                read_answer(await stream.receive_some())
            assert await stream.receive_some() == b""
        async with connect(control=path) as connection:
            assert connection.hello["app"] == "/app"


async def test_who_finds_no_room_is_told(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bounded number at the same time."""
    monkeypatch.setattr(server, "CONNECTIONS", 1)
    path = runtime / "c"
    async with talking(path), connect(control=path):
        with pytest.raises(ControlError, match="too many connections"):
            async with connect(control=path):
                pass


async def test_a_reader_that_takes_nothing_is_let_go(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for ever on somebody who has stopped to read."""
    monkeypatch.setattr(server, "PATIENCE", 0.01)
    path = runtime / "c"
    large = b"x" * 10_000_000 + b"\n"
    async with talking(path, lambda line: large), await trio.open_unix_socket(path) as stream:
        await stream.send_all(b"{}\n")
        got = 0
        with trio.fail_after(20):
            await trio.sleep(0.1)
            while data := await stream.receive_some():
                got += len(data)
        assert got < len(large)


async def test_no_answer_in_time_is_an_error(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An application that is stuck does not hold the command."""
    monkeypatch.setattr(client, "PATIENCE", 0.01)
    path = runtime / "c"
    with listen(path), pytest.raises(ControlError, match="busy or stuck"):
        async with connect(control=path):
            pass


async def test_the_end_of_the_application_is_told(runtime: Path) -> None:
    """The kind `ended`, whatever was under way."""
    path = runtime / "c"
    async with trio.open_nursery() as nursery:
        end = trio.CancelScope()
        ready = trio.Event()

        async def application() -> None:
            with end:
                async with talking(path):
                    ready.set()
                    await trio.sleep_forever()

        nursery.start_soon(application)
        await ready.wait()
        async with connect(control=path) as connection:
            end.cancel()
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(ControlError) as gone:
                await connection.ask("hello")
            assert gone.value.kind == "ended"
    assert not path.exists()


async def test_the_socket_of_a_successor_is_not_removed(runtime: Path) -> None:
    """The file is removed by who made it, and by nobody else."""
    path = runtime / "c"
    with listening(path):
        path.unlink()
        successor = listen(path)
    assert path.exists()
    successor.close()


# ---- which application ---------------------------------------------------------------------------


async def test_the_application_is_found_by_its_files(app: Path) -> None:
    """Or as the only one; none, several and stale sockets are told apart."""
    with pytest.raises(ControlError, match="no application is running for this user"):
        async with connect():
            pass
    first, other = default_path(app), default_path(Path("other"))
    second = first.with_name(first.name.replace(str(os.getpid()), "1"))
    async with talking(first):
        listen(other).close()
        async with connect() as connection:
            assert connection.path == first
        assert not other.exists()
        with pytest.raises(ControlError, match="other is not running for this user"):
            async with connect(Path("other")):
                pass
        async with talking(second), talking(other):
            async with connect(Path("other")) as connection:
                assert connection.path == other
            with pytest.raises(ControlError, match="3 applications run; name one:") as several:
                async with connect():
                    pass
            assert all(f"--control {path}" in str(several.value) for path in (first, second, other))
            with pytest.raises(ControlError, match="2 of app run; choose one:"):
                async with connect(app):
                    pass
            async with connect(control=second) as connection:
                assert connection.path == second


async def test_a_path_that_is_no_socket_of_ours_is_refused(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing there, a file, somebody else's socket, nobody behind it."""
    for make, message in (
        (lambda path: None, "No such file"),
        (lambda path: path.write_text(""), "expected a control socket"),
        (lambda path: listen(path).close(), "no application listens there any more"),
    ):
        path = runtime / "c"
        path.unlink(missing_ok=True)
        make(path)
        with pytest.raises(ControlError, match=message):
            async with connect(control=path):
                pass
    user = os.geteuid()
    monkeypatch.setattr(places.os, "geteuid", lambda: user + 1)
    with pytest.raises(ControlError, match="belongs to another user"):
        async with connect(control=path):
            pass
