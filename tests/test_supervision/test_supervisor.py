"""The supervisor process on real Trio, in virtual time (SU3-SU6, SU10-SU16, SU20-SU25, SU30)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from supervision import SpecInvalid, Supervisor, SupervisorRef, child
from trio_actors import (
    ErrorKind,
    Host,
    ProcessAlreadyExists,
    ProcessConflict,
    ProcessContext,
    ProcessError,
    ProcessInvalid,
    ProcessNotFound,
    ProcessUnavailable,
    Shutdown,
    open_node,
)


class World:
    """Children that write down what happens to them and do what they are told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.pids: dict[str, str] = {}
        self.refuse: set[str] = set()  # these fail to start

    async def serve(self, ctx: ProcessContext, name: str, *more: Any) -> Any:
        """Obeys: ``boom`` fails, ``done`` returns, ``asked`` ends with shutdown."""
        if name in self.refuse:
            raise ProcessError(f"{name} does not want to")
        self.lines.append(f"+{name}")
        self.pids[name] = ctx.pid
        ctx.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._events, ctx, nursery)
            while True:
                message = await ctx.inbox.receive()
                if message.topic == "boom":
                    raise ProcessError(f"{name} fails")
                if message.topic == "asked":
                    raise Shutdown("enough")
                nursery.cancel_scope.cancel()
                break
        self.lines.append(f"-{name}")
        return more

    async def _events(self, ctx: ProcessContext, nursery: trio.Nursery) -> None:
        await ctx.events.receive()
        nursery.cancel_scope.cancel()

    def child(self, name: str, restart: str = "permanent", **fields: Any) -> Any:
        return child(name, self.serve, name, restart=restart, **fields)

    async def tell(self, host: Host, name: str, topic: str) -> None:
        host.node.send(self.pids[name], topic)
        await trio.testing.wait_all_tasks_blocked()


@asynccontextmanager
async def tree(*children: Any, **flags: Any) -> AsyncIterator[tuple[Host, SupervisorRef]]:
    async with open_node() as node, node.open_host("app:h") as host:
        pid = await host.spawn(Supervisor(children=children, **flags), ready=True)
        yield host, SupervisorRef(node, pid)


def shown(ref: SupervisorRef) -> dict[str, str]:
    return {info.id: info.state for info in ref.which_children()}


async def test_children_start_in_order_and_stop_in_reverse(autojump_clock: MockClock) -> None:
    """SU3, SU5: each is ready before the next one starts."""
    world = World()
    async with tree(*(world.child(n, ready=True) for n in "abc")) as (_, ref):
        assert world.lines == ["+a", "+b", "+c"]
        assert shown(ref) == {"a": "running", "b": "running", "c": "running"}
    assert world.lines == ["+a", "+b", "+c", "-c", "-b", "-a"]


async def test_supervisor_that_was_asked_to_stop_returns(autojump_clock: MockClock) -> None:
    """SU5: by CANCEL, like every process."""
    world = World()
    async with tree(world.child("a")) as (host, ref):
        await trio.testing.wait_all_tasks_blocked()
        host.node.cancel(ref.dest)
        exit = await host.node.wait(ref.dest)
        assert (exit.value, exit.error) == (None, None)
        assert world.lines == ["+a", "-a"]


async def test_failed_start_stops_what_runs_and_names_the_child(autojump_clock: MockClock) -> None:
    """SU4: nothing is retried; the error carries the child's."""
    world = World()
    world.refuse.add("c")
    with pytest.raises(ProcessError, match="child 'c' failed to start: c does not want") as raised:
        async with tree(*(world.child(n, ready=True) for n in "abc")):
            pass
    assert raised.value.details == {"child": "c"}
    assert world.lines == ["+a", "+b", "-b", "-a"]


async def test_unknown_code_is_a_failed_start(autojump_clock: MockClock) -> None:
    """SU4, E6: with the kind of the child's error."""
    with pytest.raises(ProcessNotFound, match="child 'a' failed to start: factory not found"):
        async with tree(child("a", "app:nowhere")):
            pass


async def test_child_that_is_not_ready_in_time_is_a_failed_start(autojump_clock: MockClock) -> None:
    """SU3: start_timeout; no process is left."""

    async def slow(ctx: ProcessContext) -> None:
        await trio.sleep(60)

    async with open_node() as node, node.open_host("app:h") as host:
        slow_child = child("a", slow, ready=True, start_timeout=2)
        begin = trio.current_time()
        with pytest.raises(ProcessError, match="child 'a' failed to start: start timeout"):
            await host.spawn(Supervisor(children=[slow_child]), ready=True)
        assert trio.current_time() - begin == 2
        assert not node.processes


