"""Guarantee 45: A cancelled timer is never delivered late."""

from __future__ import annotations

import trio
from trio.testing import MockClock

import trio_actors
from property_tests.guarantees.registry import guarantee


@guarantee
def timers_fire_in_order_and_never_after_cancel() -> None:
    """TS2: by time, then by age; a cancelled one is final."""

    async def main() -> None:
        async with trio_actors.open_node() as node:
            fired: list[str] = []
            clock = node.clock
            now = node.now()
            clock.at(now + 3, lambda: fired.append("c"))
            clock.at(now + 1, lambda: fired.append("a1"))
            clock.at(now + 1, lambda: fired.append("a2"))
            late = clock.at(now + 2, lambda: fired.append("b"))
            assert late.cancel()
            assert not late.cancel()
            await trio.sleep(2.5)
            assert fired == ["a1", "a2"]
            await trio.sleep(1)
            assert fired == ["a1", "a2", "c"]
            assert not late.pending

    trio.run(main, clock=MockClock(autojump_threshold=0))
