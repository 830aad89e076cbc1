"""The versions of a registry in an SQLite file, so that a restarted program continues them.

At a start three states meet: the files as they are now (F), the files as they were when the program
last started (B), and the state that was in force when it ended (C). What was edited in the files
since then is put on top of what was changed while the program ran: the result is C with the
difference from B to F. So neither an edit nor a change at run time is lost.

Rejected: the files win (every change at run time would be lost by a restart), the stored state wins
(edits of the files would do nothing).

Rules: RG10-RG12.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import attrs

from trio_actors import ErrorKind, ProcessNotFound, make_error
from trio_actors.queues.store import dump as dump_plain
from trio_actors.queues.store import load as load_plain

from .changes import Op, OpKind, State, delta
from .entry import Entry
from .versions import History

BUSY_LIMIT = 5.0  # seconds that a write waits for another program's
SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (number INTEGER PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


def dump(state: State) -> str:
    """A state as text. Raises: ProcessInvalid for data that is not plain."""
    return dump_plain([[e.id, e.kind, e.meta, e.data] for _, e in sorted(state.items())])


def load(text: str) -> dict[str, Entry]:
    """The state that a text means."""
    return {id: Entry(id, kind, meta, data) for id, kind, meta, data in load_plain(text)}


def merged(state: State, ops: Iterable[Op]) -> dict[str, Entry]:
    """A state with operations put on top that were made for another one.

    A create of something that is there replaces it, a delete of what is gone does nothing.
    """
    result = dict(state)
    for op in ops:
        if op.kind is OpKind.DELETE:
            result.pop(op.id, None)
        else:
            result[op.id] = op.entry
    return result


@attrs.frozen(slots=True)
class HistoryFile:
    """One SQLite file; every method opens and closes it, so a killed program leaves it whole."""

    path: Path

    def resume(self, files: State) -> tuple[History, dict[str, Entry]]:
        """The stored history, and the state to go to; a new file begins with `files` as v0.

        Raises: ProcessInvalid for a file that is no history, or has been damaged.
        """
        try:
            with self._opened() as base:
                rows = base.execute("SELECT number, state FROM versions ORDER BY number").fetchall()
                facts = dict(base.execute("SELECT name, value FROM facts").fetchall())
                if not rows:
                    rows = [(0, dump(files))]
                    base.executemany("INSERT INTO versions VALUES (?, ?)", rows)
                    facts = {"current": "0", "files": dump(files)}
                    self._write_facts(base, **facts)
            states: list[tuple[int, State]] = [(number, load(text)) for number, text in rows]
            history = History(tuple(states), int(facts["current"]))
            wanted = merged(history.state(history.current), delta(load(facts["files"]), files))
        except (sqlite3.Error, ValueError, TypeError, LookupError, ProcessNotFound) as error:
            text = f"{self.path} is not a history of versions: {error}"
            raise make_error(ErrorKind.INVALID, text) from None
        return history, wanted

    def started(self, files: State) -> None:
        """Remember the files of this start. Raises: ProcessUnavailable, as the others here."""
        with self._writing() as base:
            self._write_facts(base, files=dump(files))

    def added(self, number: int, state: State) -> None:
        """Remember a version, in force from now on."""
        with self._writing() as base:
            base.execute("INSERT OR REPLACE INTO versions VALUES (?, ?)", (number, dump(state)))
            self._write_facts(base, current=str(number))

    def taken_back(self, number: int, current: int) -> None:
        """The version that was added last has come to nothing; an earlier one is in force."""
        with self._writing() as base:
            base.execute("DELETE FROM versions WHERE number = ?", (number,))
            self._write_facts(base, current=str(current))

    def moved(self, number: int) -> None:
        """Remember which version is in force."""
        with self._writing() as base:
            self._write_facts(base, current=str(number))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._opened() as base:
                yield base
        except sqlite3.Error as error:
            text = f"{self.path}: the history of versions cannot be written: {error}"
            raise make_error(ErrorKind.UNAVAILABLE, text, retryable=True) from None

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """The file within one transaction."""
        with closing(sqlite3.connect(self.path, timeout=BUSY_LIMIT)) as base:
            base.executescript(SCHEMA)
            with base:
                yield base

    def _write_facts(self, base: sqlite3.Connection, **facts: Any) -> None:
        base.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts.items())
