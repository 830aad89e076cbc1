"""The least that our promises about messages allow in pure Python, for comparison with the goals.

A message is sent to a PID by a method, which looks the receiver up; it has a topic, a sender and a
payload, and is read as an object with these three. A task takes 32 of them between checkpoints.
Names, permissions, channels of topics, limits, times, statistics, upgrades and ends are left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import trio
import trio.testing
from harness import Stopwatch
from trio.lowlevel import Task, checkpoint, current_task, reschedule

from trio_actors._core.wake import GO, sleep

BUDGET = 32


class Message:
    """What is read; it has no `__init__`, because a call of one takes as long as the rest."""

    __slots__ = ("payload", "sender", "topic")

    topic: str
    sender: str
    payload: Any


class Box:
    """A mailbox with one reader."""

    __slots__ = ("left", "queue", "task")

    def __init__(self) -> None:
        self.queue: deque[tuple[str, str, Any]] = deque()
        self.task: Task | None = None
        self.left = BUDGET

    async def receive(self) -> Message:
        """The next message."""
        queue = self.queue
        if not queue:
            self.task = current_task()
            await sleep()
            self.left = BUDGET
        elif not self.left:
            await checkpoint()
            self.left = BUDGET
        self.left -= 1
        message = Message()
        message.topic, message.sender, message.payload = queue.popleft()
        return message


class Context:
    """What a process sends with."""

    __slots__ = ("boxes", "pid")

    def __init__(self, boxes: dict[str, Box], pid: str) -> None:
        self.boxes = boxes
        self.pid = pid

    def send(self, dest: str, topic: str, payload: Any = None) -> None:
        """Puts a message into a mailbox and wakes its reader."""
        box = self.boxes[dest]
        box.queue.append((topic, self.pid, payload))
        if box.task is not None:
            task, box.task = box.task, None
            reschedule(task, GO)


async def hose(n: int, watch: Stopwatch) -> int:
    """One producer, one consumer, a task each, a checkpoint every 64 sends."""
    boxes = {"{b|1}": Box()}

    async def consumer() -> None:
        box = boxes["{b|1}"]
        for _ in range(n):
            await box.receive()

    async def producer(ctx: Context) -> None:
        send = ctx.send
        for i in range(n):
            send("{b|1}", "item", i)
            if not i % 64:
                await checkpoint()

    with watch:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(consumer)
            nursery.start_soon(producer, Context(boxes, "{b|2}"))
    return n


async def wake(n: int, watch: Stopwatch) -> int:
    """One message to each of `n` waiting tasks, until all have seen it and wait again."""
    boxes = {f"{{app:bench|0x{i:05x}}}": Box() for i in range(n)}
    done = trio.Event()
    seen = 0

    async def member(box: Box) -> None:
        nonlocal seen
        await box.receive()
        seen += 1
        if seen == n:
            done.set()
        await box.receive()

    async with trio.open_nursery() as nursery:
        for box in boxes.values():
            nursery.start_soon(member, box)
        await trio.testing.wait_all_tasks_blocked()
        send = Context(boxes, "").send
        with watch:
            for pid in boxes:
                send(pid, "wake")
            await done.wait()
        nursery.cancel_scope.cancel()
    return n


class Served:
    """A mailbox whose messages a dispatcher hands to the methods of an object."""

    __slots__ = ("handlers", "queue", "scheduled", "server")

    def __init__(self, server: Any, **handlers: Callable[[Any, Message], None]) -> None:
        self.queue: deque[tuple[str, str, Any]] = deque()
        self.scheduled = False
        self.server = server
        self.handlers = handlers


class Sender:
    """A context whose receivers a dispatcher steps."""

    __slots__ = ("boxes", "pid", "ready")

    def __init__(self, boxes: dict[str, Served], pid: str, ready: deque[Served]) -> None:
        self.boxes = boxes
        self.pid = pid
        self.ready = ready

    def send(self, dest: str, topic: str, payload: Any = None) -> None:
        """Puts a message into a queue and the queue in front of the dispatcher."""
        box = self.boxes[dest]
        box.queue.append((topic, self.pid, payload))
        if not box.scheduled:
            box.scheduled = True
            self.ready.append(box)


class Sink:
    """Counts down."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.done = False

    def item(self, message: Message) -> None:
        """One more."""
        self.left -= 1
        if not self.left:
            self.done = True


class Producer:
    """Sends 64 at a time."""

    def __init__(self, ctx: Sender, left: int) -> None:
        self.ctx = ctx
        self.left = left

    def go(self, message: Message) -> None:
        """The next ones."""
        send = self.ctx.send
        for i in range(min(64, self.left)):
            send("{b|1}", "item", i)
        self.left -= 64
        if self.left > 0:
            send(self.ctx.pid, "go")


async def hose_plain(n: int, watch: Stopwatch) -> int:
    """One producer, one consumer, stepped; a checkpoint every 1,024 messages."""
    boxes: dict[str, Served] = {}
    ready: deque[Served] = deque()
    ctx = Sender(boxes, "{b|2}", ready)
    boxes["{b|1}"] = Served(Sink(n), item=Sink.item)
    boxes["{b|2}"] = Served(Producer(ctx, n), go=Producer.go)
    with watch:
        ctx.send("{b|2}", "go")
        while ready:
            await checkpoint()
            _step(ready)
    return n


def _step(ready: deque[Served]) -> None:
    left = 1024
    while ready and left > 0:
        box = ready.popleft()
        queue, server, handlers = box.queue, box.server, box.handlers
        for _ in range(len(queue)):
            message = Message()
            message.topic, message.sender, message.payload = queue.popleft()
            handlers[message.topic](server, message)
            left -= 1
        if queue:
            ready.append(box)
        else:
            box.scheduled = False
