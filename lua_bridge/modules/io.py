"""The Lua module `io`: the terminal of the process's host.  Rules P8, I1.

What a terminal is belongs to whoever opens the host (package `registry`); here it is a Protocol and
a name under which the host keeps it. On any other host every function gives nil, UNAVAILABLE.
"""

from __future__ import annotations

from typing import Protocol

from lua_bridge.modules import LuaModule
from trio_actors import ErrorKind, ProcessContext, make_error

TERMINAL = "terminal"  # key in `Host.extensions`


class Terminal(Protocol):
    """Standard input and output as a process sees them."""

    def args(self) -> list[str]:
        """The arguments of the command line."""
        ...

    def write(self, *texts: str) -> None:
        """Text to standard output."""
        ...

    def print(self, *values: object) -> None:
        """A line to standard output."""
        ...

    def eprint(self, *values: object) -> None:
        """A line to standard error."""
        ...

    def flush(self) -> None:
        """Push out what was written."""
        ...

    async def readline(self) -> str | None:
        """A line without its end, None at the end of the input."""
        ...

    async def read(self, size: int = -1) -> str | None:
        """Up to `size` characters, None at the end of the input."""
        ...


def _terminal(ctx: ProcessContext) -> Terminal:
    terminal: Terminal | None = ctx.host.extensions.get(TERMINAL)
    if terminal is None:
        raise make_error(ErrorKind.UNAVAILABLE, "io is only available on a terminal.host")
    return terminal


def _args(ctx: ProcessContext) -> list[str]:
    return _terminal(ctx).args()


def _write(ctx: ProcessContext, texts: list[str]) -> bool:
    _terminal(ctx).write(*texts)
    return True


def _print(ctx: ProcessContext, texts: list[str]) -> bool:
    _terminal(ctx).print(*texts)
    return True


def _eprint(ctx: ProcessContext, texts: list[str]) -> bool:
    _terminal(ctx).eprint(*texts)
    return True


def _flush(ctx: ProcessContext) -> bool:
    _terminal(ctx).flush()
    return True


async def _readline(ctx: ProcessContext) -> str | None:
    return await _terminal(ctx).readline()


async def _read(ctx: ProcessContext, size: int | None = None) -> str | None:
    return await _terminal(ctx).read(-1 if size is None else size)


MODULE = LuaModule(
    "io",
    operations={
        "args": _args,
        "write": _write,
        "print": _print,
        "eprint": _eprint,
        "flush": _flush,
        "readline": _readline,
        "read": _read,
    },
)
