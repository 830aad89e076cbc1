"""How a process ends, as a value (processes.md §1.5, E20-E40; PY8)."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing
from unwinding import slow_to_end

from trio_actors import (
    Ask,
    CauseKind,
    ErrorKind,
    Exit,
    Host,
    Message,
    Node,
    ProcessContext,
    ProcessError,
    ProcessNotFound,
    ProcessUnavailable,
    Server,
    handles,
    open_node,
)


def told(exit: Exit) -> dict[str, Any]:
    """An exit as plain data."""
    if exit.error is None:
        return {"value": exit.value}
    error = exit.error
    found = {"error": error.message, "kind": error.kind.name, "retryable": error.retryable}
    return {**found, "details": error.details} if error.details else found


async def end_of(host: Host, body: Callable[..., Awaitable[Any]], *args: Any) -> dict[str, Any]:
    """Runs a body to its end."""
    return told(await host.node.wait(await host.spawn(body, *args)))


@pytest.mark.parametrize("value", [5, None, False, ("no", "error"), {"a": [1]}], ids=repr)
async def test_returned_value_is_the_result(host: Host, value: object) -> None:
    """E20-E22, PY8: whatever is returned is a value, also False, None and a tuple."""

    async def body(ctx: ProcessContext) -> object:
        return value

    assert await end_of(host, body) == {"value": value}


async def test_process_error_keeps_its_fields(host: Host) -> None:
    """E29: a ProcessError keeps message, kind, retryable and details."""

    async def body(ctx: ProcessContext) -> None:
        raise ProcessError("gone", kind=ErrorKind.CONFLICT, retryable=True, details={"a": 1})

    assert await end_of(host, body) == {
        "error": "gone",
        "kind": "CONFLICT",
        "retryable": True,
        "details": {"a": 1},
    }


async def test_unknown_kind_becomes_internal(host: Host) -> None:
    """E29, Q11: across the boundary the empty kind is INTERNAL."""

    async def body(ctx: ProcessContext) -> None:
        raise ProcessError("odd")

    assert await end_of(host, body) == {"error": "odd", "kind": "INTERNAL", "retryable": None}


async def test_any_other_exception_names_its_type(host: Host) -> None:
    """E30: message `<ExceptionType>: <text>`, INTERNAL, retryable unknown."""

    async def body(ctx: ProcessContext) -> None:
        raise KeyError("k")

    assert await end_of(host, body) == {
        "error": "KeyError: 'k'",
        "kind": "INTERNAL",
        "retryable": None,
    }


async def test_exception_may_carry_a_kind(host: Host) -> None:
    """E30: the kind is that of the exception if it carries one."""

    class Slow(Exception):
        kind = ErrorKind.TIMEOUT

    async def body(ctx: ProcessContext) -> None:
        raise Slow("late")

    assert await end_of(host, body) == {
        "error": "Slow: late",
        "kind": "TIMEOUT",
        "retryable": None,
    }


async def test_group_gives_its_first_leaf_and_lists_the_others(host: Host) -> None:
    """E31: the first leaf decides, the messages of further leaves are in details.errors."""

    async def body(ctx: ProcessContext) -> None:
        inner = ExceptionGroup("inner", [ProcessNotFound("a", details={"x": 1}), ValueError("b")])
        raise ExceptionGroup("outer", [inner, ProcessError("c")])

    assert await end_of(host, body) == {
        "error": "a",
        "kind": "NOT_FOUND",
        "retryable": None,
        "details": {"x": 1, "errors": ["ValueError: b", "c"]},
    }


async def test_sc28_group_with_one_error_is_that_error(host: Host) -> None:
    """SC28, E31: a nursery's group of one ValueError is INTERNAL with its text."""

    async def child() -> None:
        raise ValueError("boom")

    async def body(ctx: ProcessContext) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
            nursery.start_soon(trio.sleep_forever)

    assert await end_of(host, body) == {
        "error": "ValueError: boom",
        "kind": "INTERNAL",
        "retryable": None,
    }


FORCED: dict[str, dict[str, Any]] = {
    "terminate": {"error": "process terminated", "kind": "CANCELED", "retryable": None},
    "deadline": {"error": "cancel deadline exceeded", "kind": "CANCELED", "retryable": None},
    "link": {"error": "linked process failed", "kind": "INTERNAL", "retryable": None},
}


async def force(node: Node, pid: str, how: str) -> None:
    """Ends a process from outside in one of the three ways."""
    if how == "terminate":
        node.terminate(pid)
    elif how == "deadline":
        node.cancel(pid, 1)
    else:

        async def failing(ctx: ProcessContext) -> None:
            ctx.link(pid)
            raise ValueError

        await node.call(swallow, failing, host="app:main")


