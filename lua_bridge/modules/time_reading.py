"""Times read by the layouts of time_layout.py.  Pure; rules D6, D10, D12.

A fraction after the seconds is taken even when the layout has none; runs of blanks match
runs of blanks; names match in any case.  What a text does not say is 0 (month and day: 1).

Rejected: `datetime.strptime` with a translated format - no nanoseconds, years 1..9999 only, and
its messages name neither the position nor the layout.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from lua_bridge.modules.time_layout import (
    MAX_TEXT,
    MONTHS,
    WEEKDAYS,
    LayoutError,
    Moment,
    civil_from_days,
    days_from_civil,
    days_in,
    split_layout,
)


@attrs.frozen(slots=True)
class Parsed:
    """What a text said; `offset` and `zone` are None where it said nothing about them."""

    moment: Moment
    offset: int | None
    zone: str | None


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
