"""The Python half of the Lua global `math`: seeds from the node's random source.  Rule TS3."""

from lua_bridge.modules import Functions, LuaModule, Services


def _functions(services: Services) -> Functions:
    def signed(process: int) -> int:
        return services.random_bits(process) - 2**63

    return {"seed": lambda process: (signed(process), signed(process))}


MODULE = LuaModule("math", functions=_functions, always=True)
