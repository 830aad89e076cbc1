"""Reading specifications field by field: every wrong field is reported, all of them together.

Rules: SU1 (complete validation), I13, I14 (what a report says), Y30 (durations).

One small parser per kind of field, each naming what it expected. A ``Reader`` walks a table of
fields over a mapping, collects ``Problem`` values (path, expected, found) and never stops at the
first. Positions in a file are not known here: who loads a file looks them up by the path.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, TypeVar

from attrs import Factory, define, field, frozen

from trio_actors import ProcessInvalid, parse_duration
from trio_actors import fields as readers

Path = tuple[str | int, ...]
E = TypeVar("E", bound=StrEnum)

SECONDS: Final = 1.0  # a bare number in Python
MILLISECONDS: Final = 0.001  # a bare number in YAML (Y30)


@frozen
class Problem:
    """One wrong field: where it is, what was expected there and what was found."""

    path: Path
    expected: str
    found: str
    hint: str = ""

    def __str__(self) -> str:
        where = path_text(self.path) or "specification"
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}: expected {self.expected}, found {self.found}{hint}"


class SpecInvalid(ProcessInvalid):
    """A specification with wrong fields; ``problems`` has all of them (SU1)."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Wrong(Exception):
    """Raised by a parser of one field; turned into a Problem by the Reader."""

    def __init__(self, expected: str, hint: str = "") -> None:
        self.expected = expected
        self.hint = hint
        super().__init__(expected)


class _Missing:
    def __repr__(self) -> str:
        return "nothing"


MISSING: Final = _Missing()


@frozen
class Field:
    """One row of a table of fields: how it is parsed, and its default or that it is required."""

    parse: Callable[["Reader", Any, Path], Any]
    default: Any = MISSING

    @property
    def required(self) -> bool:
        return self.default is MISSING


@define
class Reader:
    """Collects the problems of one specification.

    Units: ``number_unit`` is the number of seconds that a bare number stands for.
    """

    number_unit: float = SECONDS
    problems: list[Problem] = Factory(list)
    zero_is_default: bool = field(default=False)  # Y30, services only

    def wrong(self, path: Path, expected: str, found: object, hint: str = "") -> None:
        """Note one problem and go on."""
        self.problems.append(Problem(path, expected, describe(found), hint))

    def read(self, table: Mapping[str, Field], data: object, path: Path) -> dict[str, Any] | None:
        """The parsed fields of ``data`` with defaults filled in; a wrong field is MISSING.

        Returns None if ``data`` is no mapping.
        """
        if not isinstance(data, Mapping):
            self.wrong(path, "a mapping", data)
            return None
        for key in data:
            if key not in table:
                self.wrong((*path, str(key)), unknown_field(table), key, nearest(key, table))
        result: dict[str, Any] = {}
        for name, row in table.items():
            value = data.get(name, MISSING)
            if value is MISSING or (self.zero_is_default and value == "" and not row.required):
                if row.required:
                    self.wrong((*path, name), "a value, it is required", MISSING)
                result[name] = row.default
                continue
            result[name] = self.one(row.parse, value, (*path, name))
        return result

    def one(self, parse: Callable[["Reader", Any, Path], Any], value: object, path: Path) -> Any:
        """The parsed value, or MISSING after noting the problem."""
        try:
            return parse(self, value, path)
        except Wrong as wrong:
            self.wrong(path, wrong.expected, value, wrong.hint)
            return MISSING

    def finish(self) -> None:
        """Raises: SpecInvalid with all problems, if there are any."""
        if self.problems:
            raise SpecInvalid(self.problems)


def path_text(path: Path) -> str:
    """``("children", 2, "restart")`` as ``children[2].restart``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def describe(value: object) -> str:
    """A value as an error message shows it: short, and a container by its kind."""
    match value:
        case Mapping():
            return "a mapping"
        case list() | tuple() | set():
            return "a list"
        case None:
            return "null"
        case StrEnum():
            return repr(str(value))
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def one_of(words: Iterable[str]) -> str:
    """``a, b or c``."""
    *first, last = [str(word) for word in words]
    return f"{', '.join(first)} or {last}" if first else last


def unknown_field(table: Iterable[str]) -> str:
    """What is expected in place of an unknown field."""
    return f"one of the fields {one_of(table)}"


def nearest(word: object, words: Iterable[str]) -> str:
    """``did you mean 'x'?`` if a known word is close, else nothing (I14)."""
    close = readers.nearest(str(word), [str(w) for w in words], 0.6)
    return f"did you mean '{close}'?" if close else ""


# ---- parsers of one field ----------------------------------------------------------------------


def choice(enum: type[E]) -> Callable[[Reader, Any, Path], E]:
    """One of the words of an enumeration."""

    def parse(_reader: Reader, value: Any, _path: Path) -> E:
        try:
            return enum(value)
        except ValueError:
            raise Wrong(one_of(enum), nearest(value, enum)) from None

    return parse


def text(_reader: Reader, value: Any, _path: Path) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise Wrong("a text that is not empty")
    return value


def boolean(_reader: Reader, value: Any, _path: Path) -> bool:
    if not isinstance(value, bool):
        raise Wrong("true or false")
    return value


def count(_reader: Reader, value: Any, _path: Path) -> int:
    """A whole number from 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Wrong("a whole number from 0")
    return value


def arguments(_reader: Reader, value: Any, _path: Path) -> tuple[Any, ...]:
    """A list (a text is none)."""
    if not isinstance(value, (list, tuple)):
        raise Wrong("a list")
    return tuple(value)


def duration(reader: Reader, value: Any, _path: Path) -> float:
    """Seconds from a duration text or a number; from 0, finite."""
    unit = "seconds" if reader.number_unit == SECONDS else "milliseconds"
    expected = f"a duration such as '5s', or a number of {unit}, from 0"
    seconds = _seconds(reader, value, expected)
    if seconds < 0 or not math.isfinite(seconds):
        raise Wrong(expected)
    return seconds


def _seconds(reader: Reader, value: Any, expected: str) -> float:
    if isinstance(value, bool):
        raise Wrong(expected)
    if isinstance(value, (int, float)):
        return value * reader.number_unit
    if isinstance(value, str):
        try:
            return parse_duration(value) / 1e9
        except (ValueError, ProcessInvalid):
            raise Wrong(expected) from None
    raise Wrong(expected)


def positive_duration(reader: Reader, value: Any, path: Path) -> float:
    """Seconds, more than 0."""
    seconds = duration(reader, value, path)
    if seconds == 0:
        raise Wrong("a duration above 0")
    return seconds


def number(low: float, high: float = math.inf) -> Callable[[Reader, Any, Path], float]:
    """A number within limits, both included."""
    expected = f"a number from {low:g}" + ("" if high == math.inf else f" to {high:g}")

    def parse(_reader: Reader, value: Any, _path: Path) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Wrong(expected)
        if not low <= value <= high or not math.isfinite(value):
            raise Wrong(expected)
        return float(value)

    return parse


def or_default(
    parse: Callable[[Reader, Any, Path], Any], default: object
) -> Callable[[Reader, Any, Path], Any]:
    """A parser for which a zero means the default (Y30)."""

    def parse_it(reader: Reader, value: Any, path: Path) -> Any:
        result = parse(reader, value, path)
        return default if result == 0 else result

    return parse_it


def texts(reader: Reader, value: Any, path: Path) -> tuple[str, ...]:
    """A list of texts that are not empty."""
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        raise Wrong("a list of texts")
    found = [reader.one(text, item, (*path, index)) for index, item in enumerate(value)]
    return tuple(item for item in found if item is not MISSING)
