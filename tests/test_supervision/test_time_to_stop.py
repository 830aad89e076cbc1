"""How much time a stop has: limits that shrink, forced ends, zombies (SU5, SU7, SU8)."""

import logging
from math import inf
from typing import Any

import pytest
import trio
from trio.testing import MockClock
from unwinding import slow_to_end

from supervision import Supervisor, SupervisorRef, child, explain
from trio_actors import (
    Node,
    ProcessContext,
    ProcessError,
    ProcessInternal,
    ProcessUnavailable,
    open_node,
)


async def stubborn(ctx: ProcessContext) -> None:
    """Never looks at CANCEL."""
    ctx.started()
    await trio.sleep_forever()


async def shields(ctx: ProcessContext) -> None:
    """Cannot be stopped."""
    ctx.started()
    with trio.CancelScope(shield=True):
        await trio.sleep(100)


class Lines(list[str]):
    """What happened."""

    def child(self, name: str, takes: float = 0.0, **fields: Any) -> Any:
        """A child that needs so many seconds to stop."""

        async def serve(ctx: ProcessContext) -> None:
            ctx.started()
            await ctx.events.receive()
            await trio.sleep(takes)
            self.append(f"-{name}")

        return child(name, serve, ready=True, **fields)

    def deep(self, *lowest: Any) -> Supervisor:
        """Three supervisors deep: a, (b, (...), c), d."""
        low = Supervisor(children=lowest)
        middle = Supervisor(children=[self.child("b"), child("low", low), self.child("c")])
        return Supervisor(children=[self.child("a"), child("middle", middle), self.child("d")])


def tree(*levels: str, limit: Any = "infinity") -> Supervisor:
    """One stubborn child below so many supervisors."""
    at_the_bottom = Supervisor(children=[child("s", stubborn, ready=True, shutdown=limit)])
    for name in levels:
        at_the_bottom = Supervisor(children=[child(name, at_the_bottom)])
    return at_the_bottom


async def seconds_until_gone(node: Node, pid: str) -> float:
    begin = trio.current_time()
    with trio.fail_after(100):
        await node.wait(pid)
    assert not node.processes
    return trio.current_time() - begin


@pytest.mark.parametrize("levels", [(), ("x", "y")])
async def test_a_forced_end_overtakes_a_stop_without_limit(
    autojump_clock: MockClock, levels: tuple[str, ...]
) -> None:
    """SU7: whoever is stopping already is told that there is one drain left."""
    async with open_node() as node, node.open_host("app:h", drain=10) as host:
        pid = await host.spawn(tree(*levels), ready=True)
        node.cancel(pid)
        await trio.sleep(1)
        node.terminate(pid)
        assert await seconds_until_gone(node, pid) == 10


@pytest.mark.parametrize("levels", [(), ("x", "y")])
async def test_an_earlier_deadline_overtakes_a_stop_without_limit(
    autojump_clock: MockClock, levels: tuple[str, ...]
) -> None:
    """K7, SU7: through all levels."""
    async with open_node() as node, node.open_host("app:h", drain=10) as host:
        pid = await host.spawn(tree(*levels), ready=True)
        node.cancel(pid)
        await trio.sleep(1)
        node.cancel(pid, "3s")
        assert await seconds_until_gone(node, pid) == 3


async def test_a_later_deadline_gives_no_more_time(autojump_clock: MockClock) -> None:
    """K7: the earliest wins, also with those who were asked before."""
    async with open_node() as node, node.open_host("app:h", drain=10) as host:
        pid = await host.spawn(tree("x"), ready=True)
        node.cancel(pid, "4s")
        await trio.sleep(1)
        node.cancel(pid, "30s")
        assert await seconds_until_gone(node, pid) == 3


async def test_a_stop_hurries_a_child_that_is_being_terminated(autojump_clock: MockClock) -> None:
    """SU7, SU14: who asked for it is told, and the deadline of the stop holds for the child."""
    async with open_node() as node, node.open_host("app:h", drain=10) as host:
        pid = await host.spawn(tree(), ready=True)

        async def terminate() -> None:
            with pytest.raises(ProcessUnavailable, match="shutting down"):
                await SupervisorRef(node, pid).terminate_child("s")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(terminate)
            await trio.sleep(1)
            node.cancel(pid, "3s")
            assert await seconds_until_gone(node, pid) == 3


async def test_brutal_kill_of_a_supervisor_takes_no_time(autojump_clock: MockClock) -> None:
    """SU5: nor has anything below it, and nobody is a zombie."""
    lines = Lines()
    inner = Supervisor(children=[lines.child("slow", takes=2), child("x", tree("y"))])
    async with open_node() as node, node.open_host("app:h") as host:
        outer = Supervisor(children=[child("inner", inner, shutdown="brutal_kill")])
        pid = await host.spawn(outer, ready=True)
        begin = trio.current_time()
        await SupervisorRef(node, pid).terminate_child("inner")
        assert trio.current_time() == begin
        assert list(node.processes) == [pid]
    assert lines == []


