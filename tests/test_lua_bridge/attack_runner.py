"""Runs attacks on the sandbox, each next to a neighbour in one Lua state; a program of its own.

    python attack_runner.py [--sliced|--unsliced] attack.lua ...

It prints one JSON line when an attack starts and one when it is over, so that a crash of the
interpreter shows which attack it was. What an attack expects stands in its first lines:

    -- expect: dead <Kind> <part of the message>       the process failed like that
    -- expect: no process <Kind> <part of the message> the spawn failed like that
    -- expect: refused | harmless                      it ended by itself; the script asserts why
    -- expect: endless                                 it goes on until it is terminated
    -- modules: time, json
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from lua_bridge import Limits, LuaTarget, Script
from lua_bridge.runner import runner_of
from trio_actors import Host, Node, ProcessContext, ProcessError, open_node

HERE = Path(__file__).parent / "attacks"
LIMITS = Limits(
    instructions=3_000_000,
    memory=12 << 20,
    message_size=1 << 20,
    coroutines=1000,
    channels=1000,
    timers=1000,
)
PATIENCE = 30.0


@attrs.frozen
class Attack:
    """One file: how it should end, and the modules it wants."""

    name: str
    source: str
    expect: str
    modules: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Attack:
        source = path.read_text("utf-8")
        expect = re.search(r"^-- expect: (.*)$", source, re.M)
        modules = re.search(r"^-- modules: (.*)$", source, re.M)
        assert expect, f"{path.name} says nothing about what it expects"
        names = tuple(re.split(r",\s*", modules[1])) if modules else ()
        return cls(path.stem, source, expect[1].strip(), names)


def target(id: str, source: str, modules: tuple[str, ...]) -> LuaTarget:
    script = Script(id, source, path=id.partition(":")[2] + ".lua", modules=modules)
    return LuaTarget(script, limits=LIMITS)


class Targets:
    """The scripts by id, for spawns from Lua."""

    def __init__(self, *targets: LuaTarget) -> None:
        self.targets = {target.id: target for target in targets}

    def find(self, id: str) -> LuaTarget | None:
        return self.targets.get(id)


@attrs.define
class Report:
    """What happened, for one attack."""

    name: str
    problems: list[str] = attrs.field(factory=list)
    outcome: str = ""
    seconds: float = 0.0
    slowest: float = 0.0

    def expect(self, what: str, ok: bool) -> None:
        if not ok:
            self.problems.append(what)


@asynccontextmanager
async def lab(*targets: LuaTarget) -> AsyncIterator[tuple[Node, Host]]:
    async with open_node() as node:
        node.add_source(Targets(*targets))
        async with node.open_host("app:lab", max_processes=60, drain=0) as host:
            yield node, host


async def ask(ctx: ProcessContext, pid: str, report: Report) -> None:
    """One check of a neighbour: it answers, and finds nothing wrong."""
    start = time.perf_counter()
    try:
        ctx.send(pid, "check")
        with trio.fail_after(PATIENCE):
            answer = (await ctx.inbox.receive()).payload
    except (ProcessError, trio.TooSlowError) as error:
        report.expect(f"neighbour does not answer: {error!r}", False)
        return
    report.slowest = max(report.slowest, time.perf_counter() - start)
    report.expect(f"neighbour found {answer['wrong']}", not answer["wrong"])


async def besiege(attack: Attack) -> Report:
    """One attack with its neighbours."""
    report = Report(attack.name)
    neighbour = target("app:neighbour", (HERE / "neighbour.txt").read_text(), ("time", "json"))
    attacker = target("app:attacker", attack.source, attack.modules)
    start = time.perf_counter()
    async with lab(neighbour, attacker) as (node, host):
        done = trio.Event()

        async def scene(ctx: ProcessContext) -> None:
            try:
                await siege(ctx, node, host, attack, report)
            finally:
                done.set()

        await host.spawn(scene)
        await done.wait()
    report.seconds = time.perf_counter() - start
    return report


async def siege(
    ctx: ProcessContext, node: Node, host: Host, attack: Attack, report: Report
) -> None:
    first = await ctx.spawn("app:neighbour", host="app:lab")
    await ask(ctx, first, report)
    report.outcome = await assault(ctx, node, host, attack, report, first)
    report.expect(
        f"expected {attack.expect!r}, got {report.outcome!r}", fits(attack.expect, report.outcome)
    )
    await ask(ctx, first, report)
    second = await ctx.spawn("app:neighbour", host="app:lab")
    await ask(ctx, second, report)
    shards = len(runner_of(host).shards)
    report.expect(f"{shards} Lua states in place of one", shards == 1)


async def assault(
    ctx: ProcessContext, node: Node, host: Host, attack: Attack, report: Report, neighbour: str
) -> str:
    try:
        pid = await ctx.spawn("app:attacker", neighbour, "app:attacker", "app:lab", host="app:lab")
    except ProcessError as error:
        return f"no process {error.kind} {error}"
    if attack.expect == "endless":
        stop = time.perf_counter() + 0.2
        while time.perf_counter() < stop:
            await ask(ctx, neighbour, report)
        ctx.terminate(pid)
    with trio.move_on_after(PATIENCE):
        end = await node.wait(pid)
        if end.error is None:
            return str(end.value[0] if isinstance(end.value, list) else end.value)
        return f"dead {end.error.kind} {end.error}"
    return "still running"


def fits(expect: str, outcome: str) -> bool:
    """Whether an attack ended as its file says."""
    if expect == "harmless":
        return outcome == "done"
    if expect == "endless":
        return outcome == "dead Canceled process terminated"
    words = expect.split(" ", 3 if expect.startswith("no process") else 2)
    return all(word in outcome for word in words) and outcome.startswith(words[0])


def main(names: list[str]) -> None:
    attacks = [Attack.read(HERE / f"{name}.lua") for name in names]
    for attack in attacks:
        print(json.dumps({"begin": attack.name}), flush=True)
        report: Any = trio.run(besiege, attack)
        print(json.dumps(attrs.asdict(report)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
