"""The Lua module `registry`: rules of section 11 of functions.md.

The registry itself belongs to the package above; here it is a Protocol and the name under which the
node keeps it. Entries with Python sources can be changed from Python code only (RG8).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from lua_bridge.modules import LuaModule
from trio_actors import ErrorKind, ProcessContext, make_error

NAME = "registry"  # key in `Node.extensions`
PYTHON_KINDS = ("process.py", "function.py", "function.interceptor")


class LiveRegistry(Protocol):
    """The registry of a running application, with entries and operations as tables."""

    def table_of(self, id: str, version: int | None, caller: ProcessContext) -> dict[str, Any]:
        """One entry."""
        ...

    def tables(
        self, query: Mapping[str, Any], version: int | None, caller: ProcessContext
    ) -> list[dict[str, Any]]:
        """Entries that fit a filter."""
        ...

    def numbers(self) -> list[int]:
        """All versions, ascending."""
        ...

    def current_number(self) -> int:
        """The version in force."""
        ...

    def delta_tables(self, old: int, new: int) -> list[dict[str, Any]]:
        """The operations between two versions."""
        ...

    def vet(self, kind: str, entry: Any) -> None:
        """Refuse a malformed entry."""
        ...

    async def apply_tables(self, ops: Iterable[Any], caller: ProcessContext) -> int:
        """Apply operations; the new version."""
        ...

    async def apply_number(self, number: int, caller: ProcessContext) -> None:
        """Go to a version."""
        ...


def _registry(ctx: ProcessContext) -> LiveRegistry:
    found: LiveRegistry | None = ctx.node.extensions.get(NAME)
    if found is None:
        raise make_error(ErrorKind.INVALID, "no registry on this node")
    return found


def _get(ctx: ProcessContext, id: str, version: int | None = None) -> dict[str, Any]:
    return _registry(ctx).table_of(id, version, ctx)


def _find(ctx: ProcessContext, query: Any, version: int | None = None) -> list[dict[str, Any]]:
    return _registry(ctx).tables(query if isinstance(query, Mapping) else {}, version, ctx)


def _current(ctx: ProcessContext) -> int:
    return _registry(ctx).current_number()


def _versions(ctx: ProcessContext) -> list[int]:
    return _registry(ctx).numbers()


def _version(ctx: ProcessContext, number: int) -> int:
    if number not in _registry(ctx).numbers():
        raise make_error(ErrorKind.NOT_FOUND, f"version not found: v{number}")
    return number


def _neighbour(ctx: ProcessContext, number: int, step: int) -> int | None:
    numbers = _registry(ctx).numbers()
    place = numbers.index(number) + step
    return numbers[place] if 0 <= place < len(numbers) else None


def _build_delta(ctx: ProcessContext, old: int, new: int) -> list[dict[str, Any]]:
    return _registry(ctx).delta_tables(old, new)


def _vet(ctx: ProcessContext, kind: str, entry: Any) -> bool:
    _registry(ctx).vet(kind, entry)
    return True


async def _apply(ctx: ProcessContext, ops: Sequence[Mapping[str, Any]]) -> int:
    for op in ops:
        if op["entry"].get("kind") in PYTHON_KINDS:
            text = f"not allowed: {op['entry'].get('id')} has a Python source"
            raise make_error(ErrorKind.PERMISSION_DENIED, text)
    return await _registry(ctx).apply_tables(ops, ctx)


async def _apply_version(ctx: ProcessContext, number: int) -> bool:
    await _registry(ctx).apply_number(number, ctx)
    return True


MODULE = LuaModule(
    "registry",
    operations={
        "get": _get,
        "find": _find,
        "current": _current,
        "versions": _versions,
        "version": _version,
        "neighbour": _neighbour,
        "build_delta": _build_delta,
        "vet": _vet,
        "apply": _apply,
        "apply_version": _apply_version,
    },
)
