"""What is promised about ends, cancel, hosts, calls and requests."""

from __future__ import annotations

from typing import Any

import pytest
import trio

import trio_actors
from property_tests.guarantees.registry import guarantee
from trio_actors import (
    ErrorKind,
    ProcessAlreadyExists,
    ProcessContext,
    ProcessError,
    ProcessNotFound,
    ProcessTimeout,
    ProcessUnavailable,
)
from trio_actors.testing import Sim, explore


async def end_of(sim: Sim, fn: Any, *args: Any) -> Any:
    """The exit of a process."""
    pid = await sim.spawn(fn, *args)
    return await sim.node.wait(pid)


@guarantee
def an_end_is_what_the_table_says() -> None:
    """E20-E31: values, errors with their fields, exceptions, groups."""

    @explore(schedules=2, report=("text",))
    async def test(sim: Sim) -> None:
        async def value(ctx: ProcessContext) -> Any:
            return False

        async def known(ctx: ProcessContext) -> Any:
            raise ProcessError("x", kind=ErrorKind.CONFLICT, retryable=True, details={"a": 1})

        async def unknown(ctx: ProcessContext) -> Any:
            raise ValueError("boom")

        async def group(ctx: ProcessContext) -> Any:
            raise ExceptionGroup("g", [ValueError("one"), KeyError("two")])

        end = await end_of(sim, value)
        assert (end.value, end.error, end.abnormal) == (False, None, False)
        error = (await end_of(sim, known)).error
        assert (error.message, error.kind, error.retryable, error.details) == (
            "x",
            ErrorKind.CONFLICT,
            True,
            {"a": 1},
        )
        error = (await end_of(sim, unknown)).error
        assert (error.message, error.kind, error.retryable) == (
            "ValueError: boom",
            ErrorKind.INTERNAL,
            None,
        )
        error = (await end_of(sim, group)).error
        assert error.message == "ValueError: one"
        assert error.details == {"errors": ["KeyError: 'two'"]}

    test()


@guarantee
def the_first_forced_end_decides() -> None:
    """T1-T5, E40: whatever the code does while it unwinds."""

    @explore(schedules=4, report=("text",))
    async def test(sim: Sim) -> None:
        cleaned: list[str] = []

        async def stubborn(ctx: ProcessContext) -> str:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(3)
                cleaned.append("yes")
                raise ValueError("while unwinding")

        async def failing(ctx: ProcessContext) -> None:
            await ctx.inbox.receive()
            raise ValueError("fails")

        pid = await sim.spawn(stubborn)
        peer = await sim.spawn(failing, link=pid)
        await sim.settle()
        sim.node.terminate(pid)
        sim.node.terminate(pid)
        sim.send(peer, "fail")
        await sim.settle()
        error = (await sim.node.wait(pid)).error
        assert error is not None
        assert (error.message, error.kind) == ("process terminated", ErrorKind.CANCELED)
        assert cleaned == ["yes"]
        with pytest.raises(ProcessNotFound, match="process not found"):
            sim.node.terminate(pid)

    test()


@guarantee
def the_earliest_deadline_wins() -> None:
    """K1-K9: one event each; a deadline is enforced; without one nothing ends."""

    @explore(strategy="fifo", report=("text",))
    async def test(sim: Sim) -> None:
        events: list[Any] = []

        async def deaf(ctx: ProcessContext) -> None:
            async for event in ctx.events:
                events.append(event.deadline is not None)

        pid = await sim.spawn(deaf)
        await sim.settle()
        sim.node.cancel(pid)
        await sim.run_for(100)
        assert pid in sim.node.processes
        start = sim.now
        for seconds in (10.0, 4.0, 20.0, None):
            sim.node.cancel(pid, seconds)
        await sim.run_for(3.5)
        assert pid in sim.node.processes
        await sim.run_for(1)
        error = (await sim.node.wait(pid)).error
        assert error is not None
        assert (error.message, error.kind) == ("cancel deadline exceeded", ErrorKind.CANCELED)
        record = sim.node.exits.get(pid)
        assert record is not None
        assert abs(record.at - start - 4) < 0.001
        assert events == [False, True, True, True, False]

    test()


@guarantee
def a_refused_spawn_leaves_nothing() -> None:
    """B6, W3, W7, W8, Z2: no process, no name, no message."""

    @explore(schedules=2, report=("text",))
    async def test(sim: Sim) -> None:
        async def idle(ctx: ProcessContext) -> None:
            await trio.sleep_forever()

        host = await sim.host("small", max_processes=2)
        first = await sim.spawn(idle, name="taken", host="small")
        before = len(sim.pending())
        with pytest.raises(ProcessAlreadyExists, match="name already registered"):
            await sim.spawn(idle, name="taken", host="small", messages=[("t", 1)])
        assert len(sim.pending()) == before
        assert sim.node.lookup("taken") == first
        assert host.alive == 1
        await sim.spawn(idle, host="small")
        with pytest.raises(ProcessUnavailable, match=r"host is full \(max_processes=2\)"):
            await sim.spawn(idle, host="small", name="third")
        with pytest.raises(ProcessNotFound):
            sim.node.lookup("third")
        with pytest.raises(ProcessNotFound, match="factory not found"):
            await sim.spawn("nothing:here", host="small")
        sim.kill("taken")
        await sim.settle()
        await sim.spawn(idle, host="small", name="taken")

    test()


