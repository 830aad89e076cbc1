"""Guarantee 12: A PID is never used again."""

from __future__ import annotations

import trio

import trio_actors
from property_tests.guarantees.registry import guarantee


@guarantee
def pids_are_new_and_readable() -> None:
    """P1-P4."""

    async def main() -> None:
        async with trio_actors.open_node("n1") as node:
            seen = [node.new_pid("a:b") for _ in range(3)]
            assert seen == ["{n1@a:b|0x00001}", "{n1@a:b|0x00002}", "{n1@a:b|0x00003}"]
            assert all(trio_actors.is_pid(pid) for pid in seen)
            for text in ("a", "{a}", "{|1}", "{a|}", "{a|b|c}", "{a|b"):
                assert not trio_actors.is_pid(text)

    trio.run(main)
