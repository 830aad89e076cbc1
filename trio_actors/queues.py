"""Queues in memory: messages for functions, delivered until they are acknowledged.

The twin of the Lua module `queue` (GC2): `await queues.publish(id, data)`, `queues.info(id)`, and
inside a handler `queues.message()`. A consumer takes deliveries and settles them; what it does not
settle comes back. Nothing is lost but at the end of the program (QU9).

Rules: section 13.1 of functions.md (QU1-QU9), CX2 (the message is inherited by called functions).
"""

from __future__ import annotations

import copy
import logging
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
import trio

from trio_actors._core.current import current
from trio_actors._core.errors import ErrorKind, ProcessError, make_error
from trio_actors.permission import require

if TYPE_CHECKING:
    from trio_actors._core.context import ProcessContext
    from trio_actors._core.node import Node

__all__ = ["Delivery", "MemoryQueue", "QueueInfo", "Queues", "info", "message", "publish"]

logger = logging.getLogger("trio_actors.queues")
NAME = "queues"
BAGGAGE = "queue.message"


@attrs.frozen(slots=True)
class QueueInfo:
    """How many messages a queue holds: waiting, and given to consumers."""

    message_count: int
    ready: int
    in_flight: int


@attrs.define(slots=True, eq=False)
class Letter:
    """One message as the queue keeps it."""

    id: str
    body: Any
    headers: Mapping[str, Any]
    attempts: int = 0


class Delivery:
    """A message in the hands of a consumer (QU7)."""

    def __init__(self, queue: MemoryQueue, letter: Letter) -> None:
        self._queue = queue
        self._letter = letter
        self.settled = False
        self.over = False

    @property
    def body(self) -> Any:
        """The content."""
        return self._letter.body

    def id(self) -> str:
        """The message's own id."""
        return self._usable()._letter.id

    def headers(self) -> dict[str, Any]:
        """All headers, a copy."""
        return dict(self._usable()._letter.headers)

    def header(self, key: str) -> Any:
        """One header, None without it."""
        return self._usable()._letter.headers.get(key)

    def attempt(self) -> int:
        """Which delivery this is, from 1."""
        return self._usable()._letter.attempts

    def ack(self) -> None:
        """Done: the message is gone. Raises: ProcessInvalid when settled already."""
        self._settle()
        self._queue.acknowledge(self._letter)

    def nack(self, error: str = "") -> None:
        """Not done: it comes again, or goes to the dead letters (QU5)."""
        self._settle()
        self._queue.refuse(self._letter, error)

    def give_back(self) -> None:
        """The consumer stops: it comes again and this attempt did not count (QU8)."""
        if not self.settled:
            self.settled = True
            self._letter.attempts -= 1
            self._queue.put_back(self._letter)

    def _usable(self) -> Delivery:
        if self.over:
            raise make_error(ErrorKind.INVALID, "queue.Message used after its handler's end")
        return self

    def _settle(self) -> None:
        self._usable()
        if self.settled:
            raise make_error(ErrorKind.INVALID, "queue.Message already settled")
        self.settled = True


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
    ) -> None:
        self.queues = queues
        self.id = id
        self.max_length = max_length
        self.max_attempts = max_attempts
        self.dead_letter = dead_letter
        self._ready: deque[Letter] = deque()
        self._in_flight: dict[str, Letter] = {}
        self._takers = trio.lowlevel.ParkingLot()
        self._publishers = trio.lowlevel.ParkingLot()

    def info(self) -> QueueInfo:
        """What it holds now."""
        ready, in_flight = len(self._ready), len(self._in_flight)
        return QueueInfo(ready + in_flight, ready, in_flight)

    async def publish(self, body: Any, headers: Mapping[str, Any]) -> None:
        """Add a message; waits while the queue is full. Checkpoint: always."""
        letter = Letter(self.queues.node.uuid(), copy.deepcopy(body), dict(headers))
        await trio.lowlevel.checkpoint()
        while len(self._ready) >= self.max_length:
            await self._publishers.park()
        self.put(letter)

    def put(self, letter: Letter) -> None:
        """At the tail, even if the queue is full (QU5)."""
        self._ready.append(letter)
        self._takers.unpark()

    def put_back(self, letter: Letter) -> None:
        """In front again: it was not handled (QU8)."""
        self._in_flight.pop(letter.id, None)
        self._ready.appendleft(letter)
        self._takers.unpark()

    async def take(self) -> Delivery:
        """The next message; waits for one. Checkpoint: always."""
        await trio.lowlevel.checkpoint()
        while not self._ready:
            await self._takers.park()
        letter = self._ready.popleft()
        letter.attempts += 1
        self._in_flight[letter.id] = letter
        self._publishers.unpark()
        return Delivery(self, letter)

    def acknowledge(self, letter: Letter) -> None:
        """The message is gone."""
        self._in_flight.pop(letter.id, None)

    def refuse(self, letter: Letter, error: str) -> None:
        """To the tail, or after the last attempt to the dead letters (QU5)."""
        self._in_flight.pop(letter.id, None)
        if letter.attempts < self.max_attempts:
            self.put(letter)
            return
        target = self.queues.by_id.get(self.dead_letter) if self.dead_letter else None
        fields = {"queue": self.id, "message": letter.id, "attempts": letter.attempts}
        if target is None:
            logger.error("message dropped by %s: %s", self.id, error, extra=fields)
            return
        marks = {"x-error": error, "x-attempts": letter.attempts, "x-queue": self.id}
        target.put(Letter(letter.id, letter.body, {**letter.headers, **marks}))


