"""Values between Python and the flat form of lua/core/codec.lua (M20-M27).

Promises: reading and writing are inverse on what can cross; everything else is refused with
ProcessInvalid naming its type and the path inside the payload. Lists and dicts that occur twice are
one table on the other side as well (M21). A tuple is a value: it becomes a new table wherever it
occurs, for Python itself makes one object of equal ones, or not.

What contains itself crosses where values are handed on: messages, arguments of processes, their
results. On its way to Python it is refused where they are walked there: as argument of a module's
function (calls of functions and context values included), as result of a function, among the
details of an error.

Text: strings arrive from Lua as Latin-1 (never fails, loses nothing) and are put right here: UTF-8
becomes str, all else bytes. Towards Lua, non-ASCII text goes as its UTF-8 bytes.
Rejected: lupa's table_from(recursive=True), which aborts or corrupts (lua_bridge.md Z6, Z8, Z9).
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import attrs
import cattrs

from trio_actors import ErrorKind, ProcessError, ProcessInvalid, make_error

Scalar: TypeAlias = bool | int | float | str | bytes | None
Flat: TypeAlias = tuple[Any, ...]  # shape, *scalars

MAX_DEPTH = 64
MAX_VALUES = 100_000
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1


class Refused(Exception):
    """A value that cannot cross; carries the path inwards while it unwinds."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.path: list[str] = []

    def through(self, key: object) -> "Refused":
        self.path.insert(0, f".{key}" if isinstance(key, str) else f"[{key!r}]")
        return self

    def error(self) -> ProcessError:
        path = "".join(self.path)
        message = f"{self.text} at {path}" if path else self.text
        return ProcessInvalid(message, retryable=False, details={"path": path} if path else None)


# ---------------------------------------------------------------- scalars


def text_in(value: Any) -> Any:
    """A scalar from Lua: Latin-1 text becomes str, or bytes if it is not UTF-8."""
    if type(value) is str and not value.isascii():
        data = value.encode("latin-1")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return data
    return value


def text_out(value: str) -> str | bytes:
    """Text for Lua: ASCII as it is, all else as UTF-8 bytes."""
    if value.isascii():
        return value
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise Refused("text with lone surrogates cannot cross to Lua") from exc


def scalar_out(value: Scalar) -> Scalar:
    """A scalar for Lua; refuses integers of more than 64 bits."""
    if isinstance(value, str):
        return text_out(value)
    if type(value) is int and not _INT_MIN <= value <= _INT_MAX:
        raise Refused("integer outside of 64 bits cannot cross to Lua")
    return value


# ---------------------------------------------------------------- Python -> flat


class _Writer:
    __slots__ = ("seen", "shape", "tables", "values")

    def __init__(self) -> None:
        self.shape: list[str] = []
        self.values: list[Any] = []
        self.tables: list[Any] = []  # in reading order; held, so that no other gets their ids
        self.seen: dict[int, int] = {}  # id -> which of them, from 1; negative while it is open

    def write(self, value: Any, depth: int) -> None:
        kind = type(value)
        if kind is str:
            self.shape.append("v")
            self.values.append(value if value.isascii() else text_out(value))
        elif kind is bool or kind is float:
            self.shape.append("v")
            self.values.append(value)
        elif kind is int:
            self.shape.append("v")
            self.values.append(scalar_out(value))
        elif value is None:
            self.shape.append("n")
        elif kind is dict:
            self.mapping(value, depth)
        elif kind is list or kind is tuple:
            self.sequence(value, depth)
        else:
            self.other(value, depth)

    def opened(self, value: Any, depth: int) -> bool:
        """Whether it is to be written now; else it was before, or contains what is written."""
        number = self.seen.get(id(value))
        if number is not None:
            self.shape.append("r" if number > 0 else "c")
            self.values.append(abs(number))
            return False
        if depth > MAX_DEPTH:
            raise Refused(f"value is nested deeper than {MAX_DEPTH} levels")
        if len(self.values) + len(value) > MAX_VALUES:
            raise Refused(f"value has more than {MAX_VALUES} fields")
        self.tables.append(value)
        self.seen[id(value)] = -len(self.tables)
        return True

    def sequence(self, value: Any, depth: int) -> None:
        if not self.opened(value, depth):
            return
        self.shape.append("a")
        self.values.append(len(value))
        for index, item in enumerate(value):
            try:
                self.write(item, depth + 1)
            except Refused as refused:
                raise refused.through(index) from None
        if isinstance(value, tuple):
            del self.seen[id(value)]
        else:
            self.seen[id(value)] *= -1

    def mapping(self, value: Mapping[Any, Any], depth: int) -> None:
        if not self.opened(value, depth):
            return
        self.shape.append("m")
        self.values.append(len(value))
        for key, item in value.items():
            try:
                self.values.append(self.key(key))
                self.write(item, depth + 1)
            except Refused as refused:
                raise refused.through(key) from None
        self.seen[id(value)] *= -1

    def key(self, key: Any) -> Scalar:
        if isinstance(key, str):
            return text_out(str(key))
        if isinstance(key, bool | bytes):
            return key
        if isinstance(key, int):
            return scalar_out(int(key))
        if isinstance(key, float) and key == key:
            return key
        raise Refused(f"cannot use {_describe(key)} as a table key in Lua")

    def other(self, value: Any, depth: int) -> None:
        if isinstance(value, ProcessError):
            self.shape.append("e")
            kind, message = str(value.kind), text_out(value.message)
            self.values += (kind, message, value.retryable)
            self.write(value.details or None, depth + 1)
        elif isinstance(value, bytes | bytearray):
            self.shape.append("v")
            self.values.append(bytes(value))
        elif isinstance(value, str | int | float):  # subclasses: StrEnum, IntEnum, numpy scalars
            base = next(t for t in (str, int, float) if isinstance(value, t))
            self.write(base.__str__(value) if base is str else base(value), depth)
        elif isinstance(value, list | tuple):
            self.sequence(value, depth)
        elif isinstance(value, Mapping):
            self.mapping(value, depth)
        elif attrs.has(type(value)):
            try:
                fields = cattrs.unstructure(value)
            except RecursionError:
                raise Refused(
                    f"{_describe(value)} that contains itself cannot cross to Lua"
                ) from None
            self.write(fields, depth)
        else:
            raise Refused(f"cannot pass {_describe(value)} to Lua")


