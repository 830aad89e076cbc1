"""SIGINT and SIGTERM in two stages: stop in order, then at once; a third one ends the program.

Rules: I11. The handlers count for themselves, so that the third signal works even when the Trio
thread is stuck in code that never awaits (T8).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import attrs
import trio

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def exit_code(number: int) -> int:
    """The exit code of a program that a signal ended."""
    return 128 + number


@attrs.define(slots=True, eq=False)
class Signals:
    """The signals that have arrived."""

    count: int = 0
    _waiting: trio.Event = attrs.field(factory=trio.Event)
    _numbers: list[int] = attrs.field(factory=list)

    async def next(self) -> int:
        """Wait for the next signal and return its number. Checkpoint: always."""
        await trio.lowlevel.checkpoint()
        while not self._numbers:
            self._waiting = trio.Event()
            await self._waiting.wait()
        return self._numbers.pop(0)

    def arrived(self, number: int) -> None:
        """One more; on the Trio thread."""
        self._numbers.append(number)
        self._waiting.set()


@contextmanager
def catch_signals() -> Iterator[Signals]:
    """Inside the block SIGINT and SIGTERM arrive at the `Signals`, and raise nothing."""
    signals = Signals()
    token = trio.lowlevel.current_trio_token()

    def handle(number: int, frame: FrameType | None) -> None:
        signals.count += 1
        if signals.count > 2:
            os._exit(exit_code(number))
        token.run_sync_soon(signals.arrived, number)

    old: dict[signal.Signals, Any] = {s: signal.signal(s, handle) for s in SIGNALS}
    try:
        yield signals
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