@guarantee
def first_messages_come_before_all_others() -> None:
    """B7, E11: and their sender is nobody."""

    @explore(schedules=10, report=("text",))
    async def test(sim: Sim) -> None:
        got: list[Any] = []

        async def child(ctx: ProcessContext) -> None:
            async for message in ctx.inbox:
                got.append((message.sender, message.payload))

        pid = await sim.spawn(child, messages=[("t", 1), ("t", 2)])
        sim.send(pid, "t", 3)
        await sim.settle()
        assert got == [(None, 1), (None, 2), (None, 3)]

    test()


@guarantee
def a_host_stops_in_order() -> None:
    """Z3, W3: CANCEL to all, spawns refused, the deaf end at the deadline."""

    @explore(strategy="fifo", report=("text",))
    async def test(sim: Sim) -> None:
        ends: dict[str, Any] = {}

        async def polite(ctx: ProcessContext) -> None:
            event = await ctx.events.receive()
            assert event.deadline is not None

        async def deaf(ctx: ProcessContext) -> None:
            await trio.sleep_forever()

        async with trio_actors.open_node() as node:
            async with node.open_host("h", drain=5) as host:
                pids = {"polite": await host.spawn(polite), "deaf": await host.spawn(deaf)}
                await sim.run_for(1)
                host.request_stop()
                with pytest.raises(ProcessUnavailable, match="host is shutting down"):
                    await host.spawn(deaf)
                begun = sim.now
                await host.join()
                took = sim.now - begun
            for name, pid in pids.items():
                error = (await node.wait(pid)).error
                ends[name] = None if error is None else error.message
        assert ends == {"polite": None, "deaf": "cancel deadline exceeded"}
        assert 4.9 < took < 5.1

    test()


@guarantee
def a_call_gives_the_value_or_a_fresh_error() -> None:
    """C1-C6, Q11, PY12."""

    @explore(schedules=5, report=("text",))
    async def test(sim: Sim) -> None:
        original = ProcessError("bad", kind=ErrorKind.CONFLICT, details={"n": 1})

        async def good(ctx: ProcessContext, number: int) -> int:
            return number * 2

        async def bad(ctx: ProcessContext) -> None:
            raise original

        assert await sim.call(good, 21) == 42
        with pytest.raises(ProcessError) as caught:
            await sim.call(bad)
        assert caught.value is not original
        assert type(caught.value) is trio_actors.ProcessConflict
        assert caught.value.details == {"n": 1}

    test()


class Get(trio_actors.Ask[int]):
    """A request."""


@guarantee
def an_ask_ends_exactly_once() -> None:
    """A reply, the callee's end, or the timeout; a late reply harms nobody."""

    class Slow(trio_actors.Server):
        def init(self, delay: float) -> None:
            self.delay = delay

        @trio_actors.handles(Get)
        async def get(self, request: Get) -> int:
            if self.delay < 0:
                raise ValueError("no")
            await trio.sleep(self.delay)
            return 7

    @explore(schedules=10, report=("text",))
    async def test(sim: Sim) -> None:
        quick = await sim.spawn(Slow, 1.0)
        slow = await sim.spawn(Slow, 50.0)
        broken = await sim.spawn(Slow, -1.0)
        assert await sim.node.ask(quick, Get(), timeout=40) == 7
        with pytest.raises(ProcessTimeout):
            await sim.node.ask(slow, Get(), timeout=4)
        with pytest.raises(ProcessUnavailable, match="ended before it replied"):
            await sim.node.ask(broken, Get(), timeout=40)
        await sim.run_for(100)
        assert await sim.node.ask(slow, Get(), timeout=300) == 7

    test()


@guarantee
def exits_are_remembered_with_their_causes() -> None:
    """PH6, SU42: `wait` after the fact, and the chain of links back to the root."""

    @explore(schedules=5, report=("text",))
    async def test(sim: Sim) -> None:
        async def idle(ctx: ProcessContext) -> None:
            await trio.sleep_forever()

        first = await sim.spawn(idle)
        second = await sim.spawn(idle, link=first)
        third = await sim.spawn(idle, link=second)
        await sim.settle()
        sim.node.terminate(first)
        await sim.settle()
        assert (await sim.node.wait(third)).abnormal
        chain = sim.node.exits.chain(third)
        assert [record.pid for record in chain] == [third, second, first]

    test()
