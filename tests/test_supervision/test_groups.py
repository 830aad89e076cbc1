"""Groups of children on real Trio: deaths during a stop, failed starts of a group (SU6, SU12)."""

from typing import Any

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from supervision import Supervisor, SupervisorRef, child
from trio_actors import ProcessContext, ProcessError, open_node


class Play:
    """Children by name; `lines` is what happened to them."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.pids: dict[str, str] = {}
        self.refusals: dict[str, int] = {}  # so many starts fail
        self.slow: set[str] = set()  # these take a second to stop

    def child(self, name: str, **fields: Any) -> Any:
        """One of them."""
        return child(name, self.serve, name, ready=True, **fields)

    async def serve(self, ctx: ProcessContext, name: str) -> None:
        """Works until asked to end, or fails when told."""
        if self.refusals.get(name, 0):
            self.refusals[name] -= 1
            self.lines.append(f"!{name}")
            raise ProcessError("not now")
        self.lines.append(f"+{name}")
        self.pids[name] = ctx.pid
        ctx.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.fail_when_told, ctx, name)
            await ctx.events.receive()
            if name in self.slow:
                await trio.sleep(1)
            self.lines.append(f"-{name}")
            nursery.cancel_scope.cancel()

    async def fail_when_told(self, ctx: ProcessContext, name: str) -> None:
        """Raises: ProcessError."""
        await ctx.receive("boom")
        self.lines.append(f"x{name}")
        raise ProcessError("boom")


async def test_a_death_during_the_stop_changes_neither_order_nor_outcome(
    autojump_clock: MockClock,
) -> None:
    """SU6: a child that dies of something else while the others stop is not started again."""
    play = Play()
    play.slow = {"c", "d"}
    async with open_node() as node, node.open_host("app:h") as host:
        tree = Supervisor(intensity=0, children=[play.child(name) for name in "abcd"])
        pid = await host.spawn(tree, ready=True)
        node.cancel(pid)
        await trio.sleep(0.5)  # d is being stopped
        node.send(play.pids["b"], "boom")
        node.send(play.pids["d"], "boom")
        end = await node.wait(pid)
        assert end.error is None  # intensity 0, and yet no restart too many
    assert sorted(play.lines[4:6]) == ["xb", "xd"]
    assert play.lines[6:] == ["-c", "-a"]


async def test_a_group_that_does_not_start_is_stopped_and_tried_again(
    autojump_clock: MockClock,
) -> None:
    """SU12: those restarted are stopped again in reverse, each try counts; then it works."""
    play = Play()
    async with open_node() as node, node.open_host("app:h") as host:
        tree = Supervisor(
            strategy="one_for_all", intensity=3, children=[play.child(name) for name in "abc"]
        )
        ref = SupervisorRef(node, await host.spawn(tree, ready=True))
        play.refusals = {"c": 2}
        node.send(play.pids["a"], "boom")
        await wait_all_tasks_blocked()
        first = ["xa", "-c", "-b"]
        again = ["+a", "+b", "!c", "-b", "-a"]
        assert play.lines[3:] == [*first, *again, *again, "+a", "+b", "+c"]
        assert {info.id: info.restarts for info in ref.which_children()} == {"a": 1, "b": 0, "c": 2}


async def test_tries_of_a_group_end_in_giving_up(autojump_clock: MockClock) -> None:
    """SU12, SU13: a child that never starts again ends the supervisor."""
    play = Play()
    async with open_node() as node, node.open_host("app:h") as host:
        tree = Supervisor(
            strategy="rest_for_one", intensity=2, children=[play.child(name) for name in "abc"]
        )
        pid = await host.spawn(tree, ready=True)
        play.refusals = {"c": 99}
        node.send(play.pids["b"], "boom")
        end = await node.wait(pid)
        assert end.shutdown
        assert "more than 2 restarts within 5 s, the last of 'c'" in str(end.error)
    again = ["+b", "!c", "-b"]
    assert play.lines[3:] == ["xb", "-c", *again, *again, "-a"]
