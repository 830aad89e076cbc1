"""The specification of a service: fields, defaults, complete validation.

Rules: Y20-Y30 of the process specification. A duration is a text or a number (milliseconds in
YAML, seconds in Python); a zero duration, a zero factor or an empty text means the default.
"""

from typing import Any, Final

from attrs import field, frozen

from supervision import fields as f
from supervision.backoff import Backoff
from supervision.fields import MISSING, Field, Path, Reader, Wrong


@frozen
class Security:
    """Who a service acts as (Y10); ``groups`` or ``policies`` of None were not given."""

    actor: Any = None
    groups: tuple[str, ...] | None = None
    policies: tuple[str, ...] | None = None


@frozen
class ServiceSpec:
    """One service, checked.

    Units: seconds. ``backoff.reset_after`` is the stable threshold (Y24).
    """

    id: str
    process: Any  # registry id; in Python also a coroutine function or a kernel target
    host: str
    input: tuple[Any, ...] = ()
    auto_start: bool = False
    start_timeout: float = 10.0
    stop_timeout: float = 10.0
    depends_on: tuple[str, ...] = ()
    backoff: Backoff = field(factory=Backoff)
    max_attempts: int = 0  # 0: unlimited
    ready: bool = False  # the process signals that it is started
    actor: Any = None  # what the process tree acts as (Y10), ready to use
    scope: Any = None
    security: Security | None = None  # the same as it was written


def _plain(_reader: Reader, value: Any, _path: Path) -> Any:
    return value


def _process(_reader: Reader, value: Any, _path: Path) -> Any:
    if isinstance(value, str) and all(value.partition(":")):
        return value
    if callable(value) or callable(getattr(value, "prepare", None)):
        return value
    raise Wrong("a process id, namespace:name")


def _table(table: dict[str, Field]) -> Any:
    def parse(reader: Reader, value: Any, path: Path) -> Any:
        parsed = reader.read(table, value, path)
        return MISSING if parsed is None or MISSING in parsed.values() else parsed

    return parse


def _duration(default: float) -> Field:
    return Field(f.or_default(f.duration, default), default)


RESTART_FIELDS: Final[dict[str, Field]] = {
    "initial_delay": _duration(1.0),
    "max_delay": _duration(90.0),
    "backoff_factor": Field(f.or_default(f.number(0), 2.0), 2.0),
    "jitter": Field(f.number(0, 1), 0.1),
    "max_attempts": Field(f.count, 0),
}

SECURITY_FIELDS: Final[dict[str, Field]] = {
    "actor": Field(_plain, None),
    "groups": Field(f.texts, None),
    "policies": Field(f.texts, None),
}

LIFECYCLE_FIELDS: Final[dict[str, Field]] = {
    "auto_start": Field(f.boolean, False),
    "start_timeout": _duration(10.0),
    "stop_timeout": _duration(10.0),
    "stable_threshold": _duration(5.0),
    "depends_on": Field(f.texts, ()),
    "requires": Field(f.texts, ()),  # another name for depends_on
    "restart": Field(_table(RESTART_FIELDS), None),
    "security": Field(_table(SECURITY_FIELDS), None),
    "ready": Field(f.boolean, False),
}

SERVICE_FIELDS: Final[dict[str, Field]] = {
    "process": Field(_process),
    "host": Field(f.text),
    "input": Field(f.arguments, ()),
    "lifecycle": Field(_table(LIFECYCLE_FIELDS), None),
}


def read_service(
    id: str, data: object, *, path: Path = (), number_unit: float = f.MILLISECONDS
) -> ServiceSpec:
    """The checked service of a mapping with the fields of ``kind: process.service``.

    Raises: SpecInvalid with every wrong field.
    """
    reader = Reader(number_unit, zero_is_default=True)
    parsed = reader.read(SERVICE_FIELDS, data, path)
    lifecycle = (parsed or {}).get("lifecycle")
    given = data.get("lifecycle") if isinstance(data, dict) else None
    if isinstance(given, dict) and "depends_on" in given and "requires" in given:
        reader.wrong(
            (*path, "lifecycle", "requires"),
            "one of depends_on and requires, they mean the same",
            given["requires"],
        )
    reader.finish()
    assert parsed is not None
    if lifecycle is None:
        lifecycle = reader.read(LIFECYCLE_FIELDS, {}, path) or {}
    restart = lifecycle["restart"] or reader.read(RESTART_FIELDS, {}, path) or {}
    security = lifecycle["security"]
    return ServiceSpec(
        id=id,
        process=parsed["process"],
        host=parsed["host"],
        input=parsed["input"],
        auto_start=lifecycle["auto_start"],
        start_timeout=lifecycle["start_timeout"],
        stop_timeout=lifecycle["stop_timeout"],
        depends_on=lifecycle["depends_on"] or lifecycle["requires"],
        backoff=Backoff(
            initial_delay=restart["initial_delay"],
            max_delay=restart["max_delay"],
            backoff_factor=restart["backoff_factor"],
            jitter=restart["jitter"],
            reset_after=lifecycle["stable_threshold"],
        ),
        max_attempts=restart["max_attempts"],
        ready=lifecycle["ready"],
        security=Security(**security) if security else None,
    )
