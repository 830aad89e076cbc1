"""Ordered shutdown whatever happens: outer cancellation, Ctrl-C, zombies (SU7, SU8, SU9)."""

import logging
import signal
import subprocess
import sys
import textwrap
from typing import Any

import pytest
import trio
from trio.testing import MockClock
from unwinding import slow_to_end

from supervision import Supervisor, SupervisorRef, child
from supervision.runner import GRACE
from trio_actors import ProcessContext, ProcessError, ProcessInternal, open_node
from trio_actors.testing import Sim, explore

ORDER = ["+a", "+b", "+c", "+d", "-d", "-c", "-b", "-a"]


class Lines(list[str]):
    """What the children of a tree write down."""

    def leaf(self, name: str, **fields: Any) -> Any:
        async def serve(ctx: ProcessContext) -> None:
            self.append(f"+{name}")
            ctx.started()
            try:
                await ctx.events.receive()
                await trio.sleep(0.1)  # stopping takes a while
            finally:
                self.append(f"-{name}")

        return child(name, serve, ready=True, **fields)

    def tree(self) -> Supervisor:
        """Three supervisors deep: a, (b, (c), d)."""
        lowest = Supervisor(children=[self.leaf("c")])
        middle = Supervisor(children=[self.leaf("b"), child("lowest", lowest), self.leaf("d")])
        return Supervisor(children=[self.leaf("a"), child("middle", middle)])


async def test_outer_cancellation_stops_a_deep_tree_in_order(autojump_clock: MockClock) -> None:
    """SU7: in reverse order through all levels, then the cancellation goes on."""
    lines = Lines()
    with trio.move_on_after(5) as scope:
        async with open_node() as node, node.open_host("app:h") as host:
            await host.spawn(lines.tree(), ready=True)
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert lines == ORDER


async def test_exception_in_the_block_stops_a_deep_tree_in_order(autojump_clock: MockClock) -> None:
    """SU7: and then it goes on."""
    lines = Lines()
    with pytest.raises(KeyError):
        async with open_node() as node, node.open_host("app:h") as host:
            await host.spawn(lines.tree(), ready=True)
            raise KeyError
    assert lines == ORDER


@pytest.mark.parametrize("how", ["terminate", "deadline"])
async def test_forced_end_of_a_supervisor_leaves_no_orphans(
    autojump_clock: MockClock, how: str
) -> None:
    """SU7: its children are stopped in reverse order before it is gone."""
    lines = Lines()
    async with open_node() as node, node.open_host("app:h") as host:
        pid = await host.spawn(lines.tree(), ready=True)
        if how == "terminate":
            node.terminate(pid)
        else:
            node.cancel(pid, 0)
        exit = await node.wait(pid)
        assert str(exit.error) == (
            "process terminated" if how == "terminate" else "cancel deadline exceeded"
        )
        assert sorted(lines) == sorted(ORDER)
        assert not node.processes
    if how == "terminate":
        assert lines == ORDER


async def test_whole_stop_is_bounded_by_one_drain(autojump_clock: MockClock) -> None:
    """SU7: stubborn children with long limits, at every level."""

    async def stubborn(ctx: ProcessContext) -> None:
        ctx.started()
        await trio.sleep_forever()

    def level(depth: int) -> Supervisor:
        children = [child(f"s{i}", stubborn, ready=True, shutdown=60) for i in range(3)]
        if depth:
            children.insert(1, child("sub", level(depth - 1)))
        return Supervisor(children=children)

    async with open_node() as node:
        async with node.open_host("app:h", drain=10) as host:
            await host.spawn(level(2), ready=True)
            begin = trio.current_time()
        assert 10 <= trio.current_time() - begin < 11


@pytest.mark.parametrize("when", [0.0, 0.25, 1.1, 2.0, 2.6, 3.3, 7.0])
async def test_stop_in_the_middle_of_a_storm_of_restarts(
    autojump_clock: MockClock, when: float
) -> None:
    """SU7, SU14: children that start, wait, run or fail to start are all gone at once."""
    go = trio.Event()

    async def crasher(ctx: ProcessContext, number: int) -> None:
        if go.is_set():
            await trio.sleep(0.5)
            if number % 5 == 0:
                raise ProcessError("does not start")
        ctx.started()
        if not go.is_set():
            await go.wait()
            raise ProcessError("storm")
        await ctx.events.receive()

    backoff = {"initial_delay": 2, "max_delay": 3, "jitter": 0.9}
    children = [
        child(str(i), crasher, i, ready=True, backoff=backoff if i % 2 else None, shutdown=1)
        for i in range(20)
    ]
    async with open_node() as node:
        async with node.open_host("app:h", drain=30) as host:
            pid = await host.spawn(Supervisor(intensity=1000, children=children), ready=True)
            go.set()
            await trio.sleep(when)
            begin = trio.current_time()
            node.cancel(pid)
            assert (await node.wait(pid)).error is None
            assert trio.current_time() - begin <= 1  # the one that was just starting
            assert not node.processes


@pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit])
async def test_interrupt_in_a_child_ends_the_program_in_order(
    autojump_clock: MockClock, fatal: type[BaseException]
) -> None:
    """SU9: it is not restarted, the siblings stop in reverse order, it leaves as it is."""
    lines = Lines()
    runs = []

    async def interrupted(ctx: ProcessContext) -> None:
        runs.append(1)
        await trio.sleep(1)
        raise fatal

    tree = Supervisor(
        children=[
            lines.leaf("a"),
            child("sub", Supervisor(children=[lines.leaf("b"), child("x", interrupted)])),
            lines.leaf("c"),
        ]
    )
    with pytest.raises(fatal):
        async with open_node() as node, node.open_host("app:h") as host:
            await host.spawn(tree, ready=True)
            await trio.sleep_forever()
    assert runs == [1]
    assert lines == ["+a", "+b", "+c", "-c", "-b", "-a"]


