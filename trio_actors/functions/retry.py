"""Whether a failed attempt is repeated, and after which pause. Pure: no clock, no randomness.

Rules: RT1 (decision), RT3 (pauses), section 7.1 (options). The list in RT1 is an ordered list of
questions, and `decide` asks them in that order.
"""

from __future__ import annotations

from typing import Any

import attrs

from .._core.errors import ErrorKind
from ..fields import FieldError, as_mapping, check_keys, duration, integer, number, shown

__all__ = ["HOPELESS", "RetryOptions", "parse_kinds", "parse_retry", "pause", "should_retry"]

# Errors of unknown retryability that are not worth a second attempt. Also CB1's `skip_kinds`.
HOPELESS = frozenset(
    {
        ErrorKind.INVALID,
        ErrorKind.PERMISSION_DENIED,
        ErrorKind.NOT_FOUND,
        ErrorKind.ALREADY_EXISTS,
        ErrorKind.CANCELED,
    }
)
KEYS = (
    "max_attempts",
    "initial_delay",
    "backoff_factor",
    "max_delay",
    "jitter",
    "retry_kinds",
    "skip_kinds",
)


@attrs.frozen(slots=True)
class RetryOptions:
    """The `retry` option of a call."""

    max_attempts: int = 0
    initial_delay: float = 0.1  # seconds
    backoff_factor: float = 2.0
    max_delay: float = 10.0  # seconds
    jitter: float = 0.1
    retry_kinds: frozenset[str] | None = None
    skip_kinds: frozenset[str] | None = None


def parse_retry(value: object, path: str = "retry") -> RetryOptions:
    """Read the option; a delay or factor of 0 or below means the default.

    Raises: FieldError for a wrong type or an unknown key (IC7).
    """
    data = as_mapping(value, path)
    check_keys(data, KEYS, path)
    out: dict[str, Any] = {}
    if "max_attempts" in data:
        out["max_attempts"] = integer(data["max_attempts"], f"{path}.max_attempts")
    for name in ("initial_delay", "max_delay"):
        if name in data and (seconds := duration(data[name], f"{path}.{name}")) > 0:
            out[name] = seconds
    if "backoff_factor" in data:
        factor = number(data["backoff_factor"], f"{path}.backoff_factor")
        if factor > 0:
            out["backoff_factor"] = factor
    if "jitter" in data:
        jitter = number(data["jitter"], f"{path}.jitter")
        if not 0 <= jitter <= 1:
            raise FieldError(f"{path}.jitter", "a fraction from 0 to 1", shown(data["jitter"]))
        out["jitter"] = jitter
    for name in ("retry_kinds", "skip_kinds"):
        if name in data:
            out[name] = parse_kinds(data[name], f"{path}.{name}")
    return RetryOptions(**out)


def parse_kinds(value: object, path: str) -> frozenset[str]:
    """One error kind or a list of kinds, written as `kind()` gives them or as constant names."""
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise FieldError(path, "an error kind or a list of error kinds", shown(value))
    kinds = set()
    for item in items:
        if isinstance(item, str) and item in ErrorKind.__members__:
            kinds.add(ErrorKind[item].value)
        elif isinstance(item, str) and item in [kind.value for kind in ErrorKind]:
            kinds.add(item)
        else:
            names = tuple(kind.value for kind in ErrorKind if kind.value)
            raise FieldError(path, "one of " + ", ".join(names), shown(item), names)
    return frozenset(kinds)


def should_retry(
    options: RetryOptions, attempt: int, kind: str, retryable: bool | None, *, ended: bool = False
) -> bool:
    """Whether attempt `attempt` (1 = the first) that failed is followed by another. Rule: RT1.

    `ended`: the call is cancelled or its deadline has passed.
    """
    if ended or attempt >= options.max_attempts or retryable is False:
        return False
    if retryable:
        return True
    if options.skip_kinds is not None and kind in options.skip_kinds:
        return False
    if options.retry_kinds is not None:
        return kind in options.retry_kinds
    return options.skip_kinds is not None or kind not in HOPELESS


def pause(options: RetryOptions, n: int, draw: float = 0.0) -> float:
    """Seconds before attempt n + 1; `draw` in [-1, 1] is the random part. Rule: RT3."""
    try:
        delay = min(options.initial_delay * options.backoff_factor ** (n - 1), options.max_delay)
    except OverflowError:
        delay = options.max_delay
    return delay * (1 + options.jitter * draw)
