"""The Lua module `supervision`: SU20-SU25 for scripts.

Supervisors belong to another package; what this one needs of them is a Protocol, found at the body
of the process that is addressed. Children are tables with the fields of YAML, numbers of durations
count milliseconds, answers are tables.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import attrs

from lua_bridge.modules import LuaModule
from trio_actors import ErrorKind, ProcessContext, make_error
from trio_actors._core import operations


class Administration(Protocol):
    """A running supervisor."""

    async def start_child(self, *what: Any) -> str:
        """A new child; its PID."""
        ...

    async def terminate_child(self, id: str) -> None:
        """Stop a child."""
        ...

    async def restart_child(self, id: str) -> str:
        """Start a stopped child; its PID."""
        ...

    async def delete_child(self, id: str) -> None:
        """Forget a stopped child."""
        ...

    async def update(self, specs: Any) -> None:
        """New flags and child specifications."""
        ...

    def which_children(self) -> Any:
        """All children."""
        ...

    def count_children(self) -> Any:
        """How many there are."""
        ...

    def get_child(self, id: str) -> Any:
        """One child."""
        ...


def _of(ctx: ProcessContext, dest: str) -> Administration:
    process = operations.alive(ctx.node, operations.resolve(ctx.node, dest))
    make = getattr(getattr(process.drive, "body", None), "administration", None)
    if make is None:
        raise make_error(ErrorKind.INVALID, f"{dest} is not a supervisor")
    found: Administration = make(ctx.node, dest)
    return found


def _definition(given: Any) -> Any:
    """A table of fields; an empty one arrives as a list (M27)."""
    return {} if isinstance(given, list) and not given else given


async def _start_child(ctx: ProcessContext, dest: str, *what: Any) -> str:
    return await _of(ctx, dest).start_child(*map(_definition, what))


async def _update(ctx: ProcessContext, dest: str, specs: Any = None) -> bool:
    await _of(ctx, dest).update(_definition(specs))
    return True


def _by_id(name: str) -> Callable[..., Awaitable[Any]]:
    async def operation(ctx: ProcessContext, dest: str, id: Any = None) -> Any:
        if not isinstance(id, str):
            raise make_error(ErrorKind.INVALID, f"{name} requires a child argument")
        answer = await getattr(_of(ctx, dest), name)(id)
        return True if answer is None else answer

    return operation


def _table(value: Any) -> Mapping[str, Any]:
    fields = attrs.asdict(value, recurse=False)
    return {key: str(one) if isinstance(one, str) else one for key, one in fields.items()}


def _which_children(ctx: ProcessContext, dest: str) -> list[Any]:
    return [_table(info) for info in _of(ctx, dest).which_children()]


def _count_children(ctx: ProcessContext, dest: str) -> Any:
    return _table(_of(ctx, dest).count_children())


def _get_child(ctx: ProcessContext, dest: str, id: Any = None) -> Any:
    if not isinstance(id, str):
        raise make_error(ErrorKind.INVALID, "get_child requires a child argument")
    return _table(_of(ctx, dest).get_child(id))


MODULE = LuaModule(
    "supervision",
    operations={
        "start_child": _start_child,
        "terminate_child": _by_id("terminate_child"),
        "restart_child": _by_id("restart_child"),
        "delete_child": _by_id("delete_child"),
        "update": _update,
        "which_children": _which_children,
        "count_children": _count_children,
        "get_child": _get_child,
    },
)
