"""The loop of a supervisor: what happens becomes events, the plans of ``decide`` are carried out.

Rules: SU3-SU9, SU14, SU16, SU40 of the supervision specification. This file is the only one that
starts and stops children. Everything arrives through the mailbox, in the order of arrival: ends of
children (EXIT of its monitors), readiness, timers, requests, CANCEL.
"""

import traceback
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Any, ClassVar, Final, assert_never

import trio
from attrs import define, field

from supervision import state as s
from supervision.decide import decide
from supervision.mailbox import SupervisorMailbox
from supervision.promises import REQUEST, KeepsPromises
from supervision.reports import Record, reason_text, report, unheard
from supervision.specs import SupervisorSpec
from supervision.state import SupervisorState
from supervision.terms import ExitClass
from supervision.watchdog import WATCHDOG
from trio_actors import (
    Cause,
    CauseKind,
    ErrorKind,
    Event,
    EventKind,
    Exit,
    Message,
    Node,
    Pid,
    Process,
    ProcessContext,
    ProcessError,
    Shutdown,
    Target,
    as_process_error,
    make_error,
)
from trio_actors._core.clock import Timer
from trio_actors._core.exit import LinkFailed, terminated
from trio_actors._core.pid import CLOCK
from trio_actors._core.spawn import launch

GRACE: Final = 0.5  # seconds that a forced end may take before the child counts as a zombie

# Topics of the supervisor's own messages; user code cannot send to topics that begin with @.
READY: Final = "@ready"
WAKE: Final = "@wake"
LATE: Final = "@late"
LOST: Final = "@lost"
FAILED: Final = "@failed"


class TooManyRestarts(Shutdown):
    """A supervisor gave up (SU13). It ends with ``shutdown``; its links see UNAVAILABLE."""

    kind: ClassVar[ErrorKind] = ErrorKind.UNAVAILABLE


