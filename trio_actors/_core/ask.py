"""Requests and replies: an ask ends in exactly one of reply, callee's end, or timeout.

The caller's side is a waiter. It is settled once, by the first of an answer, an end, a timeout or
its abandonment; what comes later finds it settled: a late reply reaches nobody, harms nobody.

A request travels in one of two ways. To a server that has a handler for its class, and none that
could take the request away (`HandlerTable.typed`), the waiter travels itself: one object per ask,
and the server settles it. Everybody else gets a `Request`, which code can keep, answer later, or
drop: then its caller is told. Only code that can hold a request can look at its deadline, so only
then it is read: that walks through all the scopes around the caller and takes as long as the rest.

An expired caller is cancelled by Trio before the server's next turn, and has given up then; a
timeout of the ask itself is looked at when the request is taken.

An ask needs no cancel scope: its timeout is a timer of the node.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import trio
from trio.lowlevel import checkpoint, current_task, enable_ki_protection, reschedule

from trio_actors._core import operations
from trio_actors._core.drive import DECLINED, LATER
from trio_actors._core.duration import duration_seconds
from trio_actors._core.errors import ErrorKind, ProcessError, fresh, make_error
from trio_actors._core.exit import Exit
from trio_actors._core.message import Message, copy_value
from trio_actors._core.pid import Pid
from trio_actors._core.wake import GO, sleep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trio_actors._core.node import Node
    from trio_actors._core.process import Process

ReplyT = TypeVar("ReplyT")
ReplyT_co = TypeVar("ReplyT_co", covariant=True)

PENDING: Any = object()  # the answer that is not there yet
_ABANDONED: Any = object()  # the caller no longer waits


class Ask(Generic[ReplyT_co]):
    """Base of message classes that are answered: `class Get(Ask[int])` is answered by an int."""

    __slots__ = ()


class Failure:
    """An answer that is raised where the caller waits."""

    __slots__ = ("error",)

    def __init__(self, error: ProcessError) -> None:
        self.error = error


class Waiter(Message):
    """The caller's side of one ask, and what a typed server gets in its mailbox.

    `answer` is PENDING until the first thing settles it. A task waits as soon as `task` is set, and
    sleeps on this waiter: it is settled no more once Trio has taken it out of
    `custom_sleep_data`, since its caller is cancelled or has its answer. That is all that code
    which settles a waiter with a task needs to look at.

    Made without arguments, which is the quickest way; `of` sets everything.
    """

    __slots__ = ("answer", "callee", "task")
    answer: Any
    callee: Process
    task: Any  # the Trio task that waits; None: the caller has not begun to

    if TYPE_CHECKING:

        def __init__(self) -> None: ...
    else:
        __init__ = object.__init__

    def of(self, callee: Process, sender: Pid | None, payload: Any) -> Self:
        """With all fields set, for a caller that does not wait yet."""
        self.sender = sender
        self.payload = payload
        self.callee = callee
        self.answer = PENDING
        self.task = None
        return self

    @property
    def topic(self) -> str:  # type: ignore[override]  # nobody assigns it
        """The name of the request's class."""
        return topic_of(self.payload)

    @property
    def pending(self) -> bool:
        """False once answered or abandoned."""
        task = self.task
        return self.answer is PENDING and (task is None or task.custom_sleep_data is self)

    @property
    def wanted(self) -> bool:  # type: ignore[override]  # nobody assigns it
        """False once answered or abandoned: a server skips such a request."""
        return self.pending

    @enable_ki_protection
    def settle(self, answer: Any) -> bool:
        """Gives the answer to the caller; False if there is one already, or it has given up."""
        if not self.pending:
            return False
        self.answer = answer
        if self.task is not None:
            reschedule(self.task, GO)
        return True

    reply = settle  # as a Request has it

    def fail(self, error: ProcessError) -> bool:
        """Raises an error where the caller waits."""
        return self.settle(Failure(fresh(error)))

    def dropped(self) -> None:
        """Nobody will answer any more."""
        if self.pending:
            text = f"request {self.topic} was dropped without a reply"
            self.settle(Failure(make_error(ErrorKind.UNAVAILABLE, text, retryable=None)))

    def lost(self) -> None:
        """The request was dropped, and it cannot have said so itself."""
        self.callee.forget(self.ended)
        self.dropped()

    def ended(self, exit: Exit) -> None:
        """The callee ended first."""
        if self.pending:
            self.settle(Failure(ended_error(self.callee, exit)))

    def expired(self) -> None:
        """The timeout came first."""
        if self.pending:
            text = f"no reply from {self.callee.pid} in time"
            self.settle(Failure(make_error(ErrorKind.TIMEOUT, text, retryable=None)))

    def abandon(self) -> None:
        """The caller does not wait, or not any more: a server skips the request."""
        if self.answer is PENDING:
            self.answer = _ABANDONED
        if self.task is None:
            self.task = current_task()
        elif self.task.custom_sleep_data is self:  # it was interrupted before it slept
            self.task.custom_sleep_data = None

    @enable_ki_protection
    async def wait(self) -> Any:
        """The answer. Checkpoint: always."""
        if self.answer is PENDING:
            self.task = task = current_task()
            task.custom_sleep_data = self
            await sleep()
        else:  # nobody took the request
            await checkpoint()
        if self.answer.__class__ is Failure:
            raise self.take_error()
        return self.answer

    def take_error(self) -> ProcessError:
        """What it was answered with; a waiter that kept it would be in a cycle with it."""
        failure: Failure = self.answer
        self.answer = _ABANDONED
        return failure.error


class TimedWaiter(Waiter):
    """A waiter whose ask has a timeout."""

    __slots__ = ("due",)
    due: float

    @property
    def wanted(self) -> bool:  # type: ignore[override]  # nobody assigns it
        """False too from its timeout on, even if the timer has not fired yet."""
        return self.pending and self.callee.node.now() < self.due


class Request(Message):
    """A message that waits for its answer; kept by nobody any more, it tells its caller so.

    `deadline` is the caller's effective one, on Trio's clock.
    """

    __slots__ = ("__weakref__", "_waiter", "deadline")

    def __init__(self, waiter: Waiter, deadline: float) -> None:
        self.topic = waiter.topic
        self.sender = waiter.sender
        self.payload = waiter.payload
        self.deadline = deadline
        self._waiter: Waiter | None = waiter
        waiter.callee.on_exit(waiter.ended)

    @property
    def wanted(self) -> bool:  # type: ignore[override]  # nobody assigns it
        """False once answered, abandoned or expired: a server skips such a request."""
        waiter = self._waiter
        if waiter is None or not waiter.wanted:
            return False
        return self.deadline == inf or trio.current_time() < self.deadline

    def reply(self, value: Any) -> bool:
        """Answers; False if the caller no longer waits. Only the first answer counts."""
        waiter = self._waiter
        if waiter is not None and waiter.callee.host.copy_messages:  # M26
            try:
                value = copy_value(value, f"the reply to {self.topic}")
            except ProcessError as error:
                return self.fail(error)
        return self._answer(value)

    def fail(self, error: ProcessError) -> bool:
        """Answers with an error, which the ask raises; False if the caller no longer waits."""
        return self._answer(Failure(fresh(error)))

    def _answer(self, answer: Any) -> bool:
        """In a simulation an answer travels like a message (TS1)."""
        waiter = self._release()
        if waiter is None or not waiter.pending:
            return False
        gate = waiter.callee.node.gate
        if gate is None:
            return waiter.settle(answer)
        gate.reply(waiter.callee, self.sender, lambda: waiter.settle(answer))
        return True

    def _release(self) -> Waiter | None:
        """Its waiter, which neither this request nor the callee's end will settle any more."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.callee.forget(waiter.ended)
        return waiter

    def __del__(self) -> None:
        waiter = self._waiter
        if waiter is None:
            return
        if waiter.callee.node.here():
            self._release()
            waiter.dropped()
        else:  # the garbage was collected in some other thread (TM6), or run of Trio
            waiter.callee.node.soon(waiter.lost)


def ended_error(callee: Process, exit: Exit) -> ProcessError:
    """What an ask raises when the callee ends without having answered."""
    reason = exit.error.message if exit.error is not None else "ended normally"
    return make_error(
        ErrorKind.UNAVAILABLE,
        f"{callee.pid} ended before it replied: {reason}",
        retryable=None,
        details={"pid": callee.pid, "reason": reason},
    )


@enable_ki_protection
async def ask(
    node: Node,
    reach: Mapping[str, Process],
    caller: Process | None,
    dest: str,
    request: Any,
    timeout: float | str | None,
) -> Any:
    """Sends a request to a PID or name and waits for the answer; `reach` needs no more checks.

    Checkpoint: when it waits; an idle server may answer in this very turn, then at least every
    32 asks or 1 ms.

    Raises:
        ProcessNotFound: no such process. ProcessInvalid: a process asked itself.
        ProcessUnavailable: it ended, or dropped the request, without an answer.
        ProcessTimeout: no answer within `timeout` (seconds or text). An error that the callee
        answered with is raised as it is.
    """
    target = reach.get(dest)
    if target is None or target is caller or timeout is not None:
        try:
            target = _callee(node, caller, dest)
            due = _due(node, timeout)
        except ProcessError:
            await checkpoint()  # noqa: ASYNC120
            raise
        if node.gate is not None:
            return await _post(node, caller, target, request, due)
    else:
        due = inf
    entrance = target.entrance
    if entrance.direct:
        value = target.drive.answer_now(request, caller, due, node.turns)
        if value.__class__ is Waiter:
            del entrance  # an upgrade puts another in its place, and drops what this one keeps
            return await _wait(value, due)
        if value is LATER:
            await checkpoint()
            node.turns.renew()
            return await ask(node, reach, caller, dest, request, timeout)  # if it is alive still
        if value is not DECLINED:
            return value
    if due != inf or request.__class__ not in entrance.typed:
        del entrance
        return await _post(node, caller, target, request, due)
    waiter = Waiter()  # `of` and `wait`, written out: most asks come through here
    waiter.sender = None if caller is None else caller.pid
    waiter.payload = request
    waiter.callee = target
    waiter.answer = PENDING
    waiter.task = task = current_task()
    try:
        task.custom_sleep_data = waiter
        route = entrance.route
        if route is not None:
            waiter.at = node.hand.at
            route.append(waiter)
        else:
            node.delivered += 1
            if entrance.put(waiter):
                waiter.at = node.stamp()
        del entrance
        await sleep()
    except BaseException:
        waiter.abandon()
        raise
    if waiter.answer.__class__ is Failure:
        raise waiter.take_error()
    return waiter.answer


def _callee(node: Node, caller: Process | None, dest: str) -> Process:
    pid = operations.resolve(node, dest)
    if caller is not None:
        if pid == caller.pid:
            raise make_error(ErrorKind.INVALID, "a process cannot ask itself")
        operations.require(node, caller, "process.send", pid, dest)
    return operations.alive(node, pid)


def _due(node: Node, timeout: float | str | None) -> float:
    return inf if timeout is None else node.now() + duration_seconds(timeout)


@enable_ki_protection
async def _post(
    node: Node, caller: Process | None, target: Process, request: Any, due: float
) -> Any:
    """Asks with a timeout, or somebody whose code can keep the request."""
    await trio.lowlevel.checkpoint_if_cancelled()
    sender = None if caller is None else caller.pid
    if due == inf:
        waiter = Waiter().of(target, sender, request)
    else:
        waiter = TimedWaiter().of(target, sender, request)
        waiter.due = due
    message: Message = waiter
    if node.gate is not None or request.__class__ not in target.entrance.typed:
        message = Request(waiter, min(due, trio.current_effective_deadline()))
    node.delivered += 1
    try:
        node.post(sender, target, message)
        del message  # who drops the request is to be noticed
        return await _wait(waiter, due)
    except BaseException:
        waiter.abandon()
        raise


@enable_ki_protection
async def _wait(waiter: Waiter, due: float) -> Any:
    if due == inf:
        return await waiter.wait()
    timer = waiter.callee.node.clock.at(due, waiter.expired)
    try:
        return await waiter.wait()
    finally:
        timer.cancel()


def topic_of(message: object) -> str:
    """The topic of a typed message: the name of its class."""
    return type(message).__name__
