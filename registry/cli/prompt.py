"""`trio-actors lua`: a Lua prompt inside a fresh sandboxed process of an application.

The theory: the main thread reads lines, because readline and Ctrl-C belong to it; the application
runs in a thread of its own. A chunk goes there as a text, and the main thread waits for the word
that it is over. Ctrl-C meanwhile stops the chunk where it is and leaves the process, its globals
and its mailbox alone; at the prompt it drops the line.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
import trio

from lua_bridge import Limits, LuaTarget, Script
from lua_bridge.modules import offered
from lua_bridge.modules.io import TERMINAL
from lua_bridge.modules.prompt import CONSOLE, SOURCE
from lua_bridge.nearest import with_guess
from lua_bridge.process import LuaMailbox
from lua_bridge.reference import sections
from lua_bridge.syntax import unfinished
from trio_actors import ErrorKind, Host, ProcessError, make_error

from ..app import App, start_application
from ..definitions import Application
from ..terminal import Terminal
from . import USAGE

HOST = "node:prompt"
FIRST, MORE = "> ", ">> "
# A chunk may compute as long as its user likes; where it cannot be interrupted it has to end.
LIMITS = Limits(instructions=10**12)
HISTORY = 1000  # lines kept


@attrs.frozen(eq=False)
class Request:
    """Text that the application wants from the terminal: a chunk, or a line of `io.readline`."""

    chunk: bool
    answered: trio.Event = attrs.field(factory=trio.Event)
    answer: list[str | None] = attrs.field(factory=list)


@attrs.define(slots=True, eq=False)
class Session:
    """The application's side, in its own thread; `said` tells the main thread what it wants."""

    application: Application
    imports: Sequence[str] = ()
    # The int is the exit code of the whole.
    said: queue.SimpleQueue[Request | int] = attrs.field(factory=queue.SimpleQueue)
    error: BaseException | None = None
    _token: trio.lowlevel.TrioToken | None = None
    _interrupt: Callable[[], None] | None = None
    _over: bool = False

    # -- the main thread

    def give(self, request: Request, text: str | None) -> None:
        """Answers a request; None is the end of the input."""
        request.answer.append(text)
        if self._token is not None:
            self._token.run_sync_soon(request.answered.set)

    def interrupt(self) -> None:
        """Stops the chunk that runs."""
        if self._token is not None:
            self._token.run_sync_soon(lambda: self._interrupt and self._interrupt())

    def run(self) -> None:
        """The whole session; the body of the thread."""
        code = 0
        try:
            trio.run(self._main)
        except ProcessError as error:  # an entry that could not be brought to life
            sys.stderr.write(f"trio-actors: {error}\n")
            code = 1
        except BaseException as error:  # noqa: ASYNC103  the main thread raises it
            self.error = error
            code = 1
        self.said.put(code)

    # -- the Trio thread

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        async with start_application(self.application) as app:
            await app.open_host(HOST)
            host = app.node.hosts[HOST]
            host.extensions[CONSOLE] = self
            host.extensions[TERMINAL] = PromptTerminal(self)
            target = self._target(app)
            while not self._over:
                await self._process(host, target)

    async def _process(self, host: Host, target: LuaTarget) -> None:
        pid = await host.spawn(target)
        mailbox = host.node.processes[pid].mailbox
        assert isinstance(mailbox, LuaMailbox)
        body = mailbox.body
        self._interrupt = lambda: body.shard.interrupt(body)
        end = await host.node.wait(pid)
        if end.error is not None:
            self.show(True, f"{end.error.message}\n(the process has ended; here is a new one)")

    def _target(self, app: App) -> LuaTarget:
        imports = {id: app.libraries[id] for id in self.imports}
        modules = (*offered(), "prompt")
        return LuaTarget(Script("prompt:stdin", SOURCE, "stdin", modules, imports), limits=LIMITS)

    async def read(self) -> str | None:
        """The next chunk, for the process. Rule: `Console`."""
        text = await self.ask(chunk=True)
        self._over = text is None
        return text

    async def ask(self, *, chunk: bool) -> str | None:
        """A text that the main thread reads. Checkpoint: always."""
        request = Request(chunk)
        self.said.put(request)
        await request.answered.wait()
        return request.answer[0]

    def show(self, error: bool, text: str) -> None:
        """A line for the user."""
        if error:
            first, newline, rest = text.partition("\n")
            text = with_guess(first) + newline + rest
            sys.stdout.flush()
        stream = sys.stderr if error else sys.stdout
        stream.write(text + "\n")
        stream.flush()


