"""Snapshots of a running application, taken only while somebody looks.

All viewers share them. After a snapshot that took the application long there is a long pause, so
that looking costs it a bounded part of its time, whatever its size.
"""

from __future__ import annotations

import json
from typing import Any, Final, Protocol

import attrs
import trio

PERIOD: Final = 1.0  # seconds between two snapshots
SHARE: Final = 0.04  # of the application's time at most, without what sending a snapshot takes
IDLE: Final = 5.0  # seconds between two looks whether it is still there
EXITS: Final = 20


class Asks(Protocol):
    """A connection to a running application."""

    async def ask(self, op: str, **fields: Any) -> Any:
        """The answer to one request. Raises: ControlError."""


def pause(took: float) -> float:
    """How long to wait after a snapshot that took so much of the application's time.

    >>> pause(0.001), pause(0.1)
    (1.0, 2.4)
    """
    return max(PERIOD, round(took * (1 / SHARE - 1), 6))


@attrs.define(slots=True, eq=False)
class Feed:
    """The latest snapshot as JSON, and its number; `run` goes on until the application has gone."""

    source: Asks
    latest: bytes = b""
    number: int = 0
    _viewers: int = 0
    _wanted: trio.Event = attrs.field(factory=trio.Event)
    _changed: trio.Event = attrs.field(factory=trio.Event)
    # Requests take turns on the connection.
    _turn: trio.Lock = attrs.field(factory=trio.Lock)

    async def ask(self, op: str, **fields: Any) -> Any:
        """One request to the application. Raises: ControlError."""
        async with self._turn:
            return await self.source.ask(op, **fields)

    async def run(self) -> None:
        """Take snapshots while there are viewers. Raises: ControlError when it has gone."""
        while True:
            while not self._wanted.is_set():
                with trio.move_on_after(IDLE):
                    await self._wanted.wait()
                    break
                await self.ask("hello")  # only to see whether it is still there
            began = trio.current_time()
            data = await self.ask("snapshot", exits=EXITS)
            took = data.get("took", trio.current_time() - began)  # an older one does not say
            self.latest = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
            self.number += 1
            self._changed.set()
            self._changed = trio.Event()
            await trio.sleep(pause(took))

    def join(self) -> None:
        """A viewer more."""
        self._viewers += 1
        self._wanted.set()

    def leave(self) -> None:
        """A viewer less; without any, nothing is asked."""
        self._viewers -= 1
        if not self._viewers:
            self._wanted = trio.Event()

    async def after(self, number: int) -> tuple[int, bytes]:
        """The next snapshot after that number. Checkpoint: always."""
        await trio.lowlevel.checkpoint()
        while self.number <= number:
            await self._changed.wait()
        return self.number, self.latest
