"""What is verified is all that can come out: DPOR misses no outcome that some order has (TS10).

First small systems, each about one kind of state that processes share without messages; what is
made in sending order shows half of it. Then random ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import trio
from enumerated import Notes, System, verified

from property_tests.ways import functions_begin
from trio_actors import Bounded, ErrorKind, Pid, ProcessContext, ProcessError
from trio_actors import events as event_bus
from trio_actors import sys as inside
from trio_actors.testing import Sim
from trio_actors.testing.footprint import COUNT, READ, WRITE, Footprint, conflict

Act = Callable[[ProcessContext], Any]


async def actor(ctx: ProcessContext, notes: Notes, act: Act, ends: bool) -> None:
    """Does one thing when it is told to, and notes what comes of it; then it waits or ends."""
    (name,) = ctx.node.names.names_of(ctx.pid)
    mine = notes.setdefault(name, [])
    await ctx.inbox.receive()
    try:
        found = act(ctx)
        if hasattr(found, "__await__"):
            found = await found
    except ProcessError as error:
        found = error.kind.name
    if found is not None:
        mine.append(found)
    while not ends:
        await ctx.inbox.receive()


def once(*told: str, ends: str = "", **acts: Act) -> System:
    """Processes of which each does one thing, told in this order; those in `ends` end then."""

    async def system(sim: Sim, notes: Notes) -> None:
        for name, act in acts.items():
            await sim.spawn(actor, notes, act, name in ends, name=name)
        await sim.run_for(0)
        for name in told:
            sim.send(name, "now")

    return system


def what_comes_out(system: System, who: str) -> set[Any]:
    """What one has noted in the runs that DPOR makes; it is all that there is."""
    found, all_there_is = verified(system)
    assert all_there_is is not None
    assert set(found) == all_there_is
    return {dict(seen).get(who) for seen in found}


def nothing(ctx: ProcessContext) -> None:
    """Does nothing."""


def pid_of(ctx: ProcessContext, name: str) -> Pid:
    """Of the actors of these systems, also when it has ended: the first three are a, b and c."""
    return Pid(f"{ctx.pid[:-2]}{'_abc'.index(name)}}}")


@pytest.mark.parametrize("stepped", [True, False])
@pytest.mark.parametrize("by", ["return", "terminate"])
def test_whether_a_name_is_held_depends_on_the_end_of_its_holder(by: str, stepped: bool) -> None:
    """R7: also when the name was taken away first, so that the end releases nothing."""

    def take(ctx: ProcessContext) -> bool:
        return ctx.node.names.unregister("b")

    def stop(ctx: ProcessContext) -> None:
        ctx.terminate(pid_of(ctx, "b"))

    with functions_begin(stepped=stepped):
        if by == "return":
            system = once("a", "b", a=take, b=nothing, ends="b")
        else:
            system = once("a", "c", a=take, b=nothing, c=stop)
        assert what_comes_out(system, "a") == {(True,), (False,)}


def test_the_names_of_a_process_depend_on_who_registers_one() -> None:
    """Also for somebody who looks before there is one."""
    system = once(
        "a",
        "b",
        a=lambda ctx: len(ctx.node.names.names_of(pid_of(ctx, "b"))),
        b=lambda ctx: ctx.register("more"),
    )
    assert what_comes_out(system, "a") == {(1,), (2,)}


@pytest.mark.parametrize(
    "look",
    [
        lambda node: len(node.processes),
        lambda node: len(list(node.processes)),
        lambda node: len(node.processes.values()),
        lambda node: len(inside.processes(node)),
        lambda node: len(node.names.by_name),
        lambda node: node.statistics().processes,
        lambda node: 3 - node.exits.total,
        lambda node: 3 - len(node.exits.latest(9)),
    ],
)
def test_a_look_at_all_depends_on_every_end(look: Callable[[Any], int]) -> None:
    """Of b and c; that one comes before the other makes no difference."""
    system = once("a", "b", "c", a=lambda ctx: look(ctx.node), b=nothing, c=nothing, ends="bc")
    found, all_there_is = verified(system)
    assert set(found) == all_there_is
    assert {dict(seen)["a"] for seen in found} == {(3,), (2,), (1,)}
    assert len(found) == 4  # before both, after one or the other, after both


def test_ends_do_not_depend_on_each_other() -> None:
    """Where nobody looks: nor on a host that has a limit but is not full."""

    async def system(sim: Sim, notes: Notes) -> None:
        await sim.host(max_processes=5)
        await once("a", "b", "c", a=nothing, b=nothing, c=nothing, ends="abc")(sim, notes)

    found, _ = verified(system)
    assert len(found) == 1


def test_an_end_that_is_remembered_is_a_part_of_the_life() -> None:
    """PH6."""
    look = once(
        "a", "b", a=lambda ctx: ctx.node.exits.get(pid_of(ctx, "b")) is None, b=nothing, ends="b"
    )
    assert what_comes_out(look, "a") == {(True,), (False,)}


@pytest.mark.parametrize("stepped", [True, False])
def test_a_start_depends_on_a_terminate_before_it(stepped: bool) -> None:
    """E40: what is to end before it has begun does not begin."""

    async def killer(ctx: ProcessContext, other: Pid) -> None:
        ctx.terminate(other)

    async def victim(ctx: ProcessContext, notes: Notes) -> None:
        notes["victim"] = ["begun"]
        await ctx.inbox.receive()

    async def system(sim: Sim, notes: Notes) -> None:
        await sim.spawn(killer, await sim.spawn(victim, notes))

    with functions_begin(stepped=stepped):
        assert what_comes_out(system, "victim") == {None, ("begun",)}


def test_a_deadline_is_in_force_before_the_cancel_arrives() -> None:
    """K6: the one that is cancelled can see it at once."""
    system = once(
        "b",
        "a",
        a=lambda ctx: ctx.process.deadline < 100,
        b=lambda ctx: ctx.cancel(pid_of(ctx, "a"), 50),
    )
    assert what_comes_out(system, "a") == {(True,), (False,)}


def test_a_look_at_links_and_monitors_depends_on_what_changes_them() -> None:
    """K10, N1."""

    def tie(ctx: ProcessContext) -> None:
        ctx.link(pid_of(ctx, "b"))
        ctx.monitor(pid_of(ctx, "b"))

    def look(ctx: ProcessContext) -> tuple[int, int]:
        topology, b = ctx.node.topology, pid_of(ctx, "b")
        return len(topology.links_of(b)), len(topology.watchers_of(b))

    system = once("a", "c", a=look, b=nothing, c=tie)
    assert what_comes_out(system, "a") == {((0, 0),), ((1, 1),)}


def test_a_monitor_goes_with_its_owner() -> None:
    """Whoever watches and ends is not among the watchers, though nobody is told of that."""

    async def system(sim: Sim, notes: Notes) -> None:
        acts = {
            "a": lambda ctx: len(ctx.node.topology.watchers_of(pid_of(ctx, "b"))),
            "b": nothing,
            "c": nothing,
        }
        await once(ends="c", **acts)(sim, notes)
        sim.node.topology.monitor(sim.node.lookup("c"), sim.node.lookup("b"))
        for name in ("a", "c"):
            sim.send(name, "now")

    assert what_comes_out(system, "a") == {(1,), (0,)}


@pytest.mark.parametrize(
    "look",
    [
        lambda ctx: len(ctx.members("g")),
        lambda ctx: ctx.node.broadcast("g", "news"),
        lambda ctx: len(ctx.watch_group("g")),
    ],
)
@pytest.mark.parametrize("ends", ["", "b"])
def test_who_is_in_a_group_depends_on_joins_and_ends(look: Act, ends: str) -> None:
    """Before it, in it, and after the end of the only member."""

    def both(ctx: ProcessContext) -> None:
        ctx.join("g")

    async def system(sim: Sim, notes: Notes) -> None:
        await once(a=look, b=nothing if ends else both, ends=ends)(sim, notes)
        if ends:
            sim.node.join_group("g", sim.node.processes[sim.node.lookup("b")])
        for name in ("a", "b"):
            sim.send(name, "now")

    assert {seen[0] for seen in what_comes_out(system, "a")} == {0, 1}


def test_a_place_in_a_group_depends_on_who_joins_first() -> None:
    """Members are listed in the order in which they joined."""

    def join(ctx: ProcessContext) -> int:
        ctx.join("g")
        return len(ctx.members("g"))

    assert what_comes_out(once("a", "b", a=join, b=join), "a") == {(1,), (2,)}


def test_a_count_of_messages_depends_on_every_message() -> None:
    """PH8."""
    system = once(
        "a", "b", a=lambda ctx: ctx.node.count_delivered(), b=lambda ctx: ctx.send("b", "more")
    )
    one, other = sorted(seen[0] for seen in what_comes_out(system, "a"))
    assert other == one + 1


@pytest.mark.parametrize(
    "look",
    [
        lambda node: inside.view(node, "b").mailbox,
        lambda node: node.statistics().longest_mailbox,
        lambda node: node.hosts["h0"].statistics().unread,
    ],
)
def test_a_look_into_a_process_depends_on_what_arrives_there(look: Callable[[Any], int]) -> None:
    """Unread messages of somebody else."""
    system = once("b", "a", "b", a=lambda ctx: look(ctx.node), b=lambda ctx: trio.sleep(1))
    assert what_comes_out(system, "a") == {(0,), (1,)}


def test_room_in_a_mailbox_goes_to_who_sends_first() -> None:
    """M20: the other is refused, whatever arrives when."""

    def send(ctx: ProcessContext) -> Any:
        return ctx.send("full", "x") or "sent"

    async def reader(ctx: ProcessContext) -> None:
        await ctx.events.receive()

    async def system(sim: Sim, notes: Notes) -> None:
        await sim.spawn(reader, name="full", mailbox=Bounded(1))
        await once("a", "b", a=send, b=send)(sim, notes)

    assert what_comes_out(system, "b") == {("sent",), ("UNAVAILABLE",)}


def test_a_count_of_dead_letters_depends_on_each() -> None:
    """Of what a full mailbox drops."""

    async def reader(ctx: ProcessContext) -> None:
        await ctx.events.receive()

    async def system(sim: Sim, notes: Notes) -> None:
        await sim.spawn(reader, name="full", mailbox=Bounded(1, "drop_new"))
        await once(a=lambda ctx: ctx.node.dead_letters.count, b=nothing)(sim, notes)
        await sim.run_for(0)
        sim.send("full", "x")
        await sim.run_for(0)
        sim.send("a", "now")
        sim.send("full", "too much")

    assert what_comes_out(system, "a") == {(0,), (1,)}


def test_a_handle_of_a_monitor_depends_on_the_end() -> None:
    """Whoever holds it may look at it at any time, without waiting."""

    async def look(ctx: ProcessContext) -> bool:
        async with ctx.monitoring("b") as down:
            await ctx.inbox.receive()
            return down.exit is None

    system = once("a", "a", "b", a=look, b=nothing, ends="b")
    whole = {seen[0] for seen in what_comes_out(system, "a")}
    assert whole == {True, False, ErrorKind.NOT_FOUND.name}


def test_messages_without_a_sender_stand_in_one_queue() -> None:
    """M12: that of `Node.send` is one sender, whichever process calls it."""

    async def reader(ctx: ProcessContext, notes: Notes) -> None:
        notes["r"] = [(await ctx.inbox.receive()).topic, (await ctx.inbox.receive()).topic]

    async def system(sim: Sim, notes: Notes) -> None:
        await sim.spawn(reader, notes, name="r")
        acts: dict[str, Act] = {
            "a": lambda ctx: ctx.node.send("r", "of a"),
            "b": lambda ctx: ctx.node.send("r", "of b"),
        }
        await once("a", "b", **acts)(sim, notes)

    assert what_comes_out(system, "r") == {("of a", "of b"), ("of b", "of a")}


def test_events_depend_on_who_has_subscribed() -> None:
    """EV1: an event that was sent before is not received."""

    async def listen(ctx: ProcessContext) -> int:
        async with event_bus.bus_of(ctx.node).subscribe("app", caller=ctx) as subscription:
            with trio.move_on_after(1):
                await subscription.receive()
                return 1
        return 0

    def tell(ctx: ProcessContext) -> None:
        event_bus.bus_of(ctx.node).send("app", "kind", "path")

    assert what_comes_out(once("b", "a", a=listen, b=tell), "a") == {(0,), (1,)}


def test_time_may_pass_before_a_deadline_is_taken_away() -> None:
    """Also where, in sending order, a signal is in the way of time until it has been taken away."""

    async def nap(ctx: ProcessContext) -> str:
        ctx.cancel("c")
        await trio.sleep(1)
        return "slept"

    system = once("b", "a", a=nap, b=lambda ctx: ctx.terminate("a"), c=nothing)
    assert what_comes_out(system, "a") == {(), ("slept",)}


def test_time_may_pass_before_a_signal_is_sent() -> None:
    """The signal is in the way of time, in sending order: then nobody is late."""

    async def patient(ctx: ProcessContext) -> str:
        with trio.move_on_after(2):
            await ctx.node.wait(pid_of(ctx, "a"))
        return "over"

    def cancel(ctx: ProcessContext) -> Any:
        return ctx.cancel("a") or "asked"

    system = once("b", "a", a=patient, b=cancel, ends="a")
    assert what_comes_out(system, "b") == {("asked",), ("NOT_FOUND",)}


# -- random systems

DEEDS: dict[str, Callable[[ProcessContext, str], Any]] = {
    "register": lambda ctx, other: ctx.register("x"),
    "unregister": lambda ctx, other: ctx.node.names.unregister(other),
    "held": lambda ctx, other: other in ctx.node.names.by_name,
    "send": lambda ctx, other: ctx.send(other, "m"),
    "alive": lambda ctx, other: pid_of(ctx, other) in ctx.node.processes,
    "remembered": lambda ctx, other: ctx.node.exits.get(pid_of(ctx, other)) is not None,
    "all": lambda ctx, other: len(ctx.node.processes),
    "terminate": lambda ctx, other: ctx.terminate(pid_of(ctx, other)),
    "cancel": lambda ctx, other: ctx.cancel(pid_of(ctx, other), 0.5),
    "link": lambda ctx, other: ctx.link(pid_of(ctx, other)),
    "monitor": lambda ctx, other: ctx.monitor(pid_of(ctx, other)),
    "ties": lambda ctx, other: len(ctx.node.topology.watchers_of(pid_of(ctx, other))),
    "join": lambda ctx, other: ctx.join("g"),
    "members": lambda ctx, other: len(ctx.members("g")),
    "broadcast": lambda ctx, other: ctx.broadcast("g", "m"),
    "unread": lambda ctx, other: inside.view(ctx.node, pid_of(ctx, other)).mailbox,
    "nap": lambda ctx, other: trio.sleep(0.3),
    "fail": lambda ctx, other: 1 // 0,
}


def random_system(seed: int) -> System:
    """Two or three actors that do one or two things for each of few messages, and end."""
    rng = random.Random(seed)
    names = "abc"[: rng.randint(2, 3)]

    def deeds() -> list[tuple[str, str]]:
        count = rng.choice([0, 1, 1, 2])
        return [(rng.choice(list(DEEDS)), rng.choice(names)) for _ in range(count)]

    tables = {name: [deeds() for _ in range(rng.randint(1, 2))] for name in names}
    told = [rng.choice(names) for _ in range(rng.randint(2, 3))]
    begun = rng.random() < 0.7

    async def one(ctx: ProcessContext, name: str, mine: list[Any]) -> None:
        for table in tables[name]:
            mine.append((await ctx.inbox.receive()).sender is None)
            for deed, other in table:
                try:
                    found = DEEDS[deed](ctx, other)
                    if hasattr(found, "__await__"):
                        found = await found
                except ProcessError as error:
                    found = error.kind.name
                mine.append((deed, found))

    async def system(sim: Sim, notes: Notes) -> None:
        for name in names:
            await sim.spawn(one, name, notes.setdefault(name, []), name=name)
        if begun:
            await sim.run_for(0)
        for name in told:
            sim.send(name, "m")

    return system


@pytest.mark.parametrize("stepped", [True, False])
@pytest.mark.parametrize("part", range(2))
def test_dpor_finds_all_that_comes_out_of_a_random_system(part: int, stepped: bool) -> None:
    """Of names, groups, ties, lives, mailboxes and time, with processes that end meanwhile."""
    compared = 0
    with functions_begin(stepped=stepped):
        for seed in range(part * 60, part * 60 + 60):
            found, all_there_is = verified(random_system(seed))
            if all_there_is is not None:
                assert set(found) == all_there_is, f"system {seed}"
                compared += 1
    assert compared >= 50


def test_a_footprint_is_a_table_of_what_was_touched() -> None:
    """Reads commute with reads and counts with counts; both are a change to each other."""
    kinds = {READ: {READ}, COUNT: {COUNT}, WRITE: set[int]()}
    for one, alike in kinds.items():
        for other in kinds:
            assert conflict({("r", ""): one}, {("r", ""): other}) == (other not in alike)
            footprint = Footprint(taken=True)
            footprint.touch(("r", ""), one)
            footprint.touch(("r", ""), other)
            assert footprint.end() == {("r", ""): one if one == other else WRITE}
