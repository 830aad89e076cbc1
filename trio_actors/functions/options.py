"""Call options: parsed once for an entry, and again only for a call that brings its own.

Rules: F20 (timeout), IC4 (entry overlaid with call, top-level keys replaced whole), IC7 (built-ins
act only on calls whose options name them; malformed values), GC6 (durations).
Unknown keys are kept for custom interceptors in `raw`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ..fields import FieldError, as_mapping, boolean, check_keys, choice, duration
from .breaker import BreakerOptions, parse_breaker
from .retry import RetryOptions, parse_retry

__all__ = [
    "LEVELS",
    "NO_OPTIONS",
    "CallOptions",
    "LoggingOptions",
    "parse_options",
    "parse_timeout",
]

LEVELS = ("debug", "info", "warning", "error")


@attrs.frozen(slots=True)
class LoggingOptions:
    """The `logging` option of a call."""

    level: str = "info"
    args: bool = False


@attrs.frozen(slots=True)
class CallOptions:
    """All options of one call; None or False where a built-in stays out of it."""

    raw: Mapping[str, Any] = attrs.field(factory=dict)
    timeout: float | None = None  # seconds, above 0
    retry: RetryOptions | None = None
    breaker: BreakerOptions | None = None
    logging: LoggingOptions | None = None
    metrics: bool = False
    tracing: bool = False

    def overlaid(self, extra: Mapping[str, Any] | None) -> CallOptions:
        """These options with a call's own on top. Rule: IC4. Raises: FieldError."""
        return parse_options({**self.raw, **extra}) if extra else self


NO_OPTIONS = CallOptions()


def parse_options(value: object, path: str = "options") -> CallOptions:
    """Read a mapping of options; None is no options. Raises: FieldError."""
    if value is None:
        return NO_OPTIONS
    data = as_mapping(value, path)
    if not data:
        return NO_OPTIONS
    out: dict[str, Any] = {"raw": dict(data)}
    if data.get("timeout") is not None:
        out["timeout"] = parse_timeout(data["timeout"], f"{path}.timeout")
    if data.get("retry") is not None:
        out["retry"] = parse_retry(data["retry"], f"{path}.retry")
    if data.get("circuit_breaker") not in (None, False):
        out["breaker"] = parse_breaker(data["circuit_breaker"], f"{path}.circuit_breaker")
    if data.get("logging") not in (None, False):
        out["logging"] = parse_logging(data["logging"], f"{path}.logging")
    for name in ("metrics", "tracing"):
        if data.get(name) is not None:
            out[name] = boolean(data[name], f"{path}.{name}")
    return CallOptions(**out)


def parse_timeout(value: object, path: str = "timeout") -> float | None:
    """Seconds, or None for 0 and below. Rule: F20."""
    seconds = duration(value, path)
    return seconds if seconds > 0 else None


def parse_logging(value: object, path: str = "logging") -> LoggingOptions:
    """`true` or `{level, args}`."""
    if value is True:
        return LoggingOptions()
    if not isinstance(value, Mapping):
        raise FieldError(path, "true, false or a mapping of level and args", repr(value))
    data = as_mapping(value, path)
    check_keys(data, ("level", "args"), path)
    out: dict[str, Any] = {}
    if "level" in data:
        out["level"] = choice(data["level"], LEVELS, f"{path}.level")
    if "args" in data:
        out["args"] = boolean(data["args"], f"{path}.args")
    return LoggingOptions(**out)
