"""`trio-actors queue`: look into the durable queues of an application, and replay dead letters.

It opens the SQLite files beside a running application, which sees what was replayed within a
second. Queues in memory are named, but only the running program can look into those.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from trio_actors.queues.store import Store

from ..definitions import Application
from ..kinds.queues import queue_path
from . import USAGE

FAILED = 1


def queue(application: Application, id: str | None, *, limit: int, replay: bool) -> int:
    """Lists all queues, shows one, or replays its letters; returns the exit code."""
    files = {
        d.id: queue_path(application.root, d.model) if d.model.file else None
        for d in sorted(application.definitions.values(), key=lambda d: d.id)
        if d.kind == "queue.queue"
    }
    if id is None and replay:
        return _refuse("--replay: name the queue of dead letters")
    if id is None:
        return _print(_all(files))
    if id not in files:
        return _refuse(f"expected the id of a queue, got {id}; there are: {', '.join(files)}")
    path = files[id]
    if path is None:
        return _refuse(f"{id} is kept in memory: only the running program can look into it")
    if not path.exists():
        return _print(iter([f"{id}: empty, there is no file yet"]))
    if replay:
        same_file = [other for other, where in files.items() if where == path]
        return _print(_replayed(path, id, same_file))
    return _print(_messages(path, id, limit))


def _refuse(text: str) -> int:
    sys.stderr.write(f"trio-actors queue: {text}\n")
    return USAGE


def _print(lines: Iterator[str]) -> int:
    try:
        for line in lines:
            sys.stdout.write(f"{line}\n")
    except Unreadable as error:
        sys.stderr.write(f"trio-actors queue: {error}\n")
        return FAILED
    return 0


class Unreadable(Exception):
    """What is wrong with which file."""


@contextmanager
def _opened(path: Path) -> Iterator[Store]:
    try:
        with closing(Store(path)) as store:
            yield store
    except (sqlite3.Error, ValueError) as error:  # ValueError: a row that is no message
        raise Unreadable(f"{path}: {error}") from None


def _all(files: dict[str, Path | None]) -> Iterator[str]:
    for id, path in files.items():
        if path is None:
            yield f"{id}  in memory"
        elif not path.exists():
            yield f"{id}  ready 0  in flight 0"
        else:
            with _opened(path) as store:
                info = store.info(id)
            yield f"{id}  ready {info.ready}  in flight {info.in_flight}"


def _messages(path: Path, id: str, limit: int) -> Iterator[str]:
    with _opened(path) as store:
        found = store.peek(id, limit)
        count = store.info(id).message_count
    for letter, held in found:
        state = "in flight" if held else "ready"
        yield f"{letter.id}  {state}, attempts {letter.attempts}"
        yield f"  headers {json.dumps(dict(letter.headers), ensure_ascii=False)}"
        yield f"  body {json.dumps(letter.body, ensure_ascii=False, default=repr)}"
    yield f"{len(found)} of {count} messages"


def _replayed(path: Path, id: str, known: list[str]) -> Iterator[str]:
    with _opened(path) as store:
        counts = store.replay(id, known)
        left = store.info(id).ready
    for target, count in counts.items():
        yield f"{count} to {target}"
    yield f"{left} left in {id}"
