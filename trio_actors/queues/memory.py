"""The memory driver: fast, and empty at the next start (QU9)."""

from __future__ import annotations

import copy
import logging
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import trio

from trio_actors.queues.letters import (
    DONE,
    Again,
    Dead,
    Delivery,
    Dropped,
    Kept,
    Letter,
    QueueInfo,
    Terms,
    no_queue,
    verdict,
)

if TYPE_CHECKING:
    from trio_actors.queues.service import Queues

logger = logging.getLogger("trio_actors.queues")


class MemoryQueue:
    """One queue; consumers call `take`, publishers wait while it is full (QU2)."""

    def __init__(
        self,
        queues: Queues,
        id: str,
        *,
        max_length: int = 1000,
        max_attempts: int = 5,
        dead_letter: str | None = None,
        visibility_timeout: float | None = None,
    ) -> None:
        self.queues = queues
        self.id = id
        self.max_length = max_length
        self.terms = Terms(max_attempts, dead_letter)
        self.visibility_timeout = visibility_timeout
        self._ready: deque[Letter] = deque()
        self._in_flight: set[Letter] = set()
        self._takers = trio.lowlevel.ParkingLot()
        self._publishers = trio.lowlevel.ParkingLot()
        self._closed = False

    def info(self) -> QueueInfo:
        """What it holds now."""
        ready, in_flight = len(self._ready), len(self._in_flight)
        return QueueInfo(ready + in_flight, ready, in_flight)

    def resize(self, max_length: int) -> None:
        """Another limit from now on; publishers for whom there is room go on."""
        self.max_length = max_length
        self._publishers.unpark(count=max(0, max_length - len(self._ready)))

    def close(self) -> None:
        """It is not there any more: NOT_FOUND for everybody who waits."""
        self._closed = True
        self._publishers.unpark_all()
        self._takers.unpark_all()

    def _expect_open(self) -> None:
        if self._closed:
            raise no_queue(self.id)

    async def publish(self, body: Any, headers: Mapping[str, Any]) -> None:
        """Add a message; waits while the queue is full.

        Checkpoint: whenever it waits, and at least every 32 messages or 1 ms.
        Raises: ProcessNotFound, when it was removed meanwhile.
        """
        letter = Letter(self.queues.node.uuid(), copy.deepcopy(body), headers)
        turns = self.queues.node.turns
        if not turns.take():
            await trio.lowlevel.checkpoint()
            turns.renew()
        while len(self._ready) >= self.max_length and not self._closed:
            await self._publishers.park()
            turns.renew()
        self._expect_open()
        self.put(letter)

    def put(self, letter: Letter) -> None:
        """At the tail, even if the queue is full (QU5)."""
        self._ready.append(letter)
        if self._takers:
            self._takers.unpark()

    def put_back(self, letter: Letter) -> Kept:
        """In front again: it was not handled (QU8)."""
        letter.attempts -= 1
        self._in_flight.discard(letter)
        self._ready.appendleft(letter)
        self._takers.unpark()
        return DONE

    async def take(self) -> Delivery:
        """The next message; waits for one.

        Checkpoint: whenever it waits, and at least every 32 messages or 1 ms.
        Raises: ProcessNotFound, when it was removed meanwhile.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        turns = self.queues.node.turns
        if not turns.take():
            await trio.lowlevel.checkpoint()
            turns.renew()
        while not self._ready and not self._closed:
            await self._takers.park()
            turns.renew()
        self._expect_open()
        letter = self._ready.popleft()
        letter.attempts += 1
        self._in_flight.add(letter)
        if self._publishers:
            self._publishers.unpark()
        return Delivery(self, letter)

    def acknowledge(self, letter: Letter) -> Kept:
        """The message is gone."""
        self._in_flight.discard(letter)
        return DONE

    def refuse(self, letter: Letter, error: str) -> Kept:
        """To the tail, or after the last attempt to the dead letters (QU5)."""
        self._in_flight.discard(letter)
        match verdict(self.id, self.terms, letter, error):
            case Again():
                self.put(letter)
            case Dead(target, headers) if target in self.queues.by_id:
                self.queues.by_id[target].put(Letter(letter.id, letter.body, headers))
            case Dead() | Dropped():
                report_dropped(self.id, letter, error)
        return DONE


def report_dropped(queue: str, letter: Letter, error: str) -> None:
    """A message is gone for good: one error record (QU5)."""
    fields = {"queue": queue, "message_id": letter.id, "attempts": letter.attempts}
    logger.error("message dropped by %s: %s", queue, error, extra=fields)
