"""Values across the language boundary: what goes in comes out, whatever it is (M20-M27)."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lua_bridge import Limits, Script
from lua_bridge.codec import decode, encode
from lua_bridge.state import LuaState
from property_tests.profiles import times
from trio_actors import ProcessInvalid, make_error
from trio_actors._core.errors import ErrorKind


class Services:
    rng = random.Random(3)

    def now(self) -> float:
        return time.monotonic()

    def stamp(self) -> float:
        return 0.0

    def random_bits(self, process: int = 0) -> int:
        return self.rng.getrandbits(64)

    def wall_time(self, process: int = 0) -> float:
        return time.time()


ECHO = Script("a:echo", "return function(v) return v end")
STATE = LuaState(Services(), Limits())
counter = iter(range(1, 1 << 40))

scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary(max_size=20)
)
keys = st.text(st.characters(exclude_categories=["Cs"])) | st.integers(-(2**63), 2**63 - 1)
errors = st.builds(
    make_error,
    st.sampled_from(list(ErrorKind)),
    st.text(st.characters(exclude_categories=["Cs"])),
    retryable=st.none() | st.booleans(),
    details=st.none() | st.dictionaries(st.text("ab", min_size=1), st.integers(0, 9), min_size=1),
)
values = st.recursive(
    scalars | errors,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(keys, inner, max_size=5)
    ),
    max_leaves=20,
)


def arrived(value: Any) -> Any:
    """What the rules say arrives: tuples as lists, {} as [], keys 1..n as a list, text as text."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    if isinstance(value, list | tuple):
        return [arrived(item) for item in value]
    if isinstance(value, dict):
        if set(value) == set(range(1, len(value) + 1)):
            return [arrived(value[i]) for i in range(1, len(value) + 1)]
        return {arrived(key): arrived(item) for key, item in value.items()}
    return value


def same(a: Any, b: Any) -> bool:
    """Equal with types: 1 is not 1.0, True is not 1, -0.0 is not 0.0."""
    if isinstance(a, Exception):
        fields = ("message", "kind", "retryable", "details")
        return type(a) is type(b) and all(getattr(a, f) == getattr(b, f) for f in fields)
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return a == b and (not isinstance(a, float) or str(a) == str(b))


def through_lua(value: Any) -> Any:
    """The value after a process took it as argument and returned it."""
    idx = next(counter)
    STATE.prepare(idx, ECHO, "main", 10**9, encode([value]))
    STATE.register(idx, f"{{a|{idx}}}", "a:echo", True)
    STATE.begin(idx)
    result = STATE.run(256, 1.0)
    _, _, code, _, _, count, ok, shape, *flat = result
    assert (code, ok) == ("exit", True), result
    return decode(shape, tuple(flat[: count - 2]), cycles=True)


@given(values)
@settings(max_examples=times(300))
def test_a_value_comes_back_as_it_went(value: Any) -> None:
    """M20, M22, M27: the round trip is the identity of `arrived`"""
    assert same(through_lua(value), arrived(value))


@st.composite
def graphs(draw: st.DrawFn) -> Any:
    """Lists and dicts that contain each other and themselves in any way; the first of them."""
    nodes: list[Any] = [
        draw(st.sampled_from([list, dict]))() for _ in range(draw(st.integers(1, 6)))
    ]
    for index, node in enumerate(nodes):
        for place in range(draw(st.integers(0, 3))):
            item = draw(st.sampled_from([*nodes, (nodes[0],), place]))
            if isinstance(node, list):
                node.append(item)
            else:
                node[f"{index}{place}"] = item
    return nodes[0]


def alike(a: Any, b: Any, known: dict[int, int]) -> bool:
    """Whether both have the same shape: what is one object in one is one in the other (M21)."""
    if isinstance(a, tuple):  # a value: it becomes a list of its own each time
        return isinstance(b, list) and all(map(lambda x, y: alike(x, y, known), a, b))
    if a == {} and b == []:
        return True
    if not isinstance(a, list | dict):
        return type(a) is type(b) and bool(a == b)
    if id(a) in known or id(b) in known.values():
        return known.get(id(a)) == id(b)
    if type(a) is not type(b) or len(a) != len(b):
        return False
    known[id(a)] = id(b)
    keys = range(len(a)) if isinstance(a, list) else a
    return all(alike(a[key], b[key], known) for key in keys)


