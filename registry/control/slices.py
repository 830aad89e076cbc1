"""A snapshot as the line of an answer, made in slices: nobody waits long because somebody looks.

After each slice of half a millisecond others run. The answer also says how much time of the
application it `took`, so that who looks often can keep to a share of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from time import perf_counter, thread_time
from typing import Any, Final

import trio

from supervision import Taking
from supervision.snapshot import VERSION

SLICE: Final = 0.0005  # seconds
CHUNK: Final = 16  # rows that are written at once: a tenth of a slice

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def pieces(taking: Taking) -> Iterator[str]:
    """The text of an answer without its end; an empty piece is a place for a pause.

    What the pieces make, with `}}` behind them, is the answer to `Snapshot.as_data()`.
    """
    yield '{"ok": ' + _encode({"version": VERSION, **taking.head})[:-1]
    for name, section in taking.sections():
        yield f', "{name}": ['
        between = ""
        chunk: list[Any] = []
        for row in section:
            if row is None:
                yield ""
                continue
            chunk.append(row)
            if len(chunk) == CHUNK:
                yield between + _encode(chunk)[1:-1]
                between = ", "
                chunk.clear()
        yield (between + _encode(chunk)[1:-1] if chunk else "") + "]"


async def in_slices(taking: Taking) -> bytes:
    """The line of the answer. Checkpoint: after every slice."""
    made, took = list[bytes](), 0.0
    await trio.lowlevel.checkpoint()
    began, since = perf_counter(), thread_time()
    for piece in pieces(taking):
        made.append(piece.encode())
        if perf_counter() - began >= SLICE:
            took += thread_time() - since
            await trio.lowlevel.checkpoint()
            began, since = perf_counter(), thread_time()
    took += thread_time() - since
    made.append(b', "took": ' + _encode(round(took, 6)).encode() + b"}}\n")
    return b"".join(made)