class PromptTerminal(Terminal):
    """Standard input and output of a chunk: the prompt reads its lines."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    async def readline(self) -> str | None:
        """The next line; None at the end of the input."""
        self.stdout.flush()
        return await self._session.ask(chunk=False)

    async def read(self, size: int = -1) -> str | None:
        """Raises: ProcessUnavailable; a prompt reads lines."""
        raise make_error(
            ErrorKind.UNAVAILABLE, "io.read does not work at a prompt; use io.readline"
        )


# ---------------------------------------------------------------- the main thread


def _chunks(session: Session, ask: Callable[[str], str]) -> int:
    """Reads and hands over what is wanted until the end of the input; the exit code."""
    while True:
        try:
            wanted = session.said.get()
            if isinstance(wanted, int):
                return wanted
            session.give(wanted, _read(ask) if wanted.chunk else _line(ask))
        except KeyboardInterrupt:
            session.interrupt()


def _line(ask: Callable[[str], str]) -> str | None:
    try:
        return ask("")
    except EOFError:
        return None


def _read(ask: Callable[[str], str]) -> str | None:
    """One chunk of as many lines as it needs; None at the end of the input."""
    lines: list[str] = []
    while True:
        try:
            lines.append(ask(MORE if lines else FIRST))
        except KeyboardInterrupt:
            lines.clear()
            sys.stdout.write("\n")
            continue
        except EOFError:
            return "\n".join(lines) if lines else None
        text = "\n".join(lines)
        if not unfinished(text):
            return text


def history_file() -> Path:
    """Where the lines of earlier prompts are kept."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "trio-actors" / "lua_history"


@contextmanager
def _line_editing(path: Path) -> Iterator[Callable[[str], str]]:
    """How to ask for a line: with readline on a terminal, as it comes from anything else."""
    if not sys.stdin.isatty():

        def plain(_: str) -> str:
            line = sys.stdin.readline()
            if not line:
                raise EOFError
            return line.removesuffix("\n")

        yield plain
        return
    try:
        import readline
    except ImportError:  # not on every platform
        yield input
        return
    if path.exists():
        readline.read_history_file(path)
    readline.set_history_length(HISTORY)
    readline.set_completer_delims(" \t\n`~!@#$%^&*()-=+[{]}\\|;'\",<>/?")
    readline.set_completer(complete)
    readline.parse_and_bind("tab: complete")
    try:
        yield input
    finally:
        path.parent.mkdir(parents=True, exist_ok=True)
        readline.write_history_file(path)
        sys.stdout.write("\n")


def complete(text: str, number: int) -> str | None:
    """The names that the text can become: modules, their functions, methods of objects.

    >>> complete("process.spawn_m", 0), complete("inbox:rec", 0), complete("chan", 0)
    ('process.spawn_monitored', 'inbox:receive', 'channel')
    """
    head, separator, last = text.rpartition(":")
    if separator:
        found = {n.name for s in sections() if s.objects for n in s.names}
    elif "." in text:
        head, separator, last = text.rpartition(".")
        found = {n.name for s in sections() if s.name == head for n in s.names}
    else:
        head, last = "", text
        found = {s.name for s in sections() if not s.objects and "." not in s.name}
    fitting = sorted(f"{head}{separator}{name}" for name in found if name.startswith(last))
    return fitting[number] if number < len(fitting) else None


def check_imports(application: Application, imports: Sequence[str]) -> str | None:
    """What is wrong with the libraries asked for, or None."""
    for id in imports:
        definition = application.definitions.get(id)
        if definition is None or definition.kind != "library.lua":
            return f'--import: expected the id of a library.lua, got "{id}"'
    return None


def prompt(application: Application, imports: Sequence[str], history: Path | None) -> int:
    """The prompt until the end of its input; returns the exit code."""
    wrong = check_imports(application, imports)
    if wrong is not None:
        sys.stderr.write(f"trio-actors: {wrong}\n")
        return USAGE
    session = Session(application, imports)
    thread = threading.Thread(target=session.run, name="trio-actors lua")
    with _line_editing(history or history_file()) as ask:
        thread.start()
        code = _chunks(session, ask)
    thread.join()
    if session.error is not None:
        raise session.error
    return code
