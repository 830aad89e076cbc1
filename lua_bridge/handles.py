"""Python objects that a script holds: numbers on its side, a table per process on ours.

Actors, scopes, policies, futures and contracts never cross (M23); a script has an object of the
host whose state is a number of this table. One object has one number in a process however often it
is asked for; it goes when the script's collector has taken all its objects for it (`release`), and
at the latest with its process. No number is used twice, so what a worker keeps from an earlier call
stands for nothing, and never for something else.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, TypeVar

from trio_actors import ErrorKind, Pid, ProcessContext, make_error

if TYPE_CHECKING:
    from trio_actors import Process

__all__ = ["drop", "find", "keep", "release"]

T = TypeVar("T")
LIMIT = 10_000  # objects of one process


_numbers = itertools.count(1)


class _Table:
    __slots__ = ("counts", "numbers", "objects")

    def __init__(self) -> None:
        self.objects: dict[int, Any] = {}
        self.numbers: dict[int, int] = {}  # id(object) -> number; the object is kept alive
        self.counts: dict[int, int] = {}  # objects of the script for one number


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
        number = next(_numbers)
        table.objects[number] = value
        table.numbers[id(value)] = number
        table.counts[number] = 0
    table.counts[number] += 1
    return number


def find(process: Process, number: Any, kind: type[T]) -> T:
    """The object of a number. Raises: ProcessInvalid for a number that is none of this process."""
    table = _tables.get(_key(process))
    value = None if table is None else table.objects.get(number)
    if not isinstance(value, kind):
        what = "object" if kind is object else kind.__name__.lower()
        raise make_error(ErrorKind.INVALID, f"this {what} is of a call that has ended")
    return value


def drop(ctx: ProcessContext, number: int) -> None:
    """The script will not use this number again."""
    release(ctx.process, number, everything=True)


def release(process: Process, number: Any, *, everything: bool = False) -> None:
    """The script has one object less for this number."""
    table = _tables.get(_key(process))
    if table is None or number not in table.objects:
        return
    table.counts[number] -= 1
    if everything or table.counts[number] <= 0:
        value = table.objects.pop(number)
        del table.numbers[id(value)], table.counts[number]


def _forget(key: tuple[int, Pid]) -> None:
    _tables.pop(key, None)
