"""One Lua module is one small Lua file and one small Python file; this is the table of them.

How to write the module ``clock``:

1. ``lua_bridge/lua/clock.lua`` is loaded once per Lua state, with the host table ``H`` and the
   module's Python functions ``py``. It returns the module table, which the host freezes and
   shares among all processes of the state, so it keeps no data of its own::

       local H, py = ...
       local M = {}
       function M.label(zone)
         return py.label(H.string_argument(zone, 1, "label"))   -- values, or nil, Error
       end
       function M.sleep(d) return H.op("clock.sleep", d) end    -- blocks this coroutine
       return M

2. ``lua_bridge/modules/clock.py`` declares it::

       def functions(services: Services) -> Functions:
           def label(zone: str) -> str:
               if not zone:
                   raise ProcessInvalid("zone cannot be empty")
               return f"{zone} {services.wall_time():.0f}"
           return {"label": label}

       async def sleep(ctx: ProcessContext, nanoseconds: int) -> None:
           await trio.sleep(nanoseconds / 1e9)

       MODULE = LuaModule("clock", functions=functions, operations={"sleep": sleep})

3. Add ``clock.MODULE`` to ``MODULES`` below.

*Functions* are called in the middle of a Lua step, on whatever thread runs the state: scalars in
(None, bool, int, float, str; bytes for text that is no UTF-8), a scalar or a tuple of scalars out.
They must be quick and must not touch framework state. Raising a ProcessError gives the script
``nil, Error`` (Q10), a TypeError raises in the script. Tables cross as ``shape, *values``:
``py.f(H.flatten(t))`` arrives as ``f(shape, *values)`` for ``codec.decode(shape, values)``, and
``H.build(py.g())`` takes what ``return codec.encode(obj)`` gave.

*Operations* touch the framework or wait. They run on the Trio thread, get the process's context
and decoded arguments (tables are lists and dicts), and return one value, or ``Values(a, b)`` for
several. An async one runs in the process's own nursery and is cancelled with it.

The host table:

==================================  ===============================================================
``H.raw``                           the real library functions (``H.raw.string.format``); the
                                    global environment of a host file is empty
``H.mkerr(kind, msg, retry, det)``  an Error; ``H.fail(kind, msg)`` -> nil, Error (retryable=false)
``H.error(x)``                      state {kind, message, retryable, details, stack} or nil
``H.text(x)``                       text of a string, number or Error, else nil
``H.raise(text)``                   raise at the script's line; ``H.argerror(n, fn, expected, got)``
``H.string_argument(v, n, fn)``     v, which is a string, or raises ``H.argerror``;
                                    ``H.text_argument(v, n, fn)`` takes a number as a string
``H.class(name, methods, meta)``    a class of objects that are dropped at boundaries (M23)
``H.new(class, state)``             an object; ``H.of(x, class)`` -> state or nil;
                                    ``H.self(x, class, method)`` -> state or raises
``H.frozen(name, tbl)``             read-only view (for constant tables inside a module)
``H.channel(size)``                 a channel; ``H.push(ch, v)`` hands v over without blocking
                                    (false when there is no room), ``H.close(ch)``
``H.op(name, ...)``                 run an operation, block this coroutine until it answers
``H.post(name, ...)``               run an operation, do not wait for it
``H.timer(ns, fn)``                 fn() is called once after ns nanoseconds, in host context: it
                                    must not block or raise; -> handle.
                                    ``H.stop_timer(handle)`` -> true if it was still pending
``H.block(setup)``                  setup(wake) is called, then this coroutine blocks until
                                    wake(...) is called; returns what wake got
``H.current()``                     record of the running process: .pid .id .data (a table for
                                    what modules keep per process, key = module name); nil while
                                    a chunk is being loaded outside a process
``H.own(class, state)``             an object for ``state.handle``, a number of handles.py that is
                                    released when the script has let the object go; the class
                                    comes from ``H.owning(H.class(...))``. What waits in
                                    ``H.op`` for longer keeps it by ``H.after(object, H.op(...))``
``H.flatten(v)``, ``H.build(...)``  value -> shape, values...; and back
``H.copy(v)``                       deep copy by M21-M24
==================================  ===============================================================
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Protocol, TypeAlias

import attrs

Scalar: TypeAlias = bool | int | float | str | bytes | None
Functions: TypeAlias = Mapping[str, Callable[..., Any]]


class Services(Protocol):
    """What a module's functions may ask of the node (TS3), from any thread.

    `process` is the number in its state of who asks, 0 for nobody: a simulation tells them apart.
    """

    rng: Random

    def now(self) -> float: ...
    def stamp(self) -> float: ...  # what ages of messages are measured by
    def wall_time(self, process: int = 0) -> float: ...
    def random_bits(self, process: int = 0) -> int: ...  # 64 of them


def no_functions(services: Services) -> Functions:
    """The functions of a module that is written in Lua alone."""
    return {}


@attrs.frozen
class LuaModule:
    """One Lua module: its name, its Python functions and its operations.

    ``always``: a global without being declared in ``modules`` (E3).
    ``offered``: entries may declare it; the one that is not serves the framework's own scripts.
    """

    name: str
    functions: Callable[[Services], Functions] = no_functions
    operations: Mapping[str, Callable[..., Any]] = attrs.field(factory=dict)
    always: bool = False
    offered: bool = True


class Values(tuple[Any, ...]):
    """Several results of an operation."""

    __slots__ = ()

    def __new__(cls, *items: Any) -> "Values":
        return super().__new__(cls, items)


MODULES: dict[str, LuaModule] = {}

# Below the definitions that they need.
from lua_bridge.modules import (  # noqa: E402
    contract,
    ctx,
    errors,
    events,
    funcs,
    io,
    json,
    logger,
    math,
    os,
    prompt,
    queue,
    registry,
    security,
    store,
    supervision,
    time,
)

for _file in (
    contract,
    ctx,
    errors,
    events,
    funcs,
    io,
    json,
    logger,
    math,
    os,
    prompt,
    queue,
    registry,
    security,
    store,
    supervision,
    time,
):
    MODULES[_file.MODULE.name] = _file.MODULE


def offered() -> tuple[str, ...]:
    """Names of the modules that an entry may declare."""
    return tuple(sorted(name for name, module in MODULES.items() if module.offered))
