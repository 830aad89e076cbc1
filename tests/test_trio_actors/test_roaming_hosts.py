"""Functions and their host: aborts, what stops a program, what is given up or left behind."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from carriers import Now, Wait, Worker, at_rest
from roaming import MOMENTS, UNWOUND, at, code, handled, rest, shown, unwind_slowly
from unwinding import slow_to_end

from trio_actors import Host, Node, ProcessContext, ProcessError, open_node

# -- the host is cancelled


@pytest.mark.parametrize("handlers", UNWOUND)
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_cancelled_host_ends_functions_at_any_moment(
    node: Node, way: str, moment: str, handlers: str
) -> None:
    """E37: handlers see Trio's cancellation, and may wait in a shield; nothing more is handled."""
    log: list[Any] = []
    async with node.open_host("app:h", drain=30) as host:
        other = await host.spawn(Worker)
        pid = await at(host, moment, handlers, log)
        before = len(log)
        host.abort()
        if moment not in ("before", "woken"):  # these had their turn before the abort
            node.send(pid, "number", 99)
        await trio.sleep(5)
    assert not node.processes
    begun = moment != "before" or "begun" in log
    swallowed = begun and handlers == "swallow"
    assert shown(await node.wait(pid)) == ("swallowed" if swallowed else "process cancelled")
    assert shown(await node.wait(other)) == "process cancelled"
    after = [what for what in log[before:] if what not in ("turn", "begun", 1)]
    assert after == (UNWOUND[handlers] if begun else [])


async def test_functions_at_rest_end_with_a_host_whose_carriers_have_ended(node: Node) -> None:
    """E37: what was left behind by another one has ended the only task that could see it."""
    lock = trio.Lock()

    async def leaves(ctx: ProcessContext) -> None:
        lock.acquire_nowait()
        await trio.sleep(1)

    async with node.open_host("app:h", drain=5) as host:
        pids = [await host.spawn(code("reading", [])), await host.spawn(leaves)]
        await node.wait(pids[1])
        await rest()
        host.abort()
        await trio.sleep(1)
        assert not node.processes
    assert shown(await node.wait(pids[0])) == "process cancelled"


@pytest.mark.parametrize("handlers", ["nothing", "finally"])
async def test_child_tasks_of_a_cancelled_host_unwind_before_the_end(
    node: Node, way: str, handlers: str
) -> None:
    """E37, TM3: the process is alive until then."""
    log: list[Any] = []

    async def quiet(ctx: ProcessContext) -> None:
        ctx.start_task(unwind_slowly, ctx.node, ctx.pid, log)
        await ctx.receive()

    async with node.open_host("app:h", drain=5) as host:
        pid = await host.spawn(handled(handlers, quiet, []))
        await rest()
        host.abort()
        await trio.sleep(5)
    assert shown(await node.wait(pid)) == "process cancelled"
    assert log == [True]


# -- what stops the program


@pytest.mark.parametrize("where", ["begin", "message", "sleep", "finally", "child"])
@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit, GeneratorExit])
async def test_what_ends_the_program_stops_the_host_in_order(
    way: str,
    where: str,
    exception: type[BaseException],
    autojump_clock: trio.testing.MockClock,
) -> None:
    """E38, SU9: raised by a function wherever it is; the others have their time to stop."""
    ends: dict[str, Any] = {}

    async def stops(ctx: ProcessContext, seconds: float) -> str:
        await ctx.events.receive()
        if seconds:
            await trio.sleep(seconds)
        return "stopped"

    async def fatal(ctx: ProcessContext) -> None:
        if where == "begin":
            raise exception
        try:
            if where == "child":
                ctx.start_task(slow_to_end, 1)
            await ctx.receive()
            if where == "sleep":
                await trio.sleep(1)
            if where != "finally":
                raise exception
            await ctx.receive()
        finally:
            if where == "finally":
                raise exception

    with pytest.raises(exception):
        async with open_node() as node, node.open_host("app:main") as host:
            for seconds in (0, 3):
                name = f"stops in {seconds}"
                pid = host.spawn_soon(stops, seconds)
                node.processes[pid].on_exit(lambda end, name=name: ends.update({name: shown(end)}))
            await rest()
            pid = host.spawn_soon(fatal)
            node.processes[pid].on_exit(lambda end: ends.update({"fatal": shown(end)}))
            await rest()
            if where != "begin":
                node.send(pid, "go on")
            await rest()
            if where == "finally":
                node.terminate(pid)
            await trio.sleep_forever()
    own = "process terminated" if where == "finally" else "process cancelled"
    assert ends == {"fatal": own, "stops in 0": "stopped", "stops in 3": "stopped"}
    assert trio.current_time() == (4 if where in ("sleep", "child") else 3)


# -- failures


@pytest.mark.parametrize("sleeps", [False, True])
@pytest.mark.parametrize("raised", [ValueError("text"), ProcessError("text"), StopIteration(5)])
async def test_a_failure_is_told_and_logged_once(
    host: Host, way: str, raised: Exception, sleeps: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """E29, E30, SU40: with its traceback, unless it is an error of processes."""

    async def fails(ctx: ProcessContext) -> None:
        await ctx.receive()
        if sleeps:
            await trio.sleep(1)
        raise raised

    pid = await host.spawn(fails)
    await rest()
    host.node.send(pid, "go on")
    told = {
        ValueError: "ValueError: text",
        ProcessError: "text",
        StopIteration: "RuntimeError: coroutine raised StopIteration",
    }
    assert shown(await host.node.wait(pid)) == told[type(raised)]
    logged = [record for record in caplog.records if record.exc_info]
    assert len(logged) == (not isinstance(raised, ProcessError))
    assert "fails" in caplog.text or not logged
    await at_rest(host)


# -- given up


@pytest.mark.parametrize("handlers", ["nothing", "finally", "read on"])
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_function_that_is_given_up_harms_nobody(
    node: Node, way: str, moment: str, handlers: str
) -> None:
    """SU8: its place and name are free at once; what its code still does has no effect."""
    log: list[Any] = []
    with pytest.raises(ProcessError, match="could not be stopped"):
        async with node.open_host("app:h", drain=0) as host:
            pid = await at(host, moment, handlers, log)
            node.abandon(node.processes[pid], "given up")
            assert shown(await node.wait(pid)) == "given up"
            others: list[Any] = []
            other = await host.spawn(code("receiving", others))
            worker = await host.spawn(Worker)
            for number in range(3):
                node.send(other, "number", number)
            assert await node.ask(worker, Now()) == "now"
            if moment != "pausing":  # there is time only while nothing runs
                assert await node.ask(worker, Wait(3)) == "waited"
            for _ in range(10):
                await trio.lowlevel.checkpoint()
            assert others == [0, 1, 2]
    assert 99 not in log
