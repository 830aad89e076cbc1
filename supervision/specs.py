"""Child and supervisor specifications: fields, defaults, complete validation.

Rules: SU1, SU2 and the table of section 1 of the supervision specification.

Two forms. A *definition* is what somebody wrote: ``child(...)`` and ``Supervisor(...)`` in Python,
a mapping in YAML. It may be wrong. ``read_supervisor`` and ``read_child`` check a definition and
give the *spec*, an attrs class that cannot be wrong. Checking happens in one place and late,
because only the outermost definition can report the mistakes of the whole tree together.

Every default stands in CHILD_FIELDS, SUPERVISOR_FIELDS and BACKOFF_FIELDS.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

import attrs
from attrs import field, frozen

from supervision import fields as f
from supervision.backoff import Backoff
from supervision.fields import MISSING, Field, Path, Reader, Wrong
from supervision.terms import AutoShutdown, ChildType, RestartType, Strategy


class Limit(StrEnum):
    """Values of ``shutdown`` that are no duration."""

    BRUTAL_KILL = "brutal_kill"  # terminated at once, without CANCEL
    INFINITY = "infinity"  # waited for without limit


@frozen
class ChildSpec:
    """One child, checked.

    Units: seconds.
    """

    id: str
    target: Any  # registry id, coroutine function, kernel target, or a SupervisorSpec
    args: tuple[Any, ...] = ()
    host: str | None = None
    restart: RestartType = RestartType.PERMANENT
    shutdown: float | Limit = 5.0
    start_timeout: float = 10.0
    type: ChildType = ChildType.WORKER
    significant: bool = False
    ready: bool = False
    backoff: Backoff | None = None  # None: restart at once

    @property
    def stop_limit(self) -> float | None:
        """Seconds a CANCEL is waited for; None is without limit; 0 is none at all."""
        match self.shutdown:
            case Limit.BRUTAL_KILL:
                return 0.0
            case Limit.INFINITY:
                return None
            case seconds:
                return seconds


@frozen
class SupervisorSpec:
    """A supervisor and its children, checked.

    Units: seconds.
    """

    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: int = 1
    period: float = 5.0
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER
    backoff: Backoff | None = None
    max_children: int = 0  # 0: unlimited
    children: tuple[ChildSpec, ...] = ()


@frozen
class ChildDefinition:
    """What ``child(...)`` was given, unchecked."""

    given: Mapping[str, Any]


@frozen
class SupervisorDefinition:
    """What ``Supervisor(...)`` was given, unchecked."""

    given: Mapping[str, Any] = field(factory=dict)


# ---- parsers of the fields that only these specifications have ---------------------------------


def _target(reader: Reader, value: Any, path: Path) -> Any:
    """A registry id, a callable, a kernel target or a nested supervisor."""
    if isinstance(value, SupervisorSpec):
        return value
    if isinstance(value, SupervisorDefinition):
        return _supervisor(reader, value.given, path)
    if isinstance(value, str):
        return _process(reader, value, path)
    if callable(value) or callable(getattr(value, "prepare", None)):
        return value
    raise Wrong("a coroutine function, a registry id or a supervisor")


def _process(_reader: Reader, value: Any, _path: Path) -> str:
    if not isinstance(value, str) or not all(value.partition(":")):
        raise Wrong("a process id, namespace:name")
    return value


def _nested(reader: Reader, value: Any, path: Path) -> Any:
    if isinstance(value, SupervisorDefinition):
        value = value.given
    return _supervisor(reader, value, path)


def _shutdown(reader: Reader, value: Any, path: Path) -> float | Limit:
    if isinstance(value, str) and value in tuple(Limit):
        return Limit(value)
    try:
        return f.duration(reader, value, path)
    except Wrong as wrong:
        raise Wrong(
            f"{wrong.expected}, or {f.one_of(Limit)}", f.nearest(value, tuple(Limit))
        ) from None


def _backoff(reader: Reader, value: Any, path: Path) -> Any:
    if value is None or isinstance(value, Backoff):
        return value
    parsed = reader.read(BACKOFF_FIELDS, value, path)
    if parsed is None or MISSING in parsed.values():
        return MISSING
    return Backoff(**parsed)


def _children(reader: Reader, value: Any, path: Path) -> Any:
    if not isinstance(value, (list, tuple)):
        raise Wrong("a list of children")
    seen: dict[str, int] = {}
    result = []
    for index, item in enumerate(value):
        spec = _child(reader, item, (*path, index))
        if spec is None:
            continue
        given_id = spec.get("id", MISSING) if isinstance(spec, dict) else spec.id
        if given_id is not MISSING and seen.setdefault(given_id, index) != index:
            reader.wrong(
                (*path, index, "id"),
                f"an id that is unique in the supervisor (children[{seen[given_id]}] has it too)",
                given_id,
            )
        result.append(spec)
    return tuple(result)


BACKOFF_FIELDS: Final[dict[str, Field]] = {
    "initial_delay": Field(f.positive_duration, 1.0),
    "max_delay": Field(f.positive_duration, 90.0),
    "backoff_factor": Field(f.number(1), 2.0),
    "jitter": Field(f.number(0, 1), 0.1),
    "reset_after": Field(f.positive_duration, 5.0),
}

CHILD_FIELDS: Final[dict[str, Field]] = {
    "id": Field(f.text),
    "process": Field(_process, None),
    "target": Field(_target, None),
    "supervisor": Field(_nested, None),
    "args": Field(f.arguments, ()),
    "host": Field(f.text, None),
    "restart": Field(f.choice(RestartType), RestartType.PERMANENT),
    "shutdown": Field(_shutdown, 5.0),  # a supervisor: infinity
    "start_timeout": Field(f.positive_duration, 10.0),
    "type": Field(f.choice(ChildType), ChildType.WORKER),
    "significant": Field(f.boolean, False),
    "ready": Field(f.boolean, False),  # a supervisor: always true
    "backoff": Field(_backoff, None),  # the supervisor's
}

SUPERVISOR_FIELDS: Final[dict[str, Field]] = {
    "strategy": Field(f.choice(Strategy), Strategy.ONE_FOR_ONE),
    "intensity": Field(f.count, 1),
    "period": Field(f.positive_duration, 5.0),
    "auto_shutdown": Field(f.choice(AutoShutdown), AutoShutdown.NEVER),
    "backoff": Field(_backoff, None),
    "max_children": Field(f.count, 0),
    "children": Field(_children, ()),
}


# ---- reading ------------------------------------------------------------------------------------


def read_supervisor(
    data: object, *, path: Path = (), number_unit: float = f.SECONDS
) -> SupervisorSpec:
    """The checked supervisor of a definition or a mapping.

    Raises: SpecInvalid with every wrong field of the whole tree (SU1).
    """
    if isinstance(data, SupervisorSpec):
        return data
    reader = Reader(number_unit)
    given = data.given if isinstance(data, SupervisorDefinition) else data
    spec = _supervisor(reader, given, path)
    reader.finish()
    assert isinstance(spec, SupervisorSpec)
    return spec


def read_child(
    data: object,
    supervisor: SupervisorSpec | None = None,
    *,
    path: Path = (),
    number_unit: float = f.SECONDS,
) -> ChildSpec:
    """The checked child of a definition or a mapping, as ``supervisor`` would take it.

    Raises: SpecInvalid with every wrong field.
    """
    supervisor = supervisor or SupervisorSpec()
    reader = Reader(number_unit)
    parsed = _child(reader, data, path)
    if isinstance(parsed, dict):
        parsed = _complete(reader, parsed, attributes(supervisor), path)
    elif parsed is not None:
        _significance(reader, attributes(parsed), attributes(supervisor), path)
    reader.finish()
    assert isinstance(parsed, ChildSpec)
    return parsed


def attributes(spec: ChildSpec | SupervisorSpec) -> dict[str, Any]:
    """The fields of a spec as a dict, not in depth."""
    return {a.name: getattr(spec, a.name) for a in attrs.fields(type(spec))}


def _supervisor(reader: Reader, data: object, path: Path) -> Any:
    """The spec, or MISSING if anything in it is wrong."""
    before = len(reader.problems)
    parsed = reader.read(SUPERVISOR_FIELDS, data, path)
    if parsed is None:
        return MISSING
    children = parsed["children"]
    if children is not MISSING:
        parsed["children"] = tuple(
            _complete(reader, item, parsed, (*path, "children", index))
            if isinstance(item, dict)
            else _checked(reader, item, parsed, (*path, "children", index))
            for index, item in enumerate(children)
        )
    _simple(reader, parsed, path)
    return MISSING if len(reader.problems) > before else SupervisorSpec(**parsed)


def _simple(reader: Reader, parsed: Mapping[str, Any], path: Path) -> None:
    """What simple_one_for_one wants, and what only it may have."""
    children, limit = parsed["children"], parsed["max_children"]
    if parsed["strategy"] is Strategy.SIMPLE_ONE_FOR_ONE:
        if children is not MISSING and len(children) != 1:
            found = f"{len(children)} children"
            expected = "exactly one child, the template"
            reader.problems.append(f.Problem((*path, "children"), expected, found))
    elif limit not in (0, MISSING) and parsed["strategy"] is not MISSING:
        expected = "no limit, it belongs to simple_one_for_one"
        reader.wrong((*path, "max_children"), expected, limit)


def _child(reader: Reader, data: object, path: Path) -> Any:
    """The parsed fields of one child as a dict (a spec stays a spec), or None."""
    if isinstance(data, ChildSpec):
        return data
    if isinstance(data, ChildDefinition):
        data = data.given
    if not isinstance(data, Mapping):
        reader.wrong(path, "a child: child(...) or a mapping", data)
        return None
    parsed = reader.read(CHILD_FIELDS, data, path)
    assert parsed is not None
    parsed["given"] = frozenset(data)
    return parsed


def _complete(
    reader: Reader, parsed: dict[str, Any], supervisor: Mapping[str, Any], path: Path
) -> Any:
    """Defaults that depend on other fields, and checks of several fields together."""
    given: frozenset[str] = parsed.pop("given")
    codes = [name for name in ("process", "target", "supervisor") if name in given]
    if len(codes) != 1:
        found = f.one_of(codes) if codes else "none of them"
        reader.problems.append(
            f.Problem(path, "exactly one of process, target or supervisor", found)
        )
    values = {name: parsed.pop(name) for name in ("process", "target", "supervisor")}
    parsed["target"] = values[codes[0]] if codes else MISSING
    nested = isinstance(parsed["target"], SupervisorSpec) or "supervisor" in codes
    if nested and "type" not in given:
        parsed["type"] = ChildType.SUPERVISOR
    if parsed["type"] is ChildType.SUPERVISOR:
        if "shutdown" not in given:
            parsed["shutdown"] = Limit.INFINITY
        if nested and "ready" not in given:
            parsed["ready"] = True
    if "backoff" not in given:
        parsed["backoff"] = supervisor["backoff"]
    _significance(reader, parsed, supervisor, path)
    if MISSING in parsed.values() or supervisor["backoff"] is MISSING:
        return MISSING
    return ChildSpec(**parsed)


def _checked(
    reader: Reader, spec: ChildSpec, supervisor: Mapping[str, Any], path: Path
) -> ChildSpec:
    _significance(reader, attributes(spec), supervisor, path)
    return spec


def _significance(
    reader: Reader, parsed: Mapping[str, Any], supervisor: Mapping[str, Any], path: Path
) -> None:
    if parsed["significant"] is not True:
        return
    if parsed["restart"] is RestartType.PERMANENT:
        reader.wrong((*path, "significant"), "false for a permanent child", True)
    if supervisor["auto_shutdown"] is AutoShutdown.NEVER:
        reader.wrong((*path, "significant"), "false while auto_shutdown is never", True)


def child(
    id: str,
    target: Callable[..., Any] | str | SupervisorDefinition | Any,
    *args: Any,
    **fields: Any,
) -> ChildDefinition:
    """A child of a supervisor: its id, its code, the arguments, and fields of CHILD_FIELDS.

    It is checked together with the tree that it is put into.
    """
    given: dict[str, Any] = {"id": id, "target": target, **fields}
    if args:
        given["args"] = args
    return ChildDefinition(given)
