"""Asks, where the two ways in which a request travels could differ: as itself, or as a Request."""

from __future__ import annotations

import functools
import gc
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from math import inf
from typing import Any

import attrs
import pytest
import trio

import trio_actors
from trio_actors import (
    Ask,
    Bounded,
    Host,
    Message,
    ProcessContext,
    ProcessTimeout,
    ProcessUnavailable,
    Request,
    Server,
    handles,
)
from trio_actors._core import pace
from trio_actors._core.dormant import Dormant
from trio_actors._core.serving import may_defer


@attrs.frozen
class Get(Ask[int]):
    """Answered with a number."""


@attrs.frozen
class More(Get):
    """A subclass, taken by the same handler."""


@attrs.frozen
class Later(Ask[int]):
    """Deferred."""


@attrs.frozen
class Wait(Ask[int]):
    """Answered after so many seconds."""

    seconds: float


class Plain(Server):
    """Typed handlers, none of which defers."""

    def init(self) -> None:
        self.begun = 0

    @handles(Get)
    def get(self, request: Get) -> int:
        self.begun += 1
        return 1


class Awaiting(Plain):
    """The same with a task of its own."""

    @handles(Wait)
    async def wait(self, request: Wait) -> int:
        self.begun += 1
        await trio.sleep(request.seconds)
        return 2


class Deferring(Server):
    """Keeps requests."""

    def init(self) -> None:
        self.kept: list[Request] = []

    @handles(Later)
    def later(self, request: Later) -> None:
        self.kept.append(self.defer())

    @handles(Get)
    def get(self, request: Get) -> int:
        return len(self.kept)


class DeferringAwaiting(Deferring):
    """The same with a task of its own."""

    @handles(Wait)
    async def wait(self, request: Wait) -> int:
        return 0


both = pytest.mark.parametrize("server", [Plain, Awaiting])
both_deferring = pytest.mark.parametrize("server", [Deferring, DeferringAwaiting])


def object_of(host: Host, pid: str) -> Any:
    """The server object of a process."""
    mailbox: Any = host.node.processes[pid].mailbox
    return mailbox.server


def busy(host: Host, pid: str) -> None:
    """Keeps a server from answering before the others have run."""
    trio_actors.sys.suspend(host.node, pid)


def free(host: Host, pid: str) -> None:
    """Lets it go on."""
    trio_actors.sys.resume(host.node, pid)


# -- deadlines travel


@both_deferring
async def test_a_deferred_request_names_its_sender(host: Host, server: type[Server]) -> None:
    """However it came."""
    pid = await host.spawn(server, ready=True)

    async def client(ctx: ProcessContext) -> None:
        await ctx.ask(pid, Later())

    sender = await host.spawn(client)
    await trio.testing.wait_all_tasks_blocked()
    [request] = object_of(host, pid).kept
    assert (request.sender, request.topic, request.payload) == (sender, "Later", Later())


@both_deferring
async def test_the_callers_effective_deadline_goes_with_a_deferred_request(
    host: Host, server: type[Server], autojump_clock: trio.testing.MockClock
) -> None:
    """The earliest of the scopes around the caller and of the timeout."""
    pid = await host.spawn(server, ready=True)
    for scope, timeout, expected in [(3.0, None, 3.0), (9.0, 4.0, 4.0), (2.0, 4.0, 2.0)]:
        began = trio.current_time()
        with pytest.raises(ProcessTimeout) if timeout == expected else trio.move_on_after(scope):
            with trio.move_on_after(scope):
                await host.node.ask(pid, Later(), timeout=timeout)
        [request] = object_of(host, pid).kept
        assert request.deadline == began + expected
        assert not request.wanted
        object_of(host, pid).kept.clear()


async def test_the_deadline_goes_to_code_that_reads_its_inbox(
    host: Host, autojump_clock: trio.testing.MockClock
) -> None:
    """A process of its own gets the Request itself."""

    async def reader(ctx: ProcessContext) -> None:
        request = await ctx.receive()
        assert isinstance(request, Request)
        request.reply(request.deadline)

    pid = await host.spawn(reader)
    with trio.move_on_after(7):
        assert await host.node.ask(pid, Get()) == trio.current_time() + 7


