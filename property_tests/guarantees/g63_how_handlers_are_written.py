"""Guarantee 63: How a server's handlers are written changes nothing else."""

from __future__ import annotations

import logging
from typing import Any

import attrs
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

import trio_actors
from property_tests.guarantees.registry import guarantee
from property_tests.profiles import drawn
from trio_actors import (
    Ask,
    Host,
    Message,
    Node,
    Pid,
    ProcessConflict,
    ProcessError,
    Server,
    handles,
    open_node,
    sys,
)
from trio_actors._core.dispatch import SPARES, Dispatcher
from trio_actors._core.exit import LinkFailed, terminated
from trio_actors._core.serving import Migration

FEW = drawn(400)


LONG = 100_000  # seconds: what has not come by then never comes
TOO_LATE = -1


@attrs.frozen
class Get(Ask[int]):
    """Answered with its number, or refused."""

    number: int
    seen: list[Any]
    refuse: bool = False


class Plain(Server):
    """Stepped; what it does is noted in the list that each message brings along."""

    def init(self) -> None:
        self.begun = True

    @handles("number")
    def number(self, message: Message) -> None:
        number, seen = message.payload
        seen.append(number)

    @handles("stop")
    def end(self, message: Message) -> None:
        self.stop("stopped")

    @handles("oneself")
    def end_oneself(self, message: Message) -> None:
        self.ctx.terminate(self.ctx.pid)

    @handles(Get)
    def get(self, request: Get) -> int:
        return reply(request)

    def migrate(self, old_version: int, state: Any) -> None:
        assert state == "state"


class Quick(Server):
    """Its handlers are async, and wait for nothing."""

    seconds = 0

    async def wait(self) -> None:
        self.look()
        if self.seconds:
            await trio.sleep(self.seconds)
            self.look()

    def look(self) -> None:
        """Before and after each wait this is its own task, with the deadline of its end."""
        assert trio_actors.current() is self.ctx
        assert trio.current_effective_deadline() == self.ctx.process.deadline

    async def init(self) -> None:  # type: ignore[override]
        await self.wait()

    @handles("number")
    async def number(self, message: Message) -> None:
        await self.wait()
        number, seen = message.payload
        seen.append(number)
        await self.wait()

    @handles("stop")
    async def end(self, message: Message) -> None:
        await self.wait()
        self.stop("stopped")
        await self.wait()

    @handles("oneself")
    async def end_oneself(self, message: Message) -> None:
        self.ctx.terminate(self.ctx.pid)
        if self.seconds:
            try:
                await trio.sleep(self.seconds)
            except trio.Cancelled:  # its task may not be used again as it is
                return  # noqa: ASYNC104
            message.payload.append(TOO_LATE)

    @handles(Get)
    async def get(self, request: Get) -> int:
        await self.wait()
        value = reply(request)
        await self.wait()
        return value

    async def migrate(self, old_version: int, state: Any) -> None:  # type: ignore[override]
        await self.wait()
        assert state == "state"


class Slow(Quick):
    """They wait for a second before and after what they do."""

    seconds = 1


class Later(Slow):
    """Its `init` does not wait, so it has no task before its first message."""

    async def init(self) -> None:  # type: ignore[override]
        self.look()


def reply(request: Get) -> int:
    """What each of them does with a request."""
    if request.refuse:
        raise ProcessConflict("refused")
    request.seen.append(request.number)
    return request.number


@attrs.define(eq=False)
class Subject:
    """One server, and what can be seen of it."""

    pid: Pid
    seen: list[int] = attrs.field(factory=list)
    replies: dict[int, Any] = attrs.field(factory=dict)
    asked: list[int] = attrs.field(factory=list)
    exit: str = "none"
    over: int | None = None  # how much it had done when its end was decided

    def sent(self) -> list[int]:
        """What it has done for messages, in order; asks of several tasks come in any order."""
        return [number for number in self.seen if number not in self.asked]

    def outcome(self) -> tuple[Any, ...]:
        """All of it."""
        return self.sent(), sorted(self.seen), self.replies, self.exit


FORCED = {
    "terminate": "process terminated",
    "link": "linked process failed",
    "abandon": "given up",
    "limit": "cancel deadline exceeded",
}
STOPS = {"stop": "stopped", "cancel": "None", "oneself": "process terminated"}
# `step` may leave handlers waiting, `sleep` does; after `rest` nobody waits.
TIMED = ["step", "sleep", "limit"]
programs = st.lists(
    st.sampled_from(
        [*FORCED, *STOPS, *TIMED, "suspend", "resume", "upgrade", *4 * ["send", "ask", "rest"]]
    ),
    min_size=3,
    max_size=20,
)


@guarantee
def servers_with_any_handlers_are_alike() -> None:
    """TM2, M12, E40, U3, K6: and no task is left over, nothing is left to be stepped."""

    @FEW
    @given(program=programs)
    def test(program: list[str]) -> None:
        clock = trio.testing.MockClock(autojump_threshold=0)
        trio.run(_play, program, clock=clock)

    logger = logging.getLogger("trio_actors")
    disabled, logger.disabled = logger.disabled, True
    try:
        test()
    finally:
        logger.disabled = disabled


