"""Durations (processes.md §9.4 grammar, §15: seconds or a text; D11 form)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_actors import ProcessInvalid, duration_seconds, format_duration, parse_duration

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("-0", 0),
        ("1ns", 1),
        ("1us", 1_000),
        ("1µs", 1_000),
        ("1μs", 1_000),
        ("250ms", 250_000_000),
        ("5s", 5 * SECOND),
        ("1m", 60 * SECOND),
        ("1h30m", 5400 * SECOND),
        ("1.5h", 5400 * SECOND),
        (".5s", SECOND // 2),
        ("1.s", SECOND),
        ("-1.5s", -3 * SECOND // 2),
        ("+2s", 2 * SECOND),
        ("1h1m1s1ms1us1ns", 3661 * SECOND + 1_001_001),
        ("0.1s", 100_000_000),
        ("1s1h", 3601 * SECOND),
        ("9223372036854775807ns", 2**63 - 1),
    ],
)
def test_grammar(text: str, nanoseconds: int) -> None:
    """§9.4: sign, pairs of decimal number and unit, fractions; `0` stands alone."""
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "abc",
        "1d",
        "s",
        ".s",
        "1",
        "-",
        "1 s",
        " 1s",
        "1s ",
        "1S",
        "1.2.3s",
        "--1s",
        "1e3s",
        "1h-5m",
        "٣s",
        "00",
        "0.0",
        "1s0",
        "9223372036854775808ns",
        "300000000h",
    ],
)
def test_malformed_text(text: str) -> None:
    """§9.4, K2: anything else is INVALID, naming the text."""
    with pytest.raises(ProcessInvalid) as caught:
        parse_duration(text)
    assert str(caught.value) == f"invalid duration format: {text}"


@given(st.integers(min_value=-(2**63) + 1, max_value=2**63 - 1))
def test_format_and_parse_are_inverse(nanoseconds: int) -> None:
    """D11: what is printed means exactly what was printed."""
    assert parse_duration(format_duration(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5µs"),
        (2_000_000, "2ms"),
        (SECOND, "1s"),
        (90 * SECOND, "1m30s"),
        (5400 * SECOND, "1h30m0s"),
        (-1_500_000_000, "-1.5s"),
    ],
)
def test_printed_form(nanoseconds: int, text: str) -> None:
    """D11: the shortest usual form, like `1h30m0s`."""
    assert format_duration(nanoseconds) == text


@pytest.mark.parametrize(
    ("value", "seconds"), [(0, 0.0), (2, 2.0), (1.5, 1.5), ("1500ms", 1.5), ("0", 0.0)]
)
def test_python_side_takes_seconds_or_text(value: float | str, seconds: float) -> None:
    """§15: a number is seconds, Trio's unit."""
    assert duration_seconds(value) == seconds


@pytest.mark.parametrize("value", [-1, -0.5, "-1s", float("nan"), 1e11, "x"])
def test_python_side_refuses_what_is_no_duration(value: float | str) -> None:
    """K2: negative, not a number, longer than 292 years, malformed: INVALID."""
    with pytest.raises(ProcessInvalid):
        duration_seconds(value)


@pytest.mark.parametrize("value", [None, True, b"1s", [], {}])
def test_python_side_refuses_other_types(value: Any) -> None:
    """PY2: TypeError; a boolean is no number of seconds."""
    with pytest.raises(TypeError):
        duration_seconds(value)
