"""Queues in an SQLite file: QU1-QU8 across the end of the program, also by SIGKILL."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from registry import open_app
from registry.cli import main
from trio_actors import Node, ProcessInvalid, ProcessUnavailable, open_node
from trio_actors.queues import DurableQueue, MemoryQueue, QueueFile, queues_of

WriteApp = Callable[..., Path]
APP = """\
namespace: app
entries:
  - name: mail
    kind: queue.queue
    driver: sqlite
    file: mail.sqlite
    max_attempts: 100
    max_length: 50
    dead_letter: dead
    visibility_timeout: 400ms
  - {name: dead, kind: queue.queue, driver: sqlite, file: mail.sqlite}
  - {name: fast, kind: queue.queue}
  - name: consumer
    kind: queue.consumer
    queue: mail
    func: handle
    concurrency: 4
    lifecycle: {auto_start: true}
  - {name: handle, kind: function.py, source: "code_of_mail:handle"}
"""
CODE = """\
import os, sys, trio
from trio_actors import queues
from trio_actors.queues import queues_of
from registry import open_app

log = os.open(os.environ["KILL_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def note(word, n):
    os.write(log, f"{word} {n}\\n".encode())

async def handle(body):
    n, message = body["n"], queues.message()
    note("got", n)
    if n % 5 == 0 and message.attempt() == 1:
        return False
    if n % 2:
        await message.ack()
        note("acked", n)

async def run(first):
    async with open_app("app") as app:
        mail = queues_of(app.node)
        if first:
            for n in range(first, first + 1_000_000):
                await mail.publish("app:mail", {"n": n})
                note("published", n)
        while mail.info("app:mail").message_count:
            await trio.sleep(0.05)

if __name__ == "__main__":
    trio.run(run, int(sys.argv[1]))
"""


def round_of(first: int, log: Path, kill_after: float | None) -> None:
    """Run the program; kill it that long after its first message, or let it empty the queue."""
    size = log.stat().st_size if log.exists() else 0
    program = subprocess.Popen(
        [sys.executable, "app/code_of_mail.py", str(first)],
        env={**os.environ, "KILL_LOG": str(log)},
    )
    try:
        if kill_after is None:
            assert program.wait(40) == 0
            return
        limit = time.monotonic() + 30
        while not log.exists() or log.stat().st_size == size:
            assert program.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.005)
        time.sleep(kill_after)
    finally:
        program.kill()
        program.wait()
    assert program.returncode == -signal.SIGKILL


def test_kill_9_neither_loses_nor_doubles(write_app: WriteApp, tmp_path: Path) -> None:
    """What was published is handled, what was acknowledged never comes again, over six lives."""
    write_app({"main.yaml": APP, "code_of_mail.py": CODE})
    log, draw = tmp_path / "log", random.Random(8)
    for life in range(1, 6):
        round_of(life * 1_000_000, log, draw.uniform(0.0, 0.5))
    round_of(0, log, None)
    lines = [line.split() for line in log.read_text().splitlines()]
    published = {n for word, n in lines if word == "published"}
    acked: set[str] = set()
    for word, n in lines:
        assert word != "got" or n not in acked, f"{n} was delivered after its acknowledgement"
        if word == "acked":
            assert n not in acked
            acked.add(n)
    got = Counter(n for word, n in lines if word == "got")
    assert len(published) > 20
    assert published <= set(got)
    # Each life may have ended in the middle of four calls; only those came again, and the fifths.
    again = [n for n, times in got.items() if times > (2 if int(n) % 5 == 0 else 1)]
    assert len(again) <= 5 * 4


@asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncIterator[tuple[Node, DurableQueue]]:
    """A node with the queue `a:q` in a file, and its dead letters in `a:dead`."""
    async with open_node() as node, trio.open_nursery() as nursery:
        queues = queues_of(node)
        file = QueueFile(path, node)
        await nursery.start(file.run)
        queue = DurableQueue(queues, "a:q", file, dead_letter="a:dead", **options)
        dead = DurableQueue(queues, "a:dead", file)
        for one in (queue, dead):
            await file.add(one)
            queues.by_id[one.id] = one
        yield node, queue
        file.close()


async def test_messages_are_there_after_a_restart(tmp_path: Path) -> None:
    """Bodies and headers come back as they were, in their order; what was given back too (QU8)."""
    bodies: list[Any] = [1.5, "ü", b"\x00\xff", [1, [None, True]], {"$map": {2: "x"}, "b": b""}]
    path = tmp_path / "q.sqlite"
    async with opened(path) as (_, queue):
        for body in bodies:
            await queue.publish(body, {"h": 1})
        delivery = await queue.take()
        assert (delivery.body, delivery.attempt(), queue.info().in_flight) == (1.5, 1, 1)
        delivery.give_back()
    async with opened(path) as (_, queue):
        assert (queue.info().ready, queue.info().in_flight) == (5, 0)
        deliveries = [await queue.take() for _ in bodies]
        assert [delivery.body for delivery in deliveries] == bodies
        assert [delivery.attempt() for delivery in deliveries] == [1] * 5
        assert deliveries[0].headers() == {"h": 1}
        for delivery in deliveries:
            await delivery.ack()
        assert queue.info().message_count == 0


async def test_the_visibility_timeout_counts_as_an_attempt(tmp_path: Path) -> None:
    """QU5: after two deliveries that nobody settled in time it is a dead letter."""
    async with opened(tmp_path / "q.sqlite", max_attempts=2, visibility_timeout=10) as (
        node,
        queue,
    ):
        now = 1000.0
        node.wall_time = lambda: now
        await queue.publish("slow", {})
        first = await queue.take()
        now += 11
        second = await queue.take()
        assert (second.id(), second.attempt()) == (first.id(), 2)
        await first.ack()  # too late: it belongs to somebody else
        assert queue.info().in_flight == 1
        now += 11
        dead = await queue.queues.find("a:dead").take()
        assert dead.headers() == {
            "x-error": "not settled within the visibility timeout", "x-attempts": 2,
            "x-queue": "a:q",
        }  # fmt: skip
        assert queue.info().message_count == 0


async def test_a_cancelled_publisher_has_not_published(tmp_path: Path) -> None:
    """QU2: a full queue blocks, cancellably; a message that is taken makes room."""
    async with opened(tmp_path / "q.sqlite", max_length=1) as (_, queue):
        await queue.publish(1, {})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(queue.publish, 2, {})
            nursery.start_soon(queue.publish, 3, {})
            await trio.testing.wait_all_tasks_blocked()
            while queue.file._jobs != [job for job in queue.file._jobs if not job.begun]:
                await trio.sleep(0)
            nursery.cancel_scope.cancel()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(queue.publish, 4, {})
            first = await queue.take()
        assert (first.body, (await queue.take()).body) == (1, 4)
        with trio.move_on_after(0.05) as scope:
            await queue.take()
        assert scope.cancelled_caught
        assert queue.info().ready == 0


async def test_what_no_file_can_keep_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """GC5: INVALID for a publisher; a dead letter of a memory queue is logged as dropped."""
    async with opened(tmp_path / "q.sqlite") as (node, queue):
        with pytest.raises(ProcessInvalid, match="a object cannot be kept"):
            await queue.publish(object(), {})
        memory = MemoryQueue(queues_of(node), "a:m", max_attempts=1, dead_letter="a:q")
        for body in (object(), "plain"):
            await memory.publish(body, {})
            (await memory.take()).nack("no")
        assert "cannot be kept" in caplog.text
        assert (await queue.take()).body == "plain"


async def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """UNAVAILABLE for who waits; later steps work again. A file of another kind is INVALID."""
    path = tmp_path / "q.sqlite"
    async with opened(path) as (_, queue):
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("ALTER TABLE message RENAME TO gone")
        with pytest.raises(ProcessUnavailable, match="cannot be written"):
            await queue.publish(1, {})
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("ALTER TABLE gone RENAME TO message")
        await queue.publish(1, {})
        assert queue.info().ready == 1
    with pytest.raises(ProcessUnavailable, match="was closed"):
        await queue.publish(1, {})
    (tmp_path / "notes").write_text("these are my notes, long enough to be no database\n" * 20)
    with pytest.RaisesGroup(pytest.RaisesExc(ProcessInvalid), flatten_subgroups=True):
        async with opened(tmp_path / "notes"):
            pytest.fail("opened")


async def test_programs_share_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one publishes another takes, and what one holds the other does not get."""
    monkeypatch.setattr("trio_actors.queues.durable.POLL", 0.01)
    path = tmp_path / "q.sqlite"
    async with opened(path) as (_, here), opened(path) as (_, there):
        taken = []
        async with trio.open_nursery() as nursery:

            async def take() -> None:
                taken.append((await there.take()).body)

            nursery.start_soon(take)
            await trio.testing.wait_all_tasks_blocked()
            await here.publish("a", {})
        assert taken == ["a"]
        with trio.move_on_after(0.1) as scope:
            await here.take()
        assert scope.cancelled_caught


async def test_a_slow_handler_is_cancelled_and_tried_again(
    write_app: WriteApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A call longer than the visibility timeout has failed; in the end it is a dead letter."""
    monkeypatch.setenv("KILL_LOG", str(tmp_path / "log"))
    code = "import trio\nasync def handle(body):\n    await trio.sleep(60)\n"
    path = write_app({"main.yaml": APP.replace("_mail:", "_slow:"), "code_of_slow.py": code})
    overrides = {"app:mail:max_attempts": 2, "app:mail:visibility_timeout": "20ms"}
    async with open_app(path, overrides=overrides) as app:
        queues = queues_of(app.node)
        await queues.publish("app:mail", {"n": 1})
        with trio.fail_after(20):
            dead = await queues.find("app:dead").take()
        assert (dead.header("x-attempts"), dead.header("x-queue")) == (2, "app:mail")


async def test_limits_change_at_run_time_but_not_the_place(write_app: WriteApp) -> None:
    """RG5: another file is refused and nothing changes; messages stay when limits change."""
    path = write_app({"main.yaml": APP, "code_of_mail.py": "async def handle(body): pass\n"})
    async with open_app(path, overrides={"app:consumer:lifecycle.auto_start": False}) as app:
        await queues_of(app.node).publish("app:mail", 1)
        entry = app.registry.get("app:mail")
        mail = {"id": entry.id, "kind": entry.kind, "data": {**entry.data, "max_length": 7}}
        await app.registry.changes().update(mail).apply()
        queue: Any = queues_of(app.node).find("app:mail")
        assert (queue.max_length, queue.info().ready) == (7, 1)
        mail["data"] = {"driver": "memory"}
        with pytest.raises(ProcessInvalid, match="cannot change while it is there"):
            await app.registry.changes().update(mail).apply()
        await app.registry.changes().delete("app:consumer").delete("app:mail").apply()
        assert "app:mail" not in queues_of(app.node).by_id


async def test_the_command_looks_inside_and_replays(
    write_app: WriteApp, capfd: pytest.CaptureFixture[str]
) -> None:
    """`trio-actors queue`: depths, messages, dead letters back to where they came from."""
    path = write_app({"main.yaml": APP, "code_of_mail.py": "async def handle(body): return False"})

    def command(*words: str) -> tuple[int, list[str]]:
        code = main(["queue", str(path), *words])
        out, err = capfd.readouterr()
        return code, [line for line in (out + err).splitlines() if line]

    assert command()[1][2] == "app:mail  ready 0  in flight 0"
    assert command("app:dead") == (0, ["app:dead: empty, there is no file yet"])
    async with open_app(path, overrides={"app:mail:max_attempts": 1}) as app:
        queues = queues_of(app.node)
        await queues.publish("app:mail", {"n": 1}, {"h": "x"})
        with trio.fail_after(20):
            while not queues.info("app:dead").ready:
                await trio.sleep(0.01)
    depths = ["app:dead  ready 1  in flight 0", "app:fast  in memory"]
    assert command() == (0, [*depths, "app:mail  ready 0  in flight 0"])
    code, lines = command("app:dead")
    assert (code, lines[0].split("  ")[1], lines[2]) == (0, "ready, attempts 0", '  body {"n": 1}')
    assert lines[1] == (
        '  headers {"h": "x", "x-error": "the handler returned false", "x-attempts": 1, '
        '"x-queue": "app:mail"}'
    )
    assert lines[3] == "1 of 1 messages"
    assert command("app:dead", "--replay") == (0, ["1 to app:mail", "0 left in app:dead"])
    assert command("app:mail")[1][1] == '  headers {"h": "x"}'
    assert command("app:no")[0] == command("app:fast")[0] == command("--replay")[0] == 2


async def test_the_example_of_the_docs(write_app: WriteApp) -> None:
    """docs/how-to/queues.md: three attempts, then a dead letter."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "queues.md"
    path = write_app({"main.yaml": page.read_text().split("```yaml\n")[1].split("```")[0]})
    async with open_app(path) as app:
        queues = queues_of(app.node)
        await queues.publish("shop:mail", {"subject": "to nobody"})
        await queues.publish("shop:mail", {"to": "a@b.c"})
        with trio.fail_after(20):
            dead = await queues.find("shop:mail_failed").take()
            assert dead.header("x-attempts") == 3
            while queues.info("shop:mail").message_count:
                await trio.sleep(0.01)


@pytest.mark.parametrize("garbage", [True, False])
def test_a_file_of_something_else_is_named_in_one_line(
    write_app: WriteApp, capfd: pytest.CaptureFixture[str], garbage: bool
) -> None:
    """`queue` and `run`, with no database and with another one: exit code 1, no traceback."""
    path = write_app({"main.yaml": APP, "code_of_mail.py": "async def handle(body): pass"})
    assert main(["queue", str(path)]) == 0
    capfd.readouterr()
    name = "mail.sqlite"
    file = path / name
    if garbage:
        file.write_text("no database at all\n" * 100)
    else:
        with closing(sqlite3.connect(file)) as base, base:
            base.execute("CREATE TABLE message (x)")
    for words in (["queue"], ["queue", "app:dead"], ["run"]):
        code = main([words[0], str(path), *words[1:]])
        out, err = capfd.readouterr()
        assert code == 1, words
        assert len(err.splitlines()) == 1, err
        assert err.startswith("trio-actors"), err
        assert name in err, err
        assert out == ""


def test_a_history_that_is_none_is_named_in_one_line(
    write_app: WriteApp, capfd: pytest.CaptureFixture[str]
) -> None:
    """`run --history`: exit code 1, no traceback, and the file stays what it was."""
    path = write_app({"main.yaml": "namespace: app\nentries: []\n"})
    file = path / "notes.txt"
    file.write_text("these are notes\n" * 100)
    assert main(["run", str(path), "--history", str(file)]) == 1
    _, err = capfd.readouterr()
    assert len(err.splitlines()) == 1
    assert "notes.txt is not a history of versions" in err
    assert file.read_text().startswith("these are notes")