async def test_shielding_child_is_a_zombie_and_its_siblings_do_not_wait(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """SU8: reported with its stack, its name is free, the host ends with an error."""
    lines = Lines()
    times = []

    async def shields(ctx: ProcessContext) -> None:
        ctx.register("precious")
        ctx.started()
        with trio.CancelScope(shield=True):
            await trio.sleep(100)

    tree = Supervisor(
        intensity=5,
        children=[lines.leaf("a"), child("z", shields, shutdown=2, ready=True), lines.leaf("b")],
    )
    with pytest.raises(ProcessInternal, match="could not be stopped"):
        async with open_node() as node, node.open_host("app:h", drain=30) as host:
            pid = await host.spawn(tree, ready=True)
            begin = trio.current_time()
            node.cancel(pid)
            await node.wait(pid)
            times.append(trio.current_time() - begin)
            assert "precious" not in node.names.by_name
            assert not node.processes
    assert times[0] < 4
    assert lines == ["+a", "+b", "-b", "-a"]
    (zombie,) = [r for r in caplog.records if r.levelno == logging.CRITICAL]
    assert zombie.event == "zombie"  # type: ignore[attr-defined]
    assert zombie.child == "z"  # type: ignore[attr-defined]
    assert "await trio.sleep(100)" in zombie.getMessage()


@explore(report=("text",))
async def test_child_that_ends_just_when_it_counts_as_a_zombie_has_ended(sim: Sim) -> None:
    """SU8: the time is up while its EXIT is on the way; its supervisor goes on without it."""
    exits: list[bool] = []

    async def shields(ctx: ProcessContext) -> None:
        ctx.started()
        try:
            await slow_to_end(GRACE)
        finally:
            exits.append(True)

    tree = Supervisor(children=[child("z", shields, shutdown="brutal_kill", ready=True)])
    pid = await sim.start(tree)
    await SupervisorRef(sim.node, pid).terminate_child("z")
    assert pid in sim.node.processes
    await sim.settle()
    assert exits


async def test_zombie_may_be_replaced(autojump_clock: MockClock) -> None:
    """SU8: terminate_child returns, and the child can be started again."""
    ready = []

    async def shields(ctx: ProcessContext) -> None:
        ctx.register("only one")
        ctx.started()
        ready.append(ctx.pid)
        with trio.CancelScope(shield=len(ready) == 1):
            await trio.sleep(50)

    with pytest.raises(ProcessInternal, match="could not be stopped"):
        async with open_node() as node, node.open_host("app:h") as host:
            tree = Supervisor(children=[child("z", shields, shutdown="brutal_kill", ready=True)])
            pid = await host.spawn(tree, ready=True)
            ref = SupervisorRef(node, pid)
            await ref.terminate_child("z")
            assert await ref.restart_child("z") == ready[1]
            await trio.sleep(60)


PROGRAM = """
import signal, sys, time, trio, logging
from supervision import Supervisor, child
from trio_actors import open_node
logging.basicConfig(stream=sys.stderr)

async def polite(ctx):
    await ctx.events.receive()
    print("polite stopped", flush=True)

async def hog(ctx):
    await ctx.events.receive()
    print("hogging", flush=True)
    {hog}

async def main():
    async with open_node() as node, node.open_host("app:h") as host:
        children = [child("polite", polite), child("hog", hog, shutdown=0.2)]
        pid = await host.spawn(Supervisor(children=children), ready=True)
        await trio.sleep(0.1)
        {then}

trio.run(main)
"""


def run(hog: str, then: str) -> subprocess.CompletedProcess[str]:
    program = textwrap.dedent(PROGRAM).format(hog=hog, then=then)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )


async def test_supervisor_that_was_given_up_does_not_hold_its_host(
    autojump_clock: MockClock,
) -> None:
    """SU8: it hears of nothing any more, ends its children by force and goes."""
    lines = Lines()
    with pytest.raises(ProcessInternal, match="could not be stopped"), trio.fail_after(60):
        async with open_node() as node, node.open_host("app:h", drain=5) as host:
            pid = await host.spawn(Supervisor(children=[lines.leaf("a")]), ready=True)
            node.abandon(node.processes[pid], "takes too long")
            await trio.sleep(1)
            assert lines == ["+a", "-a"]
            assert not node.processes


def test_child_that_never_awaits_is_reported_and_the_program_ends_with_an_error() -> None:
    """SU8: by the watchdog thread, with the stack; in real time, because nothing else runs."""
    done = run("time.sleep(3600)", "node.cancel(pid)")
    assert done.returncode == 1
    assert done.stdout == "hogging\n"
    assert "the Trio thread is at" in done.stderr
    assert "in hog" in done.stderr
    assert "the program ends with status 1" in done.stderr


def test_hog_that_gives_way_after_all_lets_the_others_stop() -> None:
    """SU8: it was reported; its siblings still stop in order."""
    done = run("time.sleep(3)", "node.cancel(pid)")
    assert done.returncode == 0
    assert done.stdout == "hogging\npolite stopped\n"
    assert "the Trio thread is at" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_stops_in_order_and_ends_with_keyboard_interrupt() -> None:
    """SU7, SU9: a real signal."""
    done = run("return", "signal.raise_signal(signal.SIGINT); await trio.sleep_forever()")
    assert done.stdout == "hogging\npolite stopped\n"
    assert done.returncode == -signal.SIGINT
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")