async def test_the_deadline_goes_to_the_handler_of_a_topic(
    host: Host, autojump_clock: trio.testing.MockClock
) -> None:
    """It gets the Request too."""

    class ByTopic(Server):
        @handles("Get")
        def get(self, request: Request) -> float:
            return request.deadline

    pid = await host.spawn(ByTopic)
    with trio.move_on_after(7):
        assert await host.node.ask(pid, Get()) == trio.current_time() + 7


@both
async def test_a_request_that_has_expired_is_skipped(
    host: Host, server: type[Plain], autojump_clock: trio.testing.MockClock
) -> None:
    """Whether a scope around the caller has expired, or the timeout of the ask."""
    pid = await host.spawn(server, ready=True)
    busy(host, pid)
    with trio.move_on_after(1):
        await host.node.ask(pid, Get())
    with pytest.raises(ProcessTimeout):
        await host.node.ask(pid, Get(), timeout=1)
    free(host, pid)
    assert await host.node.ask(pid, More()) == 1
    assert object_of(host, pid).begun == 1


async def test_at_the_very_moment_of_its_timeout_a_request_is_not_begun(
    host: Host, autojump_clock: trio.testing.MockClock
) -> None:
    """Whether the timer or the server comes first in that moment makes no difference."""
    pid = await host.spawn(Awaiting, ready=True)
    node = host.node
    for _ in range(20):
        begun = object_of(host, pid).begun
        async with trio.open_nursery() as nursery:
            nursery.start_soon(node.ask, pid, Wait(5))
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(ProcessTimeout):
                await node.ask(pid, Wait(1), timeout=5)
        await trio.sleep(10)
        assert object_of(host, pid).begun == begun + 1


async def test_a_cancelled_caller_sends_nothing_to_code_that_keeps_requests(host: Host) -> None:
    """It would only be dropped."""
    pid = await host.spawn(Deferring, ready=True)
    busy(host, pid)
    delivered = host.node.delivered
    with trio.CancelScope() as scope:
        scope.cancel()
        await host.node.ask(pid, Later())
    assert host.node.delivered == delivered


@both
async def test_a_cancelled_caller_costs_the_server_nothing(host: Host, server: type[Plain]) -> None:
    """What it has sent is abandoned before anybody can take it."""
    pid = await host.spawn(server, ready=True)
    busy(host, pid)
    with trio.CancelScope() as scope:
        scope.cancel()
        await host.node.ask(pid, Get())
    assert scope.cancelled_caught
    free(host, pid)
    await host.node.ask(pid, Get())
    assert object_of(host, pid).begun == 1


async def by_iteration(ctx: ProcessContext) -> list[int]:
    return [message.payload.number async for message in ctx.messages()]


async def nowait(ctx: ProcessContext) -> list[int]:
    inbox, seen = ctx.inbox, []
    while True:
        try:
            seen.append(inbox.receive_nowait().payload.number)
        except trio.WouldBlock:
            return seen


async def by_many(ctx: ProcessContext) -> list[int]:
    seen: list[int] = []
    while len(seen) < 2:
        seen += [message.payload.number for message in await ctx.inbox.receive_many()]
    return seen


async def by_class(ctx: ProcessContext) -> list[int]:
    return [(await ctx.receive(Numbered)).payload.number for _ in range(2)]


async def by_topic(ctx: ProcessContext) -> list[int]:
    channel = ctx.listen("Numbered")
    return [(await channel.receive()).number for _ in range(2)]


@attrs.frozen
class Numbered(Ask[None]):
    """A request among others."""

    number: int


