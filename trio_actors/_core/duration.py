"""Durations as text: `1h30m`, `1.5s`, `250ms` (processes.md §9.4). A bare number is refused.

Libraries for this accept bare numbers and negative values silently; here the unit is part of the
value. Internally a duration is an integer number of nanoseconds, at the edge of Trio float seconds.
"""

from __future__ import annotations

import re
from decimal import Decimal
from math import inf

from trio_actors._core.errors import ErrorKind, make_error

UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PAIR = r"(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h)"
_WHOLE = re.compile(rf"([+-]?)((?:{_PAIR})+)", re.ASCII)
_PARTS = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
MAX_NANOSECONDS = 2**63 - 1


def parse_duration(text: str) -> int:
    """Nanoseconds meant by `text`; may be negative.

    Raises:
        ProcessInvalid: `invalid duration format: <text>` (K2), also beyond 292 years.
    """
    if text in ("0", "+0", "-0"):
        return 0
    match = _WHOLE.fullmatch(text)
    if match is None:
        raise make_error(ErrorKind.INVALID, f"invalid duration format: {text}")
    sign, body = match.groups()
    total = sum(Decimal(number) * UNITS[unit] for number, unit in _PARTS.findall(body))
    nanoseconds = int(total)
    if nanoseconds > MAX_NANOSECONDS:
        raise make_error(ErrorKind.INVALID, f"invalid duration format: {text}")
    return -nanoseconds if sign == "-" else nanoseconds


def duration_seconds(value: str | float) -> float:
    """Seconds meant by a Python-side duration: a number of seconds, or a duration text (§15).

    Raises:
        ProcessInvalid: malformed text, a negative value, nan, or a finite one beyond 292 years.
        TypeError: neither number nor text (a bool is neither).
    """
    if isinstance(value, str):
        seconds = parse_duration(value) / 1e9
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value)
    else:
        raise TypeError(f"duration must be seconds or a text like '5s', not {type(value).__name__}")
    if not seconds >= 0:
        raise make_error(ErrorKind.INVALID, f"duration must not be negative: {value}")
    if MAX_NANOSECONDS / 1e9 < seconds < inf:
        raise make_error(ErrorKind.INVALID, f"duration is longer than 292 years: {value}")
    return seconds


def format_duration(nanoseconds: int) -> str:
    """The shortest usual form: `1h30m0s`, `1.5s`, `250ms`, `3µs`, `0s` (D11)."""
    if nanoseconds == 0:
        return "0s"
    sign = "-" if nanoseconds < 0 else ""
    rest = abs(nanoseconds)
    if rest < UNITS["s"]:
        unit = "ms" if rest >= UNITS["ms"] else "µs" if rest >= UNITS["us"] else "ns"
        return f"{sign}{_decimal(rest, UNITS[unit])}{unit}"
    minutes, rest = divmod(rest, UNITS["m"])
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest, UNITS['s'])}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{text}"
    return f"{sign}{minutes}m{text}" if minutes else sign + text


def _decimal(amount: int, unit: int) -> str:
    whole, fraction = divmod(amount, unit)
    digits = str(unit)[1:]
    text = f"{fraction:0{len(digits)}d}".rstrip("0") if digits else ""
    return f"{whole}.{text}" if text else str(whole)
