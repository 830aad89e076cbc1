"""Forced ends of functions at every moment: the same with a task and without."""

from __future__ import annotations

import sys
from math import inf
from typing import Any

import pytest
import trio
import trio.testing
from carriers import at_rest
from roaming import (
    MOMENTS,
    TEXTS,
    UNWOUND,
    Function,
    at,
    clean_up,
    code,
    force,
    handled,
    has_task,
    rest,
    shown,
    unwind_slowly,
)

from trio_actors import Host, ProcessContext, ProcessError


@pytest.mark.parametrize("handlers", UNWOUND)
@pytest.mark.parametrize("how", TEXTS)
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_forced_end_at_any_moment(
    host: Host, way: str, moment: str, how: str, handlers: str
) -> None:
    """T1, K6, K14, E40, PY10: handlers see Trio's cancellation; nothing more is handled."""
    if (moment, how) == ("before", "deadline"):
        return  # it begins first: see below
    log: list[Any] = []
    pid = await at(host, moment, handlers, log)
    before = [*log]
    force(host, pid, how)
    end = await host.node.wait(pid)
    assert shown(end) == TEXTS[how]
    if how == "deadline":  # code that pauses goes on until the clock has seen it
        log, before = ([what for what in found if what != "turn"] for found in (log, before))
    unwound = UNWOUND[handlers] if moment != "before" else []
    assert log == [*before, *([1] if moment == "woken" else ()), *unwound]
    assert trio.current_time() == ("cleaned up" in unwound)
    await at_rest(host)
    others: list[Any] = []
    other = await host.spawn(code("receiving", others))
    host.node.send(other, "number", "another")
    await rest()
    assert others == ["another"]


async def test_a_deadline_that_has_passed_lets_a_function_begin(host: Host, way: str) -> None:
    """K6: it is ended at its first wait, whatever that is."""
    log: list[Any] = []
    pid = host.spawn_soon(handled("finally", code("reading", log), log))
    force(host, pid, "deadline")
    assert shown(await host.node.wait(pid)) == TEXTS["deadline"]
    assert log == ["begun", "Cancelled", "cleaned up"]


# -- in its own turn


async def by_receive(ctx: ProcessContext) -> None:
    await ctx.inbox.receive()


async def by_choice(ctx: ProcessContext) -> None:
    await ctx.receive("number")


async def by_checkpoint(ctx: ProcessContext) -> None:
    await ctx.checkpoint()


async def by_trio(ctx: ProcessContext) -> None:
    await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("wait", [by_receive, by_choice, by_checkpoint, by_trio])
async def test_ending_oneself_takes_effect_at_the_next_checkpoint(
    host: Host, way: str, wait: Function, there: bool, first: bool
) -> None:
    """PY9: also with messages unread, and before the first wait; handlers see it there."""
    log: list[Any] = []

    async def function(ctx: ProcessContext) -> None:
        if not first:
            await ctx.receive("begin")
        if there:
            ctx.send(ctx.pid, "number", 1)
        ctx.terminate(ctx.pid)
        log.append("after")
        try:
            await wait(ctx)
        except trio.Cancelled:
            log.append("Cancelled")
            raise
        log.append("too late")

    pid = await host.spawn(function)
    if not first:
        await rest()
        host.node.send(pid, "begin")
    assert shown(await host.node.wait(pid)) == "process terminated"
    assert log == ["after", "Cancelled"]
    await at_rest(host)


async def test_a_function_that_ends_itself_and_returns_was_terminated(host: Host, way: str) -> None:
    """E40: what it returns or raises then is no result."""

    async def function(ctx: ProcessContext, fails: bool) -> str:
        ctx.terminate(ctx.pid)
        if fails:
            raise ProcessError("failed")
        return "value"

    pids = [await host.spawn(function, fails) for fails in (False, True)]
    assert [shown(await host.node.wait(pid)) for pid in pids] == ["process terminated"] * 2


# -- deadlines


@pytest.mark.parametrize("known", ["before", "resting", "by itself", "sleeping"])
async def test_a_deadline_is_seen_by_the_code(host: Host, way: str, known: str) -> None:
    """K6: `trio.current_effective_deadline()`, in each turn from then on; by nobody else."""
    node = host.node
    found: list[float] = []
    others: list[float] = []

    async def function(ctx: ProcessContext) -> None:
        found.append(trio.current_effective_deadline())
        await ctx.receive("begin")
        if known == "by itself":
            ctx.cancel(ctx.pid, 5)
        found.append(trio.current_effective_deadline())
        if known == "sleeping":
            await trio.sleep(1)
        while True:
            await ctx.receive("go on")
            found.append(trio.current_effective_deadline())

    async def other(ctx: ProcessContext) -> None:
        while True:
            others.append(trio.current_effective_deadline())
            await ctx.receive()

    def send(topic: str) -> None:
        for process in [*node.processes]:
            node.send(process, topic)

    pid = host.spawn_soon(function)
    if known == "before":
        node.cancel(pid, 5)
    second = await host.spawn(other)
    await rest()
    if known == "resting":
        node.cancel(pid, 5)
    send("begin")
    await rest()
    if known == "sleeping":
        node.cancel(pid, 5)
        await trio.sleep(1)
    for _ in range(2):
        send("go on")
        await rest()
    first, begun = {
        "before": (5, 5),
        "resting": (inf, 5),
        "by itself": (inf, 5),
        "sleeping": (inf, inf),
    }[known]
    assert found == [first, begun, 5, 5]
    assert others == [inf] * 4
    assert shown(await node.wait(pid)) == "cancel deadline exceeded"
    assert trio.current_time() == 5
    node.send(second, "go on")
    await rest()
    assert others == [inf] * 5


