"""The hard races of the kernel, each under 1,000 drawn schedules."""

from __future__ import annotations

import random
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from play import Play
from schedules import RUNS, Held, under_schedules
from stage import EXIT, LINK_DOWN, Stage

from trio_actors import (
    Ask,
    EventKind,
    Host,
    Node,
    Pid,
    ProcessContext,
    ProcessError,
    ProcessUnavailable,
    Server,
    handles,
)


@pytest.mark.parametrize("trap", [False, True], ids=["", "trapping"])
@pytest.mark.parametrize("by", ["a", "b"], ids=["by_the_survivor", "by_the_failing"])
async def test_unlink_against_exit(host: Host, trap: bool, by: str) -> None:
    """K11, K13-K15: unlinked before the failure nothing happens, after it exactly one thing.

    Whoever of both unlinks; the links of others with either of them stay.
    """
    seen = set()

    async def race(held: Held) -> None:
        play = Play(host)
        a, b, order = play.actor("a", trap=trap), play.actor("b"), play.actor("order")
        of_a, of_b = play.actor("of_a", trap=True), play.actor("of_b", trap=True)
        topology = host.node.topology
        for one, other in ((a, b), (of_a, a), (b, of_b)):
            topology.link(one, other)
        play.order(order, "send", b, "fail")
        play.order(*((a, "unlink", b) if by == "a" else (b, "unlink", a)))
        await held.play()
        first = play.before(f"{by} unlink", "b ended")
        seen.add(first)
        assert play.events(of_b) == ["pid.link.down b"]
        if trap or first:
            assert play.events(a) == ([] if first else ["pid.link.down b"])
            assert (topology.links_of(a), topology.links_of(of_a)) == ([of_a], [a])
        else:
            assert play.how("a") == "linked process failed"
            assert play.events(of_a) == ["pid.link.down a"]
        await play.clear()

    await under_schedules(host.node, race)
    assert seen == {True, False}


@pytest.mark.parametrize("again", [False, True], ids=["", "and_again"])
async def test_unmonitor_against_exit(host: Host, again: bool) -> None:
    """N1, N3, N4: unmonitored before the end there is no EXIT, after it exactly one.

    The monitors of others, and those of others that the watcher holds, stay; and the watcher may
    monitor it again.
    """
    seen = set()

    async def race(held: Held) -> None:
        play = Play(host)
        a, b, of_a, of_b = (play.actor(name) for name in ("a", "b", "of_a", "of_b"))
        topology = host.node.topology
        for watcher, target in ((a, b), (a, of_a), (of_b, b)):
            topology.monitor(watcher, target)
        play.order(b, "return")
        play.order(a, "unmonitor", b)
        if again:
            play.order(a, "monitor", b)
        await held.play()
        first = play.before("a unmonitor", "b ended")
        anew = play.before("a monitor", "b ended")
        seen.add((first, anew))
        assert anew or not again or "a monitor: NotFound" in play.steps
        assert play.events(a) == ([] if first and not anew else ["pid.exit b"])
        assert play.events(of_b) == ["pid.exit b"]
        assert (topology.watched_by(a), topology.watchers_of(of_a)) == ([of_a], [a])
        await play.clear()

    await under_schedules(host.node, race)
    assert seen == {(False, False), (True, False)} | ({(True, True)} if again else set())


async def test_register_against_exit_of_the_owner(host: Host) -> None:
    """R2, R4, R7: a name never points to an ended process, and is never lost to a living one."""
    seen = set()

    async def race(held: Held) -> None:
        play = Play(host)
        a, b, c = (play.actor(name) for name in "abc")
        play.order(a, "register", "n", b)
        play.order(b, "return")
        play.order(c, "register", "n")
        await held.play()
        first = [step for step in play.steps if " register" in step or step == "b ended"]
        seen.add(tuple(first))
        holder = host.node.names.by_name.get("n")
        c_got_it = "c register" in play.steps
        assert holder == (c if c_got_it else None)
        if "a register" in play.steps:
            assert play.before("a register", "b ended"), "registered for the dead"
        if "c register: AlreadyExists" in play.steps:
            assert play.before("a register", "b ended")
            assert play.before("c register: AlreadyExists", "b ended")
        await play.clear()

    await under_schedules(host.node, race)
    assert len(seen) >= 5