async def test_normal_end_before_readiness_is_a_failed_start(autojump_clock: MockClock) -> None:
    """SU3."""

    async def early(ctx: ProcessContext) -> None:
        return None

    with pytest.raises(ProcessUnavailable, match="ended before it was ready"):
        async with tree(child("a", early, ready=True)):
            pass


async def test_wrong_specification_starts_nothing(autojump_clock: MockClock) -> None:
    """SU1: all mistakes together, as the error of the spawn."""
    world = World()
    with pytest.raises(SpecInvalid) as raised:
        async with tree(world.child("a", shutdown="x"), world.child("a"), strategy="x"):
            pass
    assert len(raised.value.problems) == 3
    assert world.lines == []


@pytest.mark.parametrize(
    ("restart", "topic", "restarted"),
    [
        ("permanent", "boom", True),
        ("permanent", "done", True),
        ("permanent", "asked", True),
        ("transient", "boom", True),
        ("transient", "done", False),
        ("transient", "asked", False),
        ("temporary", "boom", False),
        ("temporary", "done", False),
        ("temporary", "asked", False),
    ],
)
async def test_restart_types(
    autojump_clock: MockClock, restart: str, topic: str, restarted: bool
) -> None:
    """SU10: the table restart type x exit class."""
    world = World()
    async with tree(world.child("a", restart)) as (host, ref):
        await trio.testing.wait_all_tasks_blocked()
        await world.tell(host, "a", topic)
        assert world.lines.count("+a") == (2 if restarted else 1)
        expected = {"a": "running" if restarted else "stopped"}
        assert shown(ref) == ({} if restart == "temporary" else expected)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("one_for_one", ["+b"]),
        ("one_for_all", ["-c", "-a", "+a", "+b", "+c"]),
        ("rest_for_one", ["-c", "+b", "+c"]),
    ],
)
async def test_strategies(autojump_clock: MockClock, strategy: str, expected: list[str]) -> None:
    """SU11: who else is restarted, and in which order; earlier children keep their PIDs."""
    world = World()
    children = [world.child(n, ready=True) for n in "abc"]
    async with tree(*children, strategy=strategy) as (host, _):
        before = dict(world.pids)
        world.lines.clear()
        await world.tell(host, "b", "boom")
        assert world.lines == expected
        kept = {name for name, pid in world.pids.items() if pid == before[name]}
        assert kept == {"a", "b", "c"} - {line[1] for line in expected}


async def test_terminated_child_is_restarted(autojump_clock: MockClock) -> None:
    """SU10: ended by somebody else is abnormal."""
    world = World()
    async with tree(world.child("a", "transient", ready=True)) as (host, _):
        first = world.pids["a"]
        host.node.terminate(first)
        await trio.testing.wait_all_tasks_blocked()
        assert world.pids["a"] != first


async def test_too_many_restarts_end_the_supervisor_with_shutdown(
    autojump_clock: MockClock,
) -> None:
    """SU13: all children are stopped in reverse order before."""
    world = World()
    children = [world.child(n, ready=True) for n in "ab"]
    async with tree(*children, intensity=2, period=10) as (host, ref):
        for _ in range(3):
            await world.tell(host, "b", "boom")
        exit = await host.node.wait(ref.dest)
        assert exit.shutdown
        assert exit.error is not None
        assert "more than 2 restarts within 10 s, the last of 'b'" in str(exit.error)
        assert world.lines[-1] == "-a"
        assert not host.node.processes


async def test_restarts_spread_over_time_are_allowed(autojump_clock: MockClock) -> None:
    """SU13."""
    world = World()
    async with tree(world.child("a", ready=True), intensity=1, period=5) as (host, _):
        for _ in range(10):
            await world.tell(host, "a", "boom")
            await trio.sleep(6)
        assert world.lines.count("+a") == 11


async def test_restart_of_a_supervisor_counts_with_its_own_supervisor(
    autojump_clock: MockClock,
) -> None:
    """SU13, SU24: it starts with the children of its definition, dynamic ones are not recreated."""
    world = World()
    inner = Supervisor(intensity=0, children=[world.child("a", ready=True)])
    async with tree(child("inner", inner), intensity=1) as (host, ref):
        sub = SupervisorRef(host.node, str(ref.get_child("inner").pid))
        await sub.start_child(world.child("extra", ready=True))
        await world.tell(host, "a", "boom")
        info = ref.get_child("inner")
        assert (info.state, info.restarts) == ("running", 1)
        again = SupervisorRef(host.node, str(info.pid))
        assert shown(again) == {"a": "running"}
        await world.tell(host, "a", "boom")
        exit = await host.node.wait(ref.dest)
        assert exit.shutdown


