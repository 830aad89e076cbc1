"""The table of functions: what is callable under which id, and how one version replaces another.

Rules: DE14, F27, PL16-PL18. An entry never changes; a change puts another in its place, and calls
that were accepted keep the one they were given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from trio_actors._core.errors import ErrorKind, make_error
from trio_actors._core.host import Host
from trio_actors.fields import FieldError
from trio_actors.functions.callee import Callee
from trio_actors.functions.chain import Next
from trio_actors.functions.frame import FrameTarget
from trio_actors.functions.ids import check_function_id
from trio_actors.functions.options import CallOptions, parse_options
from trio_actors.functions.pool import Pool
from trio_actors.functions.pool_config import PoolConfig, parse_pool

if TYPE_CHECKING:
    from trio_actors._core.node import Node

__all__ = ["Entries", "Entry"]

REMEMBERED = 1000  # removed ids that are still known: their PIDs (M5), their metrics

Carry = Callable[[tuple[Any, ...]], tuple[Any, ...]]


@attrs.define(slots=True, eq=False)
class Entry:
    """One version of one callable thing: a function with its pool, or a process on its host."""

    id: str
    options: CallOptions
    meta: Mapping[str, Any]
    callee: Callee | None
    pool: Pool | None
    # Of a process that is called as a function (F27).
    process_host: str | None
    target: FrameTarget
    function_host: Host
    # The chain for the entry's own options, and the version of the interceptors it was built of.
    chain: Next | None = None
    chain_version: int = -1

    def carry(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments of a call that starts later, as they are now (GC5, F4).

        A definition of a process says how if it says anything, as that of a script does.
        Raises: ProcessInvalid for what cannot cross.
        """
        if self.callee is not None:
            return self.callee.carry(args)
        definition = self.function_host.node.find_code(self.id)
        carry: Carry | None = getattr(definition, "carry", None)
        return args if carry is None else carry(args)


class Entries:
    """All entries of one node, by id."""

    def __init__(self, node: Node) -> None:
        self._node = node
        # Always the same dict, so that a call looks it up once.
        self.by_id: dict[str, Entry] = {}
        # The last ids that were removed, oldest first.
        self._removed: dict[str, None] = {}

    def install(
        self, id: str, callee: Callee, *, pool: Any = None, meta: Mapping[str, Any] | None = None
    ) -> None:
        """Adds a function, or puts a new version in place of the old (PL16, PL17)."""
        check_function_id(id)
        config = _config(pool)
        options = _options(meta)
        entry = Entry(
            id,
            options,
            dict(meta or {}),
            callee,
            Pool(self._node, config, callee),
            None,
            FrameTarget(id),
            self._function_host(id),
        )
        self._swap(id, entry)

    def install_process(self, id: str, host: str, *, meta: Mapping[str, Any] | None = None) -> None:
        """Adds a process that is called like a function (F27)."""
        check_function_id(id)
        options = _options(meta)
        target = FrameTarget(id)
        host_of_id = self._function_host(id)
        self._swap(id, Entry(id, options, dict(meta or {}), None, None, host, target, host_of_id))

    def remove(self, id: str) -> list[str]:
        """Takes an entry out; its pool closes when the accepted calls are done (PL18).

        Returns: the ids that are forgotten now, because so many were removed after them.
        """
        old = self.by_id.pop(id, None)
        if old is None:
            raise make_error(ErrorKind.NOT_FOUND, f"function not found: {id}")
        if old.pool is not None:
            old.pool.close()
        self._removed[id] = None
        forgotten = list(self._removed)[:-REMEMBERED]
        for gone in forgotten:
            del self._removed[gone]
            if gone not in self._node.hosts:
                self._node.known_hosts.pop(gone, None)
        return forgotten

    def close(self) -> None:
        """Takes all entries out."""
        for id in list(self.by_id):
            self.remove(id)

    def _swap(self, id: str, entry: Entry) -> None:
        old = self.by_id.get(id)
        self.by_id[id] = entry
        self._removed.pop(id, None)
        if old is not None and old.pool is not None:
            old.pool.close()

    def _function_host(self, id: str) -> Host:
        old = self.by_id.get(id)
        if old is not None:
            return old.function_host
        # PIDs of ended frames are "process not found", not "host not found" (M5, M6).
        self._node.known_hosts[id] = None
        return Host(self._node, id)


def _config(pool: Any) -> PoolConfig:
    if isinstance(pool, PoolConfig):
        return pool
    try:
        return parse_pool(pool)
    except FieldError as error:
        raise error.as_invalid() from None


def _options(meta: Mapping[str, Any] | None) -> CallOptions:
    try:
        return parse_options((meta or {}).get("options"), "meta.options")
    except FieldError as error:
        raise error.as_invalid() from None