def is_plain(value: Any) -> bool:
    """Whether it crosses as it is: a scalar that both languages have and nobody can change."""
    kind = type(value)
    if kind is str:
        return bool(value.isascii())
    if kind is int:
        return bool(-(2**63) <= value < 2**63)
    return value is None or kind is bool or kind is float


def _describe(value: object) -> str:
    kind = type(value)
    return "NaN" if isinstance(value, float) else f"a {kind.__module__}.{kind.__qualname__}"


def encode(value: Any) -> Flat:
    """Flat form of a Python value. Raises: ProcessInvalid with the path of what cannot cross."""
    kind = type(value)
    if kind is bool or kind is float or (kind is str and value.isascii()):
        return ("v", value)
    if value is None:
        return ("n",)
    writer = _Writer()
    try:
        writer.write(value, 1)
    except Refused as refused:
        raise refused.error() from None
    return ("".join(writer.shape), *writer.values)


# ---------------------------------------------------------------- flat -> Python


class _Reader:
    __slots__ = ("at", "cycles", "pos", "refs", "shape", "values")

    def __init__(self, shape: str, values: tuple[Any, ...], cycles: bool) -> None:
        self.shape = shape
        self.values = values
        self.cycles = cycles
        self.at = 0
        self.pos = 0
        self.refs: list[Any] = []

    def read(self) -> Any:
        letter = self.shape[self.at]
        self.at += 1
        if letter == "v":
            value = self.values[self.pos]
            self.pos += 1
            return text_in(value) if type(value) is str and not value.isascii() else value
        if letter == "n":
            return None
        return _READERS[letter](self)

    def take(self) -> Any:
        value = self.values[self.pos]
        self.pos += 1
        return value

    def scalars(self, count: int) -> list[Any]:
        chunk = self.values[self.pos : self.pos + count]
        self.pos += count
        return [
            text_in(item) if type(item) is str and not item.isascii() else item for item in chunk
        ]

    def flat_list(self) -> list[Any]:
        result = self.scalars(self.take())
        self.refs.append(result)
        return result

    def list(self) -> list[Any]:
        result: list[Any] = []
        self.refs.append(result)
        for index in range(self.take()):
            try:
                result.append(self.read())
            except Refused as refused:
                raise refused.through(index + 1) from None
        return result

    def flat_map(self) -> dict[Any, Any]:
        items = self.scalars(2 * self.take())
        result = dict(zip(items[::2], items[1::2], strict=True))
        self.refs.append(result)
        return result

    def map(self) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        self.refs.append(result)
        for _ in range(self.take()):
            key = text_in(self.take())
            try:
                result[key] = self.read()
            except Refused as refused:
                raise refused.through(key) from None
        return result

    def table_keys(self) -> Any:
        raise Refused("a table with keys that are tables cannot cross to Python")

    def again(self) -> Any:
        return self.refs[self.take() - 1]

    def cycle(self) -> Any:
        if not self.cycles:
            raise Refused("cyclic value cannot cross to Python")
        return self.again()

    def error(self) -> ProcessError:
        kind, message, retryable = self.take(), text_in(self.take()), self.take()
        cycles, self.cycles = self.cycles, False
        try:
            details = self.read()
        except Refused as refused:
            raise refused.through("details") from None
        self.cycles = cycles
        return lua_error(kind, message, retryable, details)


_READERS: dict[str, Callable[[_Reader], Any]] = {
    "A": _Reader.flat_list,
    "a": _Reader.list,
    "M": _Reader.flat_map,
    "m": _Reader.map,
    "t": _Reader.table_keys,
    "r": _Reader.again,
    "c": _Reader.cycle,
    "e": _Reader.error,
}


def decode(shape: str, values: tuple[Any, ...], *, cycles: bool = False) -> Any:
    """Python value of a flat form.

    Args:
        cycles: whether a table may contain itself.

    Raises:
        ProcessInvalid: it does, or has keys that are tables; with the path.
    """
    if shape == "v":
        return text_in(values[0])
    if shape == "n":
        return None
    try:
        return _Reader(shape, values, cycles).read()
    except Refused as refused:
        raise refused.error() from None


def lua_error(kind: Any, message: Any, retryable: Any, details: Any) -> ProcessError:
    """The exception for an Error that left a script; an unknown kind becomes Internal (Q11)."""
    text = message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)
    try:
        known = ErrorKind(kind)
    except ValueError:
        known = ErrorKind.UNKNOWN
    return make_error(
        known,
        text,
        retryable=retryable if isinstance(retryable, bool) else None,
        details=details if isinstance(details, dict) and details else None,
    )
