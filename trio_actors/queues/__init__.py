"""Queues: messages for functions, delivered until they are acknowledged.

The twin of the Lua module `queue` (GC2): `await queues.publish(id, data)`, `queues.info(id)`, and
inside a handler `queues.message()`.

Map: `letters` decides (pure), `memory` and `durable` are the drivers, `store` is the SQLite file of
the durable one, `service` holds the queues of a node and calls functions with their messages.

Rules: section 13.1 of functions.md (QU1-QU9), CX2 (the message is inherited by called functions).
"""

from trio_actors.queues.durable import DurableQueue, QueueFile
from trio_actors.queues.letters import Delivery, Letter, QueueDriver, QueueInfo, Terms
from trio_actors.queues.memory import MemoryQueue
from trio_actors.queues.service import (
    Queues,
    consume,
    info,
    message,
    message_of,
    publish,
    queues_of,
)

__all__ = [
    "Delivery",
    "DurableQueue",
    "Letter",
    "MemoryQueue",
    "QueueDriver",
    "QueueFile",
    "QueueInfo",
    "Queues",
    "Terms",
    "consume",
    "info",
    "message",
    "message_of",
    "publish",
    "queues_of",
]
