"""Monitors, links, events, the order of effects at exit (processes.md §5.3-§5.6)."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing
from stage import CANCEL, EXIT, LANGUAGES, LINK_DOWN, PUPPETS, Puppet, Stage

from lua_bridge import LuaTarget, Script
from trio_actors import (
    EventKind,
    Host,
    Node,
    ProcessAlreadyExists,
    ProcessContext,
    ProcessError,
    ProcessNotFound,
    ProcessUnavailable,
    Result,
)
from trio_actors._core.node import Gate

LINKED = {"message": "linked process failed", "kind": "Internal"}


def boom(language: str) -> dict[str, str]:
    """What a puppet's failure `boom` looks like to others."""
    return {"message": "RuntimeError: boom", "kind": "Internal"} if language == "python" else {}


def kinds(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Kind and sender of each event."""
    return [(event["kind"], event["from"]) for event in events]


async def test_sc1_monitored_return_gives_one_exit(
    stage: Stage, languages: tuple[str, str]
) -> None:
    """SC1, N1, E11: exactly one EXIT, without an error, however short the life."""
    a, b = await stage.cast(*languages)
    await a.do("monitor", b.pid)
    b.tell("return", 7)
    assert await a.events() == [{"kind": EXIT, "from": b.pid, "value": 7}]
    assert await a.events() == []


async def test_sc2_monitored_failure_gives_its_error(
    stage: Stage, languages: tuple[str, str]
) -> None:
    """SC2, N1, V4: EXIT with the error; a send afterwards is NOT_FOUND."""
    a, b = await stage.cast(*languages)
    await a.do("monitor", b.pid)
    b.tell("fail", "boom")
    [event] = await a.events()
    assert (event["kind"], event["from"], event["error"]["kind"]) == (EXIT, b.pid, "Internal")
    assert "boom" in event["error"]["message"]
    with pytest.raises(ProcessNotFound):
        await a.do("send", b.pid, "t")


async def test_sc3_linked_normal_end_is_no_failure(
    stage: Stage, languages: tuple[str, str]
) -> None:
    """SC3, K12, E22: the peer returns False, the link disappears without an event."""
    a, b = await stage.cast(*languages)
    await a.do("link", b.pid)
    b.tell("return", False)
    assert (await a.events(), a.alive) == ([], True)


async def test_sc3_linked_failure_ends_the_peer(stage: Stage, languages: tuple[str, str]) -> None:
    """SC3, K10, K14: in both directions, whether or not events were ever opened."""
    for failing in (0, 1):
        pair = await stage.cast(*languages)
        await pair[0].do("link", pair[1].pid)
        pair[failing].tell("fail", "boom")
        end = await pair[1 - failing].ended()
        assert str(end.error) == "linked process failed"


async def test_sc4_trapped_failure_is_an_event(stage: Stage, languages: tuple[str, str]) -> None:
    """SC4, K13, K15: with trap_links LINK_DOWN arrives as an event and the process lives on."""
    a, b = await stage.cast(*languages)
    await a.do("trap", True)
    await a.do("link", b.pid)
    b.tell("fail", "boom")
    [event] = await a.events()
    assert (event["kind"], event["from"]) == (LINK_DOWN, b.pid)
    assert "boom" in event["error"]["message"]
    assert a.alive


async def test_sc5_exit_comes_before_link_down(stage: Stage, languages: tuple[str, str]) -> None:
    """SC5, V5: who monitors and links sees EXIT first, then LINK_DOWN."""
    a, b = await stage.cast(*languages)
    await a.do("trap", True)
    await a.do("link", b.pid)
    await a.do("monitor", b.pid)
    b.tell("fail", "boom")
    assert kinds(await a.events()) == [(EXIT, b.pid), (LINK_DOWN, b.pid)]


async def chain(stage: Stage, languages: tuple[str, str], length: int) -> list[Puppet]:
    """Puppets linked one to the next, languages alternating."""
    puppets = [await stage.puppet(languages[n % 2]) for n in range(length)]
    for first, second in itertools.pairwise(puppets):
        await first.do("link", second.pid)
    return puppets


async def test_sc6_failure_takes_the_whole_chain(stage: Stage, languages: tuple[str, str]) -> None:
    """SC6, K17: one failure ends the connected group."""
    puppets = await chain(stage, languages, 4)
    puppets[3].tell("fail", "boom")
    ends = [str(end.error) for end in await stage.exits(*puppets)]
    assert ends[:3] == ["linked process failed"] * 3
    assert "boom" in ends[3]


async def test_sc6_trapping_member_stops_the_spread(
    stage: Stage, languages: tuple[str, str]
) -> None:
    """SC6, K17: with a trapping third only the fourth is gone."""
    puppets = await chain(stage, languages, 4)
    await puppets[2].do("trap", True)
    puppets[3].tell("fail", "boom")
    await stage.settle()
    assert [puppet.alive for puppet in puppets] == [True, True, True, False]
    assert kinds(await puppets[2].events()) == [(LINK_DOWN, puppets[3].pid)]


async def test_sc7_unlink_and_unmonitor_in_time(stage: Stage, languages: tuple[str, str]) -> None:
    """SC7, K11, N4: unlinked, the peer lives; unmonitored, there is no EXIT."""
    a, b = await stage.cast(*languages)
    await a.do("link", b.pid)
    await b.do("unlink", a.pid)
    await a.do("monitor", b.pid)
    await a.do("unmonitor", b.pid)
    b.tell("fail", "boom")
    assert (await a.events(), a.alive, b.alive) == ([], True, False)


async def test_sc8_monitor_of_the_dead_and_twice(stage: Stage, languages: tuple[str, str]) -> None:
    """SC8, N2, N3: NOT_FOUND without an event; ALREADY_EXISTS and still one EXIT only."""
    a, b = await stage.cast(*languages)
    await a.do("monitor", b.pid)
    with pytest.raises(ProcessAlreadyExists, match=r"^already monitoring pid$"):
        await a.do("monitor", b.pid)
    b.tell("return")
    assert kinds(await a.events()) == [(EXIT, b.pid)]
    with pytest.raises(ProcessNotFound, match=r"^pid not registered$"):
        await a.do("monitor", b.pid)
    assert await a.events() == []


async def test_monitor_that_came_with_the_spawn_counts(stage: Stage, language: str) -> None:
    """N3, W4: it is the one monitor, a second is refused."""
    a = await stage.puppet(language)
    pid = await a.do("spawn", "stage:puppet", "stage:host", "", {"monitor": True})
    with pytest.raises(ProcessAlreadyExists):
        await a.do("monitor", pid)
    stage.adopt(pid).tell("return")
    assert kinds(await a.events()) == [(EXIT, pid)]


async def test_unmonitor_of_anything_succeeds(stage: Stage, languages: tuple[str, str]) -> None:
    """N4, K11: also of an ended or never monitored PID; a name must resolve."""
    a, b = await stage.cast(*languages)
    for op in ("unmonitor", "unlink"):
        await a.do(op, b.pid)
    b.tell("return")
    await b.ended()
    for op in ("unmonitor", "unlink"):
        await a.do(op, b.pid)
        with pytest.raises(ProcessNotFound, match="could not resolve 'nobody'"):
            await a.do(op, "nobody")


async def test_queued_exit_survives_unmonitor(stage: Stage, languages: tuple[str, str]) -> None:
    """N4: an EXIT that was queued already is still read."""
    a, b = await stage.cast(*languages)
    await a.do("monitor", b.pid)
    b.tell("return", 1)
    await b.ended()
    await a.do("unmonitor", b.pid)
    assert kinds(await a.events()) == [(EXIT, b.pid)]


async def test_monitoring_and_linking_oneself(stage: Stage, language: str) -> None:
    """N5, K10: accepted, without any visible effect."""
    a = await stage.puppet(language)
    for op in ("monitor", "monitor", "link", "link"):
        await a.do(op, a.pid)
    assert await a.events() == []
    a.tell("fail", "boom")
    assert "boom" in str((await a.ended()).error)


async def test_monitors_end_with_their_holder(stage: Stage, languages: tuple[str, str]) -> None:
    """N6: the monitors of an ended process are gone from the topology."""
    a, b = await stage.cast(*languages)
    await a.do("monitor", b.pid)
    a.tell("return")
    await a.ended()
    assert stage.node.topology.watchers_of(b.pid) == []


async def test_link_twice_is_one_link(stage: Stage, languages: tuple[str, str]) -> None:
    """K10: linking again succeeds; one failure is one LINK_DOWN, one unlink unties both."""
    a, b = await stage.cast(*languages)
    await a.do("trap", True)
    await a.do("link", b.pid)
    await b.do("link", a.pid)
    assert stage.node.topology.links_of(a.pid) == [b.pid]
    b.tell("fail", "boom")
    assert kinds(await a.events()) == [(LINK_DOWN, b.pid)]
    with pytest.raises(ProcessNotFound, match=r"^pid not registered$"):
        await a.do("link", b.pid)


async def test_setting_at_the_moment_of_the_failure_counts(
    stage: Stage, languages: tuple[str, str]
) -> None:
    """K16: changing trap_links later affects neither a queued event nor an end under way."""
    a, b = await stage.cast(*languages)
    await a.do("trap", True)
    await a.do("link", b.pid)
    b.tell("fail", "boom")
    await b.ended()
    await a.do("trap", False)
    assert kinds(await a.events()) == [(LINK_DOWN, b.pid)]
    assert a.alive


async def test_trapping_during_a_forced_end_is_too_late(host: Host) -> None:
    """K16: an end that is under way cannot be trapped any more."""

    async def failing(ctx: ProcessContext) -> None:
        await trio.sleep(1)
        raise ValueError

    async def linked(ctx: ProcessContext) -> str:
        ctx.link(pid)
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            ctx.options.trap_links = True
            raise
        return "alive"

    pid = await host.spawn(failing)
    end = await host.node.wait(await host.spawn(linked))
    assert str(end.error) == "linked process failed"


async def test_link_failure_reaches_watchers_and_further_links(
    stage: Stage, languages: tuple[str, str]
) -> None:
    """K14: the end by a link is a failure like any other: watchers and links are told."""
    a, b = await stage.cast(*languages)
    watcher = await stage.puppet(languages[0])
    await watcher.do("trap", True)
    await watcher.do("monitor", b.pid)
    await watcher.do("link", b.pid)
    await a.do("link", b.pid)
    a.tell("fail", "boom")
    assert await watcher.events() == [
        {"kind": EXIT, "from": b.pid, "error": LINKED},
        {"kind": LINK_DOWN, "from": b.pid, "error": LINKED},
    ]


@pytest.mark.parametrize("op", ["monitor", "link", "unmonitor", "unlink"])
async def test_monitors_and_links_by_name(
    stage: Stage, languages: tuple[str, str], op: str
) -> None:
    """R8: a registered name is accepted, an unknown one is NOT_FOUND."""
    a, b = await stage.cast(*languages)
    await b.do("register", "bob")
    await a.do(op, "bob")
    with pytest.raises(ProcessNotFound, match="could not resolve 'nobody'"):
        await a.do(op, "nobody")
    topology = stage.node.topology
    expected = {"monitor": ([a.pid], []), "link": ([], [b.pid])}.get(op, ([], []))
    assert (topology.watchers_of(b.pid), topology.links_of(a.pid)) == expected


async def test_parents_end_touches_no_child(stage: Stage, languages: tuple[str, str]) -> None:
    """W6, P10: being a parent binds nothing, monitoring ends nobody."""
    a = await stage.puppet(languages[0])
    plain = await a.do("spawn", "stage:puppet", "stage:host", "", {})
    watched = await a.do("spawn", "stage:puppet", "stage:host", "", {"monitor": True})
    a.tell("fail", "boom")
    await a.ended()
    await stage.settle()
    assert [stage.adopt(pid).alive for pid in (plain, watched)] == [True, True]


# -- events


async def test_events_are_one_fresh_copy_per_receiver(host: Host) -> None:
    """V1-V3, PY12: kind, sender, at and result; the error is a fresh exception for each."""
    raised = ProcessNotFound("gone", retryable=True, details={"a": 1})

    async def fails(ctx: ProcessContext) -> None:
        await trio.sleep(1)
        raise raised

    async def watcher(ctx: ProcessContext) -> Any:
        ctx.monitor(pid)
        return await ctx.events.receive()

    pid = await host.spawn(fails)
    first, second = [await host.spawn(watcher) for _ in range(2)]
    events = [(await host.node.wait(watching)).value for watching in (first, second)]
    for event in events:
        assert (event.kind, event.sender, event.deadline) == (EventKind.EXIT, pid, None)
        assert isinstance(event.at, float)
        error = event.result.error
        assert type(error) is ProcessNotFound
        assert (str(error), error.retryable, error.details) == ("gone", True, {"a": 1})
        assert not hasattr(event, "error")
    assert len({id(event.result.error) for event in events} | {id(raised)}) == 3


async def test_normal_exit_event_carries_the_value(host: Host) -> None:
    """V1: `result` is a value or an error, never both."""

    async def returns(ctx: ProcessContext) -> int:
        await trio.sleep(1)
        return 5

    async def watcher(ctx: ProcessContext) -> Any:
        ctx.monitor(pid)
        return (await ctx.events.receive()).result

    pid = await host.spawn(returns)
    assert await host.node.call(watcher, host=host) == Result(5)


# -- the order of effects at exit


async def test_v20_nothing_runs_between_the_effects(node: Node) -> None:
    """V20, V4: who reads EXIT finds PID and names free, room on the host, and no topology left."""

    async def holder(ctx: ProcessContext) -> None:
        ctx.register("name")
        await trio.sleep(1)
        raise ValueError

    async def watcher(ctx: ProcessContext) -> list[Any]:
        ctx.options.trap_links = True
        ctx.monitor(pid)
        ctx.link(pid)
        event = await ctx.events.receive()
        found: list[Any] = [event.kind]
        with pytest.raises(ProcessNotFound):
            ctx.send(pid, "t")
        with pytest.raises(ProcessNotFound):
            ctx.lookup("name")
        ctx.register("name")
        found.append((node.topology.links_of(ctx.pid), node.topology.watched_by(ctx.pid)))
        found.append(host.spawn_soon(holder) != pid)
        found.append((await ctx.events.receive()).kind)
        return found

    async with node.open_host("app:full", max_processes=2, drain=0) as host:
        pid = await host.spawn(holder)
        watching = await host.spawn(watcher)
        with pytest.raises(ProcessUnavailable):
            await host.spawn(watcher)
        value = (await node.wait(watching)).value
    assert value == [EventKind.EXIT, ([], []), True, EventKind.LINK_DOWN]


async def looks_around(ctx: ProcessContext, holder: str, child: str) -> list[Any]:
    """What one finds who has read EXIT, in the order of V20."""
    ctx.options.trap_links = True
    ctx.monitor(holder)
    ctx.link(holder)
    found: list[Any] = [str((await ctx.events.receive()).kind)]
    for look in (partial(ctx.send, holder, "t"), partial(ctx.lookup, "name")):
        try:
            look()
        except ProcessError as error:
            found.append(str(error))
    ctx.register("name")
    found.append(await ctx.spawn(child, host="app:full") != holder)
    try:
        ctx.monitor(holder)
    except ProcessError as error:
        found.append(str(error))
    return [*found, str((await ctx.events.receive()).kind)]


LOOKS_AROUND = {
    "python": looks_around,
    "lua": LuaTarget(
        Script(
            "stage:looks_around",
            """return function(holder, child)
              process.set_options{trap_links = true}
              process.monitor(holder)
              process.link(holder)
              local events = process.events()
              local found = {events:receive().kind}
              local function put(_, err) found[#found + 1] = tostring(err) end
              put(process.send(holder, "t"))
              put(process.registry.lookup("name"))
              assert(process.registry.register("name"))
              found[#found + 1] = assert(process.spawn(child, "app:full")) ~= holder
              put(process.monitor(holder))
              found[#found + 1] = events:receive().kind
              return found
            end""",
        )
    ),
}
FOUND = [EXIT, "process not found", "name not registered", True, "pid not registered", LINK_DOWN]


async def test_v20_nothing_runs_between_the_effects_in_both_languages(
    stage: Stage, languages: tuple[str, str]
) -> None:
    """V20, V4, V5: all is done when EXIT is sent, and LINK_DOWN is sent next, to nobody else."""
    node, steps = stage.node, []

    class Recorder(Gate):
        def post(self, source: Any, target: Any, item: Any) -> None:
            if source == holder.pid and target.pid == watcher:
                topology = node.topology
                tied = topology.links_of(watcher), topology.watched_by(watcher)
                reachable = holder.pid in node.processes
                names = dict(node.names.by_name)
                steps.append((str(item.kind), reachable, full.alive, names, *tied))
            target.deliver(item)

    async with node.open_host("app:full", max_processes=1, drain=0) as full:
        pid = await full.spawn(LANGUAGES[languages[1]], name="name")
        holder = stage.adopt(pid, languages[1])
        args = (holder.pid, PUPPETS[languages[1]])
        watcher = await stage.host.spawn(LOOKS_AROUND[languages[0]], *args)
        await stage.settle()
        node.install(Recorder())
        holder.tell("fail", "boom")
        with trio.fail_after(1):
            assert (await node.wait(watcher)).unwrap() == FOUND
        node.install(None)
    assert steps == [(kind, False, 0, {}, [], []) for kind in (EXIT, LINK_DOWN)]


async def test_watchers_and_links_are_told_in_the_order_of_their_making(host: Host) -> None:
    """TS4: first monitors, then links, each in the order in which they were made."""
    told: list[tuple[str, str]] = []

    class Recorder(Gate):
        def post(self, source: Any, target: Any, item: Any) -> None:
            if source == pid:
                told.append((names[target.pid], str(item.kind)))
            target.deliver(item)

    async def fails(ctx: ProcessContext) -> None:
        await trio.sleep(5)
        raise ValueError

    async def peer(ctx: ProcessContext, what: str) -> None:
        ctx.options.trap_links = True
        getattr(ctx, what)(pid)
        await trio.sleep_forever()

    pid = await host.spawn(fails)
    names = {}
    for what in ("link", "monitor", "link", "monitor"):
        other = await host.spawn(peer, what)
        names[other] = f"{what}{len(names)}"
    host.node.install(Recorder())
    await host.node.wait(pid)
    assert told == [
        ("monitor1", EXIT),
        ("monitor3", EXIT),
        ("link0", LINK_DOWN),
        ("link2", LINK_DOWN),
    ]


async def test_upgrade_is_not_an_exit(stage: Stage, languages: tuple[str, str]) -> None:
    """V6, U6: names, monitors and links stay, nobody is told anything."""
    a, b = await stage.cast(*languages)
    await a.do("trap", True)
    await a.do("link", b.pid)
    await a.do("monitor", b.pid)
    await b.do("register", "bob")
    b.tell("upgrade", None, 5)
    assert await a.events() == []
    assert (await b.do("state"), await a.do("lookup", "bob")) == ([5], b.pid)
    b.tell("fail", "boom")
    assert kinds(await a.events()) == [(EXIT, b.pid), (LINK_DOWN, b.pid)]


async def test_event_texts_are_those_of_the_seeds() -> None:
    """V10-V12: the kinds as programs in both languages see them."""
    assert [CANCEL, EXIT, LINK_DOWN] == ["pid.cancel", "pid.exit", "pid.link.down"]


async def test_call_gives_the_caller_no_exit_event(host: Host) -> None:
    """C5: the events of a caller get no EXIT for the called process."""

    async def fails(ctx: ProcessContext) -> None:
        raise ValueError

    async def caller(ctx: ProcessContext) -> int:
        events = ctx.events
        with pytest.raises(ProcessError):
            await ctx.call(fails)
        return len(events)

    assert await host.node.call(caller, host=host) == 0