@pytest.mark.parametrize("trap", [False, True], ids=["", "trapping"])
@pytest.mark.parametrize("fails", [False, True], ids=["returns", "fails"])
async def test_spawn_linked_of_a_process_that_ends_at_once(
    host: Host, trap: bool, fails: bool
) -> None:
    """E11, V5: EXIT and LINK_DOWN are never lost, however short the life of the child."""

    async def child(ctx: ProcessContext) -> None:
        if fails:
            raise ProcessError("child")

    async def parent(ctx: ProcessContext, play: Play) -> None:
        ctx.options.trap_links = trap
        await ctx.inbox.receive()
        pid = await ctx.spawn(child, link=True, monitor=True)
        play.names[pid] = "child"
        await trio.sleep_forever()

    async def race(held: Held) -> None:
        play = Play(host)
        pid = host.spawn_soon(parent, play)
        play.watch("parent", pid)
        play.order(pid, "go")
        await held.play()
        if fails and not trap:
            assert play.how("parent") == "linked process failed"
        else:
            told = ["pid.exit child", "pid.link.down child"]
            assert play.events(pid) == told[: 2 if fails else 1]
        await play.clear()

    await under_schedules(host.node, race)


async def test_terminate_during_upgrade(host: Host) -> None:
    """E32, E40, U1: whenever terminate comes, no code begins after it and the end is its."""
    seen = set()

    async def version(ctx: ProcessContext, number: Any, play: Play, rng: random.Random) -> None:
        play.steps.append(f"version {number}")
        inbox = ctx.inbox
        try:
            await inbox.receive()
            await ctx.upgrade(None, number + 1, play, rng)
        finally:
            with trio.CancelScope(shield=True):
                for _ in range(rng.randrange(3)):
                    await trio.lowlevel.checkpoint()

    async def terminator(ctx: ProcessContext, play: Play, pid: Pid) -> None:
        await ctx.inbox.receive()
        ctx.terminate(pid)
        play.steps.append("terminated")

    async def race(held: Held) -> None:
        play = Play(host)
        pid = host.spawn_soon(version, 0, play, held.rng)
        play.watch("worker", pid)
        other = host.spawn_soon(terminator, play, pid)
        for _ in range(3):
            play.order(pid, "next")
        play.order(other, "go")
        await held.play()
        assert play.how("worker") == "process terminated"
        assert not any(step.startswith("version") for step in play.steps[at(play) :])
        seen.add(at(play))
        await play.clear()

    def at(play: Play) -> int:
        return play.steps.index("terminated")

    await under_schedules(host.node, race)
    assert seen == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("trap", [False, True], ids=["", "trapping"])
async def test_two_exit_signals_to_one_process(host: Host, trap: bool) -> None:
    """E40, K14, K15: the first to arrive ends it, once; a trapping one gets both, in order."""
    seen = set()

    async def race(held: Held) -> None:
        play = Play(host)
        watcher = play.actor("watcher")
        target = play.actor("target", trap=trap)
        pids = {name: play.actor(name) for name in "ab"}
        host.node.topology.monitor(watcher, target)
        for name, pid in pids.items():
            host.node.topology.link(target, pid)
            play.order(pid, "fail", name)
        await held.play()
        failed = [play.names[Pid(pid)] for pid in held.told(target, EventKind.LINK_DOWN)]
        seen.add("".join(failed))
        if trap:
            assert sorted(failed) == ["a", "b"]
            assert play.events(target) == [f"pid.link.down {name}" for name in failed]
        else:
            assert play.ends["target"].cause.by == pids[failed[0]]
            assert play.how("target") == "linked process failed"
            assert play.events(watcher) == ["pid.exit target"]
            assert set(play.ends) == {"target", "a", "b"}
        await play.clear()

    await under_schedules(host.node, race)
    assert {"ab", "ba"} <= seen  # both reached it before it had ended