async def test_a_deadline_that_was_known_is_seen_while_a_function_sleeps(
    host: Host, way: str
) -> None:
    """K6: it gets its task after the deadline was set."""
    found: list[float] = []

    async def function(ctx: ProcessContext) -> None:
        await ctx.receive()
        await trio.sleep(1)
        found.append(trio.current_effective_deadline())
        await trio.sleep_forever()

    pid = await host.spawn(function)
    await rest()
    host.node.cancel(pid, 5)
    host.node.send(pid, "go on")
    assert shown(await host.node.wait(pid)) == "cancel deadline exceeded"
    assert (found, trio.current_time()) == ([5], 5)


async def test_the_earliest_deadline_wins(host: Host, way: str) -> None:
    """K7: while it rests; a later one changes nothing."""
    log: list[Any] = []
    pid = await at(host, "reading", "nothing", log)
    for seconds in (5, 2, 10):
        host.node.cancel(pid, seconds)
    assert shown(await host.node.wait(pid)) == "cancel deadline exceeded"
    assert trio.current_time() == 2


# -- child tasks


@pytest.mark.parametrize("how", [*TEXTS, "nothing"])
@pytest.mark.parametrize("ending", ["return", "fail"])
async def test_child_tasks_unwind_before_the_end(
    host: Host, way: str, ending: str, how: str
) -> None:
    """TM3, E40: it is alive until then, and a forced end meanwhile decides the result."""
    log: list[Any] = []

    async def function(ctx: ProcessContext) -> str:
        for _ in range(2):
            ctx.start_task(unwind_slowly, ctx.node, ctx.pid, log)
        await ctx.receive()
        if ending == "fail":
            raise ProcessError("failed")
        return "returned"

    pid = await host.spawn(function)
    await rest()
    host.node.send(pid, "end")
    await trio.sleep(1)
    assert log == []
    if how != "nothing":
        force(host, pid, how)
    own = "returned" if ending == "return" else "failed"
    assert shown(await host.node.wait(pid)) == TEXTS.get(how, own)
    assert (log, trio.current_time()) == ([True, True], 3)
    await at_rest(host)


async def test_a_child_that_fails_ends_a_function_that_rests(host: Host, way: str) -> None:
    """E30: as in a nursery; the main code sees the cancellation."""
    log: list[Any] = []

    async def child() -> None:
        await trio.sleep(1)
        raise ProcessError("child failed")

    async def function(ctx: ProcessContext) -> None:
        ctx.start_task(child)
        await handled("finally", code("reading", log), log)(ctx)

    pid = await host.spawn(function)
    assert shown(await host.node.wait(pid)) == "child failed"
    assert log == ["begun", "Cancelled", "cleaned up"]


async def test_an_end_that_fails_is_logged(
    host: Host, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """E40: what `finally` raises is not reported."""

    async def function(ctx: ProcessContext) -> None:
        try:
            await ctx.receive()
        finally:
            raise ValueError("while unwinding")

    pid = await host.spawn(function)
    await rest()
    host.node.terminate(pid)
    assert shown(await host.node.wait(pid)) == "process terminated"
    assert "raised while it was being ended: while unwinding" in caplog.text


async def test_a_generator_that_reads_is_unwound_by_cancellation(host: Host, way: str) -> None:
    """PY10: the code has no handlers, but the generator that it awaits has."""
    log: list[Any] = []

    async def numbers(ctx: ProcessContext) -> Any:
        try:
            async for message in ctx.inbox:
                yield message.payload
        finally:
            log.append(type(sys.exc_info()[1]).__name__)
            await clean_up(log)

    async def function(ctx: ProcessContext) -> None:
        async for number in numbers(ctx):
            log.append(number)

    pid = await host.spawn(function)
    await rest()
    host.node.send(pid, "number", 1)
    await rest()
    assert has_task(host, pid) is (way == "task")
    host.node.terminate(pid)
    assert shown(await host.node.wait(pid)) == "process terminated"
    assert log == [1, "Cancelled", "cleaned up"]
