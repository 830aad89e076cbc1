"""The control socket of a running application: accepts, reads lines, lets the desk answer."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import trio

from .places import is_same_user, listen
from .protocol import MAX_REQUEST, ControlError, Lines, LineTooLong, write_error

log = logging.getLogger("trio_actors.control")

CONNECTIONS: Final = 16  # at the same time; who comes next is told and sent away
PATIENCE: Final = 10.0  # seconds for a reader to take an answer

Answer = Callable[[bytes], bytes | Awaitable[bytes]]


@contextmanager
def listening(path: Path) -> Iterator[trio.SocketListener]:
    """A listener at `path`; the file is gone after the block. Raises: ControlError."""
    raw = listen(path)
    try:
        made = os.stat(path)
        raw.setblocking(False)
        yield trio.SocketListener(trio.socket.from_stdlib_socket(raw))
    finally:
        raw.close()
        with suppress(OSError):
            if os.path.samestat(os.lstat(path), made):  # not the one of a successor
                os.unlink(path)


async def serve(listener: trio.SocketListener, answer: Answer) -> None:
    """Answer requests until cancelled."""
    room = trio.CapacityLimiter(CONNECTIONS)

    async def connected(stream: trio.SocketStream) -> None:
        async with stream:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await _converse(stream, answer, room)

    await trio.serve_listeners(connected, [listener])


async def _converse(stream: trio.SocketStream, answer: Answer, room: trio.CapacityLimiter) -> None:
    if not is_same_user(stream.socket):
        log.warning("control socket: refused a process of another user")
        return
    try:
        room.acquire_nowait()
    except trio.WouldBlock:
        await stream.send_all(write_error(ControlError("unavailable", "too many connections")))
        return
    try:
        lines = Lines(MAX_REQUEST)
        async for data in stream:
            try:
                requests = lines.feed(data)
            except LineTooLong as error:
                await stream.send_all(write_error(error))
                return
            for request in requests:
                found = answer(request)
                line = found if isinstance(found, bytes) else await found
                with trio.move_on_after(PATIENCE) as patience:
                    await stream.send_all(line)
                if patience.cancelled_caught:
                    return
    finally:
        room.release()