async def test_host_stop_during_spawn(node: Node) -> None:
    """Z2, Z3, PY7: each spawn is refused or its child is ended by the stop; nothing is left."""
    refused: set[str] = set()
    ended = {"cancelled": 0, "by force": 0}

    async def child(ctx: ProcessContext, patient: bool) -> None:
        if patient:
            await ctx.events.receive()
            ended["cancelled"] += 1
        else:
            try:
                await trio.sleep_forever()
            finally:
                ended["by force"] += 1

    async def spawner(ctx: ProcessContext, rng: random.Random, spawned: list[Pid]) -> None:
        for _ in range(4):
            for _ in range(rng.randrange(3)):
                await trio.lowlevel.checkpoint()
            try:
                spawned.append(await ctx.spawn(child, rng.random() < 0.5, host="app:busy"))
            except ProcessUnavailable as error:
                refused.add(str(error))

    async with node.open_host("app:spawners") as spawners:
        for seed in range(RUNS):
            rng = random.Random(seed)
            spawned: list[Pid] = []
            ended.update({"cancelled": 0, "by force": 0})
            async with node.open_host("app:busy", drain=1) as host:
                await spawners.spawn(spawner, rng, spawned)
                for _ in range(rng.randrange(12)):
                    await trio.lowlevel.checkpoint()
            await spawners.join()
            ends = [(await node.wait(pid)) for pid in spawned]
            texts = {str(end.error) if end.error else "asked" for end in ends}
            assert texts <= {"asked", "cancel deadline exceeded"}, seed
            assert len(spawned) == sum(ended.values()), seed
            assert (host.alive, node.processes) == (0, {}), seed
    assert refused == {"host is shutting down", "host is not running"}


@attrs.frozen
class Echo(Ask[int]):
    """A question whose answer is its number."""

    number: int
    delay: float


class Echoing(Server):
    """Answers later, in whatever order the delays make."""

    def init(self) -> None:
        self.requests: dict[int, Any] = {}

    @handles(Echo)
    def echo(self, request: Echo) -> None:
        if request.delay < 0:
            self.defer()  # dropped: the caller is told
            return
        self.requests[request.number] = self.defer()
        self.ctx.send_after(request.delay, "due", request.number)

    @handles("due")
    def due(self, message: Any) -> None:
        self.requests.pop(message.payload).reply(message.payload)


class TaskedEchoing(Echoing):
    """The same with a task of its own."""

    @handles("nothing")
    async def nothing(self, message: Any) -> None:
        """Makes it one."""


