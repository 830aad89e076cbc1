"""Where control sockets lie, and the guard in front of them: only the same user gets through.

A socket has mode 0600, and lies in a directory of the user with mode 0700 unless a path was given.
Whatever cannot be made sure is refused: a directory or socket of somebody else, a symbolic link in
its place, more permissions than that.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import stat
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from .protocol import ControlError

MAX_PATH: Final = 100  # bytes; what the operating systems allow for the path of a socket
SUFFIX: Final = ".sock"


def runtime_directory() -> Path:
    """The user's directory for sockets, made if it is not there.

    Raises: ControlError if it is not the user's alone.
    """
    base = os.environ.get("XDG_RUNTIME_DIR")
    path = (
        Path(base) / "trio-actors"
        if base
        else Path(tempfile.gettempdir()) / f"trio-actors-{os.geteuid()}"
    )
    with _os_errors_of(path):
        path.mkdir(mode=0o700, exist_ok=True)
        status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode):
        raise ControlError("denied", f"{path}: expected a directory")
    _expect_mine(path, status)
    if status.st_mode & 0o077:
        raise ControlError("denied", f"{path}: expected mode 0700, others have access to it")
    return path


@contextmanager
def _os_errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ControlError("unavailable", f"{path}: {error.strerror}") from None


def _expect_mine(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise ControlError("denied", f"{path}: belongs to another user")


def label(app: Path) -> str:
    """The beginning of the names of an application's sockets."""
    full = app.resolve()
    word = re.sub(r"[^A-Za-z0-9]+", "-", full.stem).strip("-")[:24] or "app"
    return f"{word}-{hashlib.sha256(os.fsencode(full)).hexdigest()[:10]}"


def default_path(app: Path) -> Path:
    """Where the socket of this process for an application lies. Raises: ControlError."""
    return runtime_directory() / f"{label(app)}-{os.getpid()}{SUFFIX}"


def default_sockets(app: Path | None) -> list[Path]:
    """The sockets in the user's directory, of one application or of all; also stale ones.

    Raises: ControlError.
    """
    pattern = "*" if app is None else f"{label(app)}-*"
    return sorted(runtime_directory().glob(pattern + SUFFIX))


def listen(path: Path) -> socket.socket:
    """A listening socket at `path` that only this user can reach.

    A socket that nobody listens at is replaced. Raises: ControlError.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise ControlError("unavailable", "this platform has no Unix sockets")
    if len(os.fsencode(path)) > MAX_PATH:
        raise ControlError("invalid", f"{path}: longer than {MAX_PATH} bytes; use --control PATH")
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(os.fspath(path))
        os.chmod(path, 0o600)  # nobody can connect before `listen`
        status = os.lstat(path)
        if stat.S_IMODE(status.st_mode) != 0o600 or not stat.S_ISSOCK(status.st_mode):
            raise ControlError("denied", f"{path}: cannot be kept to this user")
        _expect_mine(path, status)
        listener.listen(8)
    except OSError as error:
        listener.close()
        raise ControlError("unavailable", f"{path}: {error.strerror or error}") from None
    except ControlError:
        listener.close()
        path.unlink(missing_ok=True)
        raise
    return listener


def _remove_stale(path: Path) -> None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ControlError("unavailable", f"{path}: {error.strerror}") from None
    if not stat.S_ISSOCK(status.st_mode):
        raise ControlError("conflict", f"{path}: exists and is no socket")
    _expect_mine(path, status)
    if answers(path):
        raise ControlError("conflict", f"{path}: another application listens there")
    path.unlink(missing_ok=True)


def answers(path: Path) -> bool:
    """Whether anybody listens at a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:  # a full queue: somebody is there
            return True
        return True


def check_socket(path: Path) -> None:
    """Before connecting: the socket is there and belongs to this user. Raises: ControlError."""
    with _os_errors_of(path):
        status = os.lstat(path)
    if not stat.S_ISSOCK(status.st_mode):
        raise ControlError("invalid", f"{path}: expected a control socket")
    _expect_mine(path, status)


class Peer(Protocol):
    """A connected socket, of the standard library or of Trio."""

    def getsockopt(self, level: int, optname: int, buflen: int, /) -> bytes:
        """As `socket.socket.getsockopt`."""
        ...


def is_same_user(peer: Peer) -> bool:
    """Whether the other end is a process of this user, as the kernel says.

    Where the platform cannot tell, the mode of the socket is the guard.
    """
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    size = struct.calcsize("3i")
    try:
        _, user, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, option, size))
    except (OSError, struct.error):
        return False
    return bool(user == os.geteuid())