@given(graphs())
@settings(max_examples=times(300))
def test_what_is_shared_or_contains_itself_comes_back_as_it_went(value: Any) -> None:
    """M15, M21: from Python to Lua and back, whatever is in what"""
    assert alike(value, through_lua(value), {})


class Fresh(Mapping[int, list[int]]):
    """Makes its values while it is read: each is gone when the next one is made."""

    def __getitem__(self, key: int) -> list[int]:
        return [key]

    def __iter__(self) -> Iterator[int]:
        return iter(range(2, 60))

    def __len__(self) -> int:
        return 58


def test_what_is_gone_is_not_taken_for_what_came_after_it() -> None:
    """M21: equal addresses of two objects, one after the other, are no shared reference"""
    assert through_lua(Fresh()) == {key: [key] for key in range(2, 60)}


@given(
    st.recursive(
        scalars | st.none() | st.just(object()) | st.just(float("nan")),
        lambda i: st.lists(i) | st.dictionaries(keys | st.just(object()), i),
    )
)
@settings(max_examples=times(200))
def test_anything_else_is_refused_or_crosses(value: Any) -> None:
    """M27: no value of Python takes the interpreter down (Z5, Z6, Z8)"""
    try:
        flat = encode([value])
    except ProcessInvalid:
        return
    idx = next(counter)
    STATE.prepare(idx, ECHO, "main", 10**9, flat)
    STATE.kill(idx)


GENERATE = """
local function gen(depth)
  local r = math.random(depth > 4 and 6 or 9)
  if r == 1 then return math.random(0) elseif r == 2 then return math.random() * 1e300
  elseif r == 3 then return math.random(2) == 1
  elseif r == 4 then return ("\\\\xff\\\\0z"):rep(math.random(3))
  elseif r == 5 then return "text" .. math.random(9) elseif r == 6 then return errors.new("e")
  end
  local t = {}
  for i = 1, math.random(0, 5) do
    t[math.random(3) == 1 and i or "k" .. math.random(9)] = gen(depth + 1)
  end
  if math.random(4) == 1 then t.self = t end
  if math.random(6) == 1 then t[{}] = t end
  return t
end
local function equal(a, b, seen)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  if tostring(a) == "e" then return a:message() == b:message() end
  if seen[a] then return seen[a] == b end
  seen[a] = b
  local n = 0
  for k, v in pairs(a) do
    n = n + 1
    if type(k) ~= "table" and not equal(v, b[k], seen) then return false end
  end
  for _ in pairs(b) do n = n - 1 end
  return n == 0
end
return function(seed, n)
  math.randomseed(seed)
  local inbox, me = process.inbox(), process.pid()
  for i = 1, n do
    local v = gen(0)
    local ok, err = process.send(me, "t", v)
    if not ok then error(err) end
    if not equal(v, inbox:receive():payload(), {}) then error("differs at " .. i) end
  end
  return n
end
"""


@pytest.mark.parametrize("seed", range(5))
def test_lua_values_are_copied_whole(seed: int) -> None:
    """M20, M21, M22: cycles, shared references and tables as keys survive the copy"""
    idx = next(counter)
    script = Script("a:generate", GENERATE.replace("\\\\", "\\"))
    STATE.prepare(idx, script, "main", 10**9, encode([seed, 300]))
    STATE.register(idx, f"{{a|{idx}}}", "a:generate", True)
    STATE.begin(idx)
    result = STATE.run(100_000, 30.0)
    while not result[1]:
        result = STATE.run(100_000, 30.0)
    assert result[6:9] == (True, "v", 300), result


@pytest.mark.parametrize("slicing", ["1", "0"])
def test_random_scripts_leave_interpreter_and_neighbour_alive(slicing: str) -> None:
    """No script of the generator crashes, hangs or harms (lua_bridge, everything about safety)"""
    import os

    program = Path(__file__).with_name("lua_scripts.py")
    done = subprocess.run(
        [sys.executable, str(program), "1000", "60"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "TRIO_ACTORS_LUA_SLICING": slicing},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("{")
