"""What a process owns besides its mailbox: keyed timers and child tasks. Both end with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary, ref

import trio

from trio_actors._core.current import running
from trio_actors._core.errors import FATAL, as_process_error, fresh
from trio_actors._core.exit import Cause, CauseKind, Forced, cancelled_outside
from trio_actors._core.message import Message
from trio_actors._core.pid import CLOCK
from trio_actors._core.task import stops_the_host

if TYPE_CHECKING:
    from trio_actors._core.clock import Timer
    from trio_actors._core.process import Process


class Tick(Message):
    """A message of a timer; the timer can find it as long as it is unread."""

    __slots__ = ("__weakref__",)


class Timers:
    """The timers of one process, by key. A cancelled one is never delivered late."""

    __slots__ = ("_made", "_often", "_once", "_process", "_timers")

    def __init__(self, process: Process) -> None:
        self._process = process
        self._timers: dict[Hashable, Timer] = {}
        # Sent and still unread: who has read a message lets it go.
        self._once: WeakValueDictionary[Hashable, Tick] = WeakValueDictionary()
        self._often: dict[Hashable, deque[ref[Tick]]] = {}  # oldest first, while it goes on
        self._made = 0
        process.on_exit(lambda exit: self._ended())

    def arm(
        self, due: float, message: Message, key: Hashable | None, every: float | None
    ) -> Hashable:
        """Sends `message` to the owner at `due`, and then `every` so many seconds without drift."""
        if key is None:
            self._made += 1
            key = ("timer", self._made)
        self.cancel(key)
        self._set(due, message, key, every)
        return key

    def _set(self, due: float, message: Message, key: Hashable, every: float | None) -> None:
        fire = partial(self._fire, due, message, key, every)
        self._timers[key] = self._process.node.clock.at(due, fire)

    def _fire(self, due: float, message: Message, key: Hashable, every: float | None) -> None:
        tick = Tick(message.topic, message.sender, message.payload)
        if every is None:
            del self._timers[key]
            self._once[key] = tick
        else:
            self._set(due + every, message, key, every)
            sent = self._often.setdefault(key, deque())
            while sent and sent[0]() is None:
                sent.popleft()
            sent.append(ref(tick))
        self._process.node.tell(CLOCK, self._process, tick)

    def cancel(self, key: Hashable) -> bool:
        """The timer sends nothing more, not even what it sent and nobody read; True if it ran."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        sent = [self._once.pop(key, None), *(tick() for tick in self._often.pop(key, ()))]
        discard = getattr(self._process.mailbox, "discard", lambda tick: False)
        withdrawn = [tick for tick in sent if tick is not None and discard(tick)]
        return timer is not None or bool(withdrawn)

    def _ended(self) -> None:
        self.cancel_all()
        self._process.timers = None  # else both would be in a cycle

    def cancel_all(self) -> None:
        """None of them sends anything more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._once.clear()
        self._often.clear()


class Tasks:
    """Child tasks of one process, in its host's nursery; they end before the process has ended.

    A child that fails ends the process with the child's error, as in a nursery.
    """

    __slots__ = ("_empty", "_failed", "_process", "_scopes")

    def __init__(self, process: Process) -> None:
        self._process = process
        self._scopes: dict[trio.CancelScope, None] = {}
        self._empty: trio.Event | None = None  # while the process waits for the last of them
        self._failed: Exception | None = None  # the first that failed meanwhile
        process.on_exit(lambda exit: self._ended())

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
        context = self._process.context
        if context is not None:  # what a dispatcher's task starts would inherit the dispatcher's
            running.set(context)
        try:
            with scope:
                await function(*args)
        except BaseException as exc:  # noqa: ASYNC103  what is not the process's goes on outwards
            if isinstance(exc, Exception) and not isinstance(exc, FATAL):
                self._fail(exc)
            elif stops_the_host(self._process, exc):  # E38, as if its code had raised it
                self._process.force(cancelled_outside())
            else:
                raise
        finally:
            del self._scopes[scope]
            if not self._scopes and self._empty is not None:
                self._empty.set()

    def _fail(self, exc: Exception) -> None:
        if self._empty is not None:
            self._failed = self._failed or exc
            return
        error = as_process_error(exc)
        failed = Forced(error.message, error.kind, Cause(CauseKind.RAISED))
        failed.use(fresh(error))
        self._process.force(failed)

    def _ended(self) -> None:
        self.cancel()
        if not self._scopes:  # else it was given up, and its code waits for them
            self._process.tasks = None  # it would be in a cycle

    def cancel(self) -> None:
        """Cancels all."""
        for scope in list(self._scopes):
            scope.cancel(reason="its process has ended")

    @property
    def running(self) -> bool:
        """True while one of them has not ended."""
        return bool(self._scopes)

    async def finish(self) -> Exception | None:
        """Cancels all and returns when they have unwound: the first exception of that, if any."""
        self.cancel()
        while self._scopes:
            self._empty = trio.Event()
            with trio.CancelScope(shield=True):
                await self._empty.wait()
        failed, self._failed = self._failed, None
        self._empty = None
        return failed
