"""Processes that run as a Trio task each: the task, its cancel scope, and what its end means.

The theory: a forced end or an upgrade is decided first (`Process.forced`, `Process.upgrade`), then
the scope is cancelled; when the code has unwound, `judge` reads the decision and the exception and
gives the exit. Trio's own cancellation from outside is never swallowed: it is re-raised bare.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from math import inf
from types import FrameType
from typing import TYPE_CHECKING, Any

import trio

from trio_actors._core.bounded import Entrance
from trio_actors._core.current import running
from trio_actors._core.drive import MailboxOnly
from trio_actors._core.errors import (
    FATAL,
    ProcessError,
    Shutdown,
    as_process_error,
    fresh,
    leaves,
    make_error,
)
from trio_actors._core.exit import (
    NOTHING,
    Cause,
    CauseKind,
    Exit,
    cancelled_outside,
    deadline_exceeded,
    upgrade_failed,
)
from trio_actors._core.lifecycle import BEGIN, ENDED, Step
from trio_actors._core.mailbox import PythonMailbox
from trio_actors._core.message import Message, copy_value, since
from trio_actors._core.migration import handed_on

if TYPE_CHECKING:
    from trio_actors._core.code import Body, TaskBody
    from trio_actors._core.process import Process

logger = logging.getLogger("trio_actors.process")


class TaskDrive(MailboxOnly):
    """Runs a `TaskBody` as one task of the host's nursery."""

    __slots__ = ("body", "process", "scope", "task")

    process: Process
    body: TaskBody | None
    scope: trio.CancelScope | None  # from the first step on
    task: trio.lowlevel.Task | None  # to look into a stuck program (sys.py)

    def __init__(self, process: Process, body: TaskBody) -> None:
        self.process = process
        self.body = body
        self.scope = self.task = None

    def start(self) -> None:
        """Starts the task."""
        process = self.process
        process.host.start_soon(self._run, process.target.id)

    def interrupt(self) -> None:
        """Cancels the scope; the next receive is a checkpoint even if messages are there."""
        process = self.process
        if isinstance(process.mailbox, PythonMailbox):
            process.mailbox.stop()
        if self.body is not None:
            self.body.interrupted()
        if self.scope is not None:
            forced = process.forced
            self.scope.cancel(reason=forced.message if forced else "upgrade")

    def limit(self, deadline: float) -> None:
        """The scope's deadline is the process's (K6)."""
        if self.scope is not None:
            self.scope.deadline = deadline

    def frames(self) -> Iterator[tuple[FrameType, int]]:
        """Where the task waits."""
        return self.task.iter_await_frames() if self.task is not None else iter(())

    def doing(self) -> str:
        """`idle` while a task waits for messages, else `blocked` (whoever asks is running)."""
        mailbox = self.process.mailbox
        return "idle" if isinstance(mailbox, PythonMailbox) and mailbox.idle() else "blocked"

    async def _run(self) -> None:
        """One coroutine, not several: each frame of an idle process costs 0.3 KB."""
        process = self.process
        context = process.context
        running.set(context)
        self.task = trio.lowlevel.current_task()
        value: Any = None
        error: BaseException | None = None
        if process.forced is None and process.state is not ENDED:  # given up before it began
            process.step(BEGIN)
            assert self.body is not None
            # Made only now: until then it would be one more object for the garbage collector.
            self.scope = trio.CancelScope()
            if process.deadline != inf:
                self.scope.deadline = process.deadline
            try:
                with self.scope:
                    value = await self.body.run(context)
            except BaseException as exc:  # noqa: ASYNC103  judge() says what goes on outwards
                error = exc
        if process.rare is not None:
            error = await unwound(process, error)
        self.body = self.task = None
        try:
            conclude(process, value, error)
        finally:
            del error  # this frame is in its traceback: a cycle


async def unwound(process: Process, error: BaseException | None) -> BaseException | None:
    """What the process has started unwinds before its end is judged: until then it is alive (TM3).

    Returns the error of its code, or else the first of its child tasks.
    """
    if process.calls is not None:
        await process.calls.finish()
    if process.tasks is not None:
        failed = await process.tasks.finish()
        if error is None:
            return failed
    return error


def conclude(process: Process, value: Any, error: BaseException | None) -> None:
    """Carries out what the end of code means: the exit of its process, or an upgrade.

    Raises what must go on outwards.
    """
    end, outwards = judge(process, value, error)
    del error  # this frame is in its traceback: a cycle
    if process.ended:  # given up meanwhile
        end = None
    elif end is None:
        end = replace_code(process)
        if end is None:
            if process.deadline != inf:
                process.drive.limit(process.deadline)
            process.drive.start()
    if outwards is not None and stops_the_host(process, outwards):
        outwards = None
    if end is not None:
        process.node.end(process, end)
    if outwards is not None:
        try:
            raise outwards
        finally:
            del outwards