@pytest.mark.parametrize("mailbox", [None, Bounded(100)], ids=["unlimited", "limited"])
@pytest.mark.parametrize("reads", [by_iteration, nowait, by_many, by_class, by_topic])
async def test_code_that_reads_messages_is_spared_requests_that_nobody_waits_for(
    host: Host,
    autojump_clock: trio.testing.MockClock,
    reads: Callable[[ProcessContext], Awaitable[list[int]]],
    mailbox: Bounded | None,
) -> None:
    """Abandoned by its caller, or past its time: skipped in whatever way the mailbox is read."""

    async def body(ctx: ProcessContext) -> tuple[list[int], int]:
        await trio.sleep(10)
        seen = await reads(ctx)
        return seen, ctx.process.mailbox.load()

    pid = await host.spawn(body, mailbox=mailbox)

    async def client(number: int, patience: float, timeout: float | None) -> None:
        with trio.move_on_after(patience), suppress(ProcessTimeout, ProcessUnavailable):
            await host.node.ask(pid, Numbered(number), timeout=timeout)

    async with trio.open_nursery() as nursery:
        for number, (patience, timeout) in enumerate(
            [(1, None), (inf, 1), (inf, None), (1, None), (inf, 20), (2, 3)]
        ):
            nursery.start_soon(client, number, patience, timeout)
            await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(5)
        host.node.cancel(pid, 60)
        seen, unread = (await host.node.wait(pid)).value
    assert seen == [2, 4]
    assert unread == (0 if reads in (by_iteration, nowait, by_many) else 1)  # the last, abandoned


# -- ends


@both
async def test_queued_requests_are_told_of_the_end(host: Host, server: type[Server]) -> None:
    """An ask ends with its callee, also one that was never taken."""
    pid = await host.spawn(server, ready=True)
    busy(host, pid)
    told: list[str] = []

    async def client(request: Ask[int]) -> None:
        with pytest.raises(ProcessUnavailable, match="ended before it replied: process terminated"):
            await host.node.ask(pid, request)
        told.append("told")

    async with trio.open_nursery() as nursery:
        for request in (Get(), More(), Get()):
            nursery.start_soon(client, request)
        await trio.testing.wait_all_tasks_blocked()
        host.node.terminate(pid)
    assert len(told) == 3


async def test_the_request_in_hand_is_told_of_the_end(
    host: Host, autojump_clock: trio.testing.MockClock
) -> None:
    """With an async handler that is cancelled in the middle."""
    pid = await host.spawn(Awaiting, ready=True)

    async def client() -> None:
        with pytest.raises(ProcessUnavailable, match="process terminated"):
            await host.node.ask(pid, Wait(100))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(client)
        await trio.sleep(1)
        host.node.terminate(pid)
    assert trio.current_time() == 1


async def test_a_caller_that_gives_up_while_its_request_is_in_hand_harms_nobody(
    host: Host, autojump_clock: trio.testing.MockClock
) -> None:
    """The late reply finds nobody, and the next ask has its own answer."""
    pid = await host.spawn(Awaiting, ready=True)
    with trio.move_on_after(1):
        await host.node.ask(pid, Wait(10))
    assert await host.node.ask(pid, Get()) == 1
    assert trio.current_time() == 10


async def test_an_upgrade_drops_the_request_in_hand_and_tells_its_caller(
    host: Host, autojump_clock: trio.testing.MockClock
) -> None:
    """U1: the old code stops, so nobody could answer."""

    class Next(Plain):
        def migrate(self, old_version: int, state: Any) -> None:
            self.begun = state

    class Upgrading(Server):
        @handles(Wait)
        async def wait(self, request: Wait) -> int:
            self.upgrade(Next, 7)
            await trio.sleep(request.seconds)
            return 0

    pid = await host.spawn(Upgrading)
    with pytest.raises(ProcessUnavailable, match="dropped without a reply"):
        await host.node.ask(pid, Wait(100))
    assert trio.current_time() == 0
    assert await host.node.ask(pid, Get()) == 1
    assert object_of(host, pid).begun == 8


@both_deferring
async def test_an_upgrade_drops_what_the_old_code_has_deferred_and_tells_its_callers(
    host: Host, server: type[Server], autojump_clock: trio.testing.MockClock
) -> None:
    """U1: the old object is let go of at once, and with it the requests that it has kept."""

    class Upgrading(server):  # type: ignore[valid-type, misc]
        @handles("upgrade")
        def upgrade_now(self, message: Message) -> None:
            self.upgrade(None, "state")

        def migrate(self, old_version: int, state: Any) -> None:
            self.init()

    pid = await host.spawn(Upgrading)

    async def client() -> None:
        with trio.fail_after(1), pytest.raises(ProcessUnavailable, match="dropped without a reply"):
            await host.node.ask(pid, Later())

    for _ in range(3):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client)
            await trio.testing.wait_all_tasks_blocked()
            host.node.send(pid, "upgrade")
    assert await host.node.ask(pid, Get()) == 0


