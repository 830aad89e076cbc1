"""The module behind `trio-actors lua`: chunks come from, and texts go to, the host's console.

Entries cannot declare it. `script()` is the script of the prompt's process.
"""

from __future__ import annotations

from typing import Any, Protocol

from lua_bridge.modules import LuaModule
from trio_actors import ErrorKind, ProcessContext, make_error

CONSOLE = "lua.console"  # key of Host.extensions
SOURCE = "return require('prompt').run"


class Console(Protocol):
    """Where chunks come from and texts go to."""

    async def read(self) -> str | None:
        """The next chunk; None at the end."""
        ...

    def show(self, error: bool, text: str) -> None:
        """What a chunk printed or gave, or how it failed."""
        ...


def _console(ctx: ProcessContext) -> Console:
    console: Console | None = ctx.host.extensions.get(CONSOLE)
    if console is None:
        raise make_error(ErrorKind.UNAVAILABLE, "there is no prompt on this host")
    return console


async def _read(ctx: ProcessContext) -> str | None:
    return await _console(ctx).read()


def _show(ctx: ProcessContext, error: bool, text: Any) -> None:
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    _console(ctx).show(error, shown)


MODULE = LuaModule("prompt", operations={"read": _read, "show": _show}, offered=False)
