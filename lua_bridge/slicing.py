"""Time slices for scripts that compute (TM8): a C hook that yields every so many instructions.

The theory: Lua 5.4 lets a count hook yield, and a new coroutine inherits the C hook of the one that
makes it. So one `lua_sethook` on the main state slices every coroutine of that state. The hook is a
ctypes callback; it never lets a longjmp pass through Python: `lua_yieldk` inside a hook only sets a
flag. Where a coroutine cannot yield (inside table.sort) the callback asks the state to arm its Lua
hook, which raises by itself. The host's own functions run inside the script's coroutines and share
tables between processes, so they are never interrupted: the hook looks again a little later.

It needs the C API symbols of lupa's library, which not every build exports: `available()` tries it
out. Without it, or with TRIO_ACTORS_LUA_SLICING=0, one step runs until it blocks or its instruction
budget ends it.
"""

import ctypes
import functools
import os
from random import Random
from typing import Any

import lupa.lua54 as lupa

MASK_COUNT = 1 << 3
REGISTRY = -1_001_000  # LUA_REGISTRYINDEX of 5.4
ARM = b"trio_actors.arm"
SWITCH = "TRIO_ACTORS_LUA_SLICING"

RETRY = 1000, 8000  # instructions until the next try, when the host's own code was running: at
# least, and a random part, because a fixed distance could keep step with a loop of the script


class _Debug(ctypes.Structure):
    """The head of lua_Debug of 5.4; Lua owns the memory."""

    _fields_ = (
        ("event", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("namewhat", ctypes.c_char_p),
        ("what", ctypes.c_char_p),
        ("source", ctypes.c_char_p),
    )


_HOOK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(_Debug))


@functools.cache
def _library() -> Any:
    library = ctypes.PyDLL(lupa.__file__)
    pointer, number = ctypes.c_void_p, ctypes.c_int
    for name, result, arguments in (
        ("lua_sethook", None, [pointer, _HOOK, number, number]),
        ("lua_getinfo", number, [pointer, ctypes.c_char_p, ctypes.POINTER(_Debug)]),
        ("lua_isyieldable", number, [pointer]),
        ("lua_yieldk", number, [pointer, number, pointer, pointer]),
        ("lua_getfield", number, [pointer, number, ctypes.c_char_p]),
        ("lua_pushthread", number, [pointer]),
        ("lua_pcallk", number, [pointer, number, number, number, pointer, pointer]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Slicer:
    """The hook of one state.

    Attributes:
        ticks: looks of the hook at a coroutine that could not yield, in this turn.
    """

    def __init__(self, main: int, quantum: int, instructions: int) -> None:
        self.ticks = 0
        self._limit = max(1, instructions // quantum)
        self._callback = self._make(main, quantum)  # lives as long as the state
        _library().lua_sethook(main, self._callback, MASK_COUNT, quantum)
        self._main = main

    def free_main(self) -> None:
        """The main state runs unhooked from now on; coroutines made by hooked ones stay hooked."""
        _library().lua_sethook(self._main, _HOOK(), 0, 0)

    def _make(self, main: int, quantum: int) -> Any:
        library = _library()
        yieldable, yieldk = library.lua_isyieldable, library.lua_yieldk
        getinfo, sethook = library.lua_getinfo, library.lua_sethook
        hurried: set[int] = set()  # coroutines whose hook comes again after RETRY instructions
        randrange = Random(0).randrange  # of its own: a replay interrupts at the same places

        def hook(state: int, debug: Any) -> None:
            if state == main:
                return
            getinfo(state, b"S", debug)
            if debug.contents.source.startswith(b"=host:"):  # never in the middle of a delivery
                hurried.add(state)
                sethook(state, callback, MASK_COUNT, RETRY[0] + randrange(RETRY[1]))
                return
            if state in hurried:
                hurried.discard(state)
                sethook(state, callback, MASK_COUNT, quantum)
            if yieldable(state):
                yieldk(state, 0, None, None)
                return
            self.ticks += 1
            if self.ticks > self._limit:
                self.ticks = 0
                library.lua_getfield(state, REGISTRY, ARM)
                library.lua_pushthread(state)
                library.lua_pcallk(state, 1, 0, 0, None, None)

        callback = _HOOK(hook)
        return callback


def address(text: str) -> int:
    """The number in `thread: 0x55e1cc34ff58`."""
    return int(text.rpartition(" ")[2], 16)


_PROBE = """
local co = coroutine.create(function() local i = 0; while true do i = i + 1 end end)
return function() return coroutine.resume(co) end
"""


@functools.cache
def available() -> bool:
    """Whether slicing works with this build of lupa; tried once."""
    try:
        runtime = lupa.LuaRuntime(register_eval=False, register_builtins=False)
        main = address(runtime.execute("return tostring((coroutine.running()))"))
        slicer = Slicer(main, 1000, 1_000_000)
        resume = runtime.execute(_PROBE)
    except (AttributeError, OSError, ValueError):
        return False
    sliced = resume() is True and resume() is True
    slicer.free_main()
    return sliced


def wanted() -> bool:
    """Whether states made now are to be sliced."""
    return os.environ.get(SWITCH, "1") != "0" and available()
