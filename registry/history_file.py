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

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs

from trio_actors import ErrorKind, make_error

from .changes import Op, OpKind, State, delta
from .entry import Entry
from .versions import History

SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (number INTEGER PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


def dump(state: State) -> str:
    """A state as text, the same for equal states."""
    rows = [[e.id, e.kind, e.meta, e.data] for _, e in sorted(state.items())]
    return json.dumps(rows, ensure_ascii=False, sort_keys=True)


def load(text: str) -> dict[str, Entry]:
    """The state that a text means."""
    return {id: Entry(id, kind, meta, data) for id, kind, meta, data in json.loads(text)}


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

        Raises: ProcessInvalid for a file that is no history.
        """
        try:
            with closing(self._open()) as base, base:
                rows = base.execute("SELECT number, state FROM versions ORDER BY number").fetchall()
                facts = dict(base.execute("SELECT name, value FROM facts").fetchall())
                if not rows:
                    rows = [(0, dump(files))]
                    base.executemany("INSERT INTO versions VALUES (?, ?)", rows)
                    facts = {"current": "0", "files": dump(files)}
                    self._write_facts(base, **facts)
        except sqlite3.Error as error:
            text = f"{self.path} is not a history of versions: {error}"
            raise make_error(ErrorKind.INVALID, text) from None
        states: list[tuple[int, State]] = [(number, load(text)) for number, text in rows]
        history = History(tuple(states), int(facts["current"]))
        wanted = merged(history.state(history.current), delta(load(facts["files"]), files))
        return history, wanted

    def started(self, files: State) -> None:
        """Remember the files of this start."""
        with closing(self._open()) as base, base:
            self._write_facts(base, files=dump(files))

    def added(self, number: int, state: State) -> None:
        """Remember a version, in force from now on."""
        with closing(self._open()) as base, base:
            base.execute("INSERT INTO versions VALUES (?, ?)", (number, dump(state)))
            self._write_facts(base, current=str(number))

    def moved(self, number: int) -> None:
        """Remember which version is in force."""
        with closing(self._open()) as base, base:
            self._write_facts(base, current=str(number))

    def _open(self) -> sqlite3.Connection:
        base = sqlite3.connect(self.path)
        try:
            base.executescript(SCHEMA)
        except sqlite3.Error:
            base.close()
            raise
        return base

    def _write_facts(self, base: sqlite3.Connection, **facts: Any) -> None:
        base.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts.items())
