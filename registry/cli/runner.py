"""`trio-actors run`: start an application, run the process of `-x`, stop in order, exit code.

Rules: I2 (exit codes), I3 (30 s), I11 (signals), I15, I16, I17.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs
import trio

from lua_bridge.modules.io import TERMINAL
from supervision.reports import reason_text
from trio_actors import Exit, ProcessError, ProcessNotFound
from trio_actors._core.scopes import reraise
from trio_actors.fields import nearest
from trio_actors.sys import dump_on_signal

from ..app import HOST_DRAIN, STOP_LIMIT, App, start_application
from ..control.acting import Operators
from ..control.desk import Desk
from ..control.places import default_path
from ..control.protocol import ControlError
from ..control.server import listening, serve
from ..definitions import Application
from ..terminal import Terminal
from . import USAGE
from .logs import silence
from .signals import Signals, catch_signals, exit_code

log = logging.getLogger("trio_actors")


class RunError(Exception):
    """`-x` cannot be carried out with this application."""


def code_of(end: Exit) -> int:
    """The exit code that the end of the `-x` process means. Rule: I2."""
    if end.error is not None:
        return 1
    value = end.value
    if isinstance(value, bool):
        return 0 if value else 1
    return int(value) if isinstance(value, int | float) else 0


def check_process(application: Application, process: str) -> None:
    """See that the process exists and that there is one terminal host.

    Raises: RunError.
    """
    definitions = application.definitions
    if process not in definitions or not definitions[process].kind.startswith("process."):
        known = [d.id for d in definitions.values() if d.kind in ("process.lua", "process.py")]
        near = nearest(process, known)
        guess = f'; did you mean "{near}"?' if near else ""
        raise RunError(f'-x: expected the id of a process, got "{process}"{guess}')
    terminals = sorted(d.id for d in definitions.values() if d.kind == "terminal.host")
    if len(terminals) != 1:
        found = ", ".join(terminals) or "none"
        raise RunError(f"-x: expected exactly one entry of kind terminal.host, got {found}")


@attrs.define(slots=True, eq=False)
class Runner:
    """One run of an application; its stages are told by what signals do."""

    application: Application
    process: str | None = None
    arguments: Sequence[str] = ()
    # Goes on while the application runs; cancelled before it stops.
    beside: Callable[[App], Awaitable[None]] | None = None
    # An SQLite file that keeps the versions of the registry.
    history: Path | None = None
    # Where the application lies, for those who look for its control socket.
    path: Path = attrs.field(factory=Path)
    # The control socket's own path; None for the user's runtime directory.
    control: Path | None = None
    # The policy group of those who may do more than look through it.
    operators: str | None = None
    app: App | None = None
    pid: str | None = None
    # Exit code that a signal has decided.
    decided: int | None = None
    # Cancelled to end what the command waits for.
    waiting: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    async def run(self) -> int:
        """Run until the process ends or a signal asks for the end; returns the exit code."""
        operators = None if self.operators is None else Operators(self.operators)
        desk = Desk(str(self.path.resolve()), operators=operators)
        code = 0
        with catch_signals() as signals, self._listening() as listener:
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._watch, signals)
                    if listener is not None:
                        nursery.start_soon(serve, listener, desk.reply)
                    code = await self._run(desk)
                    nursery.cancel_scope.cancel()
            except BaseExceptionGroup as group:
                reraise(group)  # one error as itself
        return code if self.decided is None else self.decided

    @contextmanager
    def _listening(self) -> Iterator[trio.SocketListener | None]:
        """The control socket; None, with a line in the log, if the usual place is not safe."""
        with ExitStack() as stack:
            listener = None
            try:
                place = self.control or default_path(self.path)
                listener = stack.enter_context(listening(place))
            except ControlError as error:
                if self.control is not None:
                    raise RunError(f"--control: {error}") from None
                log.warning("no control socket: %s", error)
            yield listener

    async def _run(self, desk: Desk) -> int:
        code = 0
        with self.waiting:
            async with start_application(
                self.application, history=self.history, opened=desk.opened
            ) as app:
                self.app = app
                async with trio.open_nursery() as nursery:
                    if hasattr(signal, "SIGUSR1"):
                        await nursery.start(dump_on_signal, app.node)
                    if self.beside is not None:
                        nursery.start_soon(self.beside, app)
                    if self.process is None:
                        await trio.sleep_forever()
                    else:
                        code = await self._run_process(app, self.process)
                    nursery.cancel_scope.cancel()
        return code

    async def _run_process(self, app: App, process: str) -> int:
        host = app.terminal()
        terminal = host.extensions[TERMINAL]
        assert isinstance(terminal, Terminal)
        terminal.arguments = tuple(self.arguments)
        if terminal.hide_logs:
            silence()
        try:
            self.pid = await host.spawn(process, *self.arguments)
        except ProcessError as error:  # its script cannot begin (E6)
            sys.stderr.write(f"{reason_text(error)}\n")
            return USAGE if isinstance(error, ProcessNotFound) else 1
        end = await app.node.wait(self.pid)
        terminal.flush()
        if end.error is not None and self.decided is None:
            sys.stderr.write(f"{end.error.message}\n")
        return code_of(end)

    async def _watch(self, signals: Signals) -> None:
        await signals.next()
        self.decided = 0
        log.info("stopping; a second signal stops at once")
        if not self._ask_process():
            self.waiting.cancel()
        with trio.move_on_after(STOP_LIMIT):
            number = await signals.next()
            self.decided = exit_code(number)
        self.waiting.cancel()
        if self.app is not None:
            self.app.abort()

    def _ask_process(self) -> bool:
        """Ask the `-x` process to end first; False when there is none."""
        if self.app is None or self.pid is None:
            return False
        try:
            self.app.node.cancel(self.pid, HOST_DRAIN)
        except ProcessNotFound:
            return False
        return True


def run(runner: Runner) -> int:
    """Run an application in this thread until it ends; returns the exit code."""
    try:
        if runner.process is not None:
            check_process(runner.application, runner.process)
        return trio.run(runner.run)
    except RunError as error:
        sys.stderr.write(f"trio-actors: {error}\n")
        return USAGE
    except ProcessError as error:  # an entry that could not be brought to life
        sys.stderr.write(f"trio-actors: {error}\n")
        return 1