async def test_transient_supervisor_that_gave_up_is_not_restarted(
    autojump_clock: MockClock,
) -> None:
    """SU13."""
    world = World()
    inner = Supervisor(intensity=0, children=[world.child("a", ready=True)])
    async with tree(child("inner", inner, restart="transient")) as (host, ref):
        await world.tell(host, "a", "boom")
        assert shown(ref) == {"inner": "stopped"}


async def test_backoff_delays_the_restart_and_the_supervisor_answers_meanwhile(
    autojump_clock: MockClock,
) -> None:
    """SU14, SU15."""
    world = World()
    backoff = {"initial_delay": 100, "max_delay": 100, "jitter": 0}
    async with tree(world.child("a", ready=True, backoff=backoff), world.child("b")) as (host, ref):
        await world.tell(host, "a", "boom")
        assert shown(ref) == {"a": "restarting", "b": "running"}
        await ref.terminate_child("b")
        begin = trio.current_time()
        while shown(ref)["a"] == "restarting":
            await trio.sleep(1)
        assert trio.current_time() - begin in (100, 101)  # looked at once a second
        await world.tell(host, "a", "boom")
        begin = trio.current_time()
    assert trio.current_time() == begin  # the stop does not wait for the delay


async def test_exit_signals_of_strangers_are_ignored(autojump_clock: MockClock) -> None:
    """SU16."""
    world = World()

    async def stranger(ctx: ProcessContext, pid: str) -> None:
        ctx.link(pid)
        raise ProcessError("none of your business")

    async with tree(world.child("a", ready=True)) as (host, ref):
        await host.spawn(stranger, ref.dest)
        host.node.send(ref.dest, "hello", 1)
        await trio.testing.wait_all_tasks_blocked()
        assert shown(ref) == {"a": "running"}


async def test_child_that_ignores_cancel_is_ended_at_its_limit(autojump_clock: MockClock) -> None:
    """SU5."""
    times = {}

    async def stubborn(ctx: ProcessContext, name: str) -> None:
        try:
            await trio.sleep_forever()
        finally:
            times[name] = trio.current_time()

    async with tree(
        child("a", stubborn, "a", shutdown=2),
        child("b", stubborn, "b", shutdown="brutal_kill"),
        child("c", stubborn, "c", shutdown="3s"),
    ):
        await trio.testing.wait_all_tasks_blocked()
        begin = trio.current_time()
    assert {name: at - begin for name, at in times.items()} == {"c": 3, "b": 3, "a": 5}


async def test_unlinked_child_is_still_stopped(autojump_clock: MockClock) -> None:
    """SU5: the supervisor watches by a monitor."""

    async def loner(ctx: ProcessContext, world: World) -> None:
        ctx.started()
        assert ctx.process.parent is not None
        ctx.unlink(ctx.process.parent)
        await world.serve(ctx, "a")

    world = World()
    async with tree(child("a", loner, world, ready=True)):
        pass
    assert world.lines == ["+a", "-a"]


async def test_administration(autojump_clock: MockClock) -> None:
    """SU20-SU22: from outside the tree, with the answers of the rules."""
    world = World()
    async with tree(world.child("a", ready=True)) as (_, ref):
        pid = await ref.start_child(world.child("b", ready=True))
        assert pid == world.pids["b"]
        with pytest.raises(ProcessAlreadyExists, match="already started") as raised:
            await ref.start_child(world.child("b"))
        assert raised.value.details == {"pid": pid}
        with pytest.raises(ProcessConflict, match="running"):
            await ref.delete_child("b")
        await ref.terminate_child("b")
        with pytest.raises(ProcessAlreadyExists, match="already present"):
            await ref.start_child(world.child("b"))
        assert ref.count_children().active == 1
        assert await ref.restart_child("b") == world.pids["b"]
        await ref.terminate_child("b")
        await ref.delete_child("b")
        world.refuse.add("d")
        with pytest.raises(ProcessError, match="d does not want to"):
            await ref.start_child(world.child("d", ready=True))
        with pytest.raises(SpecInvalid, match="significant: expected false for a permanent child"):
            await ref.start_child(world.child("e", significant=True))
        with pytest.raises(ProcessNotFound):
            ref.get_child("d")
        with pytest.raises(ProcessInvalid, match="is not a supervisor"):
            SupervisorRef(ref.node, world.pids["a"]).which_children()
        assert shown(ref) == {"a": "running"}
        assert world.lines == ["+a", "+b", "-b", "+b", "-b"]


async def test_request_to_a_supervisor_that_ends_is_refused(autojump_clock: MockClock) -> None:
    """SU14: nobody waits for ever."""
    world = World()
    errors = []

    async def never_ready(ctx: ProcessContext) -> None:
        await ctx.events.receive()

    async def ask_slow(ref: SupervisorRef) -> None:
        try:
            await ref.start_child(child("slow", never_ready, ready=True))
        except ProcessError as error:
            errors.append(error.kind)

    async with trio.open_nursery() as nursery:
        async with tree(world.child("a", ready=True)) as (_, ref):
            nursery.start_soon(ask_slow, ref)
            await trio.testing.wait_all_tasks_blocked()
    assert errors == [ErrorKind.UNAVAILABLE]