@pytest.mark.parametrize("how", ["typed", "deferring", "task"])
async def test_queued_requests_go_on_to_upgraded_code_of_any_kind(host: Host, how: str) -> None:
    """U3: unread requests are answered by the new code."""

    class Old(Server):
        @handles("go")
        def go(self, message: Message) -> None:
            self.upgrade(new)

        @handles(Get)
        def get(self, request: Get) -> int:
            return -1

    class Typed(Server):
        def migrate(self, old_version: int, state: Any) -> None:
            pass

        @handles(Get)
        def get(self, request: Get) -> int:
            return 5

    class Keeping(Typed):
        @handles(Get)
        def get(self, request: Get) -> int:  # type: ignore[override]
            self.defer().reply(5)
            return -2

    async def reader(ctx: ProcessContext, migration: object) -> None:
        async for message in ctx.inbox:
            message.reply(5)

    new: Any = {"typed": Typed, "deferring": Keeping, "task": reader}[how]
    pid = await host.spawn(Old, ready=True)
    busy(host, pid)
    answers: list[int] = []

    async def client() -> None:
        answers.append(await host.node.ask(pid, Get()))

    host.node.send(pid, "go")
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(client)
        await trio.testing.wait_all_tasks_blocked()
        free(host, pid)
    assert answers == [5, 5, 5]


@pytest.mark.parametrize("overflow", ["drop_new", "drop_old"])
@both
async def test_a_request_that_becomes_a_dead_letter_tells_its_caller(
    host: Host, server: type[Server], overflow: Any
) -> None:
    """Nobody waits for the answer of a request that was thrown away."""
    pid = await host.spawn(server, mailbox=Bounded(1, overflow=overflow), ready=True)
    busy(host, pid)
    outcomes: Counter[str] = Counter()

    async def client() -> None:
        try:
            await host.node.ask(pid, Get())
        except ProcessUnavailable as error:
            outcomes[error.message] += 1
        else:
            outcomes["answered"] += 1

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(client)
        await trio.testing.wait_all_tasks_blocked()
        free(host, pid)
    assert outcomes == {
        "request Get was not delivered: mailbox is full": 2,
        "answered": 1,
    }


async def test_a_request_that_is_collected_in_another_thread_tells_its_caller(host: Host) -> None:
    """TM6: garbage is collected wherever it happens; the caller is woken in the Trio thread."""

    async def keeper(ctx: ProcessContext) -> None:
        cycle: list[Any] = [await ctx.receive()]
        cycle.append(cycle)
        del cycle
        await trio.sleep_forever()

    pid = await host.spawn(keeper)
    gc.disable()
    try:
        async with trio.open_nursery() as nursery:

            async def client() -> None:
                with pytest.raises(ProcessUnavailable, match="dropped without a reply"):
                    await host.node.ask(pid, Get())

            nursery.start_soon(client)
            await trio.testing.wait_all_tasks_blocked()
            thread = threading.Thread(target=gc.collect)
            thread.start()
            thread.join()
    finally:
        gc.enable()
    host.node.terminate(pid)


async def test_a_request_that_is_collected_in_another_run_tells_its_caller(host: Host) -> None:
    """TM6: a thread may have a Trio of its own, which knows nothing of the caller."""

    async def keeper(ctx: ProcessContext) -> None:
        cycle: list[Any] = [await ctx.receive()]
        cycle.append(cycle)
        del cycle
        await trio.sleep_forever()

    async def collect() -> None:
        gc.collect()
        await trio.lowlevel.checkpoint()

    pid = await host.spawn(keeper)
    gc.disable()
    try:
        async with trio.open_nursery() as nursery:

            async def client() -> None:
                with trio.fail_after(1), pytest.raises(ProcessUnavailable, match="without a reply"):
                    await host.node.ask(pid, Get())

            nursery.start_soon(client)
            await trio.testing.wait_all_tasks_blocked()
            thread = threading.Thread(target=trio.run, args=(collect,))
            thread.start()
            thread.join()
    finally:
        gc.enable()
    host.node.terminate(pid)


