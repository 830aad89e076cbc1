"""What a process owns besides its mailbox: keyed timers and child tasks. Both end with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING, Any

import trio

from trio_actors._core.errors import FATAL, as_process_error, fresh
from trio_actors._core.exit import Cause, CauseKind, Forced
from trio_actors._core.message import Message
from trio_actors._core.pid import CLOCK

if TYPE_CHECKING:
    from trio_actors._core.clock import Timer
    from trio_actors._core.process import Process


class Timers:
    """The timers of one process, by key. A cancelled one is never delivered late."""

    __slots__ = ("_made", "_process", "_sent", "_timers")

    def __init__(self, process: Process) -> None:
        self._process = process
        self._timers: dict[Hashable, Timer] = {}
        self._sent: dict[Hashable, Message] = {}  # fired last, perhaps still unread
        self._made = 0
        process.on_exit(lambda exit: self.cancel_all())

    def arm(
        self, due: float, message: Message, key: Hashable | None, every: float | None
    ) -> Hashable:
        """Sends `message` to the owner at `due`, and then `every` so many seconds without drift."""
        if key is None:
            self._made += 1
            key = ("timer", self._made)
        self.cancel(key)

        def fire() -> None:
            process = self._process
            if every is None:
                del self._timers[key]
                copy = message
            else:
                self._timers[key] = process.node.clock.at(rearm(), fire)
                copy = Message(message.topic, message.sender, message.payload)
            self._sent[key] = copy
            process.node.post(CLOCK, process, copy)

        def rearm() -> float:
            nonlocal due
            assert every is not None
            due += every
            return due

        self._timers[key] = self._process.node.clock.at(due, fire)
        return key

    def cancel(self, key: Hashable) -> bool:
        """The timer sends nothing more, not even what it sent and nobody read; True if it ran."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        sent = self._sent.pop(key, None)
        discard = getattr(self._process.mailbox, "discard", None)
        withdrawn = sent is not None and discard is not None and discard(sent)
        return timer is not None or withdrawn

    def cancel_all(self) -> None:
        """The process has ended."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._sent.clear()


class Tasks:
    """Child tasks of one process, in its host's nursery; they end before the process has ended.

    A child that fails ends the process with the child's error, as in a nursery.
    """

    __slots__ = ("_empty", "_process", "_scopes")

    def __init__(self, process: Process) -> None:
        self._process = process
        self._scopes: dict[trio.CancelScope, None] = {}
        self._empty: trio.Event | None = None
        process.on_exit(lambda exit: self.cancel())

    def start(self, function: Callable[..., Awaitable[object]], args: tuple[Any, ...]) -> None:
        """Starts `function(*args)` soon."""
        scope = trio.CancelScope()
        self._scopes[scope] = None
        self._process.host.start_system_task(self._run, scope, function, args)

    async def _run(
        self,
        scope: trio.CancelScope,
        function: Callable[..., Awaitable[object]],
        args: tuple[Any, ...],
    ) -> None:
        try:
            with scope:
                await function(*args)
        except FATAL:
            raise
        except Exception as exc:
            error = as_process_error(exc)
            failed = Forced(error.message, error.kind, Cause(CauseKind.RAISED))
            failed.use(fresh(error))
            self._process.force(failed)
        finally:
            del self._scopes[scope]
            if not self._scopes and self._empty is not None:
                self._empty.set()

    def cancel(self) -> None:
        """Cancels all."""
        for scope in list(self._scopes):
            scope.cancel(reason="its process has ended")

    async def finish(self) -> None:
        """Cancels all and returns when they have unwound."""
        self.cancel()
        while self._scopes:
            self._empty = trio.Event()
            with trio.CancelScope(shield=True):
                await self._empty.wait()
