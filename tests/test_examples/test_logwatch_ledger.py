"""The ledger of examples/logwatch: every line has exactly one verdict, whoever dies when."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import pytest
from logwatch.aggregate import Aggregate
from logwatch.chaos import Plan
from logwatch.ledger import CHUNK, TRIES, WINDOW, Counts, Ledger, Send

RESULT = {"client": "1.2.3.4", "score": 1, "tags": ["t"], "status": 200, "bytes": 5, "minute": "m"}


def is_bad(line: str | bytes) -> bool:
    return not isinstance(line, str) or not line.startswith("ok")


class World:
    """Workers, reader and aggregator around a ledger; messages are in flight until delivered."""

    def __init__(self, lines: list[str], seed: int, workers: int, plan: Plan | None) -> None:
        self.random = random.Random(seed)
        self.lines = lines
        self.ledger = Ledger(workers=workers, plan=plan)
        self.aggregate = Aggregate()
        self.to_ledger: dict[str, deque[tuple[Any, ...]]] = {}  # one queue per sender: M12
        self.to_others: dict[str, deque[Send]] = {}
        self.serial = 0
        self.epoch = 0  # of the ledger: lines of an older one do not count
        self.workers = [self.new("worker") for _ in range(workers)]
        self.reader = self.new("reader")
        self.collector = self.new("collector")

    def new(self, role: str) -> str:
        self.serial += 1
        pid = f"{role}-{self.serial}"
        self.to_others[pid] = deque()
        ready: tuple[Any, ...] = ("ready", role)
        self.to_ledger[pid] = deque([ready])
        return pid

    # -- what the parts do

    def ledger_handles(self, pid: str) -> None:
        topic, *rest = self.to_ledger[pid].popleft()
        ledger = self.ledger
        match topic:
            case "ready" if pid not in self.to_others:
                sends = []  # it has died since; the process does not get to monitor it
            case "ready" if rest[0] == "worker":
                sends = ledger.worker_ready(pid, 1, {"alert": 1})
            case "ready" if rest[0] == "reader":
                sends = ledger.reader_ready(pid)
            case "ready":
                sends = ledger.collector_ready(pid, self.aggregate.last)
            case "lines":
                sends = ledger.lines(pid, *rest)
            case "scored":
                sends = ledger.scored(pid, *rest)
            case "acked":
                sends = ledger.acked(pid, *rest)
            case _:
                sends = ledger.worker_gone(pid, *rest)
        for send in sends:
            if send.to in self.to_others:
                self.to_others[send.to].append(send)

    def other_handles(self, pid: str) -> None:
        send = self.to_others[pid].popleft()
        answers = self.to_ledger[pid]
        match send.topic:
            case "want":
                first, count = send.payload
                piece = self.lines[first - 1 : first - 1 + count]
                answers.append(("lines", first, piece, first - 1 + count >= len(self.lines)))
            case "verdict":
                self.aggregate.add(*send.payload)
                answers.append(("acked", self.aggregate.last))
            case "line":
                number, line = send.payload
                if is_bad(line):
                    self.die(pid, f"bad line {number}")
                else:
                    answers.append(("scored", number, RESULT))

    def die(self, pid: str, reason: str | None) -> None:
        """A process other than the ledger dies and is started again."""
        role = pid.split("-")[0]
        del self.to_others[pid]
        if role == "worker":
            self.to_ledger[pid].append(("gone", reason))
            self.workers[self.workers.index(pid)] = self.new("worker")
        elif role == "reader":
            self.reader = self.new("reader")
        else:
            self.collector = self.new("collector")

    def ledger_dies(self) -> None:
        """What was on its way to it is lost; everybody reports to the next one."""
        self.ledger.took_over()
        self.to_ledger.clear()
        for pid, inbox in self.to_others.items():
            inbox.clear()  # nobody cares for what an older ledger said
            self.to_ledger[pid] = deque([("ready", pid.split("-")[0])])

    def run(self, deaths: int) -> None:
        for _ in range(1_000_000):
            if self.ledger.done:
                return
            if deaths and self.random.random() < 0.02:
                deaths -= 1
                victim = self.random.choice(["ledger", self.reader, self.collector, *self.workers])
                self.ledger_dies() if victim == "ledger" else self.die(victim, None)
                continue
            steps = [(self.ledger_handles, p) for p, q in self.to_ledger.items() if q]
            steps += [(self.other_handles, p) for p, q in self.to_others.items() if q]
            assert steps, "nobody has anything to do, and the run is not done"
            step, pid = self.random.choice(steps)
            step(pid)
        pytest.fail("the run does not end")


def some_lines(count: int, seed: int) -> list[str]:
    dice = random.Random(seed)
    return ["bad" if dice.random() < 0.03 else f"ok {i}" for i in range(count)]


@pytest.mark.parametrize("seed", range(60))
def test_the_counts_do_not_depend_on_deaths(seed: int) -> None:
    """read = scored + rejected, with the numbers of a run without deaths."""
    lines = some_lines(random.Random(seed).choice([0, 1, 7, 300, 900]), seed)
    bad = sum(map(is_bad, lines))
    plan = Plan(seed) if seed % 2 else None
    world = World(lines, seed, workers=1 + seed % 5, plan=plan)
    world.run(deaths=seed % 7 * 5)
    counts = world.ledger.counts()
    assert (counts.read, counts.scored, counts.rejected) == (len(lines), len(lines) - bad, bad)
    assert counts.unfinished == 0
    assert counts.injected == counts.injected_rejected
    assert counts.injected_scored == 0
    assert world.aggregate.last == sum(world.aggregate.statuses.values()) == counts.scored
    injected = sum(1 for n in range(1, len(lines) + 1) if plan and plan.junk(n) is not None)
    assert counts.injected == injected


def test_the_line_in_hand_is_tried_twice_and_its_neighbours_are_not_blamed() -> None:
    """A crash blames the first open line of the dead worker only."""
    ledger = Ledger(workers=2)
    ledger.worker_ready("w1", 1, {})
    ledger.reader_ready("r")
    given = ledger.lines("r", 1, ["a", "b", "c"], True)
    assert [s.payload[0] for s in given] == [1, 2, 3]
    ledger.scored("w1", 1, RESULT)
    assert ledger.worker_gone("w1", "boom") == []
    again = ledger.worker_ready("w2", 2, {})
    assert [s.payload[0] for s in again] == [2, 3]
    ledger.worker_gone("w2", "boom")
    assert ledger.counts() == Counts(read=2, scored=1, rejected=1, crashes=TRIES)
    assert ledger.rejects == {2: "boom"}
    ledger.worker_ready("w3", 1, {})
    ledger.scored("w3", 3, RESULT)
    assert ledger.counts().scored == 2


def test_a_kill_blames_nothing() -> None:
    """However often the holder of a line is killed, the line is not rejected."""
    ledger = Ledger(workers=1)
    ledger.reader_ready("r")
    ledger.lines("r", 1, ["a"], True)
    for i in range(10):
        assert [s.payload[0] for s in ledger.worker_ready(f"w{i}", 1, {})] == [1]
        ledger.worker_gone(f"w{i}", None)
    assert ledger.counts() == Counts(kills=10)
    assert ledger.open_lines() == 1


def test_the_reader_is_asked_only_for_what_there_is_room_for() -> None:
    """Backpressure: with a full queue and idle workers nothing more is read."""
    ledger = Ledger(workers=1)
    assert ledger.reader_ready("r") == [Send("r", "want", (1, CHUNK))]
    assert ledger.lines("r", 1, ["x"] * CHUNK, False) == []
    sends = ledger.worker_ready("w", 1, {})
    assert len(sends) == WINDOW
    more = ledger.scored("w", 1, RESULT)
    assert [s.topic for s in more] == ["line", "want"]
    assert more[1].payload == (CHUNK + 1, CHUNK)


def test_surplus_workers_go_home() -> None:
    """Workers beyond --workers are told so."""
    ledger = Ledger(workers=2)
    assert ledger.worker_ready("w3", 3, {}) == [Send("w3", "enough", None)]


def test_stopping_early_gives_up_what_nobody_holds() -> None:
    """Cut short: lines in hand are finished, the others are counted as unfinished."""
    ledger = Ledger(workers=1)
    ledger.reader_ready("r")
    ledger.worker_ready("w", 1, {})
    ledger.lines("r", 1, ["x"] * 100, False)
    ledger.stop()
    assert not ledger.done
    for number in range(1, WINDOW + 1):
        ledger.scored("w", number, RESULT)
    ledger.collector_ready("c", WINDOW)
    assert ledger.done
    assert ledger.counts() == Counts(read=WINDOW, scored=WINDOW, unfinished=100 - WINDOW)


def test_a_late_verdict_changes_nothing() -> None:
    """A line has one verdict; what comes later about it is ignored."""
    ledger = Ledger(workers=1)
    ledger.reader_ready("r")
    ledger.worker_ready("w", 1, {})
    ledger.lines("r", 1, ["x"], True)
    ledger.scored("w", 1, RESULT)
    assert ledger.scored("w", 1, RESULT) == []
    assert ledger.scored("stranger", 1, RESULT) == []
    assert ledger.counts().scored == 1