@pytest.mark.parametrize("name", [None, "server"])
@pytest.mark.parametrize("server", [Plain, Awaiting])
async def test_who_is_interrupted_before_it_sleeps_is_not_woken(
    node: trio_actors.Node, monkeypatch: pytest.MonkeyPatch, server: type[Server], name: str | None
) -> None:
    """E38: Ctrl-C may come when the request is in the mailbox; its answer reaches nobody."""
    async with node.open_host("app:h", drain=0) as host:
        pid = await host.spawn(server, name=name)
        await trio.testing.wait_all_tasks_blocked()
        mailbox = node.processes[pid].mailbox
        kind = type(mailbox.wake() if isinstance(mailbox, Dormant) else mailbox)
        put = kind.put

        def interrupted(self: Any, message: Message) -> None:
            put(self, message)
            raise KeyboardInterrupt

        monkeypatch.setattr(kind, "direct", False)
        monkeypatch.setattr(kind, "put", interrupted)
        with pytest.raises(KeyboardInterrupt):
            await node.ask(name or pid, Get())
        monkeypatch.undo()
        before = trio.current_time()
        await trio.sleep(1)  # is not woken
        assert trio.current_time() == before + 1
        assert await node.ask(pid, Get()) == 1
        assert pid in node.processes


# -- which way a request travels


def handler(request: Get) -> int:
    """Defers nothing."""
    return 1


def deferring(server: Server, request: Get) -> None:
    """Says so."""
    server.defer()


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that hides what it wraps."""

    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


def nested(server: Server, request: Get) -> Any:
    """Defers inside."""

    def inner() -> Any:
        return server.defer()

    return inner()


def by_name(server: Server, request: Get) -> Any:
    """Not easy to see."""
    return getattr(server, "defer")()  # noqa: B009


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (handler, False),
        (wrapped(handler), False),
        (deferring, True),
        (wrapped(deferring), True),
        (nested, True),
        (by_name, True),
        (functools.partial(handler), True),
        (None, True),
    ],
)
def test_whether_a_handler_may_defer_is_seen_in_its_code(method: Any, expected: bool) -> None:
    """What cannot be looked into may do anything."""
    assert may_defer(method) is expected


def test_a_class_whose_other_methods_defer_keeps_no_request_back() -> None:
    """A handler may call them."""

    class Indirect(Server):
        @handles(Get)
        def get(self, request: Get) -> None:
            self.keep()

        def keep(self) -> None:
            self.defer()

    assert Get in Plain._handlers.typed
    assert Get in Deferring._handlers.typed
    assert Later not in Deferring._handlers.typed
    assert set(Indirect._handlers.typed) == set()


async def test_code_outside_the_class_may_defer_too(host: Host) -> None:
    """Seen when it happens: from then on the requests of that class come with deadlines."""
    kept: list[Request] = []

    class Trusting(Server):
        @handles(Get)
        async def get(self, request: Get) -> None:
            keep(self)

    def keep(server: Any) -> None:
        kept.append(server.defer())

    Trusting._handlers.typed[Get] = Trusting.get  # as if `keep` was not to be seen from here
    pid = await host.spawn(Trusting, ready=True)
    for known in (False, True):
        with trio.move_on_after(60) as scope:
            async with trio.open_nursery() as nursery:

                async def client() -> None:
                    assert await host.node.ask(pid, Get()) == 3

                nursery.start_soon(client)
                await trio.testing.wait_all_tasks_blocked()
                request = kept.pop()
                assert request.deadline == (scope.deadline if known else inf)
                request.reply(3)


@both
async def test_a_handler_of_the_topic_is_preferred_however_the_request_comes(
    host: Host, server: type[Plain]
) -> None:
    """In the caller's turn too."""

    class Both(server):  # type: ignore[misc, valid-type]
        @handles("Get")
        def by_topic(self, message: Message) -> int:
            return 9

    pid = await host.spawn(Both, ready=True)
    assert await host.node.ask(pid, Get()) == 9
    busy(host, pid)
    async with trio.open_nursery() as nursery:

        async def client() -> None:
            assert await host.node.ask(pid, Get()) == 9

        nursery.start_soon(client)
        await trio.testing.wait_all_tasks_blocked()
        free(host, pid)


