"""Contracts from inside a process or function: the Python twin of the Lua module `contract` (GC2).

`contract.get("ns:name").method(...)`; see `trio_actors.functions.contracts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trio_actors import funcs

if TYPE_CHECKING:
    from trio_actors.functions.contracts import Contract, Instance

__all__ = ["find_implementations", "get", "is_", "open"]


def get(id: str) -> Contract:
    """A contract. Raises: ProcessNotFound, ProcessPermissionDenied."""
    return funcs.service().contracts.get(id)


def open(
    binding: str,
    scope: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Instance:
    """An implementation. Raises: ProcessNotFound, ProcessInvalid, ProcessPermissionDenied."""
    return funcs.service().contracts.open(binding, scope, options)


def find_implementations(id: str) -> list[str]:
    """Ids of the bindings of a contract, sorted."""
    return funcs.service().contracts.find_implementations(id)


def is_(instance: object, id: str) -> bool:
    """Whether an instance implements a contract."""
    return funcs.service().contracts.is_(instance, id)
