"""A store of keys and values in memory, with times to live. Rule: SE23.

Times are the node's, so a virtual clock drives them. Expired values are never seen; they are
taken out at the next `cleanup_interval`. Only stores with values that expire have a timer.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from trio_actors._core.clock import Timer
from trio_actors._core.errors import ErrorKind, make_error

if TYPE_CHECKING:
    from trio_actors._core.node import Node

__all__ = ["MemoryStore"]


class MemoryStore:
    """Keys are text, values are kept as they are given."""

    def __init__(
        self, node: Node, id: str, *, max_size: int = 0, cleanup_interval: float = 60.0
    ) -> None:
        self.id = id
        self._node = node
        self._max_size = max_size
        self._interval = cleanup_interval
        self._values: dict[str, tuple[Any, float]] = {}
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: str) -> Any:
        """The value, or None."""
        found = self._values.get(key)
        return None if found is None or found[1] <= self._node.now() else found[0]

    def has(self, key: str) -> bool:
        """Whether there is a value."""
        found = self._values.get(key)
        return found is not None and found[1] > self._node.now()

    def set(self, key: str, value: Any, ttl: float | None = None) -> None:
        """Sets a value, for `ttl` seconds if given. Raises: ProcessUnavailable when full."""
        if self._max_size and key not in self._values and len(self._values) >= self._max_size:
            self._clean()
            if len(self._values) >= self._max_size:
                text = f"store is full (max_size={self._max_size})"
                raise make_error(ErrorKind.UNAVAILABLE, text, retryable=True)
        self._values[key] = (value, inf if ttl is None else self._node.now() + ttl)
        if ttl is not None and self._timer is None:
            self._schedule()

    def delete(self, key: str) -> bool:
        """Removes a value; whether there was one."""
        had = self.has(key)
        self._values.pop(key, None)
        return had

    def limit(self, max_size: int, cleanup_interval: float) -> None:
        """Other limits from now on; what is there stays, even if it is too much."""
        self._max_size, self._interval = max_size, cleanup_interval
        if self._timer is not None:
            self._timer.cancel()
            self._schedule()

    def close(self) -> None:
        """Forgets everything."""
        self._values.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        self._timer = self._node.clock.at(self._node.now() + self._interval, self._tidy)

    def _tidy(self) -> None:
        self._timer = None
        self._clean()
        if any(end != inf for _, end in self._values.values()):
            self._schedule()

    def _clean(self) -> None:
        now = self._node.now()
        for key in [key for key, (_, end) in self._values.items() if end <= now]:
            del self._values[key]
