"""The hard races that have a Lua side, with every pair of languages (PY15).

250 drawn schedules for each of the four pairs; unlink, unmonitor and upgrade are in
test_races.py, deadlines in test_races_deadlines.py.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
import trio
from schedules import Held, under_schedules
from stage import EXIT, LINK_DOWN, Stage

from lua_bridge import LuaTarget, Script
from trio_actors import EventKind, Node, ProcessContext, ProcessError, ProcessUnavailable
from trio_actors._core.function import function_target

RUNS = 250


def script(name: str, source: str, *modules: str) -> LuaTarget:
    """A Lua definition."""
    return LuaTarget(Script(f"race:{name}", source, modules=modules))


class Code:
    """A code source: what a race needs, by id."""

    def __init__(self, **targets: Any) -> None:
        self.targets = targets

    def find(self, id: str) -> Any:
        return self.targets.get(id.removeprefix("race:"))


async def test_register_against_exit_of_the_owner(stage: Stage, languages: tuple[str, str]) -> None:
    """R2, R4, R7: a name never points to an ended process, whoever registers it for whom."""
    seen = set()

    async def race(held: Held) -> None:
        held.drop()
        a, b = await stage.cast(*languages)
        c = await stage.puppet(languages[1])
        stage.node.install(held)
        a.tell("register", "n", b.pid)
        b.tell("return")
        c.tell("register", "n")
        await held.play()
        held.drop()
        holder = stage.node.names.by_name.get("n")
        assert not b.alive
        assert holder in (None, c.pid)
        seen.add("c" if holder else None)
        for puppet in (a, c):
            puppet.tell("return")
        await stage.exits(a, c)
        assert stage.node.names.by_name == {}

    await under_schedules(stage.node, race, runs=RUNS)
    assert seen == {None, "c"}


async def brief(ctx: ProcessContext, fails: bool) -> None:
    """Ends at once."""
    if fails:
        raise ProcessError("child")


BRIEF = {
    "python": function_target(brief, id="race:brief"),
    "lua": script("brief", "return function(fails) if fails then error('child') end end"),
}


async def python_parent(ctx: ProcessContext, trap: bool, fails: bool) -> list[str]:
    """The same in Python."""
    ctx.options.trap_links = trap
    events = ctx.events
    await ctx.listen("go").receive()
    await ctx.spawn("race:brief", fails, link=True, monitor=True)
    kinds = [str((await events.receive()).kind) for _ in range(2 if fails else 1)]
    await ctx.listen("never").receive()
    return kinds


PARENT = {
    "python": function_target(python_parent, id="race:parent"),
    "lua": script(
        "parent",
        """return function(trap, fails)
          process.set_options{trap_links = trap}
          local events = process.events()
          process.listen("go"):receive()
          process.spawn_linked_monitored("race:brief", "stage:host", fails)
          local kinds = {}
          for i = 1, fails and 2 or 1 do kinds[i] = events:receive().kind end
          process.listen("never"):receive()
          return kinds
        end""",
    ),
}


@pytest.mark.parametrize("trap", [False, True], ids=["", "trapping"])
@pytest.mark.parametrize("fails", [False, True], ids=["returns", "fails"])
async def test_spawn_linked_of_a_process_that_ends_at_once(
    stage: Stage, languages: tuple[str, str], trap: bool, fails: bool
) -> None:
    """E11, V5: EXIT and LINK_DOWN are never lost, however short the life of the child."""
    stage.node.add_source(Code(brief=BRIEF[languages[1]]))

    async def race(held: Held) -> None:
        pid = await stage.host.spawn(PARENT[languages[0]], trap, fails)
        stage.node.send(pid, "go")
        await held.play()
        held.drop()
        if pid in stage.node.processes:
            stage.node.send(pid, "never")
        end = await stage.node.wait(pid)
        if fails and not trap:
            assert str(end.error) == "linked process failed"
        else:
            assert end.unwrap() == [EXIT, LINK_DOWN][: 2 if fails else 1]

    await under_schedules(stage.node, race, runs=RUNS)


@pytest.mark.parametrize("trap", [False, True], ids=["", "trapping"])
async def test_two_exit_signals_to_one_process(
    stage: Stage, languages: tuple[str, str], trap: bool
) -> None:
    """E40, K14, K15: the first to arrive ends it, once; a trapping one gets both, in order."""
    seen = set()

    async def race(held: Held) -> None:
        held.drop()
        target, a = await stage.cast(*languages)
        b, watcher = await stage.cast(languages[1], languages[1])
        await target.do("trap", trap)
        for other in (a, b):
            await target.do("link", other.pid)
        await watcher.do("monitor", target.pid)
        stage.node.install(held)
        for name, other in {"a": a, "b": b}.items():
            other.tell("fail", name)
        await held.play()
        held.drop()
        assert [a.alive, b.alive] == [False, False]
        failed = held.told(target.pid, EventKind.LINK_DOWN)
        seen.add(tuple("a" if pid == a.pid else "b" for pid in failed))
        if trap:
            events = await target.events()
            told = [(event["kind"], event["from"]) for event in events]
            assert told == [(LINK_DOWN, pid) for pid in failed]
            target.tell("return")
        else:
            end = await target.ended()
            assert str(end.error) == "linked process failed"
            assert end.cause.by == failed[0]
            [event] = await watcher.events()
            assert (event["kind"], event["from"]) == (EXIT, target.pid)
        watcher.tell("return")
        await watcher.ended()

    await under_schedules(stage.node, race, runs=RUNS)
    assert {("a", "b"), ("b", "a")} <= seen  # both reached it before it had ended


SPAWNER = script(
    "spawner",
    """return function(gives_way)
      local pids, refused = {}, {}
      for i = 1, 4 do
        for _ = 1, gives_way[i] do time.sleep(1) end
        local pid, err = process.spawn("race:child", "app:busy", i % 2 == 0)
        if pid then pids[#pids + 1] = pid else refused[#refused + 1] = err:message() end
      end
      return {pids = pids, refused = refused}
    end""",
    "time",
)


async def python_spawner(ctx: ProcessContext, gives_way: list[int]) -> dict[str, list[str]]:
    """The same in Python."""
    pids, refused = [], []
    for number, times in enumerate(gives_way, 1):
        for _ in range(times):
            await trio.sleep(1e-9)
        try:
            pids.append(await ctx.spawn("race:child", number % 2 == 0, host="app:busy"))
        except ProcessUnavailable as error:
            refused.append(str(error))
    return {"pids": pids, "refused": refused}


async def python_child(ctx: ProcessContext, patient: bool) -> str:
    """Ends when asked, or not."""
    if patient:
        return str((await ctx.events.receive()).kind)
    await trio.sleep_forever()
    raise AssertionError


CHILD = {
    "python": function_target(python_child, id="race:child"),
    "lua": script(
        "child",
        """return function(patient)
          if patient then return process.events():receive().kind end
          process.inbox():receive()
        end""",
    ),
}


async def test_host_stop_during_spawn(
    node: Node, languages: tuple[str, str], autojump_clock: Any
) -> None:
    """Z2, Z3, PY7: each spawn is refused or its child is ended by the stop; nothing is left."""
    refused: set[str] = set()
    node.add_source(Code(child=CHILD[languages[1]]))
    spawner: Any = SPAWNER if languages[0] == "lua" else python_spawner
    async with node.open_host("app:spawners") as spawners:
        for seed in range(RUNS):
            rng = random.Random(seed)
            gives_way = [rng.randrange(3) for _ in range(4)]
            async with node.open_host("app:busy", drain=1) as host:
                pid = await spawners.spawn(spawner, gives_way)
                for _ in range(rng.randrange(8)):
                    await trio.sleep(1e-9)
            found = (await node.wait(pid)).unwrap()
            ends = [await node.wait(child) for child in found["pids"]]
            texts = {str(end.error) if end.error else str(end.value) for end in ends}
            assert texts <= {"pid.cancel", "cancel deadline exceeded"}, (seed, texts)
            assert len(ends) + len(found["refused"]) == 4, seed
            assert (host.alive, node.processes) == (0, {}), seed
            refused.update(found["refused"])
    assert refused <= {"host is shutting down", "host is not running", "host not found"}
    assert refused
