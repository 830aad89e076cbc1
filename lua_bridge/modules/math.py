"""The Python half of the Lua global `math`: seeds from the node's random source.  Rule TS3."""

from lua_bridge.modules import Functions, LuaModule, Services


def _functions(services: Services) -> Functions:
    def signed() -> int:
        return services.rng.getrandbits(64) - 2**63

    return {"seed": lambda: (signed(), signed())}


MODULE = LuaModule("math", functions=_functions, always=True)
