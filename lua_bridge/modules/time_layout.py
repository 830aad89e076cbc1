"""Layouts written with the reference time, and times formatted by them.  Pure; rules D6, D10, D12.

A layout is an example: it shows how the moment ``Mon Jan 2 15:04:05 MST 2006`` would look
(zone offset -0700).  `split_layout` cuts it into literal text and *elements*; everything else is
one table of writers, and one of readers (time_reading.py), keyed by element.

Meaning of the elements
    year     2006 (four digits), 06 (69..99 -> 19xx, 00..68 -> 20xx)
    month    January, Jan, 01, 1            weekday  Monday, Mon (read and ignored)
    day      02, _2 (padded with a space), 2        day of year  002, __2
    hour     15, 03 and 3 (with PM or pm)   minute 04, 4        second 05, 5
    fraction .000 ,000 (so many digits), .999 ,999 (trailing zeros left out)
    zone     -0700 -07:00 -07 -070000 -07:00:00; with Z in place of -, UTC is written as Z; MST
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import attrs

MAX_TEXT = 4096
"""Longest layout and longest text to read, in characters: one call is not interruptible (T7)."""

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")

# Longest first where one is the beginning of another.
_ELEMENTS: dict[str, tuple[str, ...]] = {
    "J": ("January", "Jan"),
    "M": ("Monday", "Mon", "MST"),
    "0": ("002", "01", "02", "03", "04", "05", "06"),
    "1": ("15", "1"),
    "2": ("2006", "2"),
    "_": ("__2", "_2"),
    "3": ("3",),
    "4": ("4",),
    "5": ("5",),
    "P": ("PM",),
    "p": ("pm",),
    "-": ("-07:00:00", "-070000", "-07:00", "-0700", "-07"),
    "Z": ("Z07:00:00", "Z070000", "Z07:00", "Z0700", "Z07"),
}


class LayoutError(ValueError):
    """The text does not fit the layout; the message says where and what was expected."""


@attrs.frozen(slots=True)
class Moment:
    """A civil time with its zone: what a layout shows."""

    year: int
    month: int = 1
    day: int = 1
    hour: int = 0
    minute: int = 0
    second: int = 0
    nanosecond: int = 0
    offset: int = 0
    """Seconds east of UTC."""
    zone: str = ""
    """Abbreviation, may be empty."""


def days_from_civil(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 in the proleptic Gregorian calendar; month 1..12, any day number."""
    y = year - (month <= 2)
    era = y // 400
    of_era = y - era * 400
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def civil_from_days(days: int) -> tuple[int, int, int]:
    """The inverse of `days_from_civil`: (year, month, day)."""
    z = days + 719468
    era = z // 146097
    doe = z - era * 146097
    yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    mp = (5 * doy + 2) // 153
    month = mp + 3 if mp < 10 else mp - 9
    return yoe + era * 400 + (month <= 2), month, doy - (153 * mp + 2) // 5 + 1


def is_leap(year: int) -> bool:
    """Whether the year has a 29 February."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_in(month: int, year: int) -> int:
    """The number of days of that month."""
    return 29 if month == 2 and is_leap(year) else _DAYS[month - 1]


_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


# ------------------------------------------------------------------------------------- layouts
@lru_cache(maxsize=256)
def split_layout(layout: str) -> tuple[tuple[str, str], ...]:
    """The layout as pairs (literal text before, element); the last element is ``""``."""
    parts: list[tuple[str, str]] = []
    start = at = 0
    while at < len(layout):
        element = _element_at(layout, at)
        if element is None:
            at += 1
            continue
        parts.append((layout[start:at], element))
        start = at = at + len(element)
    parts.append((layout[start:], ""))
    return tuple(parts)


def _element_at(layout: str, at: int) -> str | None:
    first = layout[at]
    if first in ".,":
        return _fraction_at(layout, at)
    for element in _ELEMENTS.get(first, ()):
        if layout.startswith(element, at):
            after = layout[at + len(element) : at + len(element) + 1]
            if element in ("Jan", "Mon") and "a" <= after <= "z":
                return None  # part of another word, such as "Month"
            if element == "_2" and layout.startswith("2006", at + 1):
                return None  # an underscore before the year
            return element
    return None


def _fraction_at(layout: str, at: int) -> str | None:
    digit = layout[at + 1 : at + 2]
    if digit not in ("0", "9"):
        return None
    end = at + 1
    while layout[end : end + 1] == digit:
        end += 1
    return None if "0" <= layout[end : end + 1] <= "9" else layout[at:end]


# --------------------------------------------------------------------------------------- write
def format_time(layout: str, moment: Moment) -> str:
    """The moment as the layout shows it."""
    out: list[str] = []
    for literal, element in split_layout(layout):
        out.append(literal)
        if element:
            out.append(_write(element, moment))
    return "".join(out)


def _write(element: str, m: Moment) -> str:
    if element[0] in ".,":
        return _write_fraction(element, m.nanosecond)
    if element[0] in "-Z":
        return _write_offset(element, m.offset)
    return _WRITERS[element](m)


def _year(year: int) -> str:
    return f"-{-year:04d}" if year < 0 else f"{year:04d}"


def _year_day(m: Moment) -> int:
    return days_from_civil(m.year, m.month, m.day) - days_from_civil(m.year, 1, 1) + 1


def _weekday(m: Moment) -> str:
    return WEEKDAYS[(days_from_civil(m.year, m.month, m.day) + 4) % 7]


_WRITERS: dict[str, Callable[[Moment], str]] = {
    "2006": lambda m: _year(m.year),
    "06": lambda m: f"{m.year % 100:02d}",
    "January": lambda m: MONTHS[m.month - 1],
    "Jan": lambda m: MONTHS[m.month - 1][:3],
    "01": lambda m: f"{m.month:02d}",
    "1": lambda m: str(m.month),
    "Monday": _weekday,
    "Mon": lambda m: _weekday(m)[:3],
    "02": lambda m: f"{m.day:02d}",
    "_2": lambda m: f"{m.day:2d}",
    "2": lambda m: str(m.day),
    "002": lambda m: f"{_year_day(m):03d}",
    "__2": lambda m: f"{_year_day(m):3d}",
    "15": lambda m: f"{m.hour:02d}",
    "03": lambda m: f"{m.hour % 12 or 12:02d}",
    "3": lambda m: str(m.hour % 12 or 12),
    "04": lambda m: f"{m.minute:02d}",
    "4": lambda m: str(m.minute),
    "05": lambda m: f"{m.second:02d}",
    "5": lambda m: str(m.second),
    "PM": lambda m: "PM" if m.hour >= 12 else "AM",
    "pm": lambda m: "pm" if m.hour >= 12 else "am",
    "MST": lambda m: m.zone or _write_offset("-0700", m.offset),
}


def _write_fraction(element: str, nanosecond: int) -> str:
    digits = f"{nanosecond:09d}"
    count = len(element) - 1
    digits = digits[:count].ljust(count, "0")
    if element[1] == "9":
        digits = digits.rstrip("0")
        return element[0] + digits if digits else ""
    return element[0] + digits


def _write_offset(element: str, offset: int) -> str:
    if element[0] == "Z" and offset == 0:
        return "Z"
    hours, rest = divmod(abs(offset), 3600)
    fields = [hours, rest // 60, rest % 60][: (len(element.replace(":", "")) - 1) // 2]
    joined = (":" if ":" in element else "").join(f"{field:02d}" for field in fields)
    return ("-" if offset < 0 else "+") + joined