@define(eq=False)
class Runner:
    """Turns what happens into events, and carries out the plans."""

    ctx: ProcessContext
    process: Process
    mailbox: SupervisorMailbox
    state: SupervisorState
    nested: Callable[[SupervisorSpec], Target]  # what runs a definition inside another one
    node: Node = field(init=False)
    bound: float = inf  # no stop may last longer (SU7)
    end: s.End | None = None
    asked: bool = False  # to stop, by CANCEL
    processes: dict[int, Process] = field(factory=dict)
    keys: dict[Pid, int] = field(factory=dict)
    late: set[int] = field(factory=set)  # their start took too long
    limits: dict[int, float] = field(factory=dict)  # until when those that are asked to stop may
    left: dict[int, int] = field(factory=dict)  # processes below those that are overdue
    starts: dict[int, Timer] = field(factory=dict)  # when a start has taken too long
    ends: dict[int, Timer] = field(factory=dict)  # when who does not end is a zombie
    todo: deque[s.Event] = field(factory=deque)
    exits: dict[int, Exit] = field(factory=dict)  # of the event being handled

    def __attrs_post_init__(self) -> None:
        self.node = self.process.node

    async def until_end(self) -> None:
        """Work until the supervisor has nothing left to do."""
        while self.end is None:
            self.take(await self.mailbox.get())

    async def end_all(self) -> None:
        """Without asking and without order: end the children, and wait until they are gone."""
        for process in self.processes.values():
            process.force(terminated(self.process.pid))
        with trio.move_on_after(GRACE):
            while not all(process.ended for process in self.processes.values()):
                await self.mailbox.get()
        for process in self.processes.values():
            WATCHDOG.met(process.pid)
            if not process.ended:
                self.node.abandon(process, "could not be stopped")

    def leave(self) -> None:
        """End the process as it was decided (SU4, SU13, SU30)."""
        end = self.end
        assert end is not None
        if end.pid is not None and not self.asked:
            self.process.reason = Cause(self.why(end), Pid(end.pid))
        if end.error is not None:
            raise _start_error(end)
        if self.asked:
            return
        if self.state.gave_up:
            raise TooManyRestarts(end.reason)
        raise Shutdown(end.reason)

    def why(self, end: s.End) -> CauseKind:
        """The kind of an end that was decided here (SU42)."""
        if end.error is not None:
            return CauseKind.CHILD
        return CauseKind.INTENSITY if self.state.gave_up else CauseKind.SIGNIFICANT

    # ---- what happens ----------------------------------------------------------------------------

    def take(self, item: Message | Event) -> None:
        """One item of the queue."""
        if isinstance(item, Event):
            if item.kind is EventKind.EXIT:
                self.on_exit(item)
            elif item.kind is EventKind.CANCEL:
                self.asked = True
                self.feed(s.Stop())
                self.hurry()
            elif item.kind is EventKind.LINK_DOWN and item.sender == self.process.parent:
                self.process.force(LinkFailed(item.sender))  # who started it is no stranger
        elif item.topic == REQUEST:
            self.feed(item.payload)
        elif item.topic == WAKE:
            self.feed(s.Again(item.payload))
        elif item.topic == FAILED:
            self.feed(s.StartFailed(*item.payload))
        elif item.topic in (READY, LATE, LOST):
            process: Process
            key, process = item.payload
            if self.keys.get(process.pid) == key:
                _TIMELY[item.topic](self, key, process)

    def on_exit(self, event: Event) -> None:
        """A child has ended; strangers are ignored (SU16)."""
        key = self.keys.pop(event.sender, None)
        if key is None:
            return
        self.forget(key, event.sender)
        assert event.result is not None
        exit = self.node.exits.exit_of(event.sender)
        if exit is None:  # so many have ended meanwhile
            exit = Exit(event.result.value, event.result.error)
        self.exits[key] = exit
        if key in self.late:
            self.late.discard(key)
            timeout = make_error(ErrorKind.TIMEOUT, "start timeout", retryable=None)
            self.feed(s.Ended(key, ExitClass.ABNORMAL, timeout, pid=event.sender))
        else:
            error = exit.error or _early(self.state, key)
            final = exit.cause.kind is CauseKind.OUTSIDE
            exit_class = _class_of(exit, self.node.control)
            self.feed(s.Ended(key, exit_class, error, final, event.sender))
        self.exits.pop(key, None)

    def on_ready(self, key: int, process: Process) -> None:
        """The child has signalled that it is started."""
        if process.readiness is not None:
            process.readiness = None
            self.starts.pop(key).cancel()
            self.feed(s.Started(key, process.pid))

    def on_late(self, key: int, process: Process) -> None:
        """The child's start takes too long: end it."""
        if process.readiness is not None:
            self.late.add(key)
            process.force(terminated(self.process.pid))
            unwinds = process.host.drain if signals_readiness(process) else 0.0  # SU7
            self.expect_end(key, process, self.node.now() + unwinds)

    def on_lost(self, key: int, process: Process) -> None:
        """The child cannot be stopped (SU8); a supervisor may still be giving up its own."""
        if process.ended:
            return  # just now: its EXIT is on the way
        left = sum(below(process))
        if left and left < self.left.get(key, inf):
            self.left[key] = left
            self.expect_end(key, process, self.node.now())
            return
        del self.keys[process.pid]
        self.forget(key, process.pid)
        self.late.discard(key)
        self.feed(s.Lost(key, where(process)))
        self.node.abandon(process, "could not be stopped")

    def forget(self, key: int, pid: Pid) -> None:
        """The process of a child is gone, and what was expected of it too."""
        del self.processes[key]
        for timers in (self.starts, self.ends):
            if key in timers:
                timers.pop(key).cancel()
        if self.limits or self.left:
            self.limits.pop(key, None)
            self.left.pop(key, None)
        WATCHDOG.met(pid)

    # ---- what is to be done ----------------------------------------------------------------------

    def feed(self, event: s.Event) -> None:
        """Decide and act, until there is nothing to do but wait."""
        now, state, todo = self.node.now(), self.state, self.todo  # one moment for all of it
        state.unheard = unheard()
        todo.append(event)
        while todo:
            for action in decide(state, todo.popleft(), now):
                self.act(action)

    def act(self, action: s.Action) -> None:
        """Carry out one action."""
        match action:  # the most frequent ones first
            case s.Report():
                self.report(action)
            case s.Launch():
                self.launch(action.key)
            case s.Halt():
                self.halt(action.key, action.because)
            case s.Wake():
                self.at(action.at, WAKE, action.key)
            case s.Reply():
                action.token.answer(action.value)
            case s.Refuse():
                action.token.refuse(action.error)
            case s.Ready():
                self.ctx.started()
            case s.End():
                self.end = action
            case _:
                assert_never(action)

    def launch(self, key: int) -> None:
        """Start a child's process; what becomes of it arrives as an event."""
        record = self.state.children[key]
        spec, node = record.spec, self.node
        target = spec.target
        if isinstance(target, SupervisorSpec):
            target = self.nested(target)
        try:
            process = launch(
                node,
                target,
                (*spec.args, *record.args),
                host=spec.host or self.process.host,
                parent=self.process,
                monitor=True,
                inherited=self.process.inherited,
            )
        except Exception as exc:  # through the queue: a start that fails at once lets others in
            final = self.process.host.state != "running"
            self.mailbox.put(Message(FAILED, None, (key, as_process_error(exc), final)))
            return
        process.guardian = self.process
        self.processes[key] = process
        self.keys[process.pid] = key
        if not (spec.ready or signals_readiness(process)):
            self.todo.append(s.Started(key, process.pid))
            return
        ready = Message(READY, process.pid, (key, process))
        process.readiness = lambda _value: node.post(process.pid, self.process, ready)
        self.starts[key] = self.at(node.now() + spec.start_timeout, LATE, (key, process))

    def halt(self, key: int, because: str | None = None) -> None:
        """Ask the child to stop within its limit (SU5), or end it at once.

        It may have been asked before: then only an earlier limit is told to it.
        """
        process, spec = self.processes.get(key), self.state.children[key].spec
        if process is None or process.ended:
            return  # its EXIT is on the way
        node, limit = self.node, spec.stop_limit
        now = node.now()
        until = min(inf if limit is None else now + limit, self.bound, self.process.deadline)
        if key in self.limits and until >= self.limits[key]:
            return
        self.limits[key] = until
        if process.reason is None:  # SU42
            if because is None and self.state.phase is s.Phase.STOPPING:
                because = self.process.pid
            cause = because and Pid(because)
            process.reason = Cause(CauseKind.ASKED, self.process.pid, cause or None)
        if until <= now:
            process.force(terminated(self.process.pid))
            process.limit(now, self.process.pid)  # children of its own have no time either
        else:
            node.request_cancel(process, self.process.pid, until)
        if until < inf:
            self.expect_end(key, process, max(until, now))

    def hurry(self) -> None:
        """The time to stop may be shorter than it was: tell those that are stopping (K7, SU7)."""
        for key in list(self.limits):
            self.halt(key)

    def expect_end(self, key: int, process: Process, until: float) -> None:
        """The child has to be gone soon after ``until``, or it is a zombie (SU8).

        Who waits for a zombie is none: a supervisor is given more time than its children.
        """
        due = until + GRACE * (1 + len(below(process)))
        known = self.ends.get(key)
        if known is not None and known.pending:
            if known.due <= due:
                return
            known.cancel()
        self.ends[key] = self.at(due, LOST, (key, process))
        seconds = due - self.node.now()
        what = f"{process.pid} ({process.id}) does not stop"
        WATCHDOG.expect(process.pid, seconds, what)

    def at(self, due: float, topic: str, payload: Any) -> Timer:
        """A message to the supervisor itself at a time of Trio's clock (TS2)."""
        node, message = self.node, Message(topic, CLOCK, payload)
        return node.clock.at(due, lambda: node.post(CLOCK, self.process, message))

    def report(self, action: s.Report) -> None:
        """SU40."""
        exit = self.exits.get(action.key)
        reason = action.reason if action.kind is not s.ReportKind.STOPPED else None
        record = Record(
            action.kind,
            self.process.pid,
            action.child,
            action.pid,
            reason_text(reason),
            action.restarts,
            action.delay,
        )
        report(record, logged=exit is not None and exit.logged)


