"""Asks that an idle server answers in its caller's turn: no message, no wake-up, no other task.

A server with plain handlers may do so when nobody can tell the difference: it has begun, its queue
is empty, it is not suspended, not being ended, and not running. Its caller takes a checkpoint at
least every 32 such asks or 1 ms.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable
from contextvars import Context
from typing import TYPE_CHECKING, Any

import trio
from trio.lowlevel import disable_ki_protection

from trio_actors._core.ask import Request, Waiter, ended_error, topic_of
from trio_actors._core.current import running
from trio_actors._core.dispatch import Dispatched, Dispatcher
from trio_actors._core.drive import DECLINED, LATER
from trio_actors._core.errors import ProcessError, as_process_error, fresh
from trio_actors._core.exit import Exit
from trio_actors._core.held import Turns
from trio_actors._core.message import Event, Message
from trio_actors._core.pace import Pace
from trio_actors._core.serving import Serving

if TYPE_CHECKING:
    from trio_actors._core.process import Process


class Answering(Serving, Dispatched):
    """A stepped server, as far as it answers in its callers' turns."""

    __slots__ = (
        "_busy",
        "_context",
        "_deferred",
        "_direct",
        "_dispatcher",
        "_opened",
        "_scheduled",
    )
    direct = True

    process: Process
    _opened: bool  # the server has its context, which is made for its first code
    _busy: bool
    _scheduled: bool  # true before the start too: messages do not start a process
    _dispatcher: Turns  # its host's dispatcher, or what stands in for it
    _context: Context | None  # made when a request is answered in its caller's turn
    _direct: tuple[Any, Process | None, float] | None  # that request, its caller, its timeout's end
    _deferred: Waiter | None  # whose handler wants to answer it later

    @abstractmethod
    def _open(self) -> None:
        """The first code of the server comes."""

    @abstractmethod
    def _await(self, item: Message | Event, awaitable: Awaitable[Any]) -> None:
        """A handler turned out to await after all."""

    @abstractmethod
    def _end(self, value: Exit | None, error: BaseException | None) -> None:
        """The server's code has ended."""

    @disable_ki_protection
    def answer_now(self, request: Any, caller: Process | None, due: float, turns: Pace) -> Any:
        """The reply, if nobody can tell that it was given in the caller's turn."""
        if self._scheduled or self.halted or self._busy:
            return DECLINED
        table = self.table
        handler = table.by_type.get(request.__class__)
        if handler is None or (table.by_topic and topic_of(request) in table.by_topic):
            return DECLINED
        turns.left -= 1
        if turns.left < 0 and not turns.look():
            return LATER
        if not self._opened:
            self._open()
        self._direct = request, caller, due
        context = self._context or self._enter()
        try:
            self._busy = True
            value = context.run(handler, self.server, request)
        except ProcessError as error:
            raise fresh(error) from error
        except BaseException as exc:
            self._busy = False
            self._end(None, exc)  # E38: it leaves the host, and not here as well
            record = self.process.node.exits.get(self.process.pid)
            end = record.exit if record else Exit.failed(as_process_error(exc))
            raise ended_error(self.process, end) from exc  # noqa: ASYNC104
        finally:
            self._busy = False
            self._direct = None
            if self.halted:  # the handler has decided on an end
                self.wake()  # type: ignore[unreachable]  # for mypy it is as it was above
        if self._deferred is not None:
            return self._take_deferred()
        if value is not None and hasattr(value, "__await__"):
            self._direct = request, caller, due
            self.request = self.defer()
            self._direct = None
            self._await(self.request, value)
            return self._take_deferred()
        return value

    def _take_deferred(self) -> Waiter | None:
        waiter, self._deferred = self._deferred, None
        return waiter

    def _enter(self) -> Context:
        """The dispatcher's context variables, in which this process is the running one.

        A handler in its caller's turn sees these, as it does elsewhere, and tasks that it starts
        inherit them. To enter a context costs a tenth of setting a variable and resetting it.
        """
        self._context = context = Dispatcher.of(self.process.host).context.copy()
        context.run(running.set, self.process.context)
        return context

    def defer(self) -> Request:
        """The request being answered, to be answered later; the handler's value is ignored."""
        if self._direct is None:
            return super().defer()
        request, caller, due = self._direct
        waiter = Waiter().of(self.process, None if caller is None else caller.pid, request)
        self._deferred = waiter
        return Request(waiter, min(due, trio.current_effective_deadline()))
