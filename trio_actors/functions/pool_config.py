"""Which pool a function entry gets, from its `pool` block.

Rules: PL1 (choice by the fields present), PL2 (complete forms), PL3 (load errors), the table of
section 6.
The defaults stand in `DEFAULTS`, the fields of each type in `FIELDS`; nothing else knows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import attrs

from ..fields import FieldError, as_mapping, check_keys, choice, duration, integer, shown

__all__ = ["DEFAULTS", "FIELDS", "Overflow", "PoolConfig", "PoolType", "parse_pool"]


class PoolType(StrEnum):
    """How a pool sizes itself."""

    INLINE = "inline"
    STATIC = "static"
    LAZY = "lazy"
    ADAPTIVE = "adaptive"


class Overflow(StrEnum):
    """What a full waiting line does to a newcomer."""

    BLOCK = "block"
    REJECT = "reject"


FIELDS: dict[PoolType, tuple[str, ...]] = {
    PoolType.INLINE: (),
    PoolType.STATIC: ("workers", "buffer", "overflow"),
    PoolType.LAZY: ("max_size", "idle_timeout", "buffer", "overflow"),
    PoolType.ADAPTIVE: ("max_size", "buffer", "overflow"),
}
DEFAULTS: dict[str, Any] = {
    "workers": 8,
    "max_size": 16,
    "idle_timeout": 30.0,  # seconds
    "buffer": 64,  # requests per worker of the limit
    "overflow": Overflow.BLOCK,
}
ALL_FIELDS = ("type", "workers", "max_size", "idle_timeout", "buffer", "overflow")


@attrs.frozen(slots=True)
class PoolConfig:
    """A complete, checked pool description."""

    type: PoolType = PoolType.LAZY
    # Workers at most; 1 for inline, whose re-entrant extra workers (PL11) do not count.
    limit: int = 16
    # Requests that may wait; None = unlimited (inline).
    buffer: int | None = 16 * 64
    overflow: Overflow = Overflow.BLOCK
    # Seconds without work after which a lazy worker goes; None for the other types.
    idle_timeout: float | None = 30.0

    @classmethod
    def inline(cls) -> PoolConfig:
        """The pool that runs calls in the caller's task."""
        return cls(type=PoolType.INLINE, limit=1, buffer=None, idle_timeout=None)

    @classmethod
    def static(cls, workers: int = 8, *, buffer: int | None = None) -> PoolConfig:
        """A pool of a fixed number of workers."""
        return parse_pool(
            {"type": "static", "workers": workers} | ({} if buffer is None else {"buffer": buffer})
        )


def parse_pool(block: object, path: str = "pool") -> PoolConfig:
    """The pool for a `pool` block; None or `{}` gives a lazy pool of 16.

    Raises: FieldError for everything that PL3 calls a load error.
    """
    data = {} if block is None else as_mapping(block, path)
    pool_type, explicit = _type_of(data, path)
    allowed = ("type", *FIELDS[pool_type]) if explicit else ALL_FIELDS
    if explicit:
        _refuse_foreign(data, pool_type, allowed, path)
    check_keys(data, allowed, path)
    values = _checked(data, path)
    if pool_type is PoolType.INLINE:
        return PoolConfig.inline()
    size_field = "workers" if pool_type is PoolType.STATIC else "max_size"
    limit = values[size_field]
    buffer = values["buffer"] if "buffer" in data else limit * DEFAULTS["buffer"]
    if pool_type is PoolType.ADAPTIVE and buffer == 0 and values["overflow"] is Overflow.REJECT:
        raise FieldError(
            f"{path}.buffer",
            "at least 1 for an adaptive pool that rejects (without a line it could never grow)",
            "0",
        )
    idle = values["idle_timeout"] if pool_type is PoolType.LAZY else None
    return PoolConfig(pool_type, limit, buffer, values["overflow"], idle)


def _type_of(data: Mapping[str, Any], path: str) -> tuple[PoolType, bool]:
    """The pool's type and whether it was written down. Rule: PL1."""
    if data.get("type") is not None:
        return PoolType(choice(data["type"], list(PoolType), f"{path}.type")), True
    return (PoolType.STATIC if "workers" in data else PoolType.LAZY), False


def _refuse_foreign(
    data: Mapping[str, Any], pool_type: PoolType, allowed: tuple[str, ...], path: str
) -> None:
    """A field that exists, but not for this type, gets a text of its own."""
    for key in data:
        if key in ALL_FIELDS and key not in allowed:
            raise FieldError(
                f"{path}.{key}", f"no such field for type {pool_type}", shown(data[key]), allowed
            )


def _checked(data: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Every known field with its value or default; all values are checked, used or not."""
    values = dict(DEFAULTS)
    for name, minimum in (("workers", 1), ("max_size", 1), ("buffer", 0)):
        if name in data:
            values[name] = integer(data[name], f"{path}.{name}", minimum=minimum)
    if "overflow" in data:
        values["overflow"] = Overflow(choice(data["overflow"], list(Overflow), f"{path}.overflow"))
    if "idle_timeout" in data:
        seconds = duration(data["idle_timeout"], f"{path}.idle_timeout")
        if seconds <= 0:
            raise FieldError(
                f"{path}.idle_timeout", "a duration above 0", shown(data["idle_timeout"])
            )
        values["idle_timeout"] = seconds
    return values
