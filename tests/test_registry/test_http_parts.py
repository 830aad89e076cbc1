"""HTTP as plain data: requests, results, errors, paths. HT1-HT6, HT8; all of it pure."""

from typing import Any

import pytest

from registry.edge.exchange import (
    STATUS,
    Received,
    Unusable,
    reply_of,
    reply_of_error,
    table_of,
)
from registry.edge.routes import Found, OtherMethods, Pattern, PatternError, Route, Routes, Unknown
from trio_actors import ErrorKind, make_error


def received(content_type: str = "") -> Received:
    """A request with defaults."""
    headers = {"content-type": content_type} if content_type else {}
    query = [("x", "1"), ("x", "2")]
    return Received("POST", "/a", headers, query, "127.0.0.1", "r1")


def test_the_request_as_a_function_gets_it() -> None:
    """HT2: every field, first values in `query`."""
    request = received("application/json; charset=utf-8")
    assert table_of(request, {"id": "7"}, b'{"n":[1,null]}') == {
        "method": "POST", "path": "/a", "params": {"id": "7"},
        "query": {"x": "1"}, "query_all": {"x": ["1", "2"]},
        "headers": {"content-type": "application/json; charset=utf-8"},
        "body": '{"n":[1,null]}', "json": {"n": [1, None]},
        "remote": "127.0.0.1", "request_id": "r1",
    }  # fmt: skip
    assert "json" not in table_of(received("text/plain"), {}, b"{}")
    assert "json" not in table_of(received("application/json"), {})
    assert table_of(received(), {}, b"\xff")["body"] == b"\xff"


@pytest.mark.parametrize("body", [b"{", b"NaN", b"\xff\xfe", b"[" * 100_000])
def test_malformed_json_is_no_request(body: bytes) -> None:
    """HT2: answered with 400, no call."""
    with pytest.raises(ValueError):
        table_of(received("application/json"), {}, body)


@pytest.mark.parametrize(
    ("result", "status", "content_type", "body"),
    [
        (None, 204, None, b""),
        (7, 200, "application/json", b"7"),
        ("text", 200, "application/json", b'"text"'),
        (False, 200, "application/json", b"false"),
        ([], 200, "application/json", b"[]"),
        ({"a": "ü"}, 200, "application/json", '{"a":"ü"}'.encode()),
        ({"status": "ok"}, 200, "application/json", b'{"status":"ok"}'),
        ({"status": True}, 200, "application/json", b'{"status":true}'),
        ({"status": 201}, 201, None, b""),
        ({"status": 418, "body": "tea"}, 418, "text/plain; charset=utf-8", b"tea"),
        ({"status": 200, "body": b"\x00"}, 200, "application/octet-stream", b"\x00"),
        ({"status": 200, "body": {"n": 1}, "headers": []}, 200, "application/json", b'{"n":1}'),
        ({"status": 200, "body": "<p>", "headers": {"Content-Type": "text/html"}},
         200, "text/html", b"<p>"),
    ],
)  # fmt: skip
def test_results_as_responses(
    result: Any, status: int, content_type: str | None, body: bytes
) -> None:
    """HT3: an integer status makes a response, anything else is JSON, nothing is 204."""
    reply = reply_of(result)
    assert (reply.status, reply.body) == (status, body)
    assert dict(reply.headers).get("content-type") == content_type


def test_a_header_may_come_several_times() -> None:
    """HT3: a list of values is one header each; numbers are texts."""
    reply = reply_of({"status": 200, "headers": {"Set-Cookie": ["a=1", "b=2"], "X-N": 7}})
    assert reply.headers == (("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x-n", "7"))


@pytest.mark.parametrize(
    "result",
    [
        object(), float("nan"), {"a": {1, 2}},
        {"status": 99}, {"status": 600}, {"status": 100},
        {"status": 200, "headers": {"X-A": "a\r\nSet-Cookie: b"}},
        {"status": 200, "headers": {"X A": "b"}}, {"status": 200, "headers": {"X": "\u20ac"}},
        {"status": 200, "headers": {"Content-Length": "5"}}, {"status": 200, "headers": "x"},
        {"status": 200, "headers": {"Keep-Alive": "5"}}, {"status": 200, "headers": {"TE": "x"}},
        {"status": 200, "headers": {"X": {}}}, {"status": 200, "headers": {"X": True}},
    ],
)  # fmt: skip
def test_unusable_results_are_refused(result: Any) -> None:
    """HT4: answered with 500; no function can split a response or break its framing."""
    with pytest.raises(Unusable):
        reply_of(result)


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_errors_as_responses(kind: ErrorKind) -> None:
    """HT4, HT5: the message of a kind with a status, and never text or details of a 500."""
    error = make_error(kind, "secret text", details={"key": "secret"}, retryable=True)
    reply = reply_of_error(error, "r1")
    assert reply.status == STATUS.get(kind, 500)
    if reply.status == 500:
        expected = '{"error":{"kind":"Internal","message":"internal error","request_id":"r1"}}'
    else:
        expected = f'{{"error":{{"kind":"{kind.value}","message":"secret text"}}}}'
    assert reply.body.decode() == expected


def test_which_kinds_have_a_status() -> None:
    """HT4: the table of the rules."""
    assert {kind.name: status for kind, status in STATUS.items()} == {
        "INVALID": 400, "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "ALREADY_EXISTS": 409,
        "CONFLICT": 409, "RATE_LIMITED": 429, "CANCELED": 499, "UNAVAILABLE": 503, "TIMEOUT": 504,
    }  # fmt: skip


ROUTES = Routes(
    Route(method, Pattern.of(path), name)
    for name, method, path in [
        ("root", "GET", "/"), ("me", "GET", "/users/me"), ("user", "GET", "/users/{id}"),
        ("save", "PUT", "/users/{name}"), ("files", "GET", "/files/{rest:path}"),
        ("deep", "GET", "/files/{a}/x"), ("head", "HEAD", "/"),
    ]
)  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", "/", ("root", {})),
        ("HEAD", "/", ("head", {})),
        ("HEAD", "/users/7", ("user", {"id": "7"})),
        ("GET", "/users/me", ("me", {})),
        ("PUT", "/users/me", ("save", {"name": "me"})),
        ("GET", "/users/a b", ("user", {"id": "a b"})),
        ("GET", "/files/a/x", ("deep", {"a": "a"})),
        ("GET", "/files/a/b/c", ("files", {"rest": "a/b/c"})),
        ("DELETE", "/users/me", ("GET", "PUT")),
        ("POST", "/", ("GET", "HEAD")),
        ("GET", "/users/", None),
        ("GET", "/users/7/x", None),
        ("GET", "/Users/me", None),
    ],
)
def test_paths_lead_to_endpoints(method: str, path: str, found: Any) -> None:
    """HT6: literal segments win; another method names those that there are; 404 otherwise."""
    match ROUTES.find(method, path):
        case Found(route, params):
            assert (route.target, params) == found
        case OtherMethods(allow):
            assert allow == found
        case Unknown():
            assert found is None


@pytest.mark.parametrize(
    "path", ["a", "/{a}/{a}", "/x{a}", "/{a:path}/b", "/{1}", "/{a:int}", "/}"]
)
def test_wrong_paths_are_refused(path: str) -> None:
    """HT1: a path that cannot be one never gets into a table."""
    with pytest.raises(PatternError):
        Pattern.of(path)