@pytest.mark.parametrize("server", [Echoing, TaskedEchoing])
async def test_ask_against_reply_timeout_and_end(host: Host, server: type[Server]) -> None:
    """An ask ends in exactly one of reply, callee's end, timeout; late replies reach nobody."""
    seen = set()

    async def client(ctx: ProcessContext, pid: Pid, rng: random.Random, at: int) -> list[str]:
        ends = []
        for number in range(at, at + 4):
            delay = rng.choice([-1.0, 0.0, 1.0, 1.0, 3.0])
            try:
                value = await ctx.ask(pid, Echo(number, delay), timeout=rng.choice([1, 2]))
            except ProcessError as error:
                ends.append(str(error.kind))
            else:
                assert value == number
                ends.append("reply")
        return ends

    async def race(held: Held) -> None:
        held.drop()
        rng = held.rng
        pid = host.spawn_soon(server)
        clients = [host.spawn_soon(client, pid, rng, at) for at in (0, 10)]
        await trio.sleep(rng.choice([0.0, 1.0, 2.0, 4.0]))
        if rng.random() < 0.5:
            host.node.terminate(pid)
        for one in clients:
            ends = (await host.node.wait(one)).unwrap()
            assert len(ends) == 4
            seen.update(ends)
        assert pid not in host.node.processes or host.node.processes[pid].mailbox.depth() <= 8
        await Play(host).clear()

    await under_schedules(host.node, race, runs=RUNS // 4)
    assert seen == {"reply", "Timeout", "Unavailable", "NotFound"}


LANGUAGE_RUNS = 250  # of each of four combinations


def heard(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Kind and sender of each event that a puppet has read."""
    return [(event["kind"], event["from"]) for event in events]


@pytest.mark.parametrize("trap", [False, True], ids=["", "trapping"])
@pytest.mark.parametrize("by", [0, 1], ids=["by_the_survivor", "by_the_failing"])
async def test_unlink_against_exit_in_both_languages(
    stage: Stage, languages: tuple[str, str], trap: bool, by: int
) -> None:
    """K11, K14, K15, PY15: nothing or exactly one thing happens, whoever is written in what.

    Whoever of both unlinks; the links of others with either of them stay.
    """
    seen = set()

    async def race(held: Held) -> None:
        held.drop()
        pair = a, b = await stage.cast(*languages)
        of_a, of_b = await stage.cast(*languages)
        for puppet, whether in ((a, trap), (of_a, True), (of_b, True)):
            await puppet.do("trap", whether)
        for one, other in ((a, b), (of_a, a), (b, of_b)):
            await one.do("link", other.pid)
        stage.node.install(held)
        pair[by].tell("unlink", pair[1 - by].pid)
        of_b.relay(b, "fail", "boom")
        await held.play()
        held.drop()
        assert not b.alive
        assert heard(await of_b.events()) == [(LINK_DOWN, b.pid)]
        links = stage.node.topology.links_of
        if a.alive:
            told = heard(await a.events())
            assert told in ([], [(LINK_DOWN, b.pid)] if trap else [])
            assert (links(a.pid), links(of_a.pid)) == ([of_a.pid], [a.pid])
            seen.add(bool(told))
            a.tell("return")
        else:
            seen.add(True)
            assert not trap
            assert str((await a.ended()).error) == "linked process failed"
            assert heard(await of_a.events()) == [(LINK_DOWN, a.pid)]
        for puppet in (of_a, of_b):
            puppet.tell("return")

    await under_schedules(stage.node, race, runs=LANGUAGE_RUNS)
    assert seen == {True, False}


@pytest.mark.parametrize("again", [False, True], ids=["", "and_again"])
async def test_unmonitor_against_exit_in_both_languages(
    stage: Stage, languages: tuple[str, str], again: bool
) -> None:
    """N1, N3, N4, PY15: no EXIT or exactly one; monitors of others, and later ones, are kept."""
    seen = set()

    async def race(held: Held) -> None:
        held.drop()
        a, b = await stage.cast(*languages)
        of_a, of_b = await stage.cast(*languages)
        for watcher, target in ((a, b), (a, of_a), (of_b, b)):
            await watcher.do("monitor", target.pid)
        stage.node.install(held)
        b.tell("return")
        a.tell("unmonitor", b.pid)
        if again:
            a.tell("monitor", b.pid)
        await held.play()
        held.drop()
        told = heard(await a.events())
        assert told in ([], [(EXIT, b.pid)])
        assert heard(await of_b.events()) == [(EXIT, b.pid)]
        topology = stage.node.topology
        assert topology.watched_by(a.pid) == [of_a.pid]
        assert topology.watchers_of(of_a.pid) == [a.pid]
        seen.add(bool(told))
        for puppet in (a, of_a, of_b):
            puppet.tell("return")

    await under_schedules(stage.node, race, runs=LANGUAGE_RUNS)
    assert seen == {True, False}


async def test_terminate_against_upgrade_in_both_languages(
    stage: Stage, languages: tuple[str, str]
) -> None:
    """E32, U1, PY15: whatever terminate meets, the end is its, and there is one EXIT."""

    async def race(held: Held) -> None:
        held.drop()
        a, b = await stage.cast(*languages)
        await a.do("monitor", b.pid)
        stage.node.install(held)
        for n in range(3):
            b.tell("upgrade", None, n)
        a.tell("terminate", b.pid)
        await held.play()
        held.drop()
        [event] = await a.events()
        assert event["error"] == {"message": "process terminated", "kind": "Canceled"}
        a.tell("return")

    await under_schedules(stage.node, race, runs=LANGUAGE_RUNS)
