"""The Python half of the Lua module `time`: texts, zones, the node's clocks.  Rules D1-D12."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lua_bridge.modules import Functions, LuaModule, Services
from lua_bridge.modules import time_zones as zones
from lua_bridge.modules.time_layout import (
    MAX_TEXT,
    LayoutError,
    Moment,
    civil_from_days,
    days_from_civil,
    format_time,
)
from lua_bridge.modules.time_reading import parse_time
from trio_actors import ErrorKind, format_duration, make_error, parse_duration

YEAR_ONE = -days_from_civil(1, 1, 1) * 86_400
_INT64 = 2**63


def text_of(value: str | bytes) -> str:
    """Text as it came from Lua; bytes that are no UTF-8 become one character each."""
    return value if isinstance(value, str) else value.decode("latin-1")


def _parse_duration(text: str | bytes) -> int:
    if len(text) > MAX_TEXT:
        shown = text_of(text[:80])
        raise make_error(ErrorKind.INVALID, f"invalid duration format: {shown}...")
    return parse_duration(text_of(text))


def _format_time(
    layout: str | bytes, seconds: int, nanoseconds: int, offset: int, zone: str | bytes
) -> str | bytes:
    if len(layout) > MAX_TEXT:
        raise make_error(
            ErrorKind.INVALID, f"layout of a time may have at most {MAX_TEXT} characters"
        )
    days, of_day = divmod(seconds + offset, 86_400)
    hour, minute = of_day // 3600, of_day // 60 % 60
    civil = civil_from_days(days)
    moment = Moment(
        *civil, hour, minute, of_day % 60, nanoseconds, offset=offset, zone=text_of(zone)
    )
    shown = format_time(text_of(layout), moment)
    return shown if isinstance(layout, str) else shown.encode("latin-1", "replace")


def _parse_time(
    layout: str | bytes, text: str | bytes, is_zone: bool, name: str | bytes, offset: int
) -> tuple[int, int, str | None, int]:
    """Unix seconds, nanoseconds, and the zone's name and offset (no name: the given location)."""
    try:
        parsed = parse_time(text_of(layout), text_of(text))
    except LayoutError as error:
        raise make_error(ErrorKind.INVALID, str(error)) from None
    m = parsed.moment
    civil = days_from_civil(m.year, m.month, m.day) * 86_400
    civil += m.hour * 3600 + m.minute * 60 + m.second
    zone, found = _zone_of(parsed.offset, parsed.zone, civil, is_zone, text_of(name), offset)
    return civil - found, m.nanosecond, zone, found


def _zone_of(
    said: int | None, abbreviation: str | None, civil: int, is_zone: bool, name: str, offset: int
) -> tuple[str | None, int]:
    """Which zone a text means: (None, offset) is the given location, otherwise a fixed zone."""
    if said is None and abbreviation is None:
        return None, zones.offset_of_civil(name, civil)[0] if is_zone else offset
    if said is not None:
        if abbreviation == "UTC":
            return "UTC", 0
        here = zones.offset_at(name, civil - said) if is_zone else (offset, name)
        if here[0] == said and abbreviation in (None, here[1]):
            return None, said
        return abbreviation or "", said
    if abbreviation is None:
        return None, offset
    known = (
        zones.offset_of_abbreviation(name, abbreviation, civil)
        if is_zone
        else offset
        if abbreviation == name
        else None
    )
    if known is not None:
        return None, known
    if abbreviation[:3] == "GMT" or abbreviation[:1] in ("+", "-"):
        hours = abbreviation.removeprefix("GMT")
        return abbreviation, int(hours or 0) * 3600
    return abbreviation, 0  # an abbreviation that nobody knows: kept, taken as UTC


def _find_zone(name: str | bytes) -> bool:
    if not name:
        raise make_error(ErrorKind.INVALID, "location name cannot be empty")
    if not zones.exists(text_of(name)):
        raise make_error(ErrorKind.NOT_FOUND, f"unknown location: {text_of(name)[:64]}")
    return True


def _remainder(seconds: int, nanoseconds: int, step: int) -> int:
    return ((seconds + YEAR_ONE) * 1_000_000_000 + nanoseconds) % step


def _functions(services: Services) -> Functions:
    found: dict[str, Callable[..., Any]] = {
        "parse_duration": _parse_duration,
        "format_duration": format_duration,
        "format_time": _format_time,
        "parse_time": _parse_time,
        "find_zone": _find_zone,
        "zone_offset": zones.offset_at,
        "zone_offset_of_civil": zones.offset_of_civil,
        "time_remainder": _remainder,
    }
    return found


MODULE = LuaModule("time", functions=_functions)
