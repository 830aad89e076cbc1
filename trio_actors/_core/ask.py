"""Requests and replies: an ask ends in exactly one of reply, callee's end, or timeout.

A request is a message that can be answered once. Its waiter is in one of three states (pending,
answered, abandoned), and only pending ones are ever woken: a late reply finds nobody and harms
nobody. A request that nobody keeps any more and nobody answered says so to its caller.

An ask needs no cancel scope: its timeout is a timer of the node, armed only if it has to wait.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import outcome
import trio

from trio_actors._core import operations
from trio_actors._core.drive import DECLINED
from trio_actors._core.duration import duration_seconds
from trio_actors._core.errors import ErrorKind, ProcessError, fresh, make_error
from trio_actors._core.exit import Exit
from trio_actors._core.message import Message
from trio_actors._core.pid import Pid
from trio_actors._core.wake import Given

if TYPE_CHECKING:
    from trio_actors._core.clock import Timer
    from trio_actors._core.node import Node
    from trio_actors._core.process import Process

ReplyT = TypeVar("ReplyT")
ReplyT_co = TypeVar("ReplyT_co", covariant=True)


class Ask(Generic[ReplyT_co]):
    """Base of message classes that are answered: `class Get(Ask[int])` is answered by an int."""

    __slots__ = ()


class Request(Message):
    """A message that waits for its answer."""

    __slots__ = ("__weakref__", "_waiter", "deadline")

    def __init__(
        self, topic: str, sender: Pid | None, payload: Any, waiter: Waiter, deadline: float
    ) -> None:
        self.topic = topic
        self.sender = sender
        self.payload = payload
        self._waiter: Waiter | None = waiter
        self.deadline = deadline  # of the caller, on Trio's clock

    @property
    def wanted(self) -> bool:
        """False once answered, abandoned or expired: a server skips such a request."""
        waiter = self._waiter
        if waiter is None or not waiter.pending:
            return False
        return self.deadline == inf or trio.current_time() < self.deadline

    def reply(self, value: Any) -> bool:
        """Answers; False if the caller no longer waits. Only the first answer counts."""
        waiter, self._waiter = self._waiter, None
        return waiter is not None and waiter.answer(Given(value), self.sender)

    def fail(self, error: ProcessError) -> bool:
        """Answers with an error, which the ask raises; False if the caller no longer waits."""
        waiter, self._waiter = self._waiter, None
        return waiter is not None and waiter.answer(outcome.Error(fresh(error)), self.sender)

    def __del__(self) -> None:
        waiter = self._waiter
        if waiter is not None and waiter.pending:
            text = f"request {self.topic} was dropped without a reply"
            waiter.wake(outcome.Error(make_error(ErrorKind.UNAVAILABLE, text, retryable=None)))


Answer = Given | outcome.Error


class Waiter:
    """The caller's side of one ask: pending until the first thing wakes it."""

    __slots__ = ("_answer", "_task", "_timer", "callee", "pending")

    def __init__(self, callee: Process) -> None:
        self.callee = callee
        self.pending = True
        self._task: trio.lowlevel.Task | None = None
        self._timer: Timer | None = None
        self._answer: Answer | None = None  # came before the caller began to wait
        callee.on_exit(self.ended)

    def answer(self, answer: Answer, caller: Pid | None) -> bool:
        """The callee answers; in a simulation the answer travels like a message (TS1)."""
        gate = self.callee.node.gate
        if gate is None or not self.pending:
            return self.wake(answer)
        self.callee.forget(self.ended)  # its end cannot overtake its answer
        gate.reply(self.callee, caller, lambda: self.wake(answer))
        return True

    def wake(self, answer: Answer) -> bool:
        """Resumes the caller with the answer, once."""
        if not self.pending:
            return False
        self._settle()
        if self._task is None:
            self._answer = answer
        else:
            trio.lowlevel.reschedule(self._task, answer)
        return True

    def _settle(self) -> None:
        self.pending = False
        if self._timer is not None:
            self._timer.cancel()
        self.callee.forget(self.ended)

    def ended(self, exit: Exit) -> None:
        """The callee ended first."""
        self.wake(outcome.Error(ended_error(self.callee, exit)))

    def expired(self) -> None:
        """The timeout came first."""
        text = f"no reply from {self.callee.pid} in time"
        self.wake(outcome.Error(make_error(ErrorKind.TIMEOUT, text, retryable=None)))

    def abandon(self) -> None:
        """The caller no longer waits: a server skips the request."""
        if self.pending:
            self._settle()

    async def wait(self, timeout: float | str | None) -> Any:
        """The answer. Checkpoint: always."""
        if self._answer is not None:
            await trio.lowlevel.checkpoint()
            return self._answer.unwrap()
        if timeout is not None:
            node = self.callee.node
            self._timer = node.clock.at(node.now() + duration_seconds(timeout), self.expired)
        self._task = trio.lowlevel.current_task()

        def give_up(_: Any) -> trio.lowlevel.Abort:
            self.abandon()
            return trio.lowlevel.Abort.SUCCEEDED

        return await trio.lowlevel.wait_task_rescheduled(give_up)


