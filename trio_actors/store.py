"""Stores of keys and values, from inside a process or function: the twin of Lua's `store` (GC2).

`store.get("ns:name")` gives the store: `get`, `set`, `has`, `delete`. Rule: SE23.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_actors import funcs

if TYPE_CHECKING:
    from trio_actors.security.store import MemoryStore

__all__ = ["get"]


def get(id: str) -> MemoryStore:
    """The store of a `store.memory` entry. Raises: ProcessNotFound, ProcessPermissionDenied."""
    return funcs.service().security.store(id)
