"""The SQLite file of durable queues: one transaction for each batch of steps. It blocks.

Nothing here knows Trio; `durable` calls `write` in a thread. Several programs may have the file
open: a message in the hands of one of them is invisible to the others until its time is over.

Theory. A row is ready when `visible_at` is 0; a row in flight holds the time at which it becomes
visible again and the receipt of its delivery. A step that names a receipt which is no longer the
row's own does nothing: that delivery took too long and the message belongs to somebody else.
A commit waits for the disk (`synchronous=FULL`), so what a step answered survives kill -9.

Order within a batch: what was overdue, then the steps as given.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, assert_never

import attrs

from trio_actors._core.errors import ErrorKind, make_error
from trio_actors.queues.letters import (
    MARKS,
    Again,
    Dead,
    Dropped,
    Letter,
    QueueInfo,
    Terms,
    verdict,
)

SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
  place INTEGER PRIMARY KEY AUTOINCREMENT,
  queue TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, headers TEXT NOT NULL,
  attempts INTEGER NOT NULL, visible_at REAL NOT NULL, receipt TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS message_ready ON message (queue, visible_at, place);
CREATE INDEX IF NOT EXISTS message_late ON message (visible_at) WHERE visible_at > 0;
CREATE INDEX IF NOT EXISTS message_receipt ON message (receipt) WHERE receipt <> '';
"""
TIMED_OUT = "not settled within the visibility timeout"
BUSY_LIMIT = 10.0  # seconds that a batch waits for another program's transaction


# -- bodies as text


