"""Layouts with the reference time: D6, D10, D12."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lua_bridge.modules.time_layout import (
    MAX_TEXT,
    LayoutError,
    Moment,
    civil_from_days,
    days_from_civil,
    days_in,
    format_time,
    split_layout,
)
from lua_bridge.modules.time_reading import parse_time

SAMPLE = Moment(2009, 2, 4, 21, 0, 57, 12_345_600, -8 * 3600, "PST")

FORMATS = {
    "Mon Jan _2 15:04:05 2006": "Wed Feb  4 21:00:57 2009",
    "Mon Jan _2 15:04:05 MST 2006": "Wed Feb  4 21:00:57 PST 2009",
    "Mon Jan 02 15:04:05 -0700 2006": "Wed Feb 04 21:00:57 -0800 2009",
    "02 Jan 06 15:04 MST": "04 Feb 09 21:00 PST",
    "Monday, 02-Jan-06 15:04:05 MST": "Wednesday, 04-Feb-09 21:00:57 PST",
    "2006-01-02T15:04:05Z07:00": "2009-02-04T21:00:57-08:00",
    "2006-01-02T15:04:05.999999999Z07:00": "2009-02-04T21:00:57.0123456-08:00",
    "3:04PM 3:04pm 03:4:5": "9:00PM 9:00pm 09:0:57",
    "Jan _2 15:04:05.000": "Feb  4 21:00:57.012",
    "05,000000 05.99": "57,012345 57.01",
    "002 __2 1/2": "035  35 2/4",
    "-07 -07:00 -0700 -07:00:00 -070000": "-08 -08:00 -0800 -08:00:00 -080000",
    "Month Janet Money _2006 .9x .0001": "Month Janet Money _2009 x .0002",
    "": "",
}


@pytest.mark.parametrize("layout", FORMATS)
def test_a_layout_shows_the_moment_as_it_shows_the_reference_time(layout: str) -> None:
    """D10: every element stands for its part of the moment, all else is literal."""
    assert format_time(layout, SAMPLE) == FORMATS[layout]


def test_utc_is_z_only_where_the_layout_says_z() -> None:
    """Z in place of the minus sign writes UTC as Z."""
    utc = Moment(2020, zone="UTC")
    assert format_time("Z07:00 -07:00 Z0700 Z07 MST", utc) == "Z +00:00 Z Z UTC"


def test_a_zone_without_abbreviation_is_shown_by_its_offset() -> None:
    """MST falls back to -0700."""
    assert format_time("MST", Moment(2020, offset=19_800)) == "+0530"


PARSED = [
    ("2006-01-02 15:04:05", "2024-02-29 23:59:58", Moment(2024, 2, 29, 23, 59, 58), None, None),
    ("2006-01-02T15:04:05Z07:00", "2024-01-01T00:00:00Z", Moment(2024), 0, "UTC"),
    ("2006-01-02T15:04:05Z07:00", "2024-01-01T00:00:00.25+05:30",
     Moment(2024, nanosecond=250_000_000), 19_800, None),
    ("3:04PM", "12:00AM", Moment(0), None, None),
    ("3:04PM", "12:30PM", Moment(0, hour=12, minute=30), None, None),
    ("Jan _2 2006", "feb  4 2010", Moment(2010, 2, 4), None, None),
    ("January 2, 06", "DECEMBER 31, 69", Moment(1969, 12, 31), None, None),
    ("2006-002", "2024-060", Moment(2024, 2, 29), None, None),
    ("02 Jan 06 15:04 MST", "04 Feb 09 21:00 PST", Moment(2009, 2, 4, 21), None, "PST"),
    ("MST", "GMT+3", Moment(0), None, "GMT+3"),
    ("15:04:05.000", "10:00:00.123", Moment(0, hour=10, nanosecond=123_000_000), None, None),
    ("15:04:05.999", "10:00:00", Moment(0, hour=10), None, None),
    ("2006  01", "2024 05", Moment(2024, 5), None, None),
]  # fmt: skip


@pytest.mark.parametrize(("layout", "text", "moment", "offset", "zone"), PARSED)
def test_a_text_is_read_by_its_layout(
    layout: str, text: str, moment: Moment, offset: int | None, zone: str | None
) -> None:
    """D6: what the text does not say is zero, month and day are 1."""
    parsed = parse_time(layout, text)
    assert (parsed.moment, parsed.offset, parsed.zone) == (moment, offset, zone)


REFUSED = [
    ("2006-01-02", "2024-02-30", "February 2024 has no day 30"),
    ("2006-01-02", "2024-13-01", "position 6 expected month from 1 to 12"),
    ("2006-01-02", "2024-1-01", "position 6 expected month (2 digits)"),
    ("2006-01-02", "2024-01-01x", "position 11 expected the end of the text, found 'x'"),
    ("2006-01-02", "2024", "position 5 expected '-', found the end of the text"),
    ("15:04", "24:00", "position 1 expected hour from 0 to 23"),
    ("3PM", "3XM", "expected AM or PM"),
    ("Jan", "Foo", "expected a month such as Jan"),
    ("MST", "pst", "expected a zone abbreviation such as MST"),
    ("-0700", "0700", "expected a zone offset such as -0700"),
    ("-0700", "+9900", "expected hours of the zone up to 24"),
    ("2006-002", "2023-366", "day 366 of 2023 is not that date"),
    (".000", ".12", "expected a fraction (3 digits)"),
]


@pytest.mark.parametrize(("layout", "text", "problem"), REFUSED)
def test_a_misfit_names_the_position_and_what_was_expected(
    layout: str, text: str, problem: str
) -> None:
    """D6: INVALID, with a message that helps."""
    with pytest.raises(LayoutError) as caught:
        parse_time(layout, text)
    assert problem in str(caught.value)


def test_layout_and_text_are_limited() -> None:
    """T7: one call is not interruptible, so its input is small."""
    with pytest.raises(LayoutError, match="at most"):
        parse_time("2" * (MAX_TEXT + 1), "1")


@given(st.datetimes(min_value=datetime.datetime(1, 1, 1)), st.integers(0, 999))
def test_reading_what_was_written_gives_the_same_moment(
    when: datetime.datetime, nanoseconds: int
) -> None:
    """Property: RFC 3339 with nanoseconds loses nothing."""
    layout = "Monday 2006-01-02T15:04:05.999999999Z07:00"
    moment = Moment(
        when.year, when.month, when.day, when.hour, when.minute, when.second,
        when.microsecond * 1000 + nanoseconds, 3600, "",
    )  # fmt: skip
    parsed = parse_time(layout, format_time(layout, moment))
    assert (parsed.moment, parsed.offset) == (Moment(*_civil(moment)), 3600)


def _civil(m: Moment) -> tuple[int, ...]:
    return m.year, m.month, m.day, m.hour, m.minute, m.second, m.nanosecond


@given(st.dates())
def test_the_calendar_agrees_with_the_standard_library(day: datetime.date) -> None:
    """Property: days and civil dates are inverse, and right."""
    days = day.toordinal() - 719_163
    assert civil_from_days(days) == (day.year, day.month, day.day)
    assert days_from_civil(day.year, day.month, day.day) == days
    assert day.day <= days_in(day.month, day.year)


@given(st.integers(-(2**62), 2**62))
def test_the_calendar_has_no_end(days: int) -> None:
    """Property: inverse for every year that 64 bits of seconds can reach."""
    assert days_from_civil(*civil_from_days(days)) == days


@given(st.text(max_size=60))
def test_a_layout_is_cut_without_loss(layout: str) -> None:
    """Property: literals and elements together are the layout."""
    assert "".join(literal + element for literal, element in split_layout(layout)) == layout


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_read_or_refused(layout: str, text: str) -> None:
    """Property: nothing but LayoutError."""
    try:
        parse_time(layout, text)
    except LayoutError:
        pass
