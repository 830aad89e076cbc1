"""Requests and answers of the control socket as lines of JSON. Pure: bytes in, data out.

A request is one line, an object with `op` and the operation's fields. The answer is one line:
`{"ok": value}` or `{"error": {"kind": ..., "message": ...}}`. Answers come in the order of the
requests. A line that is too long or no object is answered with an error; after a line that is too
long the connection ends, because nothing says where the next one begins.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import attrs

PROTOCOL: Final = 1
MAX_REQUEST: Final = 64 * 1024  # bytes
MAX_ANSWER: Final = 64 * 1024 * 1024  # bytes


class ControlError(Exception):
    """What went wrong at the control socket; `kind` is one word for programs."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class LineTooLong(ControlError):
    """No end of line within the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__("invalid", f"expected a line of at most {limit} bytes")


@attrs.define(slots=True)
class Lines:
    """Cuts a stream of bytes into lines.

    >>> lines = Lines(limit=20)
    >>> lines.feed(b'{"op": 1}\\n{"o')
    [b'{"op": 1}']
    >>> lines.feed(b'p": 2}\\n')
    [b'{"op": 2}']
    """

    limit: int
    _rest: bytearray = attrs.field(factory=bytearray)

    def feed(self, data: bytes | bytearray) -> list[bytes]:
        """The lines that are complete now, without their ends. Raises: LineTooLong."""
        *ended, rest = bytes(data).split(b"\n")
        if ended:
            ended[0] = bytes(self._rest) + ended[0]
            self._rest.clear()
        self._rest += rest
        if len(self._rest) > self.limit or any(len(line) > self.limit for line in ended):
            raise LineTooLong(self.limit)
        return ended


@attrs.frozen(slots=True)
class Request:
    """One operation and its fields."""

    op: str
    fields: Mapping[str, Any]


def read_request(line: bytes) -> Request:
    """Raises: ControlError."""
    data = _object(line)
    op = data.pop("op", None)
    if not isinstance(op, str):
        raise ControlError("invalid", f"expected the text op, got {json.dumps(op)}")
    return Request(op, data)


def write_request(op: str, fields: Mapping[str, Any]) -> bytes:
    """A request as a line."""
    return _line({"op": op, **fields})


def write_answer(value: Any) -> bytes:
    """An answer as a line; `value` is plain data."""
    return _line({"ok": value})


def write_error(error: ControlError) -> bytes:
    """A refusal as a line."""
    return _line({"error": {"kind": error.kind, "message": error.message}})


def read_answer(line: bytes) -> Any:
    """The value of an answer. Raises: ControlError, also the one that was answered."""
    data = _object(line)
    if "ok" in data:
        return data["ok"]
    error = data.get("error")
    if not isinstance(error, dict):
        raise ControlError("invalid", "expected an answer with ok or error")
    raise ControlError(str(error.get("kind", "internal")), str(error.get("message", "")))


def _object(line: bytes) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ControlError("invalid", f"expected a line of JSON: {error}") from None
    if not isinstance(data, dict):
        raise ControlError("invalid", f"expected a JSON object, got {type(data).__name__}")
    return data


def _line(data: Mapping[str, Any]) -> bytes:
    # No NaN: not every reader of JSON takes it.
    return json.dumps(data, ensure_ascii=False, allow_nan=False).encode() + b"\n"
