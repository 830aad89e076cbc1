"""The table of Lua names, the page and the stubs made from it, and the suggestions."""

import doctest
import json
from pathlib import Path
from typing import Any

import lupa.lua54 as lupa
import pytest

from lua_bridge import Limits, Script, nearest, state
from lua_bridge.modules import MODULES, offered
from lua_bridge.page import updated
from lua_bridge.reference import sections
from lua_bridge.stubs import luarc, stubs, write_stubs
from trio_actors import ProcessError, ProcessInvalid

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "lua.md"
MODULE_SECTIONS = {s.name: s for s in sections() if not s.objects}
LIST = """
return function(names)
  local found = {}
  for _, name in ipairs(names) do
    local keys = {}
    for key, value in pairs(name == "process.registry" and process.registry or _ENV[name]) do
      keys[key] = type(value) == "function"
    end
    found[name] = keys
  end
  return found
end
"""
ALL = """
return function()
  local names = {}
  for name in pairs(_ENV) do names[#names + 1] = name end
  for _, name in ipairs(names) do names[name] = nil end
  return names
end
"""
# A host file loaded after `base`: it notes the methods of every class in the real environment.
SPY = """
local H = ...
local raw, class, notes = H.raw, H.class, {}
local G = raw.debug.getregistry()[2]
function H.class(name, methods, meta)
  local mt = class(name, methods, meta)
  notes[#notes + 1] = function()
    local index = mt.__index
    if raw.type(index) == "function" then _, index = raw.debug.getupvalue(index, 1) end
    local line = name .. ":"
    for key in raw.next, index do line = line .. " " .. key end
    return line
  end
  function G.methods()
    local lines = {}
    for i, note in raw.ipairs(notes) do lines[i] = note() end
    return raw.table.concat(lines, "\\n")
  end
  return mt
end
"""


async def test_every_function_of_every_module_is_in_the_table(world: Any) -> None:
    """What a sandbox holds is what the table lists, and functions are functions"""
    names = sorted(MODULE_SECTIONS)
    found = await world.run(LIST, names, modules=offered())
    listed = {
        name: {one.name: one.parameters is not None for one in section.names}
        for name, section in MODULE_SECTIONS.items()
    }
    own = {"string", "table", "utf8", "math", "os"}  # "Lua's": without parameters
    for name in names:
        if name in own:
            assert set(found[name]) == set(listed[name]), name
        else:
            assert found[name] == listed[name], name
    assert set(names) >= set(offered())
    always = {name.partition(".")[0] for name, s in MODULE_SECTIONS.items() if s.always}
    assert always == state.ALWAYS | {name for name, m in MODULES.items() if m.always}


def test_every_method_of_every_class_is_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noted by a host file that watches how classes are made"""
    source, code = state.lua_source, state.lua_code
    monkeypatch.setattr(state, "CORE", ("base", "spy", *state.CORE[1:]))
    monkeypatch.setattr(
        state,
        "lua_code",
        lambda name: SPY.encode() if name == "core/spy" else code(name),
    )
    monkeypatch.setattr(
        state, "lua_source", lambda name: source(name).replace('"b", {}', '"bt", {}')
    )
    lua = state.LuaState(world_services(), Limits())
    lua.compile(Script("a:b", "return function() end", modules=offered()))
    found = {}
    for line in lua.runtime.execute("return methods()").splitlines():
        name, _, methods = line.partition(":")
        found[name] = set(methods.split())
    listed = {s.name: {name.name for name in s.names} for s in sections() if s.objects}
    del found["channel.case"]  # a value without methods
    assert found | {"error": listed["error"]} == listed
    errors = "local e = errors.new('x') return e:message() .. e:kind() .. e:stack()"
    assert {name for name in listed["error"] if name in errors} == {"message", "kind", "stack"}


def world_services() -> Any:
    """Time and randomness that nobody asks for here."""
    import random

    class Services:
        rng = random.Random(1)

        def now(self) -> float:
            return 0.0

        def stamp(self) -> float:
            return 0.0

        def random_bits(self, process: int = 0) -> int:
            return self.rng.getrandbits(64)

        def wall_time(self, process: int = 0) -> float:
            return 0.0

    return Services()


async def test_an_error_has_the_listed_methods(world: Any) -> None:
    """Q3: exactly those"""
    listed = next(s for s in sections() if s.name == "error")
    checks = " and ".join(f"e.{name.name} ~= nil" for name in listed.names)
    assert await world.run(f"return function() local e = errors.new('x') return {checks} end")
    assert not await world.run("return function() return errors.new('x').code ~= nil end")


def test_the_page_is_up_to_date() -> None:
    """docs/reference/lua.md is what `python -m lua_bridge.page` makes of it"""
    text = PAGE.read_text("utf-8")
    assert text == updated(text)
    assert "| `receive()` | `any, boolean` |" in text
    assert "| `sleep(d)` | `true` | waits that long | Invalid |" in text


def test_the_page_names_the_global_functions() -> None:
    """What the suggestions know is what the page lists"""
    text = PAGE.read_text("utf-8").partition("## Without a module")[2]
    assert [name for name in nearest.GLOBALS if f"`{name}`" not in text] == []


def test_the_stubs_are_lua() -> None:
    """They parse, run, and name every function"""
    text = stubs()
    runtime = lupa.LuaRuntime()
    assert runtime.execute(text) is None
    for section in sections():
        for name in section.names:
            if name.parameters is not None and name.text != "Lua's":
                assert f"{name.name}(" in text, name.name
    assert runtime.eval("type(process.registry.lookup)") == "function"
    assert "---@return string|nil\n---@return nil|Error\nfunction process.spawn(" in text


def test_stubs_are_written(tmp_path: Path) -> None:
    """`.luarc.json` names the file with the annotations"""
    config, library = write_stubs(tmp_path)
    settings = json.loads(config.read_text("utf-8"))
    assert settings == luarc()
    assert tmp_path / settings["workspace.library"][0] == library
    assert library.read_text("utf-8").startswith("---@meta\n")


MISTYPED = [
    ("channel.new():recieve()", "(method 'recieve'); did you mean 'receive'?"),
    ("process.sned('x', 'y')", "(field 'sned'); did you mean 'send'?"),
    ("chanel.new()", "(global 'chanel'); did you mean 'channel'?"),
    ("pcal(print)", "(global 'pcal'); did you mean 'pcall'?"),
    ("time.sleep(1)", "(global 'time'); is it missing under modules of the entry?"),
    ("require('jsn')", "module 'jsn' not found; did you mean 'json'?"),
    ("require('json')", "module 'json' not found; is it missing under modules of the entry?"),
    ("local t = {} t.zebra()", "(field 'zebra')"),
]


@pytest.mark.parametrize(("line", "ending"), MISTYPED)
async def test_a_mistyped_name_gets_a_suggestion(world: Any, line: str, ending: str) -> None:
    """In the message of the error that ends the process"""
    with pytest.raises(ProcessError) as caught:
        await world.run(f"return function() {line} end")
    assert caught.value.message.endswith(ending)
    assert caught.value.stack is None or ending in caught.value.stack


async def test_a_mistyped_module_of_an_entry_gets_a_suggestion(world: Any) -> None:
    """E2"""
    with pytest.raises(ProcessInvalid, match=r"unknown module 'tiem' in .*; did you mean 'time'"):
        await world.run("return function() end", modules=("tiem",))


def test_doctests() -> None:
    """The examples in the module"""
    assert doctest.testmod(nearest).failed == 0
