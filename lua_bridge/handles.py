"""Python objects that a script holds: numbers on its side, a table per process on ours.

Actors, scopes, policies, futures and contracts never cross (M23); a script has an object of the
host whose state is a number of this table. One object has one number however often it is asked
for, and the table goes with its process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from trio_actors import ErrorKind, Pid, ProcessContext, make_error

if TYPE_CHECKING:
    from trio_actors import Process

__all__ = ["drop", "find", "keep"]

T = TypeVar("T")
LIMIT = 10_000  # objects of one process


class _Table:
    __slots__ = ("count", "numbers", "objects")

    def __init__(self) -> None:
        self.objects: dict[int, Any] = {}
        self.numbers: dict[int, int] = {}  # id(object) -> number; the object is kept alive
        self.count = 0


_tables: dict[tuple[int, Pid], _Table] = {}


def _key(process: Process) -> tuple[int, Pid]:
    return id(process.node), process.pid


def keep(ctx: ProcessContext, value: Any) -> int:
    """The number of an object for this process. Raises: ProcessRateLimited beyond 10,000."""
    process = ctx.process
    key = _key(process)
    table = _tables.get(key)
    if table is None:
        table = _tables[key] = _Table()
        process.on_exit(lambda exit: _forget(key))
    number = table.numbers.get(id(value))
    if number is None:
        if len(table.objects) >= LIMIT:
            raise make_error(ErrorKind.RATE_LIMITED, "object limit exceeded")
        table.count += 1
        number = table.count
        table.objects[number] = value
        table.numbers[id(value)] = number
    return number


def find(process: Process, number: Any, kind: type[T]) -> T:
    """The object of a number. Raises: TypeError for a number that is none of this process."""
    table = _tables.get(_key(process))
    value = None if table is None else table.objects.get(number)
    if not isinstance(value, kind):
        raise TypeError(f"expected a {kind.__name__.lower()}")
    return value


def drop(ctx: ProcessContext, number: int) -> None:
    """The script will not use this number again."""
    table = _tables.get(_key(ctx.process))
    value = None if table is None else table.objects.pop(number, None)
    if table is not None and value is not None:
        del table.numbers[id(value)]


def _forget(key: tuple[int, Pid]) -> None:
    _tables.pop(key, None)
