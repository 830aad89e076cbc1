"""The known name that was probably meant (pure); each package puts it into its own words."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

CUTOFF = 0.7  # names that only look a little alike are left alone


def nearest(name: object, known: Iterable[str], cutoff: float = CUTOFF) -> str | None:
    """The known name that a slip of the keyboard would turn into `name`, if there is one.

    >>> nearest("pign", ["ping", "stop"]), nearest("ping", ["ping"])
    ('ping', None)
    """
    if not isinstance(name, str):
        return None
    close = get_close_matches(name, sorted(known), 1, cutoff)
    return close[0] if close and close[0] != name else None
