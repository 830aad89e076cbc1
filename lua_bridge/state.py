"""One Lua state: many processes, a fixed set of entry points, nothing else crosses.

Rules of lua_bridge.md §0 kept here: only wrapper functions on the main state are called, with
scalars; coroutines are never driven from Python; Python functions given to Lua never raise and
return scalars; the soft memory limit leaves room for what is pushed from Python.
"""

import inspect
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import resources
from typing import Any, Never

import lupa.lua54 as lupa

from lua_bridge import slicing
from lua_bridge.codec import Refused, encode, text_in, text_out
from lua_bridge.limits import SLACK, Limits
from lua_bridge.modules import MODULES, Functions, Services
from lua_bridge.nearest import module_guess, with_guess
from lua_bridge.script import Script
from trio_actors import ErrorKind, ProcessError, make_error

CORE = (
    *("base", "codec", "copy", "limits", "outbox", "ends", "sched", "requests", "timers"),
    *("channel", "sandbox", "libs", "patterns", "mailbox", "process", "spawn", "program"),
    "chunks",
)
STRING_LIMIT = 1 << 20
ARGUMENTS = 20_000  # more values than this do not fit one call into Lua


@cache
def lua_source(name: str) -> str:
    """Text of a host file below `lua/`."""
    return resources.files("lua_bridge").joinpath("lua", f"{name}.lua").read_text("utf-8")


@cache
def lua_code(name: str) -> bytes:
    """A host file compiled, once for all states: making a state is mostly loading these.

    Host code is never interrupted by the instruction hook (its chunk name begins with `host:`).
    Patterns and modules share no data between processes and run as long as a script likes: theirs
    does not.
    """
    compiler = lupa.LuaRuntime(encoding="latin-1", register_eval=False, register_builtins=False)
    interruptible = name == "core/patterns" or not name.startswith("core/")
    prefix = "=[lua]:" if interruptible else "=host:"
    code: str = compiler.execute(_DUMP, lua_source(name), prefix + name.rpartition("/")[2])
    return code.encode("latin-1")


_DUMP = "local source, name = ... return string.dump(assert(load(source, name, 't')))"


def _deny(*_: object) -> Never:
    raise AttributeError("Python objects are closed to Lua")


def guarded(function: Callable[..., Any]) -> Callable[..., tuple[Any, ...]]:
    """A Python function as Lua may call it: it never raises (Q10 becomes a flag and scalars)."""

    def call(*args: Any) -> tuple[Any, ...]:
        try:
            result = function(*(text_in(arg) for arg in args))
            if not isinstance(result, tuple):
                result = (result,)
            return (True, *[text_out(x) if isinstance(x, str) else x for x in result])
        except ProcessError as error:
            details = encode(error.details) if error.details else ()
            return (False, str(error.kind), text_out(error.message), error.retryable, *details)
        except (TypeError, Refused) as error:
            return (None, text_out(str(error)))
        except Exception as error:
            return (False, "Internal", text_out(f"{type(error).__name__}: {error}"), None)

    return call


def _pairs(functions: Functions) -> list[Any]:
    return [item for name, f in functions.items() for item in (name, guarded(f))]


@cache
def sync_operations() -> list[str]:
    """Names of module operations that are answered at once."""
    return [
        f"{module.name}.{name}"
        for module in MODULES.values()
        for name, f in module.operations.items()
        if not inspect.iscoroutinefunction(f)
    ]