def ended_error(callee: Process, exit: Exit) -> ProcessError:
    """What an ask raises when the callee ends without having answered."""
    reason = exit.error.message if exit.error is not None else "ended normally"
    return make_error(
        ErrorKind.UNAVAILABLE,
        f"{callee.pid} ended before it replied: {reason}",
        retryable=None,
        details={"pid": callee.pid, "reason": reason},
    )


async def ask(
    node: Node,
    caller: Process | None,
    dest: str,
    request: Any,
    timeout: float | str | None = None,
) -> Any:
    """Sends a request to a PID or name and waits for the answer.

    Checkpoint: when it waits; an idle server may answer in this very turn, then at least every
    32 asks or 1 ms.

    Raises:
        ProcessNotFound: no such process. ProcessInvalid: a process asked itself.
        ProcessUnavailable: it ended, or dropped the request, without an answer.
        ProcessTimeout: no answer within `timeout` (seconds or text). An error that the callee
        answered with is raised as it is.
    """
    target = node.processes.get(Pid(dest))
    if target is None or caller is not None:
        try:
            target = _callee(node, caller, dest)
        except ProcessError:
            await trio.lowlevel.checkpoint()  # noqa: ASYNC120
            raise
    drive = target.drive
    if drive.direct and node.gate is None and node.turns.take():
        value = drive.answer_now(request, caller)
        if value.__class__ is Waiter:
            return await value.wait(timeout)
        if value is not DECLINED:
            return value
    await trio.lowlevel.checkpoint_if_cancelled()
    waiter = _post(node, caller, target, request, timeout)
    try:
        return await waiter.wait(timeout)
    finally:
        node.turns.renew()


def _callee(node: Node, caller: Process | None, dest: str) -> Process:
    pid = operations.resolve(node, dest)
    if caller is not None:
        if pid == caller.pid:
            raise make_error(ErrorKind.INVALID, "a process cannot ask itself")
        if node.strict or caller.inherited.actor is not None:
            operations.require(node, caller, "process.send", pid, dest)
    return operations.alive(node, pid)


def _post(
    node: Node, caller: Process | None, target: Process, request: Any, timeout: float | str | None
) -> Waiter:
    """Puts the request into the mailbox; its caller's effective deadline travels with it."""
    deadline = trio.current_effective_deadline()
    if timeout is not None:
        deadline = min(deadline, node.now() + duration_seconds(timeout))
    waiter = Waiter(target)
    sender = None if caller is None else caller.pid
    node.delivered += 1
    try:
        node.post(sender, target, Request(topic_of(request), sender, request, waiter, deadline))
    except BaseException:
        waiter.abandon()
        raise
    return waiter


def topic_of(message: object) -> str:
    """The topic of a typed message: the name of its class."""
    return type(message).__name__