_TIMELY: Final[dict[str, Callable[[Runner, int, Process], None]]] = {
    READY: Runner.on_ready,
    LATE: Runner.on_late,
    LOST: Runner.on_lost,
}


def signals_readiness(process: Process) -> bool:
    """Supervisors always do, also those that are named by a registry id."""
    return bool(getattr(process.target, "signals_readiness", False))


def below(process: Process) -> list[int]:
    """How many processes there are on each level below a supervisor; none for any other process."""
    counts: list[int] = []
    level = [process]
    while True:
        bodies = [getattr(one.drive, "body", None) for one in level]
        runners = [one.runner for one in bodies if isinstance(one, KeepsPromises)]
        level = [child for one in runners if one for child in one.processes.values()]
        if not level:
            return counts
        counts.append(len(level))


def _class_of(exit: Exit, control: Pid) -> ExitClass:
    out_of_time = exit.cause.kind is CauseKind.DEADLINE and exit.cause.by == control
    if exit.shutdown or out_of_time:  # the host's stop took all the time there was
        return ExitClass.SHUTDOWN
    return ExitClass.ABNORMAL if exit.abnormal else ExitClass.NORMAL


def _early(state: SupervisorState, key: int) -> ProcessError | None:
    """What a normal end before readiness is called (SU3)."""
    record = state.children.get(key)
    if record is None or record.state is not s.ChildState.STARTING:
        return None
    return make_error(ErrorKind.UNAVAILABLE, "ended before it was ready", retryable=None)


def _start_error(end: s.End) -> ProcessError:
    """The error of a supervisor whose child did not start: names it and carries its error (SU4)."""
    error = end.error if isinstance(end.error, ProcessError) else as_process_error(end.error)
    return make_error(
        error.kind or ErrorKind.INTERNAL,
        f"{end.reason}: {error.message}",
        retryable=error.retryable,
        details={**(error.details or {}), "child": end.child},
    )


def where(process: Process) -> str:
    """The stack of a process's code that waits, as text; else what it does in a word."""
    summary = traceback.StackSummary.extract(process.drive.frames())
    return "\n" + "".join(summary.format()).rstrip() if summary else process.doing()