async def swallow(ctx: ProcessContext, target: Any) -> None:
    """Runs a failing process to its end."""
    with pytest.raises(ProcessError):
        await ctx.call(target)


Ending = Callable[[], Awaitable[Any]]


async def _plain() -> None:
    await trio.sleep_forever()


async def _nested() -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(trio.sleep_forever)


async def _mixed() -> None:
    async def fails_while_unwinding() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("unwinding")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fails_while_unwinding)
        nursery.start_soon(trio.sleep_forever)


async def _raises() -> None:
    try:
        await trio.sleep_forever()
    finally:
        raise ValueError("unwinding")


async def _returns() -> object:
    try:
        await trio.sleep_forever()
    finally:
        return "value"  # noqa: B012


async def _shielded() -> None:
    await slow_to_end(60)


@pytest.mark.parametrize("how", list(FORCED))
@pytest.mark.parametrize("ending", [_plain, _nested, _mixed, _raises, _returns, _shielded])
async def test_forced_end_decides_the_result(host: Host, how: str, ending: Ending) -> None:
    """E31-E34, E40: whatever the code does while it unwinds, the forced end is the result."""

    async def body(ctx: ProcessContext) -> object:
        return await ending()

    pid = await host.spawn(body)
    await trio.testing.wait_all_tasks_blocked()
    await force(host.node, pid, how)
    assert told(await host.node.wait(pid)) == FORCED[how]


@pytest.mark.parametrize("first", list(FORCED))
@pytest.mark.parametrize("second", list(FORCED))
async def test_first_forced_end_wins(host: Host, first: str, second: str) -> None:
    """E40: a later forced end changes nothing, also while a shielded block holds the end up."""

    async def body(ctx: ProcessContext) -> object:
        return await _shielded()

    pid = await host.spawn(body)
    await trio.testing.wait_all_tasks_blocked()
    await force(host.node, pid, first)
    await trio.sleep(5)
    await force(host.node, pid, second)
    assert told(await host.node.wait(pid)) == FORCED[first]


async def test_cancel_event_without_deadline_ends_nothing(host: Host) -> None:
    """E39: CANCEL alone is a request; the process goes on."""

    async def body(ctx: ProcessContext) -> str:
        await trio.sleep(3600)
        return "on my own"

    pid = await host.spawn(body)
    host.node.cancel(pid)
    assert told(await host.node.wait(pid)) == {"value": "on my own"}


async def test_cancelled_from_outside(node: Node) -> None:
    """E37: the end of the host by force is `process cancelled`, and its cause says outside."""
    async with node.open_host("app:main") as host:
        pid = await host.spawn(trio_sleeper)
        await trio.testing.wait_all_tasks_blocked()
        host.abort()
        end = await node.wait(pid)
    assert (told(end), end.cause.kind) == (
        {"error": "process cancelled", "kind": "CANCELED", "retryable": None},
        CauseKind.OUTSIDE,
    )


async def trio_sleeper(ctx: ProcessContext) -> None:
    """Waits for ever."""
    await trio.sleep_forever()


async def test_failure_during_cancellation_from_outside_is_the_failure(node: Node) -> None:
    """E31: of a group with a cancellation and an error, the error is the result."""

    async def body(ctx: ProcessContext) -> None:
        await _mixed()

    async with node.open_host("app:main") as host:
        pid = await host.spawn(body)
        await trio.testing.wait_all_tasks_blocked()
        host.abort()
        end = await node.wait(pid)
    assert told(end) == {"error": "ValueError: unwinding", "kind": "INTERNAL", "retryable": None}


class Odd(BaseException):
    """Neither an Exception nor Trio's cancellation."""


@pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit, Odd])
@pytest.mark.parametrize("grouped", [False, True], ids=["alone", "in a group"])
async def test_sc28_fatal_exceptions_leave_the_host(
    autojump_clock: trio.testing.MockClock, fatal: type[BaseException], grouped: bool
) -> None:
    """SC28, E38, PH7: they are no result; they leave through the host, unwrapped when alone.

    SU9: the other processes are stopped in order, with the time of the host's drain.
    """

    async def child() -> None:
        raise fatal

    async def body(ctx: ProcessContext) -> None:
        if grouped:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(child)
                nursery.start_soon(trio.sleep_forever)
        raise fatal

    ended: list[Exit] = []
    with pytest.raises(fatal):
        async with open_node() as node, node.open_host("app:main") as host:
            other = await host.spawn(trio_sleeper)
            process = node.processes[other]
            process.on_exit(ended.append)
            await host.spawn(body)
            await trio.sleep_forever()
    assert [told(end)["error"] for end in ended] == ["cancel deadline exceeded"]


class Fatal(Ask[None]):
    """Answered by nothing but an exception that stops the host."""