def dump(value: Any) -> str:
    """A body as text. Raises: ProcessInvalid for what is no plain data."""
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def load(text: str) -> Any:
    """The body that a text means; a tuple has become a list."""
    return json.loads(text, object_hook=_object)


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return {"$bytes": value.hex()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case Mapping():
            if all(isinstance(key, str) and not key.startswith("$") for key in value):
                return {key: _plain(item) for key, item in value.items()}
            return {"$map": [[_plain(key), _plain(item)] for key, item in value.items()]}
    text = f"a {type(value).__name__} cannot be kept in a file"
    raise make_error(ErrorKind.INVALID, text)


def _object(found: dict[str, Any]) -> Any:
    if "$bytes" in found:
        return bytes.fromhex(found["$bytes"])
    if "$map" in found:
        return dict(found["$map"])
    return found


# -- steps and their answers


@attrs.frozen(slots=True)
class Put:
    """A message at the tail. Answer: False if `limit` messages wait already."""

    queue: str
    id: str
    body: str
    headers: str
    limit: int | None = None


@attrs.frozen(slots=True)
class Claim:
    """The first message that is ready, for `timeout` seconds. Answer: the letter, None if none."""

    queue: str
    receipt: str
    timeout: float


@attrs.frozen(slots=True)
class Ack:
    """The message of this receipt is gone. Answer: False if the receipt is no longer good."""

    receipt: str


@attrs.frozen(slots=True)
class Nack:
    """The message of this receipt failed. Answer: as `Ack`."""

    receipt: str
    error: str


@attrs.frozen(slots=True)
class Back:
    """The message of this receipt was not handled (QU8). Answer: as `Ack`."""

    receipt: str


@attrs.frozen(slots=True)
class Look:
    """Nothing changes; the depths are counted. Answer: True."""


Step = Put | Claim | Ack | Nack | Back | Look


@attrs.frozen(slots=True)
class Written:
    """What a batch did: an answer for each step, and what was given up without a dead letter."""

    answers: list[Any]
    dropped: tuple[tuple[str, Letter, str], ...]
    infos: Mapping[str, QueueInfo]


COLUMNS = "queue, id, body, headers, attempts, receipt"


class Store:
    """One open file. Raises from every method: sqlite3.Error."""

    def __init__(self, path: Path) -> None:
        self._base = sqlite3.connect(
            path, timeout=BUSY_LIMIT, isolation_level=None, check_same_thread=False
        )
        try:
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=FULL")
            self._base.executescript(SCHEMA)
        except sqlite3.Error:
            self._base.close()
            raise
        self._dropped: list[tuple[str, Letter, str]] = []
        self._waiting: dict[str, int] = {}

    def close(self) -> None:
        """The file is closed; what was written stays."""
        self._base.close()

    def write(self, steps: Sequence[Step], terms: Mapping[str, Terms], now: float) -> Written:
        """Do all steps in one transaction, or none of them when it raises."""
        self._dropped, self._waiting = [], {}
        self._base.execute("BEGIN IMMEDIATE")
        try:
            self._return_late(terms, now)
            answers = [self._step(step, terms, now) for step in steps]
            infos = {queue: self.info(queue) for queue in terms}
            self._base.execute("COMMIT")
        except BaseException:
            self._base.execute("ROLLBACK")
            raise
        return Written(answers, tuple(self._dropped), infos)

    def _step(self, step: Step, terms: Mapping[str, Terms], now: float) -> Any:
        match step:
            case Put(queue, id, body, headers, limit):
                if limit is not None and self._ready(queue) >= limit:
                    return False
                self._insert(queue, id, body, headers)
                return True
            case Claim(queue, receipt, timeout):
                return self._claim(queue, receipt, now + timeout)
            case Ack(receipt):
                return self._delete(receipt)
            case Nack(receipt, error):
                return any(self._fail(*row, terms, error) for row in self._rows(receipt))
            case Back(receipt):
                text = (
                    "UPDATE message SET visible_at = 0, receipt = '', attempts = attempts - 1"
                    " WHERE receipt = ?"
                )
                return self._base.execute(text, (receipt,)).rowcount > 0
            case Look():
                return True
            case _:
                assert_never(step)

    def _ready(self, queue: str) -> int:
        """How many wait, counted once for the puts of a batch."""
        if queue not in self._waiting:
            self._waiting[queue] = self.info(queue).ready
        return self._waiting[queue]

    def _insert(self, queue: str, id: str, body: str, headers: str, attempts: int = 0) -> None:
        self._base.execute(
            "INSERT INTO message (queue, id, body, headers, attempts, visible_at, receipt)"
            " VALUES (?, ?, ?, ?, ?, 0, '')",
            (queue, id, body, headers, attempts),
        )
        if queue in self._waiting:
            self._waiting[queue] += 1

    def _insert_letter(self, queue: str, letter: Letter, attempts: int = 0) -> None:
        self._insert(queue, letter.id, dump(letter.body), dump(letter.headers), attempts)

    def _delete(self, receipt: str) -> bool:
        found = self._base.execute("DELETE FROM message WHERE receipt = ?", (receipt,))
        return found.rowcount > 0

    def _claim(self, queue: str, receipt: str, until: float) -> Letter | None:
        found = self._base.execute(
            "UPDATE message SET attempts = attempts + 1, visible_at = ?, receipt = ?"
            " WHERE place = (SELECT place FROM message WHERE queue = ? AND visible_at = 0"
            f" ORDER BY place LIMIT 1) RETURNING {COLUMNS}",
            (until, receipt, queue),
        ).fetchall()
        return _letter(found[0]) if found else None

    def _rows(self, receipt: str) -> list[tuple[str, Letter]]:
        text = f"SELECT {COLUMNS} FROM message WHERE receipt = ?"
        return [(row[0], _letter(row)) for row in self._base.execute(text, (receipt,)).fetchall()]

    def _fail(self, queue: str, letter: Letter, terms: Mapping[str, Terms], error: str) -> bool:
        """A delivery failed: the row goes to the tail, to the dead letters, or away (QU5)."""
        self._delete(letter.receipt)
        match verdict(queue, terms.get(queue, Terms()), letter, error):
            case Again():
                self._insert_letter(queue, letter, letter.attempts)
            case Dead(target, headers):
                self._insert_letter(target, Letter(letter.id, letter.body, headers))
            case Dropped():
                self._dropped.append((queue, letter, error))
        return True

    def _return_late(self, terms: Mapping[str, Terms], now: float) -> None:
        """What nobody settled in time has failed; only queues whose terms are known."""
        text = (
            f"SELECT {COLUMNS} FROM message WHERE visible_at > 0 AND visible_at <= ? ORDER BY place"
        )
        for row in self._base.execute(text, (now,)).fetchall():
            if row[0] in terms:
                self._fail(row[0], _letter(row), terms, TIMED_OUT)

    # -- to look inside

    def info(self, queue: str) -> QueueInfo:
        """What a queue holds."""
        text = "SELECT count(*) FROM message WHERE queue = ? AND visible_at {} 0"
        ready, held = (
            self._base.execute(text.format(sign), (queue,)).fetchone()[0] for sign in "=>"
        )
        return QueueInfo(ready + held, ready, held)

    def queues(self) -> list[str]:
        """The queues that have messages."""
        found = self._base.execute("SELECT DISTINCT queue FROM message ORDER BY queue")
        return [row[0] for row in found.fetchall()]

    def peek(self, queue: str, limit: int) -> list[tuple[Letter, bool]]:
        """The first messages of a queue, each with whether it is in flight."""
        text = f"SELECT {COLUMNS} FROM message WHERE queue = ? ORDER BY place LIMIT ?"
        rows = self._base.execute(text, (queue, limit)).fetchall()
        return [(_letter(row), bool(row[-1])) for row in rows]

    def replay(self, queue: str, known: Iterable[str]) -> dict[str, int]:
        """Send dead letters back to where they came from, as new messages.

        Args:
            known: the queues of this file; letters of others stay.

        Returns: how many went to which queue.
        """
        counts: dict[str, int] = {}
        targets = set(known)
        text = f"SELECT place, {COLUMNS} FROM message WHERE queue = ? AND visible_at = 0"
        self._base.execute("BEGIN IMMEDIATE")
        try:
            for place, *row in self._base.execute(f"{text} ORDER BY place", (queue,)).fetchall():
                letter = _letter(row)
                target = letter.headers.get("x-queue")
                if not isinstance(target, str) or target not in targets:
                    continue
                headers = {k: v for k, v in letter.headers.items() if k not in MARKS}
                self._base.execute("DELETE FROM message WHERE place = ?", (place,))
                self._insert_letter(target, Letter(letter.id, letter.body, headers))
                counts[target] = counts.get(target, 0) + 1
            self._base.execute("COMMIT")
        except BaseException:
            self._base.execute("ROLLBACK")
            raise
        return counts


def _letter(row: Sequence[Any]) -> Letter:
    _, id, body, headers, attempts, receipt = row
    return Letter(id, load(body), load(headers), attempts, receipt)
