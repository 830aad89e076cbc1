"""Formats and parses times by layouts written with the reference time.  Pure; rules D6, D10, D12.

A layout is an example: it shows how the moment ``Mon Jan 2 15:04:05 MST 2006`` would look
(zone offset -0700).  `split_layout` cuts it into literal text and *elements*; everything else is
one table of writers and one of readers, keyed by element.

Meaning of the elements
    year     2006 (four digits), 06 (69..99 -> 19xx, 00..68 -> 20xx)
    month    January, Jan, 01, 1            weekday  Monday, Mon (read and ignored)
    day      02, _2 (padded with a space), 2        day of year  002, __2
    hour     15, 03 and 3 (with PM or pm)   minute 04, 4        second 05, 5
    fraction .000 ,000 (so many digits), .999 ,999 (trailing zeros left out)
    zone     -0700 -07:00 -07 -070000 -07:00:00; with Z in place of -, UTC is written as Z; MST

Reading: a fraction after the seconds is taken even when the layout has none; runs of blanks match
runs of blanks; names match in any case.  What a text does not say is 0 (month and day: 1).

Rejected: `datetime.strptime` with a translated format - no nanoseconds, years 1..9999 only, and
its messages name neither the position nor the layout.
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


@attrs.frozen(slots=True)
class Parsed:
    """What a text said; `offset` and `zone` are None where it said nothing about them."""

    moment: Moment
    offset: int | None
    zone: str | None


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


# ---------------------------------------------------------------------------------------- read
@attrs.define(slots=True)
class _Reader:
    """Position in the text and what was read so far."""

    text: str
    layout: str
    at: int = 0
    fields: dict[str, int] = attrs.field(factory=dict)
    pm: bool | None = None
    offset: int | None = None
    zone: str | None = None

    def fail(self, expected: str) -> LayoutError:
        found = self.text[self.at : self.at + 20]
        where = f"at position {self.at + 1} expected {expected}, found "
        return self.refuse(where + (repr(found) if found else "the end of the text"))

    def refuse(self, problem: str) -> LayoutError:
        return LayoutError(
            f"cannot parse time {self.text[:80]!r} with layout {self.layout[:80]!r}: {problem}"
        )

    def rest(self) -> str:
        return self.text[self.at :]

    def number(self, least: int, most: int, what: str) -> int:
        """A number of `least` to `most` digits."""
        end = self.at
        while end < len(self.text) and end - self.at < most and self.text[end] in "0123456789":
            end += 1
        if end - self.at < least:
            raise self.fail(f"{what} ({least} digits)" if least == most else what)
        value = int(self.text[self.at : end])
        self.at = end
        return value

    def ranged(self, field: str, digits: tuple[int, int], low: int, high: int) -> None:
        start = self.at
        value = self.number(*digits, field)
        if not low <= value <= high:
            self.at = start
            raise self.fail(f"{field} from {low} to {high}")
        self.fields[field] = value


def parse_time(layout: str, text: str) -> Parsed:
    """What `text` says by `layout`.  Raises LayoutError naming the position and what is missing."""
    if len(layout) > MAX_TEXT or len(text) > MAX_TEXT:
        raise LayoutError(f"layout and text of a time may have at most {MAX_TEXT} characters")
    reader = _Reader(text, layout)
    parts = split_layout(layout)
    for index, (literal, element) in enumerate(parts):
        _skip(reader, literal)
        if not element:
            break
        following = parts[index + 1][1] if parts[index + 1][0] == "" else ""
        _read(reader, element, fraction_follows=following[:1] in (".", ",") and following != "")
    if reader.at < len(text):
        raise reader.fail("the end of the text")
    return _assemble(reader)


def _skip(reader: _Reader, literal: str) -> None:
    at = 0
    while at < len(literal):
        if literal[at] == " ":
            if reader.at < len(reader.text) and reader.text[reader.at] != " ":
                raise reader.fail("a blank")
            while at < len(literal) and literal[at] == " ":
                at += 1
            while reader.at < len(reader.text) and reader.text[reader.at] == " ":
                reader.at += 1
            continue
        if reader.text[reader.at : reader.at + 1] != literal[at]:
            raise reader.fail(repr(literal[at:]))
        at += 1
        reader.at += 1


def _read(reader: _Reader, element: str, *, fraction_follows: bool) -> None:
    if element[0] in ".,":
        _read_fraction(reader, element)
    elif element[0] in "-Z":
        _read_offset(reader, element)
    else:
        _READERS[element](reader)
        if element in ("05", "5") and not fraction_follows and reader.rest()[:1] in (".", ","):
            _read_fraction(reader, ".9")  # a fraction that the layout does not mention


def _read_short_year(reader: _Reader) -> None:
    year = reader.number(2, 2, "year")
    reader.fields["year"] = year + (1900 if year >= 69 else 2000)


def _read_name(reader: _Reader, names: tuple[str, ...], what: str) -> int:
    lowered = reader.rest()[:9].lower()
    for index, name in enumerate(names):
        if lowered.startswith(name.lower()):
            reader.at += len(name)
            return index
    raise reader.fail(f"{what} such as {names[0]}")


def _read_month(reader: _Reader, names: tuple[str, ...]) -> None:
    reader.fields["month"] = _read_name(reader, names, "a month") + 1


def _read_padded(reader: _Reader, field: str, blanks: int, width: int, high: int) -> None:
    while blanks and reader.rest()[:1] == " ":
        reader.at += 1
        blanks -= 1
    reader.ranged(field, (1, width), 1, high)


def _read_pm(reader: _Reader, names: tuple[str, str]) -> None:
    mark = reader.rest()[:2]
    if mark not in names:
        raise reader.fail(f"{names[0]} or {names[1]}")
    reader.pm = mark == names[1]
    reader.at += 2


def _read_zone_name(reader: _Reader) -> None:
    length = zone_name_length(reader.rest())
    if not length:
        raise reader.fail("a zone abbreviation such as MST")
    reader.zone = reader.rest()[:length]
    reader.at += length
    if reader.zone == "UTC":
        reader.offset = 0


def zone_name_length(text: str) -> int:
    """How many characters at the beginning of the text are a zone abbreviation; 0 = none."""
    if text[:4] in ("ChST", "MeST"):
        return 4
    if text[:3] == "UTC":
        return 3
    if text[:3] == "GMT":
        return 3 + _signed_hours(text[3:])
    if text[:1] in ("+", "-"):
        return _signed_hours(text)
    count = 0
    while count < 6 and "A" <= text[count : count + 1] <= "Z":
        count += 1
    if count == 3 or (count == 4 and (text[3] == "T" or text[:4] == "WITA")):
        return count
    return 5 if count == 5 and text[4] == "T" else 0


def _signed_hours(text: str) -> int:
    """Length of ``+n`` or ``-n`` with n from 0 to 23."""
    if text[:1] not in ("+", "-"):
        return 0
    count = 1
    while count < 3 and text[count : count + 1] in set("0123456789"):
        count += 1
    return count if count > 1 and int(text[1:count]) <= 23 else 0


_SHORT_MONTHS = tuple(name[:3] for name in MONTHS)
_SHORT_DAYS = tuple(name[:3] for name in WEEKDAYS)

_READERS: dict[str, Callable[[_Reader], object]] = {
    "2006": lambda r: r.ranged("year", (4, 4), 0, 9999),
    "06": _read_short_year,
    "January": lambda r: _read_month(r, MONTHS),
    "Jan": lambda r: _read_month(r, _SHORT_MONTHS),
    "01": lambda r: r.ranged("month", (2, 2), 1, 12),
    "1": lambda r: r.ranged("month", (1, 2), 1, 12),
    "Monday": lambda r: _read_name(r, WEEKDAYS, "a day of the week"),
    "Mon": lambda r: _read_name(r, _SHORT_DAYS, "a day of the week"),
    "02": lambda r: r.ranged("day", (2, 2), 1, 31),
    "_2": lambda r: _read_padded(r, "day", 1, 2, 31),
    "2": lambda r: r.ranged("day", (1, 2), 1, 31),
    "002": lambda r: r.ranged("day of year", (3, 3), 1, 366),
    "__2": lambda r: _read_padded(r, "day of year", 2, 3, 366),
    "15": lambda r: r.ranged("hour", (1, 2), 0, 23),
    "03": lambda r: r.ranged("hour", (2, 2), 0, 12),
    "3": lambda r: r.ranged("hour", (1, 2), 0, 12),
    "04": lambda r: r.ranged("minute", (2, 2), 0, 59),
    "4": lambda r: r.ranged("minute", (1, 2), 0, 59),
    "05": lambda r: r.ranged("second", (2, 2), 0, 59),
    "5": lambda r: r.ranged("second", (1, 2), 0, 59),
    "PM": lambda r: _read_pm(r, ("AM", "PM")),
    "pm": lambda r: _read_pm(r, ("am", "pm")),
    "MST": _read_zone_name,
}


def _read_fraction(reader: _Reader, element: str) -> None:
    exact = len(element) - 1 if element[1] == "0" else 0
    text = reader.rest()
    if not exact and (text[:1] not in (".", ",") or text[1:2] not in set("0123456789")):
        return
    if text[:1] not in (".", ","):
        raise reader.fail(f"a fraction of {exact} digits")
    reader.at += 1
    start = reader.at
    reader.number(exact or 1, exact or MAX_TEXT, "a fraction")
    digits = reader.text[start : reader.at]
    reader.fields["nanosecond"] = int(digits[:9].ljust(9, "0"))


def _read_offset(reader: _Reader, element: str) -> None:
    text = reader.rest()
    if element[0] == "Z" and text[:1] == "Z":
        reader.at += 1
        reader.offset, reader.zone = 0, "UTC"
        return
    if text[:1] not in ("+", "-"):
        raise reader.fail(f"a zone offset such as {element.replace('Z', '-')}")
    reader.at += 1
    count = (len(element.replace(":", "")) - 1) // 2
    total = 0
    for index, (what, unit, high) in enumerate(_OFFSET_FIELDS[:count]):
        if index and ":" in element:
            _skip(reader, ":")
        start = reader.at
        value = reader.number(2, 2, what)
        if value > high:
            reader.at = start
            raise reader.fail(f"{what} up to {high}")
        total += value * unit
    reader.offset = -total if text[0] == "-" else total


_OFFSET_FIELDS = (
    ("hours of the zone", 3600, 24),
    ("minutes of the zone", 60, 59),
    ("seconds of the zone", 1, 59),
)


def _assemble(reader: _Reader) -> Parsed:
    get = reader.fields.get
    year, month, day = get("year", 0), get("month"), get("day")
    if (of_year := get("day of year")) is not None:
        found = civil_from_days(days_from_civil(year, 1, 1) + of_year - 1)
        if found[0] != year or month not in (None, found[1]) or day not in (None, found[2]):
            raise reader.refuse(f"day {of_year} of {year} is not that date")
        month, day = found[1], found[2]
    month, day = month or 1, day or 1
    if day > days_in(month, year):
        raise reader.refuse(f"{MONTHS[month - 1]} {year} has no day {day}")
    hour = get("hour", 0)
    if reader.pm is not None and hour <= 12:
        hour = hour % 12 + (12 if reader.pm else 0)
    moment = Moment(
        year, month, day, hour, get("minute", 0), get("second", 0), get("nanosecond", 0)
    )
    return Parsed(moment, reader.offset, reader.zone)
