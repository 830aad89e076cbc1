"""The other pure parts of examples/logwatch: input, sums, chaos, report."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from logwatch.aggregate import Aggregate
from logwatch.chaos import GAP, Plan
from logwatch.render import alert_rows, as_json, lines_of
from logwatch.source import LONGEST, Source


def read_all(source: Source, count: int = 3) -> list[str | bytes]:
    found: list[str | bytes] = []
    while True:
        lines, last = source.take(len(found) + 1, count)
        found += lines
        if last:
            return found
        if not lines:
            source.fill()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"", []),
        (b"a\nb\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),
        (b"a\r\n\nb\n", ["a", "", "b"]),
        (b"\xff\nb\xc3\xa4\n", [b"\xff", "b\xe4"]),
    ],
)
def test_lines_are_what_other_tools_count(text: bytes, lines: list[str | bytes]) -> None:
    """A last line without its end counts; text is str if it is UTF-8, else bytes."""
    assert read_all(Source(io.BytesIO(text))) == lines


def test_lines_stay_until_the_ledger_has_them() -> None:
    """A reader that died before its lines arrived is asked for them again."""
    source = Source(io.BytesIO(b"a\nb\nc\n"))
    source.fill()
    assert source.take(1, 2) == (["a", "b"], False)
    assert source.take(1, 2) == (["a", "b"], False)
    source.fill()
    assert source.take(2, 9) == (["b", "c"], True)


def test_a_line_of_any_length_is_bounded() -> None:
    """Too long lines are cut, for the rules to reject."""
    (line,) = read_all(Source(io.BytesIO(b"x" * (3 * LONGEST))))
    assert len(line) == LONGEST


def test_the_sample_log_has_three_thousand_lines(logwatch: Path) -> None:
    """The data that comes with the example."""
    source = Source.open(str(logwatch / "data" / "access.log"))
    assert len(read_all(source, 500)) == 3000
    assert source.consumed == source.size
    source.close()


def verdict(client: str, score: int = 0, tags: tuple[str, ...] = (), minute: str = "m") -> dict:
    return {
        "client": client,
        "score": score,
        "tags": list(tags),
        "minute": minute,
        "status": 200,
        "bytes": 10,
    }


def test_verdicts_are_added_once_and_in_order() -> None:
    """A verdict that comes twice, or too early, changes nothing."""
    aggregate = Aggregate()
    assert aggregate.add(1, verdict("a"))
    assert not aggregate.add(1, verdict("a"))
    assert not aggregate.add(3, verdict("a"))
    assert aggregate.summary() == {"statuses": {"200": 1}, "bytes": 10, "clients": 1}


def test_alerts_are_scores_and_bursts() -> None:
    """Alerts: by score, then requests, then name."""
    aggregate = Aggregate()
    entries = [verdict("quiet")]
    entries += [verdict("scan", 5, ("scanner path",)) for _ in range(2)]
    entries += [verdict("fast", minute="m1") for _ in range(3)]
    entries += [verdict("slow", minute=f"m{i}") for i in range(3)]
    for number, entry in enumerate(entries, 1):
        aggregate.add(number, entry)
    assert aggregate.alerts({"alert": 10, "burst": 3}) == [
        {"client": "scan", "score": 10, "requests": 2, "reasons": {"scanner path": 2}},
        {"client": "fast", "score": 0, "requests": 3, "reasons": {"burst": 3}},
    ]


def test_chaos_is_the_same_for_the_same_seed() -> None:
    """Junk depends on the line alone, and everybody dies once before anybody dies twice."""
    plan, again = Plan(7, ["a", "b", "c"]), Plan(7, ["a", "b", "c"])
    assert [plan.junk(n) for n in range(500)] == [again.junk(n) for n in reversed(range(500))][::-1]
    victims = [name for judged in range(3 * GAP[1]) for name in plan.due(judged)]
    assert sorted(victims[:3]) == ["a", "b", "c"]
    assert plan.deaths == len(victims)


REPORT = {
    "read": 3,
    "scored": 2,
    "rejected": 1,
    "restarts": 2,
    "alerts": [{"client": "1.2.3.4", "score": 9, "requests": 4, "reasons": {"burst": 4}}],
    "seconds": 0.5,
    "workers": 4,
    "statuses": {"200": 2},
    "bytes": 1234,
    "clients": 1,
    "rejects": [{"line": 2, "reason": "malformed line: no client"}],
}


def test_the_report_states_the_equation() -> None:
    """`read = scored + rejected`, in words and as data."""
    lines = lines_of(REPORT)
    assert lines[0].startswith("read 3 = scored 2 + rejected 1")
    assert "rejected line 2: malformed line: no client" in lines
    assert alert_rows(REPORT) == [("1.2.3.4", "9", "4", "burst 4")]
    assert json.loads(as_json(REPORT)) == REPORT
