"""The race of a cancel deadline with a normal end, under drawn schedules and times (K3, K6, K8).

Drawn are when the process begins, when it is told to return, how long it takes to do so, when it is
asked to end, and when that request arrives: before its deadline or after.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import trio
from play import Play
from schedules import Held, Passed, under_schedules
from stage import EXIT, Stage

from lua_bridge import LuaTarget, Script
from trio_actors import EventKind, Host, Message, Pid, ProcessContext, Server, handles
from trio_actors._core.process import START, Cancel

PAUSES = (0.25, 0.5, 0.75)
DURATIONS = [0.0, 0.5, 1.0, 1.5]
EXCEEDED = "cancel deadline exceeded"


async def function(ctx: ProcessContext) -> str:
    """Returns after a while."""
    seconds = (await ctx.receive("return")).payload
    try:
        if seconds:
            await trio.sleep(seconds)
        return "own"
    finally:
        await trio.lowlevel.cancel_shielded_checkpoint()


async def brief(ctx: ProcessContext) -> str:
    """Returns at once: it has never had a task, where functions are stepped."""
    await ctx.receive("return")
    return "own"


async def parent(ctx: ProcessContext) -> str:
    """Has returned after its child task, which takes a while."""
    seconds = (await ctx.receive("return")).payload
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, seconds)
        return "own"


class PlainServer(Server):
    """Stops when it is told to."""

    @handles("return")
    def leave(self, message: Any) -> None:
        self.stop("own")

    @handles(EventKind.CANCEL)
    def asked(self, event: Any) -> None:
        """Goes on."""


class AsyncServer(Server):
    """Stops after a while."""

    @handles("return")
    async def leave(self, message: Any) -> None:
        if message.payload:
            await trio.sleep(message.payload)
        self.stop("own")

    @handles(EventKind.CANCEL)
    async def asked(self, event: Any) -> None:
        """Goes on."""


def is_cancel(passed: Passed) -> bool:
    """Whether it is a request to end."""
    return isinstance(passed.item, Cancel)


def expected(held: Held, pid: Pid) -> tuple[str, float]:
    """How the process has to end by what reached it, and when."""
    came = held.to(pid)
    begun = next(passed.at for passed in came if passed.item is START)
    own = math.inf
    for passed in came:
        if isinstance(passed.item, Message):
            own = max(begun, passed.at) + passed.item.payload
    for passed in filter(is_cancel, came):
        limit = max(passed.item.deadline, passed.at)
        if own >= limit and not passed.too_late:
            return EXCEEDED, max(begun, limit)
    return "own", own


@pytest.mark.parametrize("worker", [function, brief, parent, PlainServer, AsyncServer])
async def test_cancel_deadline_against_normal_return(host: Host, worker: Any) -> None:
    """K3, K6, K8: ended before the deadline, its own result; alive at it, E33. Exactly one EXIT."""
    seen = set()
    at_once = worker in (brief, PlainServer)

    async def race(held: Held) -> None:
        play = Play(host)
        watcher, asking = play.actor("watcher"), play.actor("asking")
        pid = host.spawn_soon(worker)
        play.watch("worker", pid)
        host.node.topology.monitor(watcher, pid)
        play.order(asking, "cancel", pid, 1)
        host.node.send(pid, "return", 0.0 if at_once else held.rng.choice(DURATIONS))
        await held.play(*PAUSES)
        while "worker" not in play.ends:
            await trio.sleep(0.25)
            await held.play(*PAUSES)
        how, when = expected(held, pid)
        assert (play.how("worker"), play.times["worker"]) == (how, when)
        await held.play()
        assert play.events(watcher) == ["pid.exit worker"]
        late = [passed.at > passed.item.deadline for passed in held.to(pid) if is_cancel(passed)]
        seen.add((how, *late))
        await play.clear()

    await under_schedules(host.node, race)
    # With CANCEL there in time, too late, after the end, or refused for it.
    assert seen >= {("own", False), (EXCEEDED, False), (EXCEEDED, True), ("own",)}


WORKERS = {
    "python": function,
    "lua": LuaTarget(
        Script(
            "race:worker",
            """return function()
              local seconds = process.listen("return"):receive()
              if seconds > 0 then time.sleep(math.floor(seconds * 1e9)) end
              return "own"
            end""",
            modules=("time",),
        )
    ),
}


async def test_cancel_deadline_against_normal_return_in_both_languages(
    stage: Stage, languages: tuple[str, str]
) -> None:
    """K3, K6, K8, PY15: whoever asks whom, an own result before the deadline and E33 at it."""
    seen = set()

    async def race(held: Held) -> None:
        held.drop()
        asking, watcher = await stage.cast(languages[0], languages[0])
        await stage.settle()
        stage.node.install(held)
        ends: dict[str, Any] = {}
        pid = stage.host.spawn_soon(WORKERS[languages[1]])
        stage.node.processes[pid].on_exit(
            lambda end: ends.update(how=str(end.error or end.value), when=trio.current_time())
        )
        stage.node.topology.monitor(watcher.pid, pid)
        asking.tell("cancel", pid, "1s")
        stage.node.send(pid, "return", held.rng.choice(DURATIONS))
        await held.play(*PAUSES)
        while not ends:
            await trio.sleep(0.25)
            await held.play(*PAUSES)
        how, when = expected(held, pid)
        assert ends == {"how": how, "when": when}
        seen.add(how)
        await held.play()
        held.drop()
        told = [(event["kind"], event["from"]) for event in await watcher.events()]
        assert told == [(EXIT, pid)]
        for puppet in (asking, watcher):
            puppet.tell("return")
        await stage.exits(asking, watcher)

    await under_schedules(stage.node, race, runs=250)
    assert seen == {"own", EXCEEDED}
