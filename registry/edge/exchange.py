"""HTTP as plain data: what a function gets, what its result means, what an error shows. Pure.

Rules: HT2 (the request), HT3 (results), HT4 (status codes), HT5 (a 500 tells nothing).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from trio_actors import ErrorKind, ProcessError

STATUS: Mapping[ErrorKind, int] = {
    ErrorKind.INVALID: 400,
    ErrorKind.PERMISSION_DENIED: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.ALREADY_EXISTS: 409,
    ErrorKind.CONFLICT: 409,
    ErrorKind.RATE_LIMITED: 429,
    ErrorKind.CANCELED: 499,
    ErrorKind.UNAVAILABLE: 503,
    ErrorKind.TIMEOUT: 504,
}
INTERNAL = 500
ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
BYTES = "application/octet-stream"
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Of the server: a function that sets them could break the framing of the connection. In HTTP/2 the
# headers of a connection end it, with all that others asked for on it.
FRAMING = frozenset(
    ("connection", "content-length", "date", "keep-alive", "proxy-connection", "te", "trailer",
     "transfer-encoding", "upgrade")
)  # fmt: skip


class Unusable(Exception):
    """A result that is no response (HT4: answered with 500)."""


@attrs.frozen(slots=True)
class Reply:
    """A response as it is sent."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    # The request was not read to its end: the connection is of no use any more.
    close: bool = False


@attrs.frozen(slots=True)
class Received:
    """A request without its body."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: Iterable[tuple[str, str]]
    remote: str
    request_id: str


def joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers with lower-case names; those that came several times joined by commas."""
    found: dict[str, str] = {}
    for raw, value in headers:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        found[name] = f"{found[name]}, {text}" if name in found else text
    return found


def is_json(content_type: str) -> bool:
    """Whether a content type says JSON.

    >>> is_json("application/json; charset=utf-8"), is_json("application/ld+json"), is_json("x")
    (True, True, False)
    """
    kind = content_type.partition(";")[0].strip().lower()
    return kind == JSON or (kind.startswith("application/") and kind.endswith("+json"))


def table_of(received: Received, params: Mapping[str, str], body: bytes = b"") -> dict[str, Any]:
    """The one argument of an endpoint's function (HT2).

    Raises: ValueError for malformed JSON.
    """
    query_all: dict[str, list[str]] = {}
    for key, value in received.query:
        query_all.setdefault(key, []).append(value)
    table = {
        "method": received.method,
        "path": received.path,
        "params": dict(params),
        "query": {key: values[0] for key, values in query_all.items()},
        "query_all": query_all,
        "headers": dict(received.headers),
        "body": _text(body),
        "remote": received.remote,
        "request_id": received.request_id,
    }
    if body and is_json(received.headers.get("content-type", "")):
        try:
            table["json"] = json.loads(body, parse_constant=_no_constant)
        except RecursionError:
            raise ValueError("nested too deeply") from None
    return table


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _text(body: bytes) -> str | bytes:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body


def reply_of(result: Any) -> Reply:
    """The response that a function's result means (HT3). Raises: Unusable."""
    if result is None:
        return Reply(204)
    status = result.get("status") if isinstance(result, Mapping) else None
    if not isinstance(status, int) or isinstance(status, bool):
        return Reply(200, (("content-type", JSON),), _json(result))
    if not 200 <= status <= 599:
        raise Unusable(f"status {status}: expected 200 to 599")
    headers = tuple(_headers(result.get("headers") or {}))
    body, content_type = _body(result.get("body"))
    if content_type is not None and all(name != "content-type" for name, _ in headers):
        headers = (("content-type", content_type), *headers)
    return Reply(status, headers, body)


def _body(body: Any) -> tuple[bytes, str | None]:
    match body:
        case None:
            return b"", None
        case str():
            return body.encode("utf-8", "surrogatepass"), TEXT
        case bytes():
            return body, BYTES
        case _:
            return _json(body), JSON


def _json(value: Any) -> bytes:
    try:
        return ENCODE(value).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise Unusable(f"a body that is not JSON: {error}") from None


def _headers(headers: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(headers, Mapping):
        if headers == []:  # an empty table of a script
            return
        raise Unusable("headers: expected a table")
    for key, given in headers.items():
        name = str(key).lower()
        if NAME.fullmatch(name) is None or name in FRAMING:
            raise Unusable(f"header {key!r} cannot be set")
        for value in given if isinstance(given, list | tuple) else (given,):
            yield name, _header_value(name, value)


def _header_value(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Unusable(f"header {name}: expected a text or a number")
    text = str(value)
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        raise Unusable(f"header {name}: only Latin-1 can be sent") from None
    if any(ord(char) < 32 and char != "\t" for char in text) or "\x7f" in text:
        raise Unusable(f"header {name}: control characters cannot be sent")
    return text


def refusal(status: int, kind: str, message: str, *headers: tuple[str, str]) -> Reply:
    """An error as a response."""
    body = _json({"error": {"kind": kind, "message": message}})
    return Reply(status, (("content-type", JSON), *headers), body)


def reply_of_error(error: ProcessError, request_id: str) -> Reply:
    """What a failed call shows (HT4, HT5): the message, unless the failure is an internal one."""
    status = STATUS.get(error.kind, INTERNAL)
    if status == INTERNAL:
        return internal(request_id)
    return refusal(status, error.kind.value, _printable(error.message))


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def internal(request_id: str) -> Reply:
    """The response that tells nothing but where to look (HT5)."""
    body = {"kind": "Internal", "message": "internal error", "request_id": request_id}
    return Reply(INTERNAL, (("content-type", JSON),), _json({"error": body}))