class Queues:
    """All queues of one node."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.by_id: dict[str, MemoryQueue] = {}

    async def publish(
        self,
        id: str,
        data: Any,
        headers: Mapping[str, Any] | None = None,
        *,
        caller: ProcessContext | None = None,
    ) -> None:
        """Put a message into a queue; waits while it is full (QU1, QU2). Checkpoint: always.

        Raises: ProcessInvalid, ProcessPermissionDenied, ProcessNotFound, checked in this order.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if not id:
            raise make_error(ErrorKind.INVALID, "queue ID required")
        require(self.node, caller, "queue.publish", id)
        if data is None or (isinstance(data, Mapping | list | tuple) and not data):
            raise make_error(ErrorKind.INVALID, "message data required")
        checked = _headers(headers)
        await self.find(id).publish(data, checked)

    def info(self, id: str) -> QueueInfo:
        """What a queue holds. Raises: ProcessInvalid, ProcessNotFound."""
        if not id:
            raise make_error(ErrorKind.INVALID, "queue ID required")
        return self.find(id).info()

    def find(self, id: str) -> MemoryQueue:
        """A queue. Raises: ProcessNotFound."""
        queue = self.by_id.get(id)
        if queue is None:
            raise make_error(ErrorKind.NOT_FOUND, f"queue not found: {id}")
        return queue


def _headers(headers: Mapping[str, Any] | None) -> dict[str, Any]:
    for key, value in (headers or {}).items():
        if not isinstance(key, str) or not isinstance(value, str | int | float | bool):
            raise make_error(ErrorKind.INVALID, f"header {key}: expected a text key and a scalar")
    return dict(headers or {})


def queues_of(node: Node) -> Queues:
    """The queues of a node, made when they are first asked for."""
    queues = node.extensions.get(NAME)
    if not isinstance(queues, Queues):
        queues = node.extensions[NAME] = Queues(node)
    return queues


async def publish(id: str, data: Any, headers: Mapping[str, Any] | None = None) -> None:
    """Put a message into a queue, from the running process or function; see `Queues.publish`."""
    caller = current()
    await queues_of(caller.node).publish(id, data, headers, caller=caller)


def info(id: str) -> QueueInfo:
    """What a queue holds, from inside a process or function."""
    return queues_of(current().node).info(id)


def message_of(caller: ProcessContext) -> Delivery:
    """The message that a frame handles. Raises: ProcessInvalid outside a consumer's call."""
    delivery = getattr(caller, "baggage", {}).get(BAGGAGE)
    if not isinstance(delivery, Delivery):
        raise make_error(ErrorKind.INVALID, "no queue message")
    return delivery


def message() -> Delivery:
    """The message that the running function handles (QU7)."""
    return message_of(current())


async def consume(
    ctx: ProcessContext,
    queue: MemoryQueue,
    func: str,
    *,
    concurrency: int = 1,
    options: Mapping[str, Any] | None = None,
) -> None:
    """Call `func` with every message until CANCEL comes (QU3, QU4, QU8): a process's main."""
    async with trio.open_nursery() as nursery:
        for _ in range(concurrency):
            nursery.start_soon(_work, ctx, queue, func, options)
        await ctx.events.receive()
        nursery.cancel_scope.cancel()


async def _work(
    ctx: ProcessContext, queue: MemoryQueue, func: str, options: Mapping[str, Any] | None
) -> None:
    while True:
        delivery = await queue.take()
        try:
            await _handle(ctx, delivery, func, options)
        finally:
            delivery.give_back()  # only what was not settled: cancelled
            delivery.over = True


async def _handle(
    ctx: ProcessContext, delivery: Delivery, func: str, options: Mapping[str, Any] | None
) -> None:
    error = "the handler returned false"
    try:
        result = await ctx.node.functions.call_from(
            ctx, func, (delivery.body,), options, baggage={BAGGAGE: delivery}
        )
        done = result is not False
    except ProcessError as failure:
        error, done = str(failure), False
    if delivery.settled:  # the handler decided itself
        return
    if done:
        delivery.ack()
    else:
        delivery.nack(error)
