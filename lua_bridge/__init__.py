"""Lua as a second, sandboxed language for processes and functions.

    process.py     LuaTarget: a `process.lua` entry; the owner task and mailbox of one process
    runner.py      one task per host steps the Lua states in batches
    shard.py       one Lua state with its processes and the queue of calls into it
    operations.py  what scripts want from the kernel
    state.py       one Lua state, its entry points and limits
    codec.py       values between the languages
    function.py    LuaCallee: a `function.lua` entry
    modules/       one file per Lua module (how to write one: modules/__init__.py)
    lua/core/      the host side in Lua: sandbox, scheduler, channels, the module `process`

Start with `LuaTarget(Script("app:worker", source))`, which is spawned like any other target.
"""

from lua_bridge.function import LuaCallee
from lua_bridge.limits import DEFAULT_LIMITS, Limits
from lua_bridge.process import LuaTarget
from lua_bridge.script import Script

__distribution__ = "trio-actors"

__all__ = ["DEFAULT_LIMITS", "Limits", "LuaCallee", "LuaTarget", "Script"]
