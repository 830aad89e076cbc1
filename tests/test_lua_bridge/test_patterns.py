"""Patterns: the matcher in Lua gives what Lua's own gives, and bombs end (T7, TM8)."""

import random
from typing import Any

import lupa.lua54 as lupa
import pytest

from lua_bridge import Limits
from lua_bridge.state import lua_source
from trio_actors import ErrorKind, ProcessError

STUB = """
local G = _G
local H = { raw = { string = G.string, table = G.table, math = G.math }, strings = {}, base = {} }
for k, v in pairs(G) do if type(v) == "function" then H.raw[k] = v end end
function H.subject(v) return v end
function H.raise(t) error(t, 0) end
function H.argerror(n, f, e) error(f .. ": " .. e .. " expected", 0) end
function H.frozen(_, t) return t end
function H.seal() end
return H
"""

CALLS = """
local H, mine = ...
local own = H.raw.string
local function show(...)
  local parts = {}
  for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
  return table.concat(parts, "|")
end
local function all(lib, s, p)
  local out = {}
  local function add(...) out[#out + 1] = show(...) end
  local function try(f) add(select(2, pcall(f))) end
  if pcall(lib.find, s, p) then
    add(lib.find(s, p)) add(lib.find(s, p, 3)) add(lib.match(s, p)) add(lib.match(s, p, -2))
    local n = 0
    for a, b in lib.gmatch(s, p) do
      add(a, b)
      n = n + 1
      if n > 20 then break end
    end
    add(lib.gsub(s, p, "<%0>")) add(lib.gsub(s, p, {a = "A"}, 2))
    add(lib.gsub(s, p, function(x) if x == "b" then return nil end return "!" end))
  end
  return table.concat(out, "\\n")
end
return function(s, p) return all(own, s, p), all(mine, s, p) end
"""

PIECES = ["a", "b", ".", "%a", "%s", "%d", "[ab]", "[^a]", "%w", "%.", "[%d_]", "x"]
EXTRA = ["()", "%b()", "%f[%w]", "$", "^"]


@pytest.fixture(scope="module")
def both() -> Any:
    runtime = lupa.LuaRuntime(unpack_returned_tuples=True)
    host = runtime.execute(STUB)
    source = lua_source("core/patterns").replace("local WORK = 3e7", "local WORK = 0")
    source = source.replace("#s < 30 or ", "").replace("d < 2 and raw.math.huge or ", "")
    runtime.execute(source, host)
    return runtime.execute(CALLS, host, host.strings)


def pattern(rng: random.Random) -> str:
    parts = []
    for _ in range(rng.randint(1, 5)):
        if rng.random() < 0.15:
            parts.append(rng.choice(EXTRA[:4]))
            continue
        piece = rng.choice(PIECES) + rng.choice(["", "", "*", "+", "-", "?"])
        parts.append(f"({piece})" if rng.random() < 0.25 else piece)
    return ("^" if rng.random() < 0.2 else "") + "".join(parts)


def test_the_slow_matcher_is_lua_s_own(both: Any) -> None:
    """2,000 drawn patterns and subjects give the same from find, match, gmatch and gsub"""
    rng = random.Random(7)
    for _ in range(2000):
        subject = "".join(rng.choice("aab bxx1.(_)") for _ in range(rng.randint(0, 12)))
        p = pattern(rng)
        own, mine = both(subject, p)
        assert mine == own, (subject, p)


@pytest.mark.parametrize(
    "body",
    [
        "string.find(('a'):rep(400), ('.-'):rep(4) .. 'b')",
        "for w in string.gmatch(('a'):rep(2000), '.-.-.-b') do end",
        "string.match(('a'):rep(30), ('a*'):rep(12) .. 'b')",
        "string.gsub(('a'):rep(20000), '.-b', '')",
        "string.find(('a'):rep(20000), '(.-)%1b')",
        "pcall(string.find, ('a'):rep(3000), '.-.-.-.-b') while true do end",
    ],
)
async def test_pattern_bombs_end_at_the_instruction_limit(world: Any, body: str) -> None:
    """TM8: no pattern runs in C for long"""
    with pytest.raises(ProcessError) as caught:
        await world.run(f"return function() {body} end", limits=Limits(instructions=1_000_000))
    assert caught.value.kind is ErrorKind.RATE_LIMITED


async def test_ordinary_patterns_stay_fast(world: Any) -> None:
    """A log line is parsed by Lua's own matcher: 2,000 of them within a small budget"""
    source = r"""
      return function()
        local line = '127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /a.gif HTTP/1.0" 200 2326'
        local n = 0
        for i = 1, 2000 do
          local ip, when, request, status = line:match('^(%S+) %S+ %S+ %[(.-)%] "(.-)" (%d+)')
          if status == "200" and ip == "127.0.0.1" then n = n + 1 end
        end
        return n
      end"""
    assert await world.run(source, limits=Limits(instructions=500_000)) == 2000