async def test_supervisor_that_starts_too_slowly_stops_what_it_has_started(
    autojump_clock: MockClock,
) -> None:
    """SU3, SU7: in order, and it is no zombie while it does."""
    lines = Lines()

    async def never_ready(ctx: ProcessContext) -> None:
        await ctx.events.receive()

    inner = Supervisor(
        children=[
            lines.child("a", takes=2),
            child("n", never_ready, ready=True, start_timeout=60),
        ]
    )
    async with open_node() as node, node.open_host("app:h") as host:
        outer = Supervisor(children=[child("inner", inner, start_timeout=3)])
        with pytest.raises(ProcessError, match="'inner' failed to start: start timeout"):
            await host.spawn(outer, ready=True)
        assert lines == ["-a"]
        assert trio.current_time() == pytest.approx(5)


@pytest.mark.parametrize("how", ["leave", "terminate", "deadline", "limit"])
@pytest.mark.parametrize("number", [1, 4])
async def test_only_the_zombie_is_a_zombie(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, how: str, number: int
) -> None:
    """SU8: not the supervisors above it, which wait for it; no end at a limit is an error."""
    lines = Lines()
    limit = 2 if how == "limit" else 60
    zombies = [child(f"z{i}", shields, ready=True, shutdown=limit) for i in range(number)]
    definition = lines.deep(lines.child("e"), *zombies, lines.child("f"))
    with pytest.raises(ProcessInternal, match="could not be stopped"):
        async with open_node() as node, node.open_host("app:h", drain=30) as host:
            pid = await host.spawn(definition, ready=True)
            if how == "leave":
                host.request_stop()
            elif how == "terminate":
                node.terminate(pid)
            else:
                node.cancel(pid, "4s" if how == "deadline" else None)
            with trio.fail_after(60):
                await node.wait(pid)
            assert not node.processes
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    seen = [(r.event, r.child) for r in errors]  # type: ignore[attr-defined]
    assert seen == [("zombie", f"z{i}") for i in reversed(range(number))]
    assert lines[:3] == ["-d", "-c", "-f"]
    if how == "limit":
        assert lines[3:] == ["-e", "-b", "-a"]


async def test_supervisor_whose_parent_failed_stops_in_order(autojump_clock: MockClock) -> None:
    """SU16: who started it with a link is no stranger; the end goes on as a link's does (K14)."""
    lines = Lines()
    pids: list[str] = []

    async def parent(ctx: ProcessContext) -> None:
        definition = Supervisor(children=[lines.child("a", takes=1), lines.child("b", takes=1)])
        pids.append(await ctx.spawn(definition, link=True))
        await trio.sleep(1)
        raise ProcessError("out of paper")

    async with open_node() as node, node.open_host("app:h") as host:
        above = await host.spawn(parent)
        await node.wait(above)
        exit = await node.wait(pids[0])
        assert trio.current_time() == pytest.approx(3)
        assert lines == ["-b", "-a"]
        assert str(exit.error) == "linked process failed"
        assert [why.pid for why in explain(node, pids[0]).chain] == [pids[0], above]


async def test_nothing_is_expected_of_who_is_gone(autojump_clock: MockClock) -> None:
    """SU3, SU5: no timer is left of a start or a stop, so thousands of them leave nothing."""
    lines = Lines()
    async with open_node() as node, node.open_host("app:h") as host:
        pid = await host.spawn(Supervisor(children=[lines.child("a"), lines.child("b")]))
        ref = SupervisorRef(node, pid)
        await trio.testing.wait_all_tasks_blocked()
        assert node.clock.next_due() == inf
        await ref.terminate_child("b")
        assert node.clock.next_due() == inf
        node.cancel(pid, "9s")
        await node.wait(pid)
        assert node.clock.next_due() == inf


async def test_an_end_and_its_last_moment_at_the_same_time(autojump_clock: MockClock) -> None:
    """SU8: a child that ends just when it is given up has ended."""
    lines = Lines()

    async def late(ctx: ProcessContext) -> None:
        ctx.started()
        await slow_to_end(0.5)

    for attempt in range(20):  # the order of tasks in one moment is Trio's
        async with open_node() as node, node.open_host("app:h") as host:
            definition = Supervisor(
                children=[lines.child("a"), child("late", late, ready=True, shutdown="brutal_kill")]
            )
            pid = await host.spawn(definition, ready=True)
            node.cancel(pid)
            exit = await node.wait(pid)
            assert exit.error is None, attempt
            host.zombies.clear()
    assert lines == ["-a"] * 20
