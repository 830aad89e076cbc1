"""Stops of random trees, whatever their children do and whoever wants the stop (SU5-SU8, K7).

Children are polite, slow, deaf to CANCEL, or shield themselves for good; limits are short, long or
none; supervisors are up to three deep. The stop is asked for by CANCEL with and without deadlines,
by force, by the end of the host, several of these in a row. What has to hold every time:

- it is over in the time that was left for it, with what giving up zombies takes;
- those and only those that cannot be stopped are zombies, no supervisor is one;
- nothing is left, and who stops of its own accord stops in reverse order.
"""

from contextlib import suppress
from math import inf
from typing import Any

import trio
from attrs import frozen
from hypothesis import given as given_that
from hypothesis import settings
from trio.testing import MockClock

from property_tests.picking import Pick, check_rolled, drawn
from property_tests.profiles import times
from supervision import Supervisor, child
from supervision.runner import GRACE
from trio_actors import Node, ProcessContext, ProcessError, ProcessInternal, open_node

DRAIN = 8.0
SLOW = 0.7  # seconds that a slow child takes
LIMITS: list[Any] = [5.0, "infinity", 1.0, 0.4, "brutal_kill"]
HOWS = ["polite", "slow", "polite", "deaf", "shield", "crash"]


@frozen
class Leaf:
    """A worker: how it takes a stop, and its limit."""

    how: str
    limit: Any


@frozen
class Group:
    """A supervisor."""

    limit: Any
    below: tuple[Any, ...]


@frozen
class Plot:
    """A tree, and who wants it to stop when."""

    tree: Group
    wishes: tuple[tuple[float, str, float], ...]  # seconds after the one before, what, deadline


def make_group(pick: Pick, depth: int) -> Group:
    """A supervisor with up to four children."""
    below: list[Any] = []
    for _ in range(pick.one([3, 2, 4, 1, 0])):
        if depth and pick.one([True, False]):
            below.append(make_group(pick, depth - 1))
        else:
            below.append(Leaf(pick.one(HOWS), pick.one(LIMITS)))
    return Group(pick.one(["infinity", "infinity", 3.0, "brutal_kill"]), tuple(below))


def make_plot(pick: Pick) -> Plot:
    """The whole of it; the last wish is the end of the host."""
    wishes = []
    for _ in range(pick.one([1, 2, 0, 3])):
        what = pick.one(["cancel", "deadline", "terminate", "cancel"])
        wishes.append((pick.one([0.0, 0.3, 1.0, 2.5]), what, pick.one([2.0, 0.0, 6.0])))
    return Plot(make_group(pick, 2), tuple(wishes))


class Stop:
    """One run."""

    def __init__(self, plot: Plot) -> None:
        self.plot = plot
        self.number = 0  # of leaves, in start order
        self.stopped: list[int] = []  # of their own accord
        self.shielding: set[str] = set()  # PIDs

    def definition(self, group: Group) -> Supervisor:
        """The tree for the running code."""
        children = []
        for number, one in enumerate(group.below):
            what: Any
            if isinstance(one, Group):
                what, args = self.definition(one), ()
            else:
                self.number += 1
                what, args = self.leaf, (self.number, one.how)
            fields = {} if isinstance(one, Group) else {"ready": True}
            children.append(child(str(number), what, *args, shutdown=one.limit, **fields))
        return Supervisor(intensity=0, children=children)

    async def leaf(self, ctx: ProcessContext, number: int, how: str) -> None:
        """A worker."""
        ctx.started()
        if how == "shield":
            self.shielding.add(ctx.pid)
            with trio.CancelScope(shield=True):
                await trio.sleep(1_000)
        if how == "deaf":
            await trio.sleep_forever()
        await ctx.events.receive()
        if how == "slow":
            await trio.sleep(SLOW)
        self.stopped.append(number)
        if how == "crash":
            raise ProcessError("while it stops")

    async def run(self) -> None:
        """Raises: what is wrong."""
        zombies: set[str] = set()
        over = -inf
        with suppress(ProcessInternal):
            async with open_node() as node, node.open_host("app:h", drain=DRAIN) as host:
                pid = await host.spawn(self.definition(self.plot.tree), ready=True)
                until = await self.wishes(node, pid)
                if pid in node.processes:
                    host.request_stop()
                    until = min(until, trio.current_time() + DRAIN)
                with trio.fail_after(600):
                    await node.wait(pid)
                over = trio.current_time() - until
                zombies = {str(one) for one in host.zombies}
                assert not node.processes
        assert zombies == self.shielding
        assert over <= GRACE * len(zombies) + 1e-6, over
        assert self.stopped == sorted(self.stopped, reverse=True)

    async def wishes(self, node: Node, pid: str) -> float:
        """All that is wanted; when it has to be over at the latest."""
        until = inf
        for wait, what, deadline in self.plot.wishes:
            with trio.move_on_after(wait):
                await node.wait(pid)
            if pid not in node.processes:
                break
            now = trio.current_time()
            if what == "terminate":
                node.terminate(pid)
                until = min(until, now + DRAIN)
            elif what == "deadline":
                node.cancel(pid, deadline)
                until = min(until, now + deadline)
            else:
                node.cancel(pid)
        return until


def check(plot: Plot) -> None:
    """See the top of this file."""
    trio.run(Stop(plot).run, clock=MockClock(autojump_threshold=0))


@settings(max_examples=times(100))
@given_that(drawn(make_plot))
def test_a_stop_keeps_to_its_time_and_its_order(plot: Plot) -> None:
    """SU5-SU8: whatever Hypothesis draws."""
    check(plot)


def test_a_stop_keeps_to_its_time_and_its_order_in_large_trees() -> None:
    """SU5-SU8: the same, rolled."""
    check_rolled(check, make_plot, 300)
