"""What a process or call inherits from the one that started it: context values, actor, scope (W5).

Immutable and shared: a child that changes nothing holds the very object of its parent.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

import attrs

from trio_actors._core.errors import ErrorKind, make_error
from trio_actors._core.pid import Pid


class Guard(Protocol):
    """Decides about one operation; the policies live above the core (trio_actors.security)."""

    def permits(
        self, actor: Any, scope: Any, action: str, resource: str, attributes: Mapping[str, Any]
    ) -> bool:
        """True only for an explicit allow. Called only when actor and scope are both there (A6)."""
        ...


class DenyAll:
    """The guard of a node that was given none: with actor and scope set, nothing is allowed."""

    def permits(
        self, actor: Any, scope: Any, action: str, resource: str, attributes: Mapping[str, Any]
    ) -> bool:
        """False: fail closed."""
        return False


@attrs.frozen(slots=True)
class Inherited:
    """Context values, actor and scope; actor and scope are opaque to the core."""

    values: Mapping[str, Any] = attrs.field(factory=lambda: MappingProxyType({}))
    actor: Any = None
    scope: Any = None

    @property
    def guarded(self) -> bool:
        """True if permissions are decided by policies: both actor and scope are there (A7)."""
        return self.actor is not None and self.scope is not None

    def shown(self) -> Mapping[str, Any]:
        """The values for whoever asks: a script that changes a list changes its own copy (CX4)."""
        for value in self.values.values():
            if isinstance(value, (list, dict)):
                return MappingProxyType(copy_values(self.values))
        return self.values


NOTHING_INHERITED = Inherited()


def extend(
    base: Inherited,
    *,
    values: Mapping[str, Any] | None = None,
    actor: Any = None,
    scope: Any = None,
) -> Inherited:
    """`base` with values laid over it, and another actor or scope if given (B1, CX5)."""
    if not values and actor is None and scope is None:
        return base
    merged = base.values
    if values:
        merged = MappingProxyType({**base.values, **copy_values(values)})
    return Inherited(
        merged,
        base.actor if actor is None else actor,
        base.scope if scope is None else scope,
    )


def copy_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Checked copies of context values (B1): keys that are no text are ignored.

    Raises:
        ProcessInvalid: a value that may not travel, named by its path.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"context must be a mapping, not {type(values).__name__}")
    done: _Copies = {}
    return {
        key: _copy(value, key, 0, done) for key, value in values.items() if isinstance(key, str)
    }


_Copies = dict[int, tuple[Any, Any]]  # id -> it and its copy: what occurs twice is copied once


def _copy(value: Any, path: str, depth: int, done: _Copies) -> Any:
    if isinstance(value, (str, bool, int, float)) or value is None:
        return value
    if id(value) in done:
        return done[id(value)][1]
    copy = _copy_container(value, path, depth, done)
    done[id(value)] = value, copy
    return copy


def _copy_container(value: Any, path: str, depth: int, done: _Copies) -> Any:
    if depth > 64:
        raise make_error(ErrorKind.INVALID, f"context value {path} is nested too deeply")
    if isinstance(value, (list, tuple)):
        return [_copy(item, f"{path}[{i}]", depth + 1, done) for i, item in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise make_error(ErrorKind.INVALID, f"context value {path} has the key {key!r}")
        return {k: _copy(item, f"{path}.{k}", depth + 1, done) for k, item in value.items()}
    raise make_error(
        ErrorKind.INVALID,
        f"context value {path} is a {type(value).__name__}; allowed are str, int, float, bool,"
        " lists and str-keyed mappings of these",
    )


# What each operation is called in permission checks and what a denial says (§8.1, A4).
DENIALS: dict[str, str] = {
    "process.spawn": "not allowed to spawn process: {}",
    "process.spawn.monitored": "not allowed to spawn monitored process: {}",
    "process.spawn.linked": "not allowed to spawn linked process: {}",
    "process.host": "not allowed to spawn on host: {}",
    "process.call": "not allowed to call process: {}",
    "process.send": "not allowed to send: {}",
    "process.terminate": "not allowed to terminate: {}",
    "process.cancel": "not allowed to cancel: {}",
    "process.monitor": "not allowed to monitor: {}",
    "process.unmonitor": "not allowed to unmonitor: {}",
    "process.link": "not allowed to link: {}",
    "process.unlink": "not allowed to unlink: {}",
    "process.context": "not allowed to change: {}",
    "process.security": "not allowed to change: {}",
    "process.registry.register": "not allowed to register name: {}",
    "process.registry.unregister": "not allowed to unregister name: {}",
}


def permitted(
    guard: Guard, strict: bool, inherited: Inherited, pid: Pid, action: str, resource: str
) -> bool:
    """A6, A7; an error inside the guard denies (A8)."""
    if not inherited.guarded:
        return not strict
    try:
        return guard.permits(inherited.actor, inherited.scope, action, resource, {"pid": pid})
    except Exception:
        return False
