"""Processes that are called as functions, with callers and processes of both languages. C8-C10."""

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from bilingual import Bench, Outcome, opened

import trio_actors
from lua_bridge import LuaTarget, Script
from trio_actors import ProcessContext, funcs
from trio_actors._core.function import function_target

Clock = trio.testing.MockClock


@attrs.frozen
class OneProcess:
    """Code source with one entry, written in both languages; `language` chooses."""

    id: str
    language: str
    python: Callable[..., Awaitable[Any]]
    script: str

    def install(self, bench: Bench) -> None:
        """Makes it callable."""
        bench.functions.node.add_source(self)
        bench.functions.install_process(self.id, "t:lua")

    def find(self, id: str) -> Any:
        """The code, or None."""
        if id != self.id:
            return None
        if self.language == "python":
            return function_target(self.python, id=id)
        return LuaTarget(Script(id, self.script, modules=("funcs", "time")))


async def test_a_process_called_as_a_function(caller: str, callee: str) -> None:
    """C8, F27, F29: its exit is the result."""

    async def main(ctx: ProcessContext, a: int, b: int) -> int:
        if a < 0:
            raise trio_actors.make_error(trio_actors.ErrorKind.CONFLICT, "negative")
        return a + b

    script = """return function(a, b)
      if a < 0 then error(errors.new{message = "negative", kind = "Conflict"}) end
      return a + b
    end"""
    async with opened() as bench:
        OneProcess("t:main", callee, main, script).install(bench)
        assert await bench.ask(caller, "t:main", 1, 2) == Outcome(3)
        outcome = await bench.ask(caller, "t:main", -1, 2)
        assert (outcome.kind, outcome.text) == ("Conflict", "negative")


@pytest.mark.parametrize("how", ["timeout", "terminate"])
async def test_f28_a_process_whose_caller_gave_up_is_asked_to_end(
    how: str, caller: str, callee: str, autojump_clock: Clock
) -> None:
    """F28, FU8, C9: CANCEL at once, and it ends in its own time."""

    async def patient(ctx: ProcessContext) -> None:
        event = await ctx.events.receive()
        await trio.sleep(5)
        await funcs.call("app:mark", event.kind.value)

    script = """return function()
      local event = process.events():receive()
      time.sleep("5s")
      funcs.call("app:mark", event.kind)
    end"""
    async with opened() as bench:
        OneProcess("t:patient", callee, patient, script).install(bench)
        node = bench.functions.node
        if how == "timeout":
            start = node.now()
            outcome = await bench.ask(caller, "t:patient", options={"timeout": 1000})
            assert (outcome.kind, node.now() - start) == ("Timeout", 1)
        else:
            pid = await bench.start(caller, "t:patient")
            await trio.sleep(1)
            node.terminate(pid)
        await trio.sleep(4)
        assert bench.noted() == []
        await trio.sleep(2)
        assert bench.noted() == ["pid.cancel"]


async def test_c10_asynchronous_calls_run_in_parallel(
    caller: str, callee: str, autojump_clock: Clock
) -> None:
    """C10: three of them take as long as the longest, and each future has its own result."""

    async def sleeper(ctx: ProcessContext, seconds: int) -> int:
        await trio.sleep(seconds)
        return seconds

    script = "return function(n) time.sleep(n * time.SECOND) return n end"
    async with opened() as bench:
        OneProcess("t:sleeper", callee, sleeper, script).install(bench)
        start = trio.current_time()
        if caller == "python":
            futures = [funcs.async_("t:sleeper", seconds) for seconds in (3, 1, 2)]
            assert bench.host.alive == 0
            await trio.sleep(0.5)
            assert bench.host.alive == 3
            assert [await future for future in futures] == [3, 1, 2]
        else:
            source = """local all, got = {}, {}
              for i, n in ipairs{3, 1, 2} do all[i] = funcs.async("t:sleeper", n) end
              for i, future in ipairs(all) do got[i] = (future:response():receive()) end
              return got"""
            assert await bench.run(source) == [3, 1, 2]
        assert trio.current_time() - start == 3
