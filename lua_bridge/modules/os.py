"""The Lua global `os`; the clocks are those of the host (core/timers.lua).  Rule TS3."""

from lua_bridge.modules import LuaModule

MODULE = LuaModule("os", always=True)
