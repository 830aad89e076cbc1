"""`trio-actors ps`, `top` and `tree --live`: a running application, through its control socket."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

import attrs
import trio
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from supervision import pictures

from ..control.client import Connection, connect
from ..control.protocol import ControlError
from .live import (
    RIGHT,
    Data,
    Order,
    Rates,
    exit_lines,
    live_tree,
    process_table,
    ps_text,
    widths_within,
)

FAILED = 1
EXITS_OF_TOP = 3
LINES_AROUND = 8  # of a frame of `top`: all but the processes
Justify = Literal["left", "right"]
KEYS = {order[0]: order for order in Order}


@attrs.frozen(slots=True)
class Subject:
    """The application that is meant: by its files, or by its socket; neither: the only one."""

    app: Path | None = None
    control: Path | None = None

    def ask(self, talk: Callable[[Connection], Awaitable[int]]) -> int:
        """Talk to the application; the exit code is 1, with a line why, if there is none."""

        async def main() -> int:
            async with connect(self.app, self.control) as connection:
                return await talk(connection)

        try:
            return trio.run(main)
        except ControlError as error:
            sys.stderr.write(f"trio-actors: {error}\n")
            return FAILED
        except KeyboardInterrupt:
            return 128 + signal.SIGINT


def ps(subject: Subject, *, as_json: bool, svg: bool, exits: int) -> int:
    """Write one snapshot to standard output."""

    async def talk(connection: Connection) -> int:
        data = await connection.ask("snapshot", exits=exits)
        if as_json:
            sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2) + "\n")
        elif svg:
            sys.stdout.write(pictures.table_svg(ps_text(data)))
        else:
            sys.stdout.write(ps_text(data) + "\n")
        return 0

    return subject.ask(talk)


def tree(subject: Subject, *, mermaid: bool, svg: bool) -> int:
    """Write the live tree to standard output, as text or as a picture."""

    async def talk(connection: Connection) -> int:
        data = await connection.ask("snapshot", exits=0)
        picture = live_tree(data, Path(connection.hello["app"]).name)
        if mermaid:
            sys.stdout.write(pictures.mermaid(picture))
        elif svg:
            sys.stdout.write(pictures.svg(picture))
        else:
            sys.stdout.write(pictures.text(picture) + "\n")
        return 0

    return subject.ask(talk)


def top(subject: Subject, *, by: Order, interval: float, frames: int) -> int:
    """Show frames until q, Ctrl-C, the end of the application, or `frames` of them."""
    return subject.ask(partial(_top, by=by, interval=interval, frames=frames))


@attrs.define(slots=True, eq=False)
class Screen:
    """What `top` shows: the order of the lines, and the rates since the last frame."""

    console: Console
    name: str
    by: Order
    rates: Rates = attrs.field(factory=Rates)
    # Set by a key: the order has changed, or it is over.
    changed: trio.Event = attrs.field(factory=trio.Event)

    def frame(self, data: Data) -> Group:
        """One frame; on a terminal no longer than that."""
        shown = process_table(data, self.by)
        headings, *lines = shown
        room = len(lines)
        if self.console.is_terminal:
            room = max(1, self.console.height - LINES_AROUND)
        table = Table(box=None, padding=(0, 1, 0, 0), header_style="reverse")
        widths = widths_within(shown[: room + 1], self.console.width)
        for heading, width in widths.items():
            justify: Justify = "right" if heading in RIGHT else "left"
            table.add_column(heading, justify=justify, no_wrap=True, width=width)
        for line in lines[:room]:
            row = zip(headings, line, strict=True)
            table.add_row(*(Text(cell) for heading, cell in row if heading in widths))
        hidden = f", {len(lines) - room} more lines" if len(lines) > room else ""
        keys = "  ".join(f"{key}: by {order}" for key, order in KEYS.items())
        ends = [_line(line) for line in exit_lines(data)]
        head = _line(f"{self.name}: {self.rates.line(data)}{hidden}", "bold")
        help = _line(f"order: {self.by}  ({keys}  q: quit)", "dim")
        return Group(head, help, table, *ends[:EXITS_OF_TOP])

    def key(self, key: str) -> bool:
        """Take a key; false for the one that ends it."""
        self.by = KEYS.get(key, self.by)
        self.changed.set()
        return key not in ("q", "\x04")


def _line(text: str, style: str = "") -> Text:
    """One line of the screen, whatever its width."""
    return Text(text, style=style, overflow="ellipsis", no_wrap=True)


async def _top(connection: Connection, *, by: Order, interval: float, frames: int) -> int:
    console = Console()
    screen = Screen(console, Path(connection.hello["app"]).name, by)
    frames = frames or -1  # no limit
    gone: ControlError | None = None
    with (
        _cbreak() as terminal,
        Live(
            console=console,
            screen=console.is_terminal,
            auto_refresh=False,
            transient=console.is_terminal,
        ) as live,
    ):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(until_signal, nursery.cancel_scope.cancel)
            if terminal is not None:
                nursery.start_soon(_keys, terminal, screen, nursery.cancel_scope)
            while frames != 0:
                try:
                    data = await connection.ask("snapshot", exits=EXITS_OF_TOP)
                except ControlError as error:  # not through the nursery, that would make a group
                    gone = error
                    break
                if console.is_terminal:
                    live.update(screen.frame(data), refresh=True)
                else:
                    console.print(screen.frame(data))
                frames -= 1
                screen.changed = trio.Event()
                with trio.move_on_after(interval if frames else 0):
                    await screen.changed.wait()
            nursery.cancel_scope.cancel()
    if gone is not None:
        raise gone
    return 0


async def until_signal(stop: Callable[[], object]) -> None:
    """Stops at the first Ctrl-C or SIGTERM."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        await anext(aiter(signals))
        stop()


async def _keys(terminal: int, screen: Screen, scope: trio.CancelScope) -> None:
    while True:
        await trio.lowlevel.wait_readable(terminal)
        read = os.read(terminal, 64)
        if not read or not all(map(screen.key, read.decode(errors="replace"))):
            scope.cancel()


@contextmanager
def _cbreak() -> Iterator[int | None]:
    """Keys arrive without Enter inside the block; None if there is no keyboard."""
    try:
        import termios
        import tty

        terminal = sys.stdin.fileno()
        before = termios.tcgetattr(terminal)
    except (ImportError, OSError, ValueError, termios.error):
        yield None
        return
    tty.setcbreak(terminal)
    try:
        yield terminal
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