class Falling(Server):
    """Its handler raises it, or a child task does."""

    @handles(Fatal)
    def fall(self, request: Fatal) -> None:
        raise SystemExit(3)

    @handles("child")
    def start(self, message: Message) -> None:
        self.ctx.start_task(falls)


class FallingLater(Falling):
    """The same with async handlers."""

    @handles(Fatal)
    async def fall(self, request: Fatal) -> None:  # type: ignore[override]
        raise SystemExit(3)


async def falls() -> None:
    """A child task."""
    raise SystemExit(3)


async def has_a_child_that_falls(ctx: ProcessContext) -> None:
    """It is not the process's own code that raises."""
    await ctx.receive()
    ctx.start_task(falls)
    await trio.sleep_forever()


@pytest.mark.parametrize("body", [has_a_child_that_falls, Falling, FallingLater])
async def test_a_fatal_exception_of_a_child_task_leaves_the_host_in_order(
    autojump_clock: trio.testing.MockClock, body: Any
) -> None:
    """E38, SU9: as if its process had raised it; the others are asked to stop and have time to."""
    log: list[str] = []

    async def other(ctx: ProcessContext) -> None:
        log.append((await ctx.events.receive()).kind.value)
        await trio.sleep(1)
        log.append("saved")

    with pytest.raises(SystemExit):
        async with open_node() as node, node.open_host("app:main") as host:
            await host.spawn(other)
            pid = await host.spawn(body)
            node.processes[pid].on_exit(lambda end: log.append(told(end)["error"]))
            node.send(pid, "child")
            await trio.sleep_forever()
    assert sorted(log[:2]) == ["pid.cancel", "process cancelled"]
    assert log[2:] == ["saved"]


@pytest.mark.parametrize("server", [Falling, FallingLater])
async def test_a_fatal_exception_is_raised_once_and_not_where_somebody_asks(
    autojump_clock: trio.testing.MockClock, server: type[Server]
) -> None:
    """E38, PH7: also if the handler ran in its caller's turn; who asks is told of the end."""
    told_so: list[str] = []

    async def asks(ctx: ProcessContext, pid: str) -> None:
        try:
            await ctx.ask(pid, Fatal())
        except ProcessUnavailable as error:
            told_so.append(error.message)

    with pytest.raises(SystemExit):
        async with open_node() as node, node.open_host("app:main") as host:
            pid = await host.spawn(server)
            await trio.testing.wait_all_tasks_blocked()
            await host.spawn(asks, pid)
            await trio.sleep_forever()
    assert told_so == [f"{pid} ended before it replied: process cancelled"]


async def test_two_fatal_exceptions_leave_as_a_group(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """PH7: several leave as a group, as with a nursery."""

    now = trio.Event()

    async def body(ctx: ProcessContext) -> None:
        await now.wait()
        raise SystemExit

    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_node() as node, node.open_host("app:main") as host:
            await host.spawn(body)
            await host.spawn(body)
            await trio.testing.wait_all_tasks_blocked()
            now.set()
            await host.join()
    assert [type(e) for e in caught.value.exceptions] == [SystemExit, SystemExit]


async def test_fatal_exception_wins_over_a_forced_end(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """E40: E38 exceptions propagate from a process that is being ended, too."""

    async def body(ctx: ProcessContext) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        async with open_node() as node, node.open_host("app:main") as host:
            pid = await host.spawn(body)
            await trio.testing.wait_all_tasks_blocked()
            node.terminate(pid)
            await host.join()


async def test_process_ends_after_its_child_tasks(host: Host) -> None:
    """TM3: a process has ended when its main function has, after all its child tasks."""
    order: list[str] = []

    async def child() -> None:
        await trio.sleep(5)
        order.append("child")

    async def body(ctx: ProcessContext) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)

    await host.node.wait(await host.spawn(body))
    assert [*order, trio.current_time()] == ["child", 5.0]


async def test_failure_harms_neither_siblings_nor_host(host: Host) -> None:
    """TM4: a failing process cancels nobody else."""

    async def fails(ctx: ProcessContext) -> None:
        raise ValueError

    async def lives(ctx: ProcessContext) -> str:
        await trio.sleep(10)
        return "alive"

    pid = await host.spawn(lives)
    await host.node.wait(await host.spawn(fails))
    assert await end_of(host, lives) == {"value": "alive"}
    assert told(await host.node.wait(pid)) == {"value": "alive"}


async def test_uncaught_exception_is_logged_where_it_happened(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    """PY12: the traceback of an uncaught exception is in the log, with PID and entry."""

    async def body(ctx: ProcessContext) -> None:
        raise ValueError("seen")

    pid = await host.spawn(body)
    await host.node.wait(pid)
    [record] = caplog.records
    assert (record.name, record.__dict__["pid"]) == ("trio_actors.process", pid)
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "seen"
