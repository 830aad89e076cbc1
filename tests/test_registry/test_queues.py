"""Queues in memory, and entries of queues and jobs: QU1-QU9, SJ3, FZ31, FZ34."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from registry import App, open_app
from trio_actors import ProcessInvalid, ProcessNotFound
from trio_actors.queues import Queues, queues_of

WriteApp = Callable[..., Path]

MAIN = """\
namespace: app
entries:
  - {name: mail, kind: queue.queue, max_attempts: 2, dead_letter: dead, max_length: 3}
  - {name: dead, kind: queue.queue}
  - name: consumer
    kind: queue.consumer
    queue: mail
    func: handle
    concurrency: 2
    lifecycle: {auto_start: true}
  - {name: handle, kind: function.py, source: "code_of_queues:handle"}
  - {name: lua_queue, kind: queue.queue}
  - name: lua_consumer
    kind: queue.consumer
    queue: lua_queue
    func: lua_handle
    lifecycle: {auto_start: true}
  - name: lua_handle
    kind: function.lua
    method: main
    modules: [queue]
    source: |
      local queue = require("queue")
      return {main = function(body)
        local m = queue.message()
        queue.publish("app:dead", {body = body, header = m:header("h"), attempt = m:attempt(),
          count = queue.info("app:lua_queue").in_flight})
        m:ack()
        local ok, err = m:ack()
        queue.publish("app:dead", {again = err:message()})
        return false
      end}
  - name: every
    kind: schedule.job
    func: tick
    interval: 10s
    input: [x]
    lifecycle: {auto_start: true}
  - {name: tick, kind: function.py, source: "code_of_queues:tick"}
"""
CODE = """\
import trio
from trio_actors import ProcessError, current, queues

SEEN = []

async def handle(body):
    message = queues.message()
    actor = getattr(current().actor, "id", None)
    SEEN.append((body["n"], message.attempt(), actor, message.header("h")))
    if body["n"] == "false":
        return False
    if body["n"] == "fails":
        raise ProcessError("no", retryable=False)
    if body["n"] == "slow":
        await trio.sleep(3600)
    if body["n"] == "nack":
        message.nack()

async def tick(x):
    SEEN.append((x, trio.current_time()))
    await trio.sleep(15)
"""


@pytest.fixture
def path(write_app: WriteApp) -> Path:
    """An application with queues, consumers and a job."""
    return write_app({"a.yaml": MAIN, "code_of_queues.py": CODE})


OPEN = {"app:consumer:lifecycle.security": None, "app:every:lifecycle.auto_start": False}


def seen() -> list[Any]:
    """What the application's functions noted."""
    import code_of_queues as code  # type: ignore[import-not-found]

    found: list[Any] = code.SEEN
    return found


async def settled(app: App, queue: str = "app:mail") -> None:
    """Wait until a queue is empty and nothing of it is being handled."""
    with trio.fail_after(5):
        while queues_of(app.node).info(queue).message_count:
            await trio.testing.wait_all_tasks_blocked()


def contents(app: App, queue: str) -> list[tuple[Any, dict[str, Any]]]:
    """Bodies and headers of what waits in a queue."""
    return [(le.body, dict(le.headers)) for le in queues_of(app.node).find(queue)._ready]


async def test_messages_are_handled_and_given_up(path: Path) -> None:
    """QU3-QU6, FZ31: success acks; false, failure and nack come again, then the dead letters."""
    security = {"actor": {"id": "postman"}}
    async with open_app(
        path, overrides={**OPEN, "app:consumer:lifecycle.security": security}
    ) as app:
        queues = queues_of(app.node)
        for n in ("fine", "false", "fails", "nack"):
            await queues.publish("app:mail", {"n": n}, {"h": n})
            await settled(app)
        assert seen() == [
            ("fine", 1, "postman", "fine"),
            ("false", 1, "postman", "false"), ("false", 2, "postman", "false"),
            ("fails", 1, "postman", "fails"), ("fails", 2, "postman", "fails"),
            ("nack", 1, "postman", "nack"), ("nack", 2, "postman", "nack"),
        ]  # fmt: skip
        marks = {"x-attempts": 2, "x-queue": "app:mail"}
        assert contents(app, "app:dead") == [
            ({"n": "false"}, {"h": "false", "x-error": "the handler returned false", **marks}),
            ({"n": "fails"}, {"h": "fails", "x-error": "no", **marks}),
            ({"n": "nack"}, {"h": "nack", "x-error": "", **marks}),
        ]