@both
async def test_a_trace_sees_requests(host: Host, server: type[Server]) -> None:
    """So none is answered in its caller's turn, unseen, while the trace lasts."""
    pid = await host.spawn(server, ready=True)
    seen: list[Any] = []
    with trio_actors.sys.trace(host.node, pid, lambda item: seen.append(item.payload)):
        assert await host.node.ask(pid, Get()) == 1
    assert await host.node.ask(pid, More()) == 1
    assert seen == [Get()]


# -- in the caller's turn

user: ContextVar[str] = ContextVar("user", default="nobody")


class Curious(Server):
    """Tells what its handler sees."""

    @handles(Get)
    def get(self, request: Get) -> Any:
        self.ctx.start_task(self.look)
        return trio_actors.current().pid, user.get()

    @handles("look")
    def by_mailbox(self, message: Message) -> None:
        self.ctx.start_task(self.look)

    async def look(self) -> None:
        self.seen = trio_actors.current().pid, user.get()


async def test_a_handler_in_its_callers_turn_is_not_in_its_callers_context(host: Host) -> None:
    """DE12: it runs as its own process, and so do the tasks that it starts, by mailbox as well."""
    pid = await host.spawn(Curious, ready=True)
    user.set("the caller")
    delivered = host.node.delivered
    assert await host.node.ask(pid, Get()) == (pid, "nobody")
    assert host.node.delivered == delivered
    await trio.testing.wait_all_tasks_blocked()
    assert object_of(host, pid).seen == (pid, "nobody")
    object_of(host, pid).seen = None
    host.node.send(pid, "look")
    await trio.testing.wait_all_tasks_blocked()
    assert object_of(host, pid).seen == (pid, "nobody")
    assert user.get() == "the caller"


class Steps(trio.abc.Instrument):
    """Counts the steps of all tasks: between two of one task lies a checkpoint."""

    def __init__(self) -> None:
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += 1


@pytest.mark.parametrize("clients", [1, 7])
async def test_asks_answered_at_once_leave_at_most_32_between_checkpoints(
    host: Host, clients: int
) -> None:
    """A caller's turn is limited like any other, also beside other callers."""
    taken: Counter[tuple[int, int]] = Counter()
    steps = Steps()
    pid = await host.spawn(Plain, ready=True)
    await trio.testing.wait_all_tasks_blocked()
    delivered = host.node.delivered

    async def client(number: int) -> None:
        for _ in range(500):
            await host.node.ask(pid, Get())
            taken[number, steps.count] += 1

    trio.lowlevel.add_instrument(steps)
    async with trio.open_nursery() as nursery:
        for number in range(clients):
            nursery.start_soon(client, number)
    assert sum(taken.values()) == 500 * clients
    assert max(taken.values()) <= 32
    assert host.node.delivered == delivered  # all of them in their callers' turns


async def test_the_first_ask_of_a_node_needs_no_checkpoint(host: Host) -> None:
    """Nothing was taken yet."""
    pid = await host.spawn(Plain, ready=True)
    await trio.testing.wait_all_tasks_blocked()
    coroutine = host.node.ask(pid, Get())
    with pytest.raises(StopIteration) as answered:
        coroutine.send(None)
    assert answered.value.value == 1


async def test_asks_answered_at_once_take_at_most_a_millisecond_between_checkpoints(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 0.3 ms for each that makes 5."""
    now = 1.0

    class Slow(Server):
        @handles(Get)
        def get(self, request: Get) -> int:
            nonlocal now
            now += 0.0003
            return 1

    pid = await host.spawn(Slow, ready=True)
    await trio.testing.wait_all_tasks_blocked()
    monkeypatch.setattr(pace, "perf_counter", lambda: now)
    steps = Steps()
    trio.lowlevel.add_instrument(steps)
    taken: Counter[int] = Counter()
    for _ in range(500):
        await host.node.ask(pid, Get())
        taken[steps.count] += 1
    assert sum(taken.values()) == 500
    assert max(taken.values()) <= 5
