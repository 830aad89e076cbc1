"""The other end of the control socket: finds the application that is meant, asks, reads answers."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from .places import check_socket, default_sockets, is_same_user
from .protocol import MAX_ANSWER, ControlError, Lines, read_answer, write_request

PATIENCE = 10.0  # seconds that an application may take to answer


@attrs.define(slots=True, eq=False)
class Connection:
    """A running application that answers; `hello` is what it says of itself."""

    path: Path
    hello: dict[str, Any]
    _stream: trio.SocketStream
    _lines: Lines = attrs.field(factory=lambda: Lines(MAX_ANSWER))
    _ready: deque[bytes] = attrs.field(factory=deque)

    async def ask(self, op: str, **fields: Any) -> Any:
        """The answer to one request. Checkpoint: always.

        Raises: ControlError: the refusal; `ended` if the application has gone; `timeout`.
        """
        try:
            with trio.fail_after(PATIENCE):
                await self._stream.send_all(write_request(op, fields))
                while not self._ready:
                    data = await self._stream.receive_some()
                    if not data:
                        raise ControlError("ended", "the application has ended")
                    self._ready += self._lines.feed(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise ControlError("ended", "the application has ended") from None
        except trio.TooSlowError:
            text = f"{self.path}: no answer within {PATIENCE:g} s: the application is busy or stuck"
            raise ControlError("timeout", text) from None
        return read_answer(self._ready.popleft())


@asynccontextmanager
async def connect(
    app: Path | None = None, control: Path | None = None
) -> AsyncIterator[Connection]:
    """`async with connect(app) as connection`: the running application that is meant.

    Args:
        app: the application's directory or file; None if there is only one that runs.
        control: the path of its socket, if it was given one.

    Raises: ControlError if there is none, or more than one.
    """
    found = [] if control is None else [await _open(control)]
    try:
        if control is None:
            for path in default_sockets(app):
                try:
                    found.append(await _open(path))
                except _Stale:
                    path.unlink(missing_ok=True)
        if len(found) != 1:
            raise _not_one(found, app)
        yield found[0]
    finally:
        for connection in found:
            await trio.aclose_forcefully(connection._stream)


class _Stale(ControlError):
    """Nobody listens at a socket any more."""


async def _open(path: Path) -> Connection:
    check_socket(path)
    try:
        stream = await trio.open_unix_socket(path)
    except ConnectionRefusedError:
        raise _Stale("unavailable", f"{path}: no application listens there any more") from None
    except OSError as error:
        raise ControlError("unavailable", f"{path}: {error.strerror or error}") from None
    if not is_same_user(stream.socket):
        await trio.aclose_forcefully(stream)
        raise ControlError("denied", f"{path}: a process of another user listens there")
    connection = Connection(path, {}, stream)
    try:
        connection.hello = await connection.ask("hello")
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return connection


def _not_one(found: list[Connection], app: Path | None) -> ControlError:
    if found:
        listed = "\n".join(
            f"  {one.hello['app']}  process {one.hello['pid']}  --control {one.path}"
            for one in found
        )
        what = "applications run; name one" if app is None else f"of {app} run; choose one"
        return ControlError("conflict", f"{len(found)} {what}:\n{listed}")
    what = "no application is running" if app is None else f"{app} is not running"
    remedy = "start it with `trio-actors run`, or give --control PATH"
    return ControlError("unavailable", f"{what} for this user; {remedy}")