async def test_a_stopped_consumer_gives_its_messages_back(path: Path) -> None:
    """QU8: running handlers are cancelled, their messages return and no attempt counts."""
    async with open_app(path, overrides={**OPEN, "app:consumer:lifecycle.security": None}) as app:
        queues = queues_of(app.node)
        await queues.publish("app:mail", {"n": 1})
        await settled(app)
        queue = queues.find("app:mail")
        await queues.publish("app:mail", {"n": "slow"})
        await trio.testing.wait_all_tasks_blocked()
        assert queue.info().in_flight == 1
        await app.supervisor.stop(["app:consumer"])
        assert (queue.info().ready, queue._ready[0].attempts) == (1, 0)


async def test_a_changed_consumer_that_ran_runs_again(path: Path) -> None:
    """RG7: also one that does not start by itself; its messages wait meanwhile."""
    overrides = {**OPEN, "app:consumer:lifecycle.auto_start": False}
    async with open_app(path, overrides=overrides) as app:
        entry = app.registry.get("app:consumer")
        change = {"id": entry.id, "kind": entry.kind, "data": {**entry.data, "concurrency": 3}}
        await app.registry.changes().update(change).apply()
        await queues_of(app.node).publish("app:mail", {"n": 1})
        await trio.testing.wait_all_tasks_blocked()
        assert queues_of(app.node).info("app:mail").ready == 1  # it did not run before
        await app.supervisor.start(["app:consumer"])
        change["data"]["concurrency"] = 4
        await app.registry.changes().update(change).apply()
        await settled(app)


async def test_a_full_queue_blocks_the_publisher(autojump_clock: trio.testing.MockClock) -> None:
    """QU2: until there is room, cancellably; the body is copied when it is published (QU1)."""
    from trio_actors import open_node
    from trio_actors.queues import MemoryQueue

    async with open_node() as node:
        queues = Queues(node)
        queue = queues.by_id["a:q"] = MemoryQueue(queues, "a:q", max_length=1)
        body = {"list": [1]}
        await queues.publish("a:q", body)
        body["list"].append(2)
        with trio.move_on_after(1) as scope:
            await queues.publish("a:q", "second")
        assert scope.cancelled_caught
        async with trio.open_nursery() as nursery:
            nursery.start_soon(queues.publish, "a:q", "third")
            await trio.testing.wait_all_tasks_blocked()
            first = await queue.take()
        second = await queue.take()
        assert (first.body, second.body) == ({"list": [1]}, "third")
        first.ack()
        with pytest.raises(ProcessInvalid, match=r"queue\.Message already settled"):
            first.nack()


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (("", 1), ProcessInvalid, "queue ID required"),
        (("a:no", None), ProcessInvalid, "message data required"),
        (("a:no", {}), ProcessInvalid, "message data required"),
        (("a:no", 1, {"h": []}), ProcessInvalid, "header h"),
        (("a:no", 1), ProcessNotFound, "queue not found: a:no"),
    ],
)
async def test_wrong_publishing_is_refused(
    arguments: tuple[Any, ...], error: type[Exception], text: str
) -> None:
    """QU1: id, data, headers, then the queue."""
    from trio_actors import open_node

    async with open_node() as node:
        with pytest.raises(error, match=text):
            await Queues(node).publish(*arguments)


async def test_lua_handlers_settle_their_message(path: Path) -> None:
    """QU7: the message belongs to the call; an explicit settle decides, a second one is INVALID."""
    async with open_app(path, overrides=OPEN) as app:
        await queues_of(app.node).publish("app:lua_queue", "text", {"h": 7})
        with trio.fail_after(5):
            while len(contents(app, "app:dead")) < 2:
                await trio.testing.wait_all_tasks_blocked()
        assert [body for body, _ in contents(app, "app:dead")] == [
            {"body": "text", "header": 7, "attempt": 1, "count": 1},
            {"again": "queue.Message already settled"},
        ]


