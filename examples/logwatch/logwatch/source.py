"""The input: lines of a file or of standard input, read in a thread.

It outlives the process that reads it. A thread cannot be stopped, so a piece that it was reading
when its process was killed arrives here all the same, for the next one; and lines stay here until
the ledger has said that it has them.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from pathlib import Path
from typing import BinaryIO

from .ledger import Line

PIECE = 65_536  # bytes read at a time
LONGEST = 65_536  # bytes of a line; what is longer is cut, and rejected by the rules


class Source:
    """Lines from a binary stream, numbered from 1."""

    def __init__(self, stream: BinaryIO, size: int | None = None) -> None:
        self.size = size  # bytes, if known
        self.consumed = 0  # bytes read so far
        self._stream = stream
        self._lock = threading.Lock()  # one thread reads at a time
        self._rest = b""
        self._ready: deque[bytes] = deque()
        self._first = 1  # number of the first line in `_ready`
        self._ended = False
        self._closing = False

    @classmethod
    def open(cls, path: str) -> Source:
        """The input named on the command line; `-` is standard input. Raises: OSError."""
        if path == "-":
            return cls(sys.stdin.buffer)
        stream = Path(path).open("rb")  # noqa: SIM115  closed by close()
        try:
            size = os.fstat(stream.fileno()).st_size
        except OSError:
            size = 0
        return cls(stream, size or None)

    def fill(self) -> None:
        """Reads one more piece; blocks, so it runs in a thread."""
        with self._lock:
            if not self._ended and not self._closing:
                self._read()
        if self._closing:
            self.close()

    def _read(self) -> None:
        read = getattr(self._stream, "read1", self._stream.read)
        piece = read(PIECE)
        self.consumed += len(piece)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        self._ready.extend(lines)
        if not piece:
            if self._rest:
                self._ready.append(self._rest)
            self._ended = True  # last: whoever sees it sees all lines

    def take(self, first: int, count: int) -> tuple[list[Line], bool]:
        """Up to `count` lines from number `first` on, and whether the last one is among them.

        Lines before `first` are forgotten. No lines and False: fill first.
        """
        ended = self._ended
        while self._first < first and self._ready:
            self._ready.popleft()
            self._first += 1
        available = min(count, len(self._ready))
        lines = [_text(self._ready[i]) for i in range(available)]
        return lines, ended and available == len(self._ready)

    def close(self) -> None:
        """Closes a file, when no thread reads any more; leaves standard input alone."""
        self._closing = True
        if self._stream is not sys.stdin.buffer and self._lock.acquire(blocking=False):
            self._stream.close()
            self._lock.release()


def _text(raw: bytes) -> Line:
    raw = raw[:LONGEST].removesuffix(b"\r")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw
