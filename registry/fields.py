"""The vocabulary of models: what a field of an entry may be, said by its type.

The marks in `Annotated` say what the plain type cannot: that a text is a reference and to which
kinds, that a number is a duration, the smallest value. One model thus gives the strict check
(structure.py), the references (references.py) and the reference documentation (docs.py).

Rules: GC6, Y30 (durations), GC8, LD6 (references), PG2 (models).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs

from .problems import listed

MarkT = TypeVar("MarkT")


@attrs.frozen(slots=True)
class Ref:
    """Marks a text as the id of another entry, of one of these kinds (`process.*` is a pattern)."""

    kinds: tuple[str, ...] = ()

    def accepts(self, kind: str) -> bool:
        """Whether an entry of this kind may stand here."""
        return not self.kinds or any(
            kind == k or (k.endswith("*") and kind.startswith(k[:-1])) for k in self.kinds
        )

    def __str__(self) -> str:
        return f"the id of a {listed(self.kinds)}" if self.kinds else "the id of an entry"


@attrs.frozen(slots=True)
class Duration:
    """Marks seconds, written as a text with units or as a number of milliseconds. Rule: GC6."""

    def __str__(self) -> str:
        return 'a duration such as "1.5s", or milliseconds'


@attrs.frozen(slots=True)
class ZeroIsDefault:
    """Marks a field where 0 or an empty text means the field's default. Rule: Y30."""


@attrs.frozen(slots=True)
class Within:
    """Marks the smallest and the largest number allowed."""

    minimum: float
    maximum: float | None = None

    def holds(self, value: float) -> bool:
        """Whether the number is allowed."""
        return value >= self.minimum and (self.maximum is None or value <= self.maximum)

    def __str__(self) -> str:
        if self.maximum is not None:
            return f"from {self.minimum} to {self.maximum}"
        return f"of at least {self.minimum}"


@attrs.frozen(slots=True)
class Described:
    """Marks a value with what it has to be, in words."""

    text: str

    def __str__(self) -> str:
        return self.text


Text = Annotated[str, Described("a text that is not empty")]
Seconds = Annotated[float, Duration()]
SecondsOrDefault = Annotated[float, Duration(), ZeroIsDefault()]
# One text or a list of texts.
Texts = Annotated[tuple[str, ...], Described("a text or a list of texts")]
ProcessRef = Annotated[str, Ref(("process.lua", "process.py", "supervisor"))]
HostRef = Annotated[str, Ref(("process.host", "terminal.host"))]
FunctionRef = Annotated[str, Ref(("function.lua", "function.py"))]
LibraryRef = Annotated[str, Ref(("library.lua",))]
AnyRef = Annotated[str, Ref()]


def setting(doc: str, **options: Any) -> Any:
    """An attrs field with the sentence that the reference documentation shows for it."""
    return attrs.field(metadata={"doc": doc}, **options)


def mark_of(annotation: Any, mark: type[MarkT]) -> MarkT | None:
    """The mark of that class in an `Annotated` type, if there is one."""
    if get_origin(annotation) is Annotated:
        for item in annotation.__metadata__:
            if isinstance(item, mark):
                return item
    return None


def bare(annotation: Any) -> Any:
    """The type without its marks."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def without_none(annotation: Any) -> Any:
    """`X` for `X | None`, anything else as it is."""
    if get_origin(annotation) in (Union, UnionType):
        rest = [a for a in get_args(annotation) if a is not NoneType]
        if len(rest) == 1:
            return rest[0]
    return annotation


@cache
def types_of(model: type) -> Mapping[str, Any]:
    """The types of a model's fields, marks included."""
    return get_type_hints(model, include_extras=True)


_PHRASES: Mapping[Any, str] = {
    int: "an integer",
    float: "a number",
    str: "a text",
    bool: "true or false",
    list: "a list",
    tuple: "a list",
    dict: "a mapping",
}


def describe(annotation: Any) -> str:
    """What a field of this type has to be, as a phrase for reports and documentation."""
    annotation = without_none(annotation)
    limits = mark_of(annotation, Within)
    if limits is not None:
        return f"{describe(bare(annotation))} {limits}"
    if get_origin(annotation) is Annotated:
        return str(annotation.__metadata__[0])
    origin = get_origin(annotation) or annotation
    if origin is Literal:
        return listed(str(choice) for choice in get_args(annotation))
    if isinstance(origin, type) and attrs.has(origin):
        return "a mapping"
    return _PHRASES.get(origin, "a value")