def replace_code(process: Process) -> Exit | None:
    """Puts the new code in place of the old (U1-U6): target, mailbox, drive; or the exit of E35.

    Unread messages and events are in the new mailbox, in arrival order; nothing runs yet.
    """
    assert process.upgrade is not None
    wanted, args = process.upgrade
    process.upgrade = None
    process.step(Step.UPGRADE)
    try:
        target = process.target if wanted is None else process.node.resolve_target(wanted)
        args = handed_on(args, target)
        if process.host.copy_messages:  # M26
            args = copy_value(args, "an argument")
        body: Body = target.prepare(process.host, args)
    except ProcessError as reason:
        return upgrade_failed(reason)
    except Exception as exc:
        return upgrade_failed(as_process_error(exc))
    if process.timers is not None:  # U4
        process.timers.cancel_all()
    unread = process.mailbox.drain()
    process.target = target
    process.trap_links = False
    process.upgradable = False
    process.mailbox = body.make_mailbox(process)
    process.drive = body.attach(process)
    for item in unread:
        if isinstance(item, Message):
            at = since(item)
            try:
                process.mailbox.put(item)
                if at is not None:  # it has not become younger
                    item.at = at
            except ProcessError as refusal:  # it cannot cross into the new code's language (M27)
                process.node.dead_letters.add(process.pid, item, refusal.message)
        else:
            process.mailbox.put_event(item)
    if not (isinstance(process.entrance, Entrance) and process.entrance.moved()):
        process.entrance = process.mailbox
    return None


def judge(
    process: Process, value: Any, error: BaseException | None
) -> tuple[Exit | None, BaseException | None]:
    """What the end of the code means (§1.5): the exit, and an exception that must go on outwards.

    The exit is None if the code was stopped for an upgrade, which is then to be carried out.
    """
    if error is None and value is None and process.rare is None and process.upgrade is None:
        return process.forced or NOTHING, None  # what judging would come to
    undisturbed = process.forced is None and process.upgrade is None and process.deadline == inf
    if undisturbed:
        if error is None:
            return Exit(value), None
        if isinstance(error, ProcessError):  # the usual failure, without what groups need
            return _failed(process, error, [error]), None
    parts = leaves(error) if error is not None else []
    cancelled = [part for part in parts if isinstance(part, trio.Cancelled)]
    failures = [p for p in parts if isinstance(p, Exception) and not isinstance(p, FATAL)]
    fatal = [p for p in parts if _is_fatal(p)]
    outwards: BaseException | None = None
    if fatal:  # E38
        outwards = fatal[0] if len(fatal) == 1 else BaseExceptionGroup("fatal", fatal)
    elif cancelled:
        outwards = error if not failures else BaseExceptionGroup("cancelled", cancelled)
    forced = process.forced
    if forced is None and process.deadline <= trio.current_time():  # K6, also if nobody noticed
        forced = deadline_exceeded(process.deadline_by)
    if forced is not None:
        if failures:
            _log(process, "raised while it was being ended", failures[0])
        elif value is not None:
            logger.info(
                "process %s (%s) returned while it was being ended", process.pid, process.id
            )
        return forced, outwards
    if failures:
        return _failed(process, error, failures), outwards
    if outwards is not None:  # E37; for E38 watchers are told the same: its end came from outside
        return cancelled_outside(), outwards
    if process.upgrade is not None:
        return None, None
    return Exit(value), None


def _is_fatal(exc: BaseException) -> bool:
    """E38, and whatever else is neither an Exception nor Trio's cancellation."""
    return isinstance(exc, FATAL) or not isinstance(exc, (Exception, trio.Cancelled))


def stops_the_host(process: Process, exc: BaseException) -> bool:
    """E38 leaves the host at once and lets the other processes stop in order (SU9).

    Called before the end is told, so that who watches knows that the host stops. False for Trio's
    own cancellation, and for a broken Trio, with which nothing can be stopped in order any more.
    """
    parts = leaves(exc)
    if any(isinstance(p, trio.TrioInternalError) for p in parts) or not any(map(_is_fatal, parts)):
        return False
    process.host.fail(exc)
    return True


def _failed(process: Process, error: BaseException | None, failures: list[Exception]) -> Exit:
    first = failures[0]
    if process.upgrade is not None:  # PY11: the old code would not unwind
        return upgrade_failed(as_process_error(first))
    if isinstance(first, Shutdown):  # SU10: asked for; an error only so that links are told
        text = f"shutdown: {first.detail}" if first.detail else "shutdown"
        reason = make_error(first.kind, text, retryable=None)
        return Exit(None, reason, Cause(CauseKind.RETURNED), shutdown=True)
    whole: BaseException = first if len(failures) == 1 else ExceptionGroup("failed", failures)
    reported = whole if isinstance(whole, ProcessError) else as_process_error(whole)
    kept = fresh(reported)  # the raised one would keep the frames of its traceback alive
    kept.stack = reported.stack
    exit = Exit.failed(kept)
    exit.logged = reported.stack is not None  # a script's failure is logged by who runs scripts
    if not isinstance(first, ProcessError):
        _log(process, "failed", first)
        exit.logged = True
    return exit


def _log(process: Process, what: str, exc: BaseException) -> None:
    logger.error(
        "process %s (%s) %s: %s",
        process.pid,
        process.id,
        what,
        exc,
        exc_info=exc,
        extra={"pid": process.pid, "entry": process.id},
    )
