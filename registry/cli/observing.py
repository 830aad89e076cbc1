"""`trio-actors observe`: serves the page until Ctrl-C or the end of the application."""

from __future__ import annotations

import sys
from collections.abc import Callable

import trio

from ..control.client import Connection
from ..control.protocol import ControlError
from . import USAGE
from .looking import Subject, until_signal

REMEDY = """\
trio-actors observe: the page needs the extra "http" ({missing} is not installed).
Install it with:  pip install "trio-actors[http]"
"""
GRACE = 1.0  # seconds for open pages at the end


def observe(subject: Subject, addr: str, told: Callable[[str], object] | None = None) -> int:
    """Serve until Ctrl-C; the exit code is 1, with a line why, when the application has gone."""
    try:
        from ..kinds.http import address_of
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in ("hypercorn", "starlette"):
            raise
        sys.stderr.write(REMEDY.format(missing=missing))
        return USAGE
    address = address_of(addr)
    if address is None:
        sys.stderr.write(f'trio-actors observe: --addr: expected "host:port", got "{addr}"\n')
        return USAGE

    async def talk(connection: Connection) -> int:
        await serve_page(connection, address, told or _print)
        return 0

    return subject.ask(talk)


def _print(url: str) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()


async def serve_page(
    connection: Connection, address: tuple[str | None, int], told: Callable[[str], object]
) -> None:
    """Serve the page of one application. Raises: ControlError when it has gone or cannot listen."""
    from ..edge.server import listen, serve
    from ..edge.site import Limits
    from ..kinds.http import bound_to
    from ..observe.feed import Feed
    from ..observe.pages import ObserveApp

    feed = Feed(connection)
    app = ObserveApp(feed, connection.hello)
    try:
        listeners = await listen(*address, None)
    except OSError as error:
        raise ControlError("unavailable", f"--addr: {error}") from None
    host, port = bound_to(listeners[0])
    told(f"http://{host}:{port}/?key={app.key}")
    gone: list[ControlError] = []

    async def take_snapshots() -> None:
        try:
            await feed.run()
        except ControlError as error:  # not through the nursery, that would make a group
            gone.append(error)
            app.stopping.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(until_signal, app.stopping.set)
        nursery.start_soon(take_snapshots)
        await serve(app, listeners, Limits(), GRACE)
        nursery.cancel_scope.cancel()
    if gone:
        raise gone[0]
