"""Standard input, output and arguments for the one process of a terminal host.

Rules: P8 (`io` works only on a `terminal.host`), I1 (`io.args()`). A Python process asks
`terminal(ctx)`; the Lua module `io` is the same object behind Lua functions. Reading waits in a
thread that is abandoned when the process ends, so that a stop never waits for a key.
"""

from __future__ import annotations

import sys
from typing import TextIO

import attrs
import trio

from lua_bridge.modules.io import TERMINAL
from trio_actors import ErrorKind, ProcessContext, make_error


@attrs.define(slots=True, eq=False)
class Terminal:
    """What a process on a terminal host reads and writes."""

    stdin: TextIO = attrs.field(factory=lambda: sys.stdin)
    stdout: TextIO = attrs.field(factory=lambda: sys.stdout)
    stderr: TextIO = attrs.field(factory=lambda: sys.stderr)
    arguments: tuple[str, ...] = ()
    # No log lines on the terminal while the process runs.
    hide_logs: bool = False

    def args(self) -> list[str]:
        """The words after the process's id on the command line."""
        return list(self.arguments)

    def write(self, *texts: str) -> None:
        """Write to standard output, nothing added."""
        self.stdout.write("".join(texts))

    def print(self, *values: object) -> None:
        """Write the values to standard output, joined by a space, as one line."""
        self.stdout.write(" ".join(str(value) for value in values) + "\n")

    def eprint(self, *values: object) -> None:
        """As `print`, to standard error."""
        self.stderr.write(" ".join(str(value) for value in values) + "\n")

    def flush(self) -> None:
        """Push out what was written."""
        self.stdout.flush()

    async def readline(self) -> str | None:
        """The next line of standard input without its end; None at the end of the input."""
        self.stdout.flush()
        line = await trio.to_thread.run_sync(self.stdin.readline, abandon_on_cancel=True)
        return line.removesuffix("\n") if line else None

    async def read(self, size: int = -1) -> str | None:
        """Up to `size` characters of standard input, -1 for all; None at the end."""
        self.stdout.flush()
        text = await trio.to_thread.run_sync(self.stdin.read, size, abandon_on_cancel=True)
        return text or None


def terminal(ctx: ProcessContext) -> Terminal:
    """The terminal of a process.

    Raises:
        ProcessUnavailable: the process does not run on a `terminal.host`.
    """
    found = ctx.host.extensions.get(TERMINAL)
    if not isinstance(found, Terminal):
        raise make_error(ErrorKind.UNAVAILABLE, "io is only available on a terminal.host")
    return found
