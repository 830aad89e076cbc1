"""Answers the requests of the control socket. Pure: a line in, a line out.

Rules: SU41 (`snapshot`), SU42 (`explain`). The operations are a table; none of them changes
anything, so that looking is always safe. The fields of each are checked before it runs. What
changes something is another table (acting.py), refused unless the application has operators.
`reply` gives the same answers as `answer`, and lets others run while it makes a large one.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
import trio

from supervision import Taking, explain
from trio_actors import ProcessError, sys

from ..app import App
from .acting import ACTS, Operators
from .protocol import PROTOCOL, ControlError, Request, read_request, write_answer, write_error
from .slices import in_slices

log = logging.getLogger("trio_actors.control")

MAX_EXITS: Final = 1_000


@attrs.define(slots=True, eq=False)
class Desk:
    """Who answers. `app` is None until the application has been opened."""

    path: str  # of the application
    app: App | None = None
    # Who may do more than look; None for nobody.
    operators: Operators | None = None
    # Large answers are made one after the other.
    _turn: trio.Lock = attrs.field(factory=trio.Lock)

    def opened(self, app: App) -> None:
        """From now on there is something to look at."""
        self.app = app

    def answer(self, line: bytes) -> bytes:
        """The answer to one request, as a line. Raises nothing."""
        try:
            operation, fields = self._asked(line)
            return write_answer(operation.run(self, fields))
        except Exception as error:
            return _refusal(error)

    async def reply(self, line: bytes) -> bytes:
        """As `answer`, in slices (slices.py) if it is a large one. Raises nothing."""
        try:
            operation, fields = self._asked(line)
            if operation.take is None:
                return write_answer(operation.run(self, fields))
            async with self._turn:
                return await in_slices(operation.take(self, fields))
        except Exception as error:
            return _refusal(error)

    def _asked(self, line: bytes) -> tuple[Operation, Mapping[str, Any]]:
        request = read_request(line)
        operation = OPERATIONS.get(request.op) or CONTROLS.get(request.op)
        if operation is None:
            known = ", ".join(OPERATIONS)
            raise ControlError("invalid", f"expected one of {known}, got {request.op!r}")
        return operation, operation.checked(request)

    def running(self) -> App:
        """The application. Raises: ControlError while it is being opened."""
        if self.app is None:
            raise ControlError("unavailable", "the application is being opened")
        return self.app


def _refusal(error: Exception) -> bytes:
    if isinstance(error, ProcessError):
        error = ControlError(str(error.kind.value or "internal"), error.message)
    if not isinstance(error, ControlError):  # a look must not harm the application
        log.error("control socket: a request failed", exc_info=error)
        error = ControlError("internal", f"{type(error).__name__}: {error}")
    return write_error(error)


Check = Callable[[Any], bool]
Checks = Mapping[str, tuple[Check, str]]  # by field: what is right, and how it is called


@attrs.frozen(slots=True)
class Operation:
    """One row of the table."""

    run: Callable[[Desk, Mapping[str, Any]], Any]
    # The same as a picture that can be taken in slices.
    take: Callable[[Desk, Mapping[str, Any]], Taking] | None = None
    required: Checks = attrs.field(factory=dict)
    optional: Checks = attrs.field(factory=dict)

    def checked(self, request: Request) -> Mapping[str, Any]:
        """The request's fields. Raises: ControlError naming the wrong one."""
        fields, checks = request.fields, {**self.required, **self.optional}
        for name in self.required:
            if name not in fields:
                raise ControlError("invalid", f"{request.op}: expected the field {name}")
        for name, value in fields.items():
            if name not in checks:
                raise ControlError("invalid", f"{request.op}: unexpected field {name}")
            check, meaning = checks[name]
            if not check(value):
                text = f"{request.op}: {name}: expected {meaning}, got {value!r}"
                raise ControlError("invalid", text)
        return fields


def _hello(desk: Desk, fields: Mapping[str, Any]) -> Any:
    state = "opening" if desk.app is None else "running" if desk.app.started else "starting"
    answer = {"protocol": PROTOCOL, "app": desk.path, "pid": os.getpid(), "state": state}
    return answer if desk.operators is None else {**answer, "acts": list(ACTS)}


def _snapshot(desk: Desk, fields: Mapping[str, Any]) -> Any:
    return desk.running().snapshot(**fields).as_data()


def _take(desk: Desk, fields: Mapping[str, Any]) -> Taking:
    app = desk.running()
    return Taking(app.node, app.supervisor, **fields)


def _process(desk: Desk, fields: Mapping[str, Any]) -> Any:
    node, pid = desk.running().node, fields["pid"]
    process = node.processes.get(pid)
    waits_at = sys.waits_for(process) if process is not None else ""
    return {**attrs.asdict(sys.view(node, pid)), "waits_at": waits_at}


def _explain(desk: Desk, fields: Mapping[str, Any]) -> Any:
    found = explain(desk.running().node, fields["pid"])
    return {"text": str(found), "chain": [attrs.asdict(why) for why in found.chain]}


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_EXITS


def _is_limit(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


PID: Final[Checks] = {"pid": (_is_text, "a PID")}

OPERATIONS: Final[Mapping[str, Operation]] = {
    "hello": Operation(_hello),
    "snapshot": Operation(
        _snapshot,
        _take,
        optional={
            "exits": (_is_count, f"an integer from 0 to {MAX_EXITS}"),
            "limit": (_is_limit, "an integer above 0"),
        },
    ),
    "process": Operation(_process, required=PID),
    "explain": Operation(_explain, required=PID),
}


def _act(name: str) -> Operation:
    def run(desk: Desk, fields: Mapping[str, Any]) -> Any:
        if desk.operators is None:
            text = "control is off; `trio-actors run --operators GROUP` allows what a group allows"
            raise ControlError("denied", text)
        return desk.operators.act(desk.running(), name, fields["pid"])

    return Operation(run, required=PID)


CONTROLS: Final[Mapping[str, Operation]] = {name: _act(name) for name in ACTS}
