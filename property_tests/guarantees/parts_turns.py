"""How functions that are stepped share the turns of their dispatcher."""

from __future__ import annotations

from itertools import groupby
from typing import Any
from unittest.mock import patch

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import drawn
from property_tests.ways import functions_begin
from trio_actors import ProcessContext, open_node
from trio_actors._core import pace
from trio_actors._core.dispatch import BATCH, TURN
from trio_actors._core.roaming import Roaming
from trio_actors._core.subscription import BUDGET

FEW = drawn(20)
styles = st.lists(st.sampled_from(["for", "many", "both"]), min_size=8, max_size=12)


@guarantee
def a_turn_is_shared_by_those_who_read() -> None:
    """128 quick messages for one, besides that which it waited for; 1,024 for all. Or 32 each."""

    @FEW
    @given(styles=styles, unread=st.integers(2 * TURN, 4 * TURN), stepped=st.booleans())
    def test(styles: list[str], unread: int, stepped: bool) -> None:
        taken = _taken(styles, unread, stepped=stepped)
        for reader in range(len(styles)):  # nothing is lost, and all in order
            assert [n for _, who, n in taken if who == reader] == list(range(unread))
        runs = [len(list(run)) for _, run in groupby(taken, lambda one: one[:2])]
        longest = max(runs[:-1])  # who comes last has several turns in a row
        if stepped:
            assert TURN <= longest <= TURN + 1
            most = max(len(list(run)) for _, run in groupby(taken, lambda one: one[0]))
            assert BATCH - TURN < most <= BATCH
        else:
            assert longest == BUDGET

    test()


class Steps(trio.abc.Instrument):
    """Counts the steps of all tasks."""

    count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += 1


def _taken(styles: list[str], unread: int, *, stepped: bool) -> list[tuple[int, int, int]]:
    """Each message as (step of Trio's loop, reader, number), in the order of taking."""
    taken: list[tuple[int, int, int]] = []
    steps = Steps()

    async def reader(ctx: ProcessContext, who: int, style: str) -> None:
        while True:
            if style != "many":
                message = await ctx.inbox.receive()
                taken.append((steps.count, who, message.payload))
            if style == "for":
                async for message in ctx.inbox:
                    taken.append((steps.count, who, message.payload))
            elif style == "many" or len(ctx.inbox):
                many = await ctx.inbox.receive_many()
                taken.extend((steps.count, who, message.payload) for message in many)

    async def main() -> None:
        async with open_node() as node, node.open_host("app:h", drain=0) as host:
            pids = [await host.spawn(reader, who, style) for who, style in enumerate(styles)]
            await trio.testing.wait_all_tasks_blocked()
            for pid in pids:
                for number in range(unread):
                    node.send(pid, "number", number)
            await trio.testing.wait_all_tasks_blocked()

    with functions_begin(stepped=stepped), patch.object(pace, "perf_counter", lambda: 1.0):
        trio.run(main, instruments=[steps])
    return taken


@guarantee
def a_function_that_has_waited_has_a_task_from_then_on() -> None:
    """Those that are started later too; those whose code has only read are still stepped."""
    drives: list[Any] = []

    async def waits(ctx: ProcessContext) -> None:
        drives.append(ctx.process.drive)
        await trio.sleep(1)

    async def reads(ctx: ProcessContext) -> None:
        drives.append(ctx.process.drive)
        with trio.CancelScope():  # closed before it waits again
            ctx.send(ctx.pid, "one")
        await ctx.inbox.receive()
        await ctx.checkpoint()

    async def main() -> None:
        async with open_node() as node, node.open_host("app:h") as host:
            for function in (waits, reads, waits, reads):
                await node.call(function, host=host)

    with functions_begin(stepped=True):
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert [isinstance(drive, Roaming) for drive in drives] == [True, True, False, True]
