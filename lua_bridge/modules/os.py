"""The Python half of the Lua global `os`: the node's clocks.  Rule TS3."""

from lua_bridge.modules import Functions, LuaModule, Services
from lua_bridge.modules.time import wall_clock


def _functions(services: Services) -> Functions:
    return {"wall": wall_clock(services.wall_time), "now": services.now}


MODULE = LuaModule("os", functions=_functions, always=True)
