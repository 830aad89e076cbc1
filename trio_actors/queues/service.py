"""The queues of a node, and the consumer that calls functions with their messages.

A consumer takes deliveries and settles them; what it does not settle comes back.

Rules: section 13.1 of functions.md (QU1-QU9), CX2 (the message is inherited by called functions).
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from trio_actors._core.current import current
from trio_actors._core.errors import ErrorKind, ProcessError, make_error
from trio_actors.permission import require
from trio_actors.queues.letters import Delivery, QueueDriver, QueueInfo, no_queue

if TYPE_CHECKING:
    from trio_actors._core.context import ProcessContext
    from trio_actors._core.node import Node
    from trio_actors.queues.durable import QueueFile

NAME = "queues"
BAGGAGE = "queue.message"


class Queues:
    """All queues of one node."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.by_id: dict[str, QueueDriver] = {}
        self.files: dict[Path, QueueFile] = {}

    async def publish(
        self,
        id: str,
        data: Any,
        headers: Mapping[str, Any] | None = None,
        *,
        caller: ProcessContext | None = None,
    ) -> None:
        """Put a message into a queue; waits while it is full (QU1, QU2).

        Checkpoint: whenever it waits, and at least every 32 messages or 1 ms; a cancellation is
        always seen.

        Raises: ProcessInvalid, ProcessPermissionDenied, ProcessNotFound, checked in this order.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if not id:
            raise make_error(ErrorKind.INVALID, "queue ID required")
        if caller is not None:
            require(self.node, caller, "queue.publish", id)
        if data is None or (not data and isinstance(data, (Mapping, list, tuple))):
            raise make_error(ErrorKind.INVALID, "message data required")
        checked = _headers(headers)
        await self.find(id).publish(data, checked)

    def info(self, id: str) -> QueueInfo:
        """What a queue holds. Raises: ProcessInvalid, ProcessNotFound."""
        if not id:
            raise make_error(ErrorKind.INVALID, "queue ID required")
        return self.find(id).info()

    def find(self, id: str) -> QueueDriver:
        """A queue. Raises: ProcessNotFound."""
        queue = self.by_id.get(id)
        if queue is None:
            raise no_queue(id)
        return queue


def _headers(headers: Mapping[str, Any] | None) -> dict[str, Any]:
    if not headers:
        return {}
    for key, value in headers.items():
        if not isinstance(key, str) or not isinstance(value, str | int | float | bool):
            raise make_error(ErrorKind.INVALID, f"header {key}: expected a text key and a scalar")
    return dict(headers)


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
    queue: QueueDriver,
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
    ctx: ProcessContext, queue: QueueDriver, func: str, options: Mapping[str, Any] | None
) -> None:
    call = ctx.node.functions.call_now
    while True:
        delivery = await queue.take()
        try:
            try:
                baggage = {BAGGAGE: delivery}
                handled = call(ctx, func, (delivery.body,), options, baggage=baggage)
                limit = queue.visibility_timeout
                result = await (handled if limit is None else _within(limit, handled))
            except ProcessError as failure:
                error: str | None = str(failure)
            else:
                error = "the handler returned false" if result is False else None
            if not delivery.settled:  # else the handler decided itself
                await (delivery.ack() if error is None else delivery.nack(error))
        finally:
            delivery.give_back()  # only what was not settled: cancelled
            delivery.over = True


async def _within(limit: float, handled: Coroutine[Any, Any, Any]) -> Any:
    """The result of a handler. Raises: ProcessTimeout when it takes too long."""
    with trio.move_on_after(limit):
        return await handled
    raise make_error(ErrorKind.TIMEOUT, "not settled within the visibility timeout")
