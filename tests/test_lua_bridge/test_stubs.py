"""The table of Lua modules and the editor stubs made from it."""

from typing import Any

import lupa.lua54 as lupa
import pytest

from lua_bridge.stubs import TABLE, entries, luarc, stubs


@pytest.mark.parametrize("module", TABLE)
async def test_the_table_is_what_the_sandbox_holds(world: Any, module: str) -> None:
    """No name is missing, none is made up, and functions are functions."""
    source = f"""
    return function()
      local found = {{ [1] = nil }}
      for name, value in pairs({module}) do found[name] = type(value) == "function" end
      return found
    end
    """
    found = await world.run(source, modules=("time", "json", "ctx", "logger"))
    assert found == {entry.name: entry.parameters is not None for entry in entries(module)}


def test_the_stubs_are_lua() -> None:
    """They parse, and name every function."""
    text = stubs()
    assert lupa.LuaRuntime().eval("function(s) return load(s) ~= nil end")(text)
    assert all(f".{e.name}" in text for module in TABLE for e in entries(module))
    assert luarc()["runtime.version"] == "Lua 5.4"