async def test_a_job_that_is_still_running_is_skipped(
    path: Path, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """SJ1, SJ3, FZ34: interval 10s and runs of 15 s start at 10, 30 and 50 s."""
    overrides = {"app:consumer:lifecycle.security": None}
    async with open_app(path, overrides=overrides) as app:
        app.node.wall_time = trio.current_time  # before the job looks at it
        with caplog.at_level(logging.WARNING, "trio_actors.schedules"):
            await trio.sleep(59)
        assert [(x, round(at)) for x, at in seen()] == [("x", 10), ("x", 30), ("x", 50)]
        assert "skipped" in caplog.text


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ("kind: schedule.job, func: tick",
         "expected exactly one of cron and interval, got neither"),
        ("kind: schedule.job, func: tick, interval: 1s, cron: '* * * * *'",
         "expected exactly one of cron and interval, got both"),
        ("kind: schedule.job, func: tick, cron: '* * * *'", "cron: expected five fields"),
        ("kind: schedule.job, func: tick, cron: '0 * * * * *'", "cron: expected five fields"),
        ("kind: schedule.job, func: tick, cron: '0 0 30 2 *'", "cron: expected five fields"),
        ("kind: schedule.job, func: tick, interval: 1s, timezone: Nowhere/Land",
         "timezone: expected the name of a time zone"),
        ("kind: schedule.job, func: tick, interval: 1s, overlap: skp",
         'overlap: expected skip or parallel, got "skp"; did you mean "skip"?'),
        ("kind: queue.consumer, queue: tick, func: mail",
         "queue: expected the id of a queue.queue"),
        ("kind: queue.consumer, queue: mail, func: tick, concurrency: 0",
         "concurrency: expected an integer from 1 to 1000, got 0"),
        ("kind: queue.queue, driver: rabbit", 'driver: expected memory or sqlite, got "rabbit"'),
        ("kind: queue.queue, driver: sqlite", "expected a file, as the driver is sqlite"),
        ("kind: queue.queue, file: q.sqlite", 'file: expected no file for memory, got "q.sqlite"'),
        ("kind: queue.queue, visibility_timeout: 0", "visibility_timeout: expected a duration"),
        ("kind: queue.queue, driver: sqlite, file: q.sqlite, dead_letter: dead",
         "dead_letter: expected a queue in the file q.sqlite, got app:dead, which is not there"),
    ],
)  # fmt: skip
def test_wrong_entries_are_load_errors(
    entry: str, line: str, problems: Callable[..., list[str]]
) -> None:
    """Section 13: fields and their values."""
    text = f"{MAIN}  - {{name: wrong, {entry}}}\n"
    found = problems({"a.yaml": text, "code_of_queues.py": CODE})
    assert any(f"entry app:wrong: {line}" in one for one in found)


async def test_the_memory_driver_is_empty_at_the_next_start(path: Path) -> None:
    """QU9: what was not handled is gone with the program."""
    overrides = {**OPEN, "app:consumer:lifecycle.auto_start": False}
    for _ in range(2):
        async with open_app(path, overrides=overrides) as app:
            assert queues_of(app.node).info("app:mail").message_count == 0
            await queues_of(app.node).publish("app:mail", "x")
            assert queues_of(app.node).info("app:mail").message_count == 1


@pytest.mark.parametrize("place", [{}, {"driver": "sqlite", "file": "q.sqlite"}])
async def test_who_waits_for_room_sees_changes_of_the_queue(
    write_app: WriteApp, place: dict[str, Any]
) -> None:
    """QU2, RG7: more room lets publishers go on at once; a removed queue is NOT_FOUND for them."""
    async with open_app(write_app({"a.yaml": "namespace: app\nentries: []\n"})) as app:
        changes, queues = app.registry.changes, queues_of(app.node)
        entry: dict[str, Any] = {"id": "app:q", "kind": "queue.queue"}
        await changes().create({**entry, "data": {"max_length": 1, **place}}).apply()
        published: list[Any] = []

        async def publish(body: int) -> None:
            try:
                await queues.publish("app:q", body)
                published.append(body)
            except ProcessNotFound as error:
                published.append(str(error))

        async def until(count: int) -> None:
            with trio.fail_after(5):
                while len(published) < count:
                    await trio.sleep(0.001)

        await publish(1)
        async with trio.open_nursery() as nursery:
            for body in (2, 3, 4):
                nursery.start_soon(publish, body)
                await trio.testing.wait_all_tasks_blocked(0.01)
            assert published == [1]
            await changes().update({**entry, "data": {"max_length": 3, **place}}).apply()
            await until(3)
            await changes().delete("app:q").apply()
            await until(4)
        assert sorted(published[:3]) == [1, 2, 3]
        assert published[3] == "queue not found: app:q"
        with pytest.raises(ProcessNotFound):
            await queues.publish("app:q", 5)


async def test_a_stop_that_a_handler_asked_for_ends_deliveries() -> None:
    """QU8, F14: none is taken without a checkpoint; what was handled too late comes back."""
    from trio_actors import ProcessContext, open_node
    from trio_actors.functions import open_functions
    from trio_actors.queues import MemoryQueue, consume

    async with open_node() as node, open_functions(node) as functions:
        queues = queues_of(node)
        queue = queues.by_id["a:q"] = MemoryQueue(queues, "a:q")
        handled, scope = [], trio.CancelScope()

        async def handle(body: int) -> None:
            handled.append(body)
            if body == 3:
                scope.cancel()

        functions.register("a:f", handle)
        for body in range(1, 20):
            await queues.publish("a:q", body)
        async with node.open_host("a:h") as host:

            async def main(ctx: ProcessContext) -> None:
                with scope:
                    await consume(ctx, queue, "a:f")

            await node.wait(await host.spawn(main))
        assert handled == [1, 2, 3]
        assert (queue.info().ready, queue.info().in_flight) == (17, 0)