async def _play(program: list[str]) -> None:
    async with open_node() as node, node.open_host("app:h") as host, trio.open_nursery() as asking:
        subjects = {kind: [] for kind in (Plain, Quick, Slow, Later)}
        for kind, made in [*subjects.items(), *subjects.items()]:
            subject = Subject(await host.spawn(kind))
            node.processes[subject.pid].on_exit(_note(subject))
            made.append(subject)
        every = [subject for made in subjects.values() for subject in made]
        await trio.sleep(2)
        for number, act in enumerate(program):
            if act == "step":
                await trio.lowlevel.checkpoint()
            elif act == "sleep":
                await trio.sleep(1)
            elif act == "rest":
                await trio.sleep(100)
            for subject in every:
                if act == "ask":
                    subject.asked.append(number)
                    asking.start_soon(_ask, node, subject, number)
                elif subject.pid in node.processes:
                    _act(node, subject, act, number)
        await trio.sleep(100)
        for last in ("resume", "cancel"):
            for subject in every:
                if subject.pid in node.processes:
                    _act(node, subject, last, 0)
            await trio.sleep(100)
        stuck = [process.id for process in host.processes()]
        if stuck:
            host.abort()  # else its end would be waited for
        assert not stuck
        _nothing_is_left(host)
    _compare(program, subjects)


class Longer(Later):
    """Waits long enough for what is left of the one before to be noticed."""

    seconds = 4


@guarantee
def a_task_is_kept_for_later_or_ends() -> None:
    """TM2: a task for each server that has waited, used again as if it was a new one."""

    async def main() -> None:
        async with open_node() as node, node.open_host("app:h") as host:
            for count in (SPARES + 20, 10):
                for end, limited in (("stop", True), ("oneself", False), ("stop", False)):
                    before = _tasks(host)
                    seen, ends = list[int](), list[str]()
                    pids = [await host.spawn(Longer) for _ in range(count)]
                    await trio.sleep(2)
                    for pid in pids:
                        process = node.processes[pid]
                        process.on_exit(
                            lambda end, ends=ends: ends.append(str(end.error or end.value))
                        )
                        if limited:  # it ends before its deadline
                            process.limit(trio.current_time() + 30, node.control)
                        node.send(pid, "number", (1, seen))
                    await trio.sleep(5)
                    assert _tasks(host) >= count
                    if before > count:
                        assert _tasks(host) <= before
                    await trio.sleep(4)
                    for pid in pids:
                        node.send(pid, end, seen)
                    await trio.sleep(9)
                    assert ends == count * [STOPS[end]]
                    assert seen == count * [1]
                    assert _tasks(host) <= SPARES + 1

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def _note(subject: Subject) -> Any:
    def note(end: Any) -> None:
        assert subject.exit == "none"
        subject.exit = str(end.error or end.value)

    return note


async def _ask(node: Node, subject: Subject, number: int) -> None:
    try:
        request = Get(number, subject.seen, refuse=number % 4 == 3)
        with trio.move_on_after(LONG):
            subject.replies[number] = await node.ask(subject.pid, request)
    except ProcessConflict:
        subject.replies[number] = "refused"
    except ProcessError:
        subject.replies[number] = "failed"


def _act(node: Node, subject: Subject, act: str, number: int) -> None:
    pid, process = subject.pid, node.processes[subject.pid]
    match act:
        case "send":
            node.send(pid, "number", (number, subject.seen))
        case "stop" | "oneself":
            node.send(pid, act, subject.seen)
        case "cancel":
            node.cancel(pid)
        case "suspend":
            sys.suspend(node, pid)
        case "resume":
            sys.resume(node, pid)
        case "upgrade":
            process.upgrade = None, (Migration(1, "state"),)
            process.drive.interrupt()
        case "limit":
            process.limit(trio.current_time() + 2.5, node.control)
        case "abandon":
            node.abandon(process, "given up")
            process.host.zombies.clear()
        case "link":
            process.force(LinkFailed(node.control))
        case "terminate":
            process.force(terminated(node.control))
    if act in ("link", "terminate") and subject.over is None:
        subject.over = len(subject.seen)


def _tasks(host: Host) -> int:
    assert host._nursery is not None
    return len(host._nursery.child_tasks)


def _nothing_is_left(host: Host) -> None:
    """Everybody has ended, and carriers are there for the next one."""
    dispatcher = Dispatcher.of(host)
    assert (host.alive, list(dispatcher.ready), _tasks(host) <= SPARES + 1) == (
        0,
        [],
        True,
    )
    assert dispatcher.parked is not None


def _compare(program: list[str], subjects: dict[Any, list[Subject]]) -> None:
    plain, *others = (subject for made in subjects.values() for subject in made)
    # A checkpoint leaves some of what is asked unanswered, an interval what has to be waited for.
    alike = [] if "step" in program else others[:3] if {*TIMED} & {*program} else others
    for subject in alike:
        assert subject.outcome() == plain.outcome(), f"{subject.outcome()} {plain.outcome()}"
    allowed = _ends(program)
    for subject in (plain, *others):
        assert subject.exit in allowed
        assert subject.over in (None, len(subject.seen))
        assert subject.sent() == sorted(set(subject.sent()))
        assert sorted(subject.replies) == subject.asked
        given = {number for number, value in subject.replies.items() if isinstance(value, int)}
        assert all(subject.replies[number] == number for number in given)
        assert given <= set(subject.seen)
        if not {*FORCED, *STOPS} & {*program}:  # an upgrade drops what is in hand
            lost = [n for n, act in enumerate(program) if act == "send" and n not in subject.seen]
            assert len(lost) <= program.count("upgrade")


def _ends(program: list[str]) -> set[str]:
    """How a server may end, whatever it was doing."""
    found: set[str] = set()
    for number, act in enumerate(program):
        if act in STOPS:
            found.add(STOPS[act])
        elif act == "limit":
            found.add(FORCED[act])
        elif act in FORCED:
            given_up = {FORCED["abandon"]} if "abandon" in program[number:] else {}
            return {*found, FORCED[act], *given_up}
    return {*found, "None"}
