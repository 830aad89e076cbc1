"""Looks up zone offsets by unix seconds, for `time` and `os.date`.  Rules D5-D9.

Only scalars cross the Lua boundary, so a location is its name: ``"UTC"`` and fixed zones are known
to the Lua side and never arrive here, ``"Local"`` is the zone of this computer, every other name
is looked up in the IANA database by `zoneinfo`.

`zoneinfo` knows the years 1 to 9999.  Instants outside are moved by whole Gregorian cycles of 400
years (146,097 days, which is a whole number of weeks) into that range, where the same rule holds.
"""

from __future__ import annotations

import datetime
import re
import time
from functools import lru_cache
from zoneinfo import ZoneInfo

from lua_bridge.modules.time_layout import days_from_civil

LOCAL = "Local"
_CYCLE = 146_097 * 86_400
_FIRST, _LAST = days_from_civil(2, 1, 1) * 86_400, days_from_civil(9998, 12, 31) * 86_400
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*\Z")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@lru_cache(maxsize=64)
def _load(name: str) -> ZoneInfo | None:
    if len(name) > 64 or not _NAME.match(name):
        return None  # ZoneInfo takes a name as a file path: only plain names go there
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def exists(name: str) -> bool:
    """Whether a location of that name can be used."""
    return name == LOCAL or _load(name) is not None


def offset_at(name: str, seconds: int) -> tuple[int, str]:
    """Seconds east of UTC and the abbreviation that hold in that location at that instant."""
    if seconds < _FIRST:
        seconds = _FIRST + (seconds - _FIRST) % _CYCLE
    elif seconds > _LAST:
        seconds = _LAST - (_LAST - seconds) % _CYCLE
    if name == LOCAL:
        here = time.localtime(seconds)
        return here.tm_gmtoff, here.tm_zone
    zone = _load(name)
    if zone is None:
        return 0, "UTC"
    there = (_EPOCH + datetime.timedelta(seconds=seconds)).astimezone(zone)
    offset = there.utcoffset() or datetime.timedelta()
    return offset.days * 86_400 + offset.seconds, there.tzname() or ""


def offset_of_civil(name: str, seconds: int) -> tuple[int, str]:
    """The same for a wall-clock time, given as if it were UTC.

    A time that the clocks skip, or that comes twice, is read with one of the two offsets.
    """
    guess = offset_at(name, seconds)[0]
    return offset_at(name, seconds - guess)


def offset_of_abbreviation(name: str, abbreviation: str, seconds: int) -> int | None:
    """The offset that `abbreviation` means in that location near that wall-clock time, or None."""
    half_year = 182 * 86_400
    for at in (seconds, seconds - half_year, seconds + half_year):
        offset, found = offset_at(name, at)
        if found == abbreviation:
            return offset
    return None