async def test_a_consumer_lets_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two turns of a neighbour at most 32 messages are published or handled."""
    from trio_actors import ProcessContext, open_node
    from trio_actors.functions import open_functions
    from trio_actors.queues import MemoryQueue, consume

    monkeypatch.setattr("trio_actors._core.pace.perf_counter", lambda: 0.0)  # messages only
    async with open_node() as node, open_functions(node) as functions:
        queues = queues_of(node)
        queue = queues.by_id["a:q"] = MemoryQueue(queues, "a:q", max_length=100)
        done, most = 0, 0

        def handle(body: int) -> None:
            nonlocal done
            done += 1

        async def publish() -> None:
            for _ in range(1000):
                await queues.publish("a:q", 1)

        async def neighbour() -> None:
            nonlocal most
            while done < 1000:
                before = done
                await trio.lowlevel.checkpoint()
                most = max(most, done - before)

        functions.register("a:f", handle)
        async with node.open_host("a:h", drain=0) as host, trio.open_nursery() as nursery:

            async def main(ctx: ProcessContext) -> None:
                await consume(ctx, queue, "a:f", concurrency=3)

            pid = await host.spawn(main)
            nursery.start_soon(neighbour)
            nursery.start_soon(publish)
            with trio.fail_after(20):
                while done < 1000:
                    await trio.sleep(0.001)
            node.cancel(pid, 1)
        assert 1 < most <= 3 * 32


@given(
    kinds=st.lists(st.sampled_from(["ok", "false", "fails", "nack", "waits"]), max_size=40),
    concurrency=st.integers(1, 4),
    stops=st.lists(st.integers(1, 6), max_size=3),
)
async def test_every_message_is_handled_or_a_dead_letter(
    kinds: list[str], concurrency: int, stops: list[int]
) -> None:
    """QU4, QU5, QU8: whatever handlers do and however often the consumer stops, none is lost.

    Each is acknowledged once or is one dead letter after the last attempt; the attempts that a stop
    has cut off do not count.
    """
    from trio_actors import ProcessContext, ProcessError, open_node
    from trio_actors import queues as module
    from trio_actors.functions import open_functions
    from trio_actors.queues import MemoryQueue, consume

    async with open_node() as node, open_functions(node) as functions:
        queues = queues_of(node)
        dead = queues.by_id["a:dead"] = MemoryQueue(queues, "a:dead")
        queue = MemoryQueue(queues, "a:q", max_attempts=2, dead_letter="a:dead")
        queues.by_id["a:q"] = queue
        handled: list[tuple[int, int]] = []
        running = most = 0

        async def handle(body: list[Any]) -> Any:
            nonlocal running, most
            number, kind = body
            attempt = module.message().attempt()
            running += 1
            most = max(most, running)
            try:
                if kind == "waits":
                    for _ in range(number % 3 + 1):
                        await trio.lowlevel.checkpoint()
                if kind == "fails":
                    raise ProcessError("no")
                if kind == "nack":
                    await module.message().nack()
                handled.append((number, attempt))
                return kind != "false"
            finally:
                running -= 1

        functions.register("a:f", handle, pool={"type": "lazy", "max_size": 8})
        for number, kind in enumerate(kinds):
            await queues.publish("a:q", [number, kind])
        async with node.open_host("a:h", drain=0) as host:

            async def main(ctx: ProcessContext) -> None:
                await consume(ctx, queue, "a:f", concurrency=concurrency)

            for turns in [*stops, None]:
                pid = await host.spawn(main)
                if turns is None:
                    with trio.fail_after(10):
                        while queue.info().message_count:
                            await trio.lowlevel.checkpoint()
                else:
                    for _ in range(turns):
                        await trio.lowlevel.checkpoint()
                node.cancel(pid, 1)
                await node.wait(pid)
        bad = [n for n, kind in enumerate(kinds) if kind in ("false", "fails", "nack")]
        assert sorted(letter.body[0] for letter in dead._ready) == bad
        assert all(letter.headers["x-attempts"] == 2 for letter in dead._ready)
        good = [n for n, kind in enumerate(kinds) if kind in ("ok", "waits")]
        assert sorted(n for n, _ in handled if n in good) == good  # each once, at attempt 1
        assert {attempt for n, attempt in handled if n in good} <= {1}
        assert most <= concurrency
