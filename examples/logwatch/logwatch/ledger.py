"""The ledger: which line is where, and what the death of a worker means. Pure, no awaits.

Rules of the game:
- A line is *open* from its arrival until it has a verdict: scored, or rejected. It gets exactly
  one; whatever arrives later about it is ignored.
- A worker holds up to WINDOW lines and judges them in the order in which it got them. So when it
  dies, the first one that is still open is the *line in hand*.
- A worker that failed by itself (a crash) blames the line in hand: it is tried once more, by
  whoever is free, and rejected when that crashes too. A worker that was killed blames nothing.
  The other lines that it held go back to the front of the queue.
- When the ledger's own process dies, its successor gets this object, forgets who held what and
  hands out again what is open. A worker judges only lines from the ledger that it reported to, so
  a death always tells about lines that this ledger has given.
- Verdicts are numbered and kept until the aggregator has them (`acked`), so that its death loses
  none.
- The input is pulled: `want` names the first line that has not arrived, and is also the receipt
  for those before it.

So `read = scored + rejected` holds at the end whoever died in between, and the counts are those of
a run without any deaths. Junk lines that chaos adds have numbers below zero and accounts of their
own.

Rejected: acknowledging lines when they are handed out (a death loses them), giving each worker a
part of the file (a worker that restarts slowly would delay the end).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from .chaos import Plan

Line = str | bytes
Verdict = tuple[int, dict[str, Any]]  # number of the verdict, what the rules said

WINDOW = 16  # lines in the hands of one worker
CHUNK = 256  # lines asked for at a time
TRIES = 2  # runs that a line may crash before it is rejected
UNHEARD = 2000  # verdicts that wait for the aggregator before no more lines are handed out
SAMPLES = 5  # rejected lines that the report names


@attrs.frozen(slots=True)
class Send:
    """A message that the ledger wants sent."""

    to: str
    topic: str
    payload: Any


@attrs.frozen(slots=True)
class Counts:
    """The accounts at one moment."""

    read: int = 0
    scored: int = 0
    rejected: int = 0
    unfinished: int = 0  # taken from the input but not judged, when the run was cut short
    injected: int = 0  # junk lines that chaos added; in none of the counts above
    injected_rejected: int = 0
    injected_scored: int = 0
    crashes: int = 0  # deaths that blamed a line
    kills: int = 0  # deaths that blamed none


@attrs.define(slots=True, eq=False)
class Ledger:
    """The state of a run; every method says what is to be sent."""

    workers: int = 4
    plan: Plan | None = None
    next_line: int = 1
    exhausted: bool = False  # no more input will come
    settings: dict[str, Any] = attrs.field(factory=dict)  # what the rule script says of alerts
    rejects: dict[int, str] = attrs.field(factory=dict)  # samples: line number -> reason
    _text: dict[int, Line] = attrs.field(factory=dict)  # the open lines
    _queue: deque[int] = attrs.field(factory=deque)  # open lines that nobody holds
    _hands: dict[str, deque[int]] = attrs.field(factory=dict)
    _crashed: dict[int, int] = attrs.field(factory=dict)  # open lines that have crashed a worker
    _reader: str | None = None
    _collector: str | None = None
    _asked: bool = False  # the reader owes us lines
    _verdicts: deque[Verdict] = attrs.field(factory=deque)  # not yet confirmed
    _last: int = 0  # number of the last verdict
    _tally: dict[str, int] = attrs.field(factory=dict)

    # -- input

    def reader_ready(self, pid: str) -> list[Send]:
        """A reader has started; it may be a new one."""
        self._reader = pid
        self._asked = False
        return self._want()

    def _want(self) -> list[Send]:
        if self.exhausted or self._asked or self._reader is None or len(self._queue) >= CHUNK:
            return []
        self._asked = True
        return [Send(self._reader, "want", (self.next_line, CHUNK))]

    def lines(self, sender: str, first: int, lines: list[Line], last: bool) -> list[Send]:
        """Lines from the reader, the first of them numbered; what we have already is skipped."""
        if sender != self._reader or self.exhausted:
            return []
        self._asked = False
        fresh = lines[self.next_line - first :] if first <= self.next_line else []
        for line in fresh:
            self._open(self.next_line, line)
            junk = self.plan.junk(self.next_line) if self.plan else None
            if junk is not None:
                self._count("injected")
                self._open(-self.next_line, junk)
            self.next_line += 1
        if last and first <= self.next_line:
            self.exhausted = True
        return [*self._hand_out(self._hands), *self._want()]

    def _open(self, number: int, line: Line) -> None:
        self._text[number] = line
        self._queue.append(number)

    # -- workers

    def worker_ready(self, pid: str, index: int, settings: Mapping[str, Any]) -> list[Send]:
        """A worker has started; those beyond the number wanted are sent home."""
        if index > self.workers:
            return [Send(pid, "enough", None)]
        self.settings = dict(settings)
        self._hands.setdefault(pid, deque())
        return self._hand_out([pid])

    def worker_gone(self, pid: str, reason: str | None) -> list[Send]:
        """A worker has died; `reason` is what it said when it crashed, None if it was killed."""
        held = self._hands.pop(pid, None)
        if held is None:
            return []
        sends: list[Send] = []
        self._count("kills" if reason is None else "crashes")
        if held and reason is not None:
            number = held[0]
            self._crashed[number] = self._crashed.get(number, 0) + 1
            if self._crashed[number] >= TRIES:
                held.popleft()
                sends += self._reject(number, reason)
        self._queue.extendleft(reversed(held))
        return [*sends, *self._hand_out(self._hands)]

    def scored(self, pid: str, number: int, result: dict[str, Any]) -> list[Send]:
        """A worker has judged a line."""
        held = self._hands.get(pid)
        if held is None or number not in held:
            return []
        held.remove(number)
        sends = self._settle(number, "scored", result)
        return [*sends, *self._hand_out([pid]), *self._want()]

    def _hand_out(self, pids: Iterable[str]) -> list[Send]:
        sends: list[Send] = []
        waiting = list(pids) if len(self._verdicts) < UNHEARD else []
        while self._queue and waiting:  # one line each in turn, so that all have work
            for pid in list(waiting):
                if not self._queue:
                    break
                if len(self._hands[pid]) >= WINDOW:
                    waiting.remove(pid)
                    continue
                number = self._queue.popleft()
                self._hands[pid].append(number)
                sends.append(Send(pid, "line", (number, self._text[number])))
        return sends

    # -- verdicts

    def _reject(self, number: int, reason: str) -> list[Send]:
        if number > 0:
            self.rejects[number] = reason
            while len(self.rejects) > SAMPLES:
                del self.rejects[max(self.rejects)]
        return self._settle(number, "rejected", None)

    def _settle(self, number: int, verdict: str, result: dict[str, Any] | None) -> list[Send]:
        del self._text[number]
        self._crashed.pop(number, None)
        self._count(verdict if number > 0 else f"injected_{verdict}")
        if result is None or number < 0:
            return []
        self._last += 1
        self._verdicts.append((self._last, result))
        if self._collector is None:
            return []
        return [Send(self._collector, "verdict", self._verdicts[-1])]

    def collector_ready(self, pid: str, after: int) -> list[Send]:
        """An aggregator has started that has the verdicts up to `after`."""
        self._collector = pid
        self._confirm(after)
        return [Send(pid, "verdict", verdict) for verdict in self._verdicts]

    def acked(self, sender: str, upto: int) -> list[Send]:
        """The aggregator has the verdicts up to here."""
        if sender != self._collector:
            return []
        was_full = len(self._verdicts) >= UNHEARD
        self._confirm(upto)
        return self._hand_out(self._hands) if was_full else []

    def _confirm(self, upto: int) -> None:
        while self._verdicts and self._verdicts[0][0] <= upto:
            self._verdicts.popleft()

    # -- the run

    def took_over(self) -> None:
        """The process that kept this ledger has died: everybody has to report again."""
        self._hands.clear()
        self._reader = self._collector = None
        self._asked = False
        self._queue = deque(sorted(self._text, key=abs))

    def stop(self) -> None:
        """No more lines: those that nobody holds are given up, the others may finish."""
        self.exhausted = True
        for number in self._queue:
            del self._text[number]
            self._crashed.pop(number, None)
            self._count("unfinished" if number > 0 else "injected", 1 if number > 0 else -1)
        self._queue.clear()

    @property
    def done(self) -> bool:
        """Every line has its verdict and the aggregator has them all."""
        return self.exhausted and not self._text and not self._verdicts

    def counts(self) -> Counts:
        """The accounts now."""
        tally = {name: self._tally.get(name, 0) for name in attrs.fields_dict(Counts)}
        tally["read"] = tally["scored"] + tally["rejected"]
        return Counts(**tally)

    def open_lines(self) -> int:
        """How many lines, junk included, have no verdict yet."""
        return len(self._text)

    def _count(self, name: str, by: int = 1) -> None:
        self._tally[name] = self._tally.get(name, 0) + by
