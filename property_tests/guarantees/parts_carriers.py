"""What a function leaves in the task that has stepped it, and how functions end with their host."""

from __future__ import annotations

from contextvars import ContextVar
from math import inf
from typing import Any

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

import trio_actors
from property_tests.guarantees.registry import guarantee
from property_tests.profiles import drawn
from property_tests.ways import functions_begin, unlogged
from trio_actors import Exit, Message, Node, ProcessContext, Server, handles, open_node

FEW = drawn(100)
VALUE: ContextVar[str] = ContextVar("VALUE")
LONG = 1000

steps = st.lists(st.sampled_from(["wait", "lock", "limit", "hurry", "read", "read"]), max_size=6)
lives = st.lists(st.lists(steps, min_size=1, max_size=4), min_size=2, max_size=5)


async def life(ctx: ProcessContext, steps: list[str], lock: trio.Lock, begun_by: str) -> None:
    """At each step this is its own task, with its own context and the deadline of its end."""
    value = begun_by
    mine = False

    def look() -> None:
        assert trio_actors.current() is ctx
        assert trio.current_effective_deadline() == ctx.process.deadline
        assert VALUE.get() == value
        assert (lock.statistics().owner is trio.lowlevel.current_task()) == mine

    look()
    for step in steps:
        if step == "wait":
            await trio.sleep(1)
        elif step == "read":
            await ctx.inbox.receive()
        elif step in ("limit", "hurry"):
            ctx.process.limit(trio.current_time() + LONG, ctx.node.control)
            if step == "hurry":
                await trio.sleep(1)
                look()
        elif step == "lock" and not lock.locked():
            lock.acquire_nowait()
            mine = True
        value = f"{ctx.pid} {step}"
        VALUE.set(value)
        await ctx.checkpoint()
        look()
    if "wait" not in steps and not lock.locked():
        lock.acquire_nowait()  # and ends with it


class Plain(Server):
    """Has no context variables of its own, so it sees those of the task."""

    @handles("look")
    def look(self, message: Message) -> None:
        message.payload.append(trio_actors.current() is self.ctx)


@guarantee
def nothing_of_one_function_is_seen_by_the_next() -> None:
    """TM2, K6: deadline, context and locks, while it is stepped and when it has a task."""

    @FEW
    @given(lives=lives, stepped=st.booleans())
    def test(lives: list[list[list[str]]], stepped: bool) -> None:
        async def main() -> None:
            async with open_node() as node, node.open_host("app:h", drain=0) as host:
                plain = await host.spawn(Plain)
                right: list[bool] = []
                for together in lives:
                    lock = trio.Lock()
                    ends: list[str] = []
                    for number, one in enumerate(together):
                        node.tasked.clear()  # else only the first would be stepped
                        VALUE.set(f"number {number}")
                        pid = host.spawn_soon(life, one, lock, f"number {number}")
                        node.processes[pid].on_exit(
                            lambda end, ends=ends: ends.append(str(end.error))
                        )
                        for _ in one:
                            node.send(pid, "read")
                    await trio.sleep(10)
                    assert ends == len(together) * ["None"]
                    node.send(plain, "look", right)
                await trio.sleep(1)
                assert right == len(lives) * [True]

        with functions_begin(stepped=stepped):
            trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))

    with unlogged():
        test()


class Keeper(Server):
    """Async handlers that take a lock, or enter a scope, and leave it to a later message."""

    async def init(self, seen: list[str]) -> None:  # type: ignore[override]
        self.seen = seen
        self.lock = trio.Lock()
        self.scopes: list[trio.CancelScope] = []

    @handles("act")
    async def act(self, message: Message) -> None:
        """One step; nothing but "wait" waits. At each it is where it was, and in no other scope."""
        limit = min((scope.deadline for scope in self.scopes), default=inf)
        assert trio.current_effective_deadline() == limit
        match message.payload:
            case "lock" if self.lock.locked():
                self.lock.release()  # by who has taken it, or it is an error
            case "lock":
                self.lock.acquire_nowait()
            case "enter":
                self.scopes.append(trio.CancelScope(deadline=trio.current_time() + LONG))
                self.scopes[-1].__enter__()
            case "leave" if self.scopes:
                self.scopes.pop().__exit__(None, None, None)
            case "wait":
                await trio.sleep(1)
        self.seen.append(message.payload)


ACTS = ["lock", "lock", "enter", "leave", "note", "wait"]
acts = st.tuples(st.integers(0, 2), st.sampled_from(ACTS))