async def test_dynamic_children(autojump_clock: MockClock) -> None:
    """SU23: arguments are appended to the template's, children are addressed by PID."""
    world = World()
    template = child("t", world.serve, "t", restart="temporary", ready=True)
    async with tree(template, strategy="simple_one_for_one", max_children=3) as (host, ref):
        pids = [await ref.start_child(number) for number in range(3)]
        with pytest.raises(ProcessUnavailable, match="max_children=3"):
            await ref.start_child(4)
        stranger = await host.spawn(world.serve, "stranger")
        with pytest.raises(ProcessNotFound):
            await ref.terminate_child(stranger)
        with pytest.raises(ProcessInvalid):
            await ref.terminate_child("t")
        await ref.terminate_child(pids[0])
        assert [info.pid for info in ref.which_children()] == pids[1:]
        assert stranger in host.node.processes


async def test_dynamic_children_stop_in_parallel(autojump_clock: MockClock) -> None:
    """SU5."""

    async def slow(ctx: ProcessContext) -> None:
        await ctx.events.receive()
        await trio.sleep(3)

    template = child("t", slow, restart="temporary")
    async with tree(template, strategy="simple_one_for_one") as (_, ref):
        for _ in range(50):
            await ref.start_child()
        begin = trio.current_time()
    assert trio.current_time() - begin == 3


async def test_update_through_the_running_supervisor(autojump_clock: MockClock) -> None:
    """SU25: an invalid update changes nothing."""
    world = World()
    async with tree(world.child("a", ready=True)) as (host, ref):
        with pytest.raises(SpecInvalid):
            await ref.update(Supervisor(intensity=-1, children=[world.child("z")]))
        await ref.update(Supervisor(children=[world.child("b"), world.child("a", "transient")]))
        assert shown(ref) == {"b": "stopped", "a": "running"}
        await world.tell(host, "a", "done")
        assert shown(ref) == {"b": "stopped", "a": "stopped"}
        await ref.restart_child("b")


async def test_significant_child_ends_the_tree_upwards(autojump_clock: MockClock) -> None:
    """SU30: it propagates when the supervisor itself is a significant child."""
    world = World()
    inner = Supervisor(
        auto_shutdown="any_significant",
        children=[world.child("x"), world.child("a", "transient", significant=True, ready=True)],
    )
    async with tree(
        world.child("y"),
        child("inner", inner, restart="transient", significant=True),
        auto_shutdown="all_significant",
    ) as (host, ref):
        await world.tell(host, "a", "done")
        exit = await host.node.wait(ref.dest)
        assert exit.shutdown
        assert "significant child 'inner' has ended" in str(exit.error)
        assert sorted(world.lines) == ["+a", "+x", "+y", "-a", "-x", "-y"]


async def test_children_inherit_context_actor_and_scope(autojump_clock: MockClock) -> None:
    """W5: through any depth."""
    seen = []

    async def show(ctx: ProcessContext) -> None:
        seen.append((dict(ctx.context), ctx.actor))
        await ctx.events.receive()

    inner = Supervisor(children=[child("show", show)])
    async with open_node() as node, node.open_host("app:h") as host:
        await host.spawn(
            Supervisor(children=[child("inner", inner)]),
            ready=True,
            context={"region": "north"},
            actor="me",
        )
        await trio.testing.wait_all_tasks_blocked()
    assert seen == [({"region": "north"}, "me")]


async def test_children_may_live_on_other_hosts(autojump_clock: MockClock) -> None:
    """SU1: ``host``; default is the supervisor's own."""
    world = World()
    async with open_node() as node, node.open_host("app:other"), node.open_host("app:h") as host:
        children = [world.child("a", ready=True, host="app:other"), world.child("b", ready=True)]
        await host.spawn(Supervisor(children=children), ready=True)
        assert world.pids["a"].startswith("{app:other|")
        assert world.pids["b"].startswith("{app:h|")
    assert world.lines == ["+a", "+b", "-b", "-a"]


async def test_fault_of_the_supervisor_itself_leaves_no_children(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SU7: even then nothing is orphaned, and the fault is the exit."""

    def broken(*_: object) -> Any:
        raise RuntimeError("bug")

    world = World()
    async with tree(world.child("a", ready=True), world.child("b", ready=True)) as (host, ref):
        monkeypatch.setattr("supervision.runner.decide", broken)
        host.node.send(world.pids["a"], "boom")
        exit = await host.node.wait(ref.dest)
        assert str(exit.error) == "RuntimeError: bug"
        assert not host.node.processes
