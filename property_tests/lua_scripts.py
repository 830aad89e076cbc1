"""Random Lua scripts against the bridge: `python property_tests/lua_scripts.py SEED COUNT`.

Run in an interpreter of its own, because what it looks for is the end of the interpreter. Each
script runs next to a neighbour in the same Lua state, which must still answer at the end; whatever
happens to the script itself, it is a normal exit or an error. Prints a count of the outcomes.
"""

from __future__ import annotations

import collections
import random
import sys
from typing import Any

import trio

from lua_bridge import Limits, LuaTarget, Script
from trio_actors import ProcessError, open_node

LIMITS = Limits(
    instructions=300_000,
    memory=24 << 20,
    message_size=1 << 18,
    coroutines=200,
    channels=200,
    timers=50,
)
MODULES = ("time", "json", "logger", "ctx")
NAMES = ["a", "b", "c", "d"]
VALUES = [
    "nil", "true", "false", "0", "-1", "1", "3.5", "2^53", "math.maxinteger", "math.mininteger",
    "-0.0", "1/0", "0/0", "''", "'x'", "'\\0\\xff'", "('ab'):rep(100)", "{}", "{1, 2, 3}",
    "{1, nil, 3}", "{x = 1, y = {z = {}}}", "print", "function() return 1 end", "channel.new()",
    "channel.new(2)", "coroutine.create(function() coroutine.yield(1) end)", "errors.new('e')",
    "process", "string", "_G", "process.inbox()",
    "setmetatable({}, {__index = function() return 1 end})",
    "setmetatable({}, {__len = function() return 2^40 end})",
    "setmetatable({}, {__tostring = function() return {} end})",
    "setmetatable({}, {__call = function(...) return ... end})",
]  # fmt: skip
FUNCTIONS = [
    "process.send", "process.spawn", "process.spawn_linked_monitored", "process.call",
    "process.monitor", "process.link", "process.unlink", "process.cancel", "process.listen",
    "process.unlisten", "process.set_options", "process.get_options", "process.with_context",
    "process.registry.register", "process.registry.lookup", "process.registry.unregister",
    "channel.new", "channel.select", "coroutine.create", "coroutine.resume", "coroutine.wrap",
    "coroutine.spawn", "coroutine.close", "coroutine.status", "coroutine.running",
    "coroutine.yield", "coroutine.isyieldable", "pcall", "xpcall", "error", "assert", "select",
    "tostring", "tonumber", "rawget", "rawset", "rawequal", "rawlen", "next", "pairs", "ipairs",
    "getmetatable", "setmetatable", "load", "require", "print", "type", "string.rep",
    "string.format", "string.find", "string.gsub", "string.gmatch", "string.byte", "string.char",
    "string.pack", "string.unpack", "table.insert", "table.remove", "table.concat", "table.sort",
    "table.move", "table.unpack", "table.pack", "math.random", "math.randomseed", "math.floor",
    "os.time", "os.date", "utf8.char", "utf8.codepoint", "utf8.len", "errors.new", "errors.wrap",
    "errors.is", "errors.call_stack", "json.encode", "json.decode", "time.after", "time.ticker",
    "time.sleep", "time.parse_duration", "time.date", "logger.info",
    "time.unix", "time.parse", "time.timer", "time.fixed_zone", "time.load_location",
    "logger.with", "logger.named", "json.validate", "json.validate_string", "ctx.get",
]  # fmt: skip
METHODS = ["send", "receive", "close", "case_receive", "case_send", "message", "topic", "stop"]