@guarantee
def what_a_handler_keeps_is_of_its_own_task() -> None:
    """TM2, TM3: what one message has opened the next one may close, and it is round nobody else."""

    @FEW
    @given(program=st.lists(acts, min_size=6, max_size=20), gaps=st.booleans())
    def test(program: list[tuple[int, str]], gaps: bool) -> None:
        async def main() -> None:
            async with open_node() as node, node.open_host("app:h", drain=0) as host:
                seen: list[list[str]] = [[] for _ in range(3)]
                ends: list[str] = []
                pids = [await host.spawn(Keeper, list_) for list_ in seen]
                for pid in pids:
                    node.processes[pid].on_exit(lambda end: ends.append(str(end.error)))
                for who, what in program:
                    node.send(pids[who], "act", what)
                    if gaps:  # one message a turn, else as many as there are
                        await trio.testing.wait_all_tasks_blocked()
                await trio.sleep(30)
                assert seen == [[what for who, what in program if who == n] for n in range(3)]
                for who, pid in enumerate(pids):
                    opened = 0
                    for one, what in program:
                        if one == who and what in ("enter", "leave"):
                            opened = max(0, opened + (1 if what == "enter" else -1))
                    for _ in range(opened):
                        node.send(pid, "act", "leave")
                await trio.sleep(1)
                assert ends == []

        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))

    with unlogged():
        test()


async def rests(ctx: ProcessContext, child: Any = None) -> None:
    """Has no task."""
    if child is not None:
        ctx.start_task(child)
    await ctx.inbox.receive()


async def does_not_listen(ctx: ProcessContext) -> None:
    """The only task of the dispatcher is its own."""
    with trio.CancelScope(shield=True):
        await trio.sleep(5)


async def leaves_a_lock(ctx: ProcessContext, kept: list[trio.Lock]) -> None:
    """The task that was its own is not used again."""
    kept.append(trio.Lock())
    kept[-1].acquire_nowait()
    await trio.sleep(1)


async def lasts() -> None:
    """A child task whose end takes a second."""
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(1)


@guarantee
def what_rests_ends_at_once_with_its_host() -> None:
    """E37: also when no task of the dispatcher is left to be cancelled, or it does not listen.

    TM3: but who has child tasks ends after them.
    """
    for function, args in ((does_not_listen, ()), (leaves_a_lock, ([],)), (rests, ())):
        for stepped in (True, False):
            with functions_begin(stepped=stepped):
                clock = trio.testing.MockClock(autojump_threshold=0)
                ends = trio.run(_aborted, function, args, clock=clock)
            assert ends == [
                (2, "process cancelled"),
                (2, "process cancelled"),
                (3, "process cancelled"),
            ]


async def _aborted(function: Any, args: tuple[Any, ...]) -> list[tuple[float, str]]:
    ends: list[tuple[float, str]] = []
    begun = trio.current_time()

    def ended(end: Exit) -> None:
        ends.append((trio.current_time() - begun, str(end.error)))

    async def main(node: Node) -> None:
        async with node.open_host("app:h", drain=50) as host:
            resting = [await host.spawn(rests, *child) for child in ((), (), (lasts,))]
            await host.spawn(function, *args)
            for pid in resting:
                node.processes[pid].on_exit(ended)
            await trio.sleep(2)
            host.abort()

    async with open_node() as node:
        await main(node)
    return ends


async def returns(ctx: ProcessContext) -> None:
    """Leaves a child task behind."""
    ctx.start_task(lasts)
    await ctx.inbox.receive()


@guarantee
def a_stepped_function_ends_after_its_child_tasks() -> None:
    """TM3."""

    async def main() -> None:
        async with open_node() as node, node.open_host("app:h") as host:
            pid = await host.spawn(returns)
            await trio.sleep(2)
            node.send(pid, "return")
            await node.wait(pid)
            assert trio.current_time() == begun + 3

    for stepped in (True, False):
        with functions_begin(stepped=stepped):
            clock = trio.testing.MockClock(autojump_threshold=0)
            begun = clock.current_time()
            trio.run(main, clock=clock)


async def sets(ctx: ProcessContext, seen: list[str], again: bool = True) -> None:
    """Its successor is it again, with what is left."""
    seen.append(VALUE.get())
    VALUE.set("of the old code")
    await ctx.inbox.receive()
    if again:
        await ctx.upgrade(None, seen, False)


@guarantee
def new_code_inherits_the_context_of_the_old() -> None:
    """U1: whether the upgrade was asked for by itself or by others, and where it rests."""

    async def main(node: Node, by_others: bool) -> list[str]:
        seen: list[str] = []
        async with node.open_host("app:h", drain=0) as host:
            VALUE.set("of who starts it")
            pid = await host.spawn(sets, seen)
            await trio.testing.wait_all_tasks_blocked()
            if by_others:
                process = node.processes[pid]
                process.upgrade = None, (seen, False)
                process.drive.interrupt()
            node.send(pid, "go")
            await trio.testing.wait_all_tasks_blocked()
        return seen

    async def both(by_others: bool) -> list[str]:
        async with open_node() as node:
            return await main(node, by_others)

    for stepped in (True, False):
        for by_others in (True, False):
            with functions_begin(stepped=stepped):
                assert trio.run(both, by_others) == ["of who starts it", "of the old code"]
