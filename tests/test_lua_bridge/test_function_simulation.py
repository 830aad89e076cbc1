"""Functions in simulated time: under every order of messages, kills and delays. F11, PL4.

A function asks a ledger process by messages, so there is something to reorder; its pool has one
worker. Callers are killed while they wait for the worker, while the function waits for the ledger,
and before and after.
"""

from functools import partial
from typing import Any

import pytest
from bilingual import MODULES

import trio_actors
from lua_bridge import LuaCallee, LuaTarget, Script
from trio_actors import ProcessContext, funcs
from trio_actors.functions import open_functions
from trio_actors.testing import Sim, explore

ASK = """return function(ledger, who)
  local inbox = process.inbox()
  process.send(ledger, "enter", {pid = process.pid(), who = who})
  inbox:receive()
  process.send(ledger, "leave", {pid = process.pid(), who = who})
  inbox:receive()
  return who
end"""
CALLER = "return function(ledger, who) return funcs.call('app:ask', ledger, who) end"


async def ledger(ctx: ProcessContext, log: list[tuple[str, str]]) -> None:
    """Notes who enters and leaves, and answers."""
    async for message in ctx.inbox:
        log.append((message.topic, message.payload["who"]))
        if message.payload["pid"] in ctx.node.processes:  # an ended call wants no answer
            ctx.send(message.payload["pid"], "ok")


async def ask(ledger: str, who: str) -> str:
    """The same as ASK."""
    ctx = trio_actors.current()
    for topic in ("enter", "leave"):
        ctx.send(ledger, topic, {"pid": ctx.pid, "who": who})
        await ctx.receive()
    return who


async def killer(ctx: ProcessContext) -> None:
    """Terminates whom it is told to; when that arrives is up to the schedule."""
    async for message in ctx.inbox:
        try:
            ctx.terminate(message.payload)
        except trio_actors.ProcessNotFound:
            pass  # it was too late


async def calls(ctx: ProcessContext, ledger: str, who: str) -> Any:
    """The same as CALLER."""
    return await funcs.call("app:ask", ledger, who)


@pytest.mark.parametrize("caller", ["python", "lua"])
@pytest.mark.parametrize("callee", ["python", "lua"])
@explore(schedules=100)
async def test_the_worker_is_free_whoever_is_killed(sim: Sim, callee: str, caller: str) -> None:
    """F11, F15, PL4, PL8: every caller ends once, with its own answer or its own death."""
    log: list[tuple[str, str]] = []
    async with open_functions(sim.node) as functions:
        host = await sim.host("h0")
        if callee == "lua":
            made = LuaCallee(host, Script("app:ask", ASK, modules=MODULES), "main")
            functions.install("app:ask", made, pool={"workers": 1})
        else:
            functions.register("app:ask", ask, pool={"workers": 1})
        code: Any = calls
        if caller == "lua":
            code = LuaTarget(Script("app:caller", CALLER, modules=MODULES))
        book = await sim.spawn(ledger, log, name="ledger")
        death = await sim.spawn(killer, name="killer")
        ended: dict[str, trio_actors.Exit] = {}
        for who in "abc":
            pid = await sim.spawn(code, book, who, name=who)
            sim.node.processes[pid].on_exit(partial(ended.__setitem__, who))
            if who != "c":
                sim.send(death, "kill", pid)
        await sim.settle()
        assert set(ended) == set("abc")
        done = {who: exit.value for who, exit in ended.items() if exit.error is None}
        assert "c" in done
        for number in (1, 2, 3):
            sim.sometimes(f"{number} of them finished", len(done) == number)
        sim.sometimes("one was killed while it had the worker", _broken_off(log))
        assert done == {who: who for who in done}
        stats = functions.statistics("app:ask")
        assert (stats.busy, stats.queued, stats.workers) == (0, 0, 1)
        assert len(done) <= stats.completed <= 3
        assert all(("leave", who) in log for who in done)


def _broken_off(log: list[tuple[str, str]]) -> bool:
    return any(("enter", who) in log and ("leave", who) not in log for who in "ab")