class Writer:
    """Draws one script."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def value(self, depth: int = 0) -> str:
        draw = self.rng.random()
        if draw < 0.35:
            return self.rng.choice(NAMES)
        if draw < 0.75 or depth > 2:
            return self.rng.choice(VALUES)
        if draw < 0.85:
            return f"{{{self.value(depth + 1)}, k = {self.value(depth + 1)}}}"
        return self.call(depth + 1)

    def call(self, depth: int = 0) -> str:
        arguments = ", ".join(self.value(depth + 1) for _ in range(self.rng.randint(0, 3)))
        if self.rng.random() < 0.15:
            return f"{self.rng.choice(NAMES)}:{self.rng.choice(METHODS)}({arguments})"
        return f"{self.rng.choice(FUNCTIONS)}({arguments})"

    def statement(self, depth: int = 0) -> str:
        draw = self.rng.random()
        name = self.rng.choice(NAMES)
        if draw < 0.3:
            return f"{name} = {self.value()}"
        if draw < 0.55:
            return f"_, {name} = pcall(function() return {self.call()} end)"
        if draw < 0.65:
            return f"pcall(function() {name}[{self.value()}] = {self.value()} end)"
        if draw < 0.75 and depth < 2:
            return f"pcall(function() {self.block(depth + 1)} end)"
        if draw < 0.85 and depth < 2:
            return f"pcall(coroutine.spawn, function() {self.block(depth + 1)} end)"
        if draw < 0.92 and depth < 2:
            return f"for i = 1, {self.rng.choice([2, 50, 20_000])} do {self.statement(2)} end"
        return f"pcall(function() return {self.call()} end)"

    def block(self, depth: int) -> str:
        return "; ".join(self.statement(depth) for _ in range(self.rng.randint(1, 5)))

    def script(self) -> str:
        body = "\n  ".join(self.statement() for _ in range(self.rng.randint(3, 14)))
        return f"local a, b, c, d, _\nreturn function()\n  {body}\n  return {self.value()}\nend"


NEIGHBOUR = """
return function()
  local inbox = process.inbox()
  while true do
    local m = inbox:receive()
    local n = select("#", table.unpack({1, 2}))
    local t = {("x"):rep(3), #string.format("%d", 7), math.type(1), n}
    process.send(m:from(), "alive", t)
  end
end
"""


class Scripts:
    """The scripts may spawn `a:b`, which is themselves."""

    def __init__(self) -> None:
        self.target: Any = None

    def find(self, id: str) -> Any:
        return self.target if id == "a:b" else None


async def run(seed: int, count: int) -> collections.Counter[str]:
    """Runs the scripts one after another; raises if the neighbour was harmed."""
    outcomes: collections.Counter[str] = collections.Counter()
    scripts = Scripts()
    async with open_node() as node:
        node.add_source(scripts)
        async with node.open_host("a:h", drain=0, max_processes=300) as host:
            neighbour = await host.spawn(LuaTarget(Script("n:n", NEIGHBOUR), limits=LIMITS))
            for number in range(count):
                text = Writer(seed + number).script()
                print(f"-- {seed + number}\n{text}", file=sys.stderr)
                scripts.target = LuaTarget(Script("a:b", text, modules=MODULES), limits=LIMITS)
                outcomes[await outcome_of(node, host, scripts.target)] += 1
                for process in list(node.processes.values()):
                    if process.pid != neighbour:
                        node.terminate(process.pid)
                await trio.sleep(0)
                await check(node, host, neighbour)
    return outcomes


async def outcome_of(node: Any, host: Any, target: LuaTarget) -> str:
    with trio.move_on_after(2):
        try:
            await node.call(target, host=host)
        except ProcessError as error:
            return str(error.kind) or "unknown"
        return "returned"
    return "waits"


async def check(node: Any, host: Any, neighbour: str) -> None:
    async def asker(ctx: Any) -> Any:
        ctx.send(neighbour, "hello")
        with trio.fail_after(10):
            return (await ctx.inbox.receive()).payload

    answer = await node.call(asker, host=host)
    if answer != ["xxx", 1, "integer", 2]:
        raise RuntimeError(f"the neighbour was harmed: {answer!r}")


if __name__ == "__main__":
    import trio.testing

    # it also runs by itself: a ticker of a nanosecond would need a million jumps for a second
    clock = trio.testing.MockClock(rate=1.0, autojump_threshold=0.001)
    result = trio.run(run, int(sys.argv[1]), int(sys.argv[2]), clock=clock)
    print(dict(result))
