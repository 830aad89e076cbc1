"""The Lua module `errors`: written in Lua alone, a global without declaration.  Rules Q1-Q9."""

from lua_bridge.modules import LuaModule

MODULE = LuaModule("errors", always=True)