class LuaState:
    """A sandboxed Lua state with its scheduler; the methods named after lua/core functions.

    Not thread-safe: one thread at a time.
    """

    def __init__(self, services: Services, limits: Limits, *, sliced: bool | None = None) -> None:
        self.limits = limits
        self.runtime = lupa.LuaRuntime(
            encoding="latin-1",
            source_encoding="utf-8",
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
            attribute_handlers=(_deny, _deny),
            max_memory=limits.memory + SLACK + 4 * limits.message_size,
        )
        self.broken: str | None = None
        self._services = services
        self._compiled: dict[int, str | bytes] = {}  # number of a script -> its key in Lua
        if sliced is None:
            sliced = slicing.wanted()
        main = slicing.address(self.runtime.execute("return tostring((coroutine.running()))"))
        self.slicer = slicing.Slicer(main, limits.quantum, limits.instructions) if sliced else None
        self._load(limits, sliced)

    def _load(self, limits: Limits, sliced: bool) -> None:
        services = self._services
        run = self.runtime.execute
        set_, sync, file, finish = run(lua_source("core/boot"), name="=host:boot", mode="t")
        options = {
            "soft_kb": limits.memory // 1024,
            "brim_kb": (limits.memory + SLACK // 2) // 1024,
            "depth": 64,
            "max_values": 100_000,
            "message_size": limits.message_size,
            "max_coroutines": limits.coroutines,
            "max_channels": limits.channels,
            "max_timers": limits.timers,
            "instructions": limits.instructions,
            "string_limit": STRING_LIMIT,
            "source_limit": STRING_LIMIT,
            "quantum": limits.quantum,
            "sliced": sliced,
            "mono": lambda: int(services.now() * 1e9),
            "stamp": lambda: int(services.stamp() * 1e9),
            "wall": lambda process: round(services.wall_time(process) * 1e6) * 1000,
        }
        for key, value in options.items():
            set_(key, value)
        for name in sync_operations():
            sync(name)
        for name in CORE:
            file(name, lua_code(f"core/{name}"))
        always = "\n".join(module.name for module in MODULES.values() if module.always)
        (
            self._compile,
            self._prepare,
            self.register,
            self.begin,
            self.deliver,
            self.event,
            self.run,
            self.answer,
            self.answer_error,
            self.fire,
            self.kill,
            self.depth,
            self.drain,
            self._prepare_call,
            self._call_now,
            self.drop_worker,
            self.gone,
            self.deliver_run,
            self.relieve,
            self.interrupt,
            self.fire_run,
            self.answer_value,
            self.drained,
            self.enter,
            self.place,
            self.unread_since,
            self.doing,
            self.age,
        ) = finish(self._module, always)
        if self.slicer is not None:
            self.slicer.free_main()

    def _module(self, name: str) -> tuple[Any, ...]:
        module = MODULES[name]
        return (lua_code(name), *_pairs(module.functions(self._services)))

    def compile(self, script: Script) -> None:
        """Compiles a script and its libraries once.

        Raises:
            ProcessInvalid: syntax error with its position, or an unknown module.
        """
        if script.number in self._compiled:
            return
        for library in script.imports.values():
            self.compile(library)
        for name in script.modules:
            if name not in MODULES and name not in ALWAYS:
                text = f"unknown module {name!r} in {script.id}{module_guess(name)}"
                raise make_error(ErrorKind.INVALID, text)
        imports = [text for alias, lib in script.imports.items() for text in (alias, lib.key)]
        source = script.source.removeprefix("\ufeff")
        if source.startswith("#"):
            source = "--" + source
        result = self._compile(
            text_out(script.key),
            text_out(script.chunkname),
            text_out(source),
            "\n".join(script.modules),
            b"\n".join(_bytes(text) for text in imports),
        )
        if result is not True:
            raise make_error(ErrorKind.INVALID, str(text_in(result[1])))
        self._compiled[script.number] = text_out(script.key)

    def prepare(
        self, idx: int, script: Script, method: str, instructions: int, args: tuple[Any, ...]
    ) -> None:
        """Runs the chunk for a new process (E5). Raises: ProcessError (E6)."""
        key = self._compiled.get(script.number)
        if key is None:
            self.compile(script)
            key = self._compiled[script.number]
        result = self._prepare(idx, key, text_out(method), instructions, *args)
        if result is not True:
            raise refusal(script, method, result[1:])

    def prepare_call(
        self,
        worker: int,
        idx: int,
        script: Script,
        method: str,
        instructions: int,
        args: tuple[Any, ...],
    ) -> None:
        """Loads one invocation of a function; the chunk runs at the worker's first (DE3).

        Raises: ProcessError.
        """
        self.compile(script)
        result = self._prepare_call(
            worker, idx, text_out(script.key), text_out(method), instructions, *args
        )
        if result is not True:
            raise refusal(script, method, result[1:])

    def call_now(
        self,
        worker: int,
        idx: int,
        script: Script,
        method: str,
        instructions: int,
        args: tuple[Any, ...],
        identity: tuple[str, str, bool],
        turn: tuple[int, float],
    ) -> Any:
        """`prepare_call`, `register`, `begin` and `run` in one crossing; answers as `run` does.

        Raises: ProcessError, as prepare_call.
        """
        if script.number not in self._compiled:
            self.compile(script)
        key = self._compiled[script.number]
        result = self._call_now(
            *turn, *identity, worker, idx, key, text_out(method), instructions, *args
        )
        if result[0] == "refused":
            raise refusal(script, method, result[1:])
        return result

    @property
    def memory(self) -> int:
        """Bytes in use."""
        used: int = self.runtime.get_memory_used()
        return used

    def brimming(self) -> bool:
        """True if half of the room for pushes from Python is used up (Z3)."""
        used: int = self.runtime.get_memory_used()
        return used > self.limits.memory + SLACK // 2

    def full(self) -> bool:
        """True if the soft memory limit is passed even after a collection (Z3)."""
        if self.memory <= self.limits.memory:
            return False
        self.runtime.gccollect()
        return self.memory > self.limits.memory


ALWAYS = frozenset({"process", "channel", "coroutine", "string", "table", "utf8"})


def _bytes(text: str) -> bytes:
    return text.encode("utf-8")


def refusal(script: Script, method: str, parts: tuple[Any, ...]) -> ProcessError:
    """The error of a script that cannot begin; a note on a missing method has the remedy (E6)."""
    error = error_of(parts)
    if error.kind is ErrorKind.NOT_FOUND and error.stack is None:
        error.add_note(
            f"{script.place}: entry {script.id}: {error.message}; the script has to return a "
            f"function or a table with this method: end it with `return {{{method} = {method}}}`"
        )
    return error


def error_of(parts: tuple[Any, ...]) -> ProcessError:
    """The error that Lua handed over as kind, message, retryable, stack, details..."""
    from lua_bridge.codec import decode, lua_error

    kind, message, *rest = parts
    retryable, stack, *flat = (*rest, None, None)[: max(2, len(rest))]
    details = None
    if flat and flat[0] is not None:
        with suppress(ProcessError):  # without details that cannot be here, as in ends.lua
            details = decode(flat[0], tuple(flat[1:]))
    text, stack = text_in(message), text_in(stack)
    if kind == "Internal" and isinstance(text, str):
        text = with_guess(text)
        if isinstance(stack, str):
            stack = text + stack.removeprefix(message)
    error = lua_error(kind, text, retryable, details)
    error.stack = stack if isinstance(stack, str) else None
    return error
