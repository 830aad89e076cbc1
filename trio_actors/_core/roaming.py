"""Processes that are functions: stepped as long as they only wait for their own messages.

The theory: what such code yields when it waits in one of its channels is IDLE, and its host's
dispatcher goes on with it when an item is there. If it waits for anything else, or keeps something
that belongs to the task where it runs (a scope, a nursery, a lock: carrier.py), then that task, a
carrier of the dispatcher, is its own from then on, until its end. So everything that can tell one
task from another sees one task only.

A function whose code has had to get a task is started with one from then on (task.py): to change
over costs more than to start.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from contextvars import Context, copy_context
from math import inf
from types import CoroutineType, FrameType
from typing import TYPE_CHECKING, Any

import trio
from trio.lowlevel import disable_ki_protection, enable_ki_protection

from trio_actors._core.carrier import Carrier
from trio_actors._core.code import TaskBody
from trio_actors._core.current import running
from trio_actors._core.dispatch import TURN, Dispatcher, Waiting
from trio_actors._core.drive import Limited, MailboxOnly
from trio_actors._core.exit import Exit
from trio_actors._core.held import frames_of, go_on
from trio_actors._core.lifecycle import BEGIN
from trio_actors._core.mailbox import PythonMailbox
from trio_actors._core.task import conclude, judge, stops_the_host, unwound
from trio_actors._core.unwinding import waits_in_a_channel
from trio_actors._core.wake import ASLEEP, IDLE

if TYPE_CHECKING:
    from trio_actors._core.context import ProcessContext
    from trio_actors._core.function import FunctionTarget
    from trio_actors._core.process import Process
    from trio_actors._core.subscription import Subscription


class Roaming(MailboxOnly, Limited, TaskBody, Waiting):
    """Body and drive of one call of a coroutine function."""

    __slots__ = (
        "_answer",
        "_args",
        "_departed",
        "_dispatcher",
        "_halted",
        "_mailbox",
        "_scheduled",
        "_shared",
        "_stepper",
        "_target",
        "_timer",
        "carrier",
        "code",
        "context",
        "custom_sleep_data",
        "ending",
        "process",
        "trap",
    )
    custom_sleep_data: Subscription | None  # where it waits, as with a task of Trio
    _answer: Any  # what it is woken with; None: it has paused, or was not woken
    _dispatcher: Dispatcher
    _mailbox: PythonMailbox
    _halted: bool  # it is to end, or to be upgraded
    _departed: bool  # and nothing has come that it would go on with before
    _scheduled: bool  # it stands in the dispatcher's queue, or was not started yet
    _shared: bool  # it takes messages out of what its dispatcher may do in this turn
    _stepper: Carrier | None  # whose turn it is, in its own turn

    def __init__(self, target: FunctionTarget, args: tuple[Any, ...]) -> None:
        self._target = target
        self._args = args
        self._answer = None
        self.carrier = self.code = self.trap = None
        self.custom_sleep_data = self._stepper = self._timer = None
        self._scheduled = True
        self._halted = self._departed = self._shared = self.ending = False

    # Body

    def attach(self, process: Process) -> Roaming:
        """Itself."""
        self.process = process
        mailbox = process.mailbox
        assert isinstance(mailbox, PythonMailbox)
        mailbox.exhaust()  # the dispatcher has what may be taken
        mailbox.stepped = self
        self._mailbox = mailbox
        self._dispatcher = Dispatcher.of(process.host)
        return self

    def run(self, ctx: ProcessContext) -> Coroutine[Any, Any, Any]:
        """A call of the function."""
        code = self._target.function(ctx, *self._args)
        return code if isinstance(code, CoroutineType) else _awaited(code)

    # Drive

    def start(self) -> None:
        """Its code will see the context variables of whoever starts it, as a task does."""
        self.context = copy_context()
        self._dispatcher.add(self)

    @enable_ki_protection
    def interrupt(self) -> None:
        """Cancels its task; or unwinds it in a turn, and where it runs at its next wait."""
        self._halted = True
        self._mailbox.stop()
        self._depart()
        if self.carrier is not None:
            self.cancel()
        elif self._stepper is None:
            self._departed = self.code is not None and self._answer is None
            self.pause()

    def _depart(self) -> None:
        """What comes to the channel where it waits is not for it any more."""
        channel = self.custom_sleep_data
        if channel is not None:
            channel.depart(self)

    def limit(self, deadline: float) -> None:
        """Its code sees the deadline too, in its own turn already."""
        super().limit(deadline)
        carrier = self.carrier or self._stepper
        if carrier is not None:
            carrier.scope.deadline = deadline

    def doing(self) -> str:
        """`idle` while it waits for messages, else `blocked` (whoever asks is running)."""
        return "idle" if self._mailbox.idle() else "blocked"

    def frames(self) -> Iterator[tuple[FrameType, int]]:
        """Where it waits."""
        return frames_of(self.code)

    # the side of its channels

    def stays(self) -> bool:
        """True in its own turn, if it may wait without a task: asked by a channel."""
        stepper = self._stepper
        return stepper is not None and not self._halted and stepper.untied()

    def may_take(self) -> bool:
        """True if there are messages left for it in this turn of the dispatcher."""
        if self._shared:
            return False
        self._shared = self._mailbox.share(self._dispatcher.pace, TURN)
        return self._shared

    @enable_ki_protection
    def reschedule(self, answer: Any) -> None:
        """Goes on with it, as `trio.lowlevel.reschedule` does with a task."""
        self._answer = answer
        self.custom_sleep_data = None
        if not self._scheduled:
            self._scheduled = True
            dispatcher = self._dispatcher
            dispatcher.ready.append(self)
            if dispatcher.parked is not None:
                dispatcher.unpark()

    @enable_ki_protection
    def pause(self) -> None:
        """Sees that it has another turn."""
        if self._stepper is not None:  # it lets others run
            self.process.node.touch("turn", self.process.pid)
        if not self._scheduled:
            self._scheduled = True
            self._dispatcher.add(self)

    # stepping

    @disable_ki_protection
    def turn(self) -> Waiting | None:
        """Runs its code until it waits."""
        self._scheduled = False
        process = self.process
        if self.ending:
            return None
        if self.code is None and process.ended:  # given up before it began
            self._free()
            return None
        dispatcher = self._dispatcher
        pace = dispatcher.pace
        pace.left -= 1
        carrier: Carrier = dispatcher.carrier  # type: ignore[assignment]  # it takes this turn
        if self._departed:
            return self._unwind(carrier)
        if process.rare is not None:
            carrier.limit(process)
        mailbox = self._mailbox
        if mailbox.route is not None:
            mailbox.close_route()
        code = self.code
        self._stepper = carrier
        waiting: Waiting | None = None
        try:
            if code is not None:
                answer, self._answer = self._answer, None
                trap = self.context.run(code.send, answer)
            elif process.forced is None:
                process.step(BEGIN)
                self.code = code = self.context.run(self._call)
                trap = self.context.run(code.send, None)
            else:
                trap = IDLE
                waiting = self._ended(carrier, None, None)
            if trap is not IDLE:
                self.trap = trap
                mailbox.stepped = None
                self._target.needs_tasks(process.node)
                waiting = self
        except StopIteration as stop:
            waiting = self._ended(carrier, stop.value, None)
        except BaseException as exc:  # noqa: ASYNC103  judge() says what goes on outwards
            answer = None  # this frame is in the traceback of its error: a cycle
            waiting = self._ended(carrier, None, exc)
        self._stepper = None
        if self._shared:
            self._shared = False
            mailbox.give_back(pace, TURN)
        if waiting is None and process.rare is not None:  # it may have got a deadline in its turn
            carrier.scope.deadline = inf
        return waiting

    def _call(self) -> Coroutine[Any, Any, Any]:
        context = self.process.context
        running.set(context)
        return self.run(context)

    def _unwind(self, carrier: Carrier) -> Waiting | None:
        """It rests in a channel or has paused, and is to end or to be upgraded."""
        if self._unnoticed():
            self._let_go()
            return self._ended(carrier, None, None)
        self.trap = ASLEEP  # where it is cancelled at once
        self._mailbox.stepped = None
        return self

    def _unnoticed(self) -> bool:
        """True if its code cannot tell by what it is unwound."""
        target = self._target
        code: Any = self.code
        return target.quiet and code.cr_code is target.code and waits_in_a_channel(code)

    def _let_go(self) -> None:
        """Unwinds such code."""
        code, self.code = self.code, None
        if code is not None:
            self.context.run(code.close)

    # the end

    def _ended(self, carrier: Carrier, value: Any, error: BaseException | None) -> Waiting | None:
        """Its code has ended without a task; for what is to unwind before its end it gets one."""
        if not carrier.untied():
            self.code = code = _returned(value, error)
        elif self._has_parts():
            self.ending = True
            self.code = code = self.end_code(value, error)
        elif self.process.upgrade is not None:  # the new code sees the context variables of the old
            self.context.run(self._conclude, value, error)
            return None
        else:
            self._conclude(value, error)
            return None
        try:
            self.trap = self.context.run(code.send, None)
        except StopIteration:
            return None
        return self

    def _has_parts(self) -> bool:
        """Whether it has started child tasks or calls, which end before it (TM3)."""
        process = self.process
        return process.rare is not None and (process.calls is not None or process.tasks is not None)

    @disable_ki_protection
    async def end_code(self, value: Any, error: BaseException | None) -> None:
        """What it has started unwinds first (TM3)."""
        error = await unwound(self.process, error)
        try:
            self._conclude(value, error)
        finally:
            del error  # this frame is in its traceback: a cycle

    def _conclude(self, value: Any, error: BaseException | None) -> None:
        self._free()
        try:
            conclude(self.process, value, error)
        finally:
            del error

    def _free(self) -> None:
        """Nothing of it is needed any more: no cycle is to keep it."""
        if self._timer is not None:
            self._timer.cancel()
        self.code = None
        self.ending = True
        self._mailbox.stepped = None

    # the end of its host

    def end(self, end: Exit) -> None:
        """Ends now."""
        self._depart()
        self._let_go()
        self._free()
        self.process.node.end(self.process, end)

    def cut(self, end: Exit) -> tuple[Context, Coroutine[Any, Any, None]] | None:
        """It is cancelled in a task of its own, unless it cannot tell."""
        if self._stepper is not None or self.carrier is not None or self.ending:
            return None  # that task is cancelled
        if self.code is not None and (self._has_parts() or not self._unnoticed()):
            self.ending = True  # several carriers may be cancelled, one after the other
            return self.context, self._cut(end)
        self.end(end)
        return None

    async def _cut(self, end: Exit) -> None:
        value: Any = None
        error: BaseException | None = None
        self._depart()
        code = self.code
        assert code is not None
        self._free()
        with trio.CancelScope() as scope:
            scope.cancel(reason="its host was cancelled")
            try:
                value = await go_on(code, ASLEEP)
            except BaseException as exc:  # noqa: ASYNC103  judged below
                error = exc
        process = self.process
        error = await unwound(process, error)
        if not process.ended:
            found, outwards = judge(process, value, error)
            del error  # this frame is in its traceback: a cycle
            if isinstance(outwards, trio.Cancelled) or (
                outwards is not None and stops_the_host(process, outwards)
            ):
                outwards = None
            process.node.end(process, found or end)
            if outwards is not None:
                raise outwards


async def _awaited(code: Any) -> Any:
    """The call of something that makes other awaitables than coroutines."""
    return await code


async def _returned(value: Any, error: BaseException | None) -> Any:
    """Ends in a task of its own, to which belongs what was left there."""
    try:
        await trio.lowlevel.checkpoint()
        if error is not None:
            raise error
        return value
    finally:
        del error  # this frame is in its traceback: a cycle
