"""The HTTP edge over loopback with a real client: HT1-HT9, FZ32, FZ33."""

import shutil
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from registry import App, open_app
from registry.kinds.http import edge_of
from trio_actors import ProcessInvalid

WriteApp = Callable[..., Path]
MAIN = """\
namespace: app
entries:
  - name: web
    kind: http.service
    addr: "127.0.0.1:0"
    max_body: 1000
    lifecycle: {auto_start: true, stop_timeout: 2s}
  - {name: open, kind: http.router, meta: {server: web}}
  - name: guarded
    kind: http.router
    meta: {server: web}
    prefix: /guarded
    middleware: [token_auth]
    options: {token_auth: {store: tokens}}
    post_middleware: [endpoint_firewall]
  - name: echo
    kind: http.endpoint
    meta: {router: open}
    method: POST
    path: "/echo/{id}"
    func: f
  - {name: do, kind: http.endpoint, meta: {router: open}, path: "/do/{what}", func: f}
  - {name: shout, kind: http.endpoint, meta: {router: open}, path: /shout, func: shout_lua}
  - {name: who, kind: http.endpoint, meta: {router: guarded}, path: "/who/{x}", func: who_fn}
  - {name: f, kind: function.py, source: "code_of_http:handle"}
  - {name: who_fn, kind: function.py, source: "code_of_http:who"}
  - {name: inner, kind: function.py, source: "code_of_http:inner"}
  - name: shout_lua
    kind: function.lua
    method: main
    source: |
      return {main = function(request)
        if request.query.fail == "kind" then
          return nil, errors.new({message = "no", kind = errors.CONFLICT})
        end
        if request.query.fail then error("secret " .. request.query.fail) end
        return {status = 201, headers = {["X-Id"] = request.request_id},
                body = {text = string.upper(request.query.text or "")}}
      end}
  - {name: tokens, kind: security.token_store, store: memory}
  - {name: memory, kind: store.memory}
  - name: readers
    kind: security.policy
    policy:
      actions: [http.request, funcs.call]
      resources: ["GET /guarded/who/*", "app:*"]
      effect: allow
"""
CODE = """\
import trio
from trio_actors import ProcessConflict, ProcessNotFound, current, make_error, ErrorKind
from trio_actors import funcs

log = []

async def inner():
    log.append("inner began")
    try:
        await trio.sleep_forever()
    finally:
        log.append("inner ended")

async def handle(request):
    match request["params"].get("what"):
        case None:
            return request
        case "conflict":
            raise ProcessConflict("taken", details={"by": "secret"})
        case "crash":
            raise ValueError("secret text")
        case "split":
            return {"status": 200, "headers": {"x": "a\\r\\nb: c"}}
        case "wait":
            await funcs.call("app:inner")
        case "large":
            return {"status": 200, "body": "x" * 50_000_000}
        case "who":
            return getattr(current().actor, "id", None) or "nobody"
    return None

async def who(request):
    return {"actor": current().actor.id, "x": request["params"]["x"]}
"""


@pytest.fixture
def path(write_app: WriteApp) -> Path:
    """The application of this file."""
    sys.modules.pop("code_of_http", None)
    return write_app({"main.yaml": MAIN, "code_of_http.py": CODE})


def code() -> Any:
    """The application's module."""
    import code_of_http  # type: ignore[import-not-found]

    return code_of_http


@asynccontextmanager
async def served(
    path: Path, overrides: Any = None, **options: Any
) -> AsyncIterator[tuple[App, httpx.AsyncClient]]:
    """The running application and a client of it."""
    async with open_app(path, overrides=overrides or {}, **options) as app:
        address = edge_of(app).sites["app:web"].address
        assert address is not None
        base = f"http://{address[0]}:{address[1]}"
        async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=10) as client:
            yield app, client


async def test_requests_are_function_calls(path: Path) -> None:
    """HT2, HT3: a real request in Python and in Lua, through the same calls as everything."""
    async with served(path) as (_, client):
        answer = await client.post(
            "/echo/7?a=1&a=2&b=%20x", content=b'{"n": 1}',
            headers={"Content-Type": "application/json", "X-Many": "1"},
        )  # fmt: skip
        assert answer.status_code == 200
        table = answer.json()
        assert table.pop("headers")["x-many"] == "1"
        assert table == {
            "method": "POST", "path": "/echo/7", "params": {"id": "7"},
            "query": {"a": "1", "b": " x"}, "query_all": {"a": ["1", "2"], "b": [" x"]},
            "body": '{"n": 1}', "json": {"n": 1}, "remote": "127.0.0.1",
            "request_id": answer.headers["x-request-id"],
        }  # fmt: skip
        answer = await client.get("/shout", params={"text": "hé"})
        assert (answer.status_code, answer.json()) == (201, {"text": "Hé".replace("h", "H")})
        assert answer.headers["x-id"] == answer.headers["x-request-id"]
        assert "server" not in answer.headers
        answer = await client.get("/do/nothing")
        assert (answer.status_code, answer.content) == (204, b"")
        head = await client.head("/shout")
        assert (head.status_code, head.content) == (201, b"")


async def test_failures_show_no_internals(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """HT4, HT5, HT9, FZ33: the kind decides; a 500 tells its id only, the log tells the rest."""
    async with served(path) as (_, client):
        for url in ("/do/conflict", "/shout?fail=kind"):
            answer = await client.get(url)
            text = "taken" if "conflict" in url else "no"
            assert answer.status_code == 409
            assert answer.json() == {"error": {"kind": "Conflict", "message": text}}
        for url in ("/do/crash", "/shout?fail=text", "/do/split"):
            answer = await client.get(url)
            id = answer.headers["x-request-id"]
            assert (answer.status_code, answer.json()) == (
                500,
                {"error": {"kind": "Internal", "message": "internal error", "request_id": id}},
            )
            assert f"request {id} failed" in caplog.text
        assert "secret text" in caplog.text
        assert (await client.get("/do/x")).status_code == 204


async def test_what_is_no_request_calls_nothing(path: Path) -> None:
    """HT2, HT6: 400 for malformed JSON, 404, 405 with Allow, 413; and the server goes on."""
    async with served(path) as (_, client):
        asked: list[Any] = [
            ("POST", "/echo/1", b"{", 400), ("GET", "/no", b"", 404), ("GET", "/echo/1", b"", 405),
            ("POST", "/echo/1", b"x" * 1000, 200), ("POST", "/echo/1", b"x" * 1001, 413),
            ("POST", "/echo/1", b"x" * 5_000_000, 413), ("POST", "/echo/1", b"x", 200),
        ]  # fmt: skip
        for method, url, body, status in asked:
            headers = {"content-type": "application/json" if status == 400 else "text/plain"}
            answer = await client.request(method, url, content=body, headers=headers)
            assert answer.status_code == status, url
            if status == 405:
                assert answer.headers["allow"] == "POST"
            if status >= 400:
                assert answer.json()["error"].keys() == {"kind", "message"}


async def raw(app: App, text: bytes) -> trio.SocketStream:
    """A connection with something sent on it."""
    address = edge_of(app).sites["app:web"].address
    assert address is not None
    stream = await trio.open_tcp_stream(*address)
    await stream.send_all(text)
    return stream


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that real sockets bring about."""
    with trio.fail_after(10):
        while not condition():
            await trio.sleep(0.005)


async def test_a_client_that_goes_away_cancels_the_function(path: Path) -> None:
    """HT7, FZ32: the nested function ends too; other requests do not notice."""
    async with served(path) as (_, client):
        with trio.move_on_after(0.3):
            await client.get("/do/wait")
        await until(lambda: code().log == ["inner began", "inner ended"])
        assert (await client.get("/do/x")).status_code == 204


async def test_a_body_that_does_not_come_is_given_up(path: Path) -> None:
    """`timeouts.read`: 408, without a call; a client that goes away half way is forgotten."""
    async with served(path, {"app:web:timeouts.read": "50ms"}) as (app, client):
        head = b"POST /echo/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"
        stream = await raw(app, head)
        assert (await stream.receive_some(100)).startswith(b"HTTP/1.1 408")
        await stream.aclose()
        await (await raw(app, head)).aclose()
        assert (await client.get("/do/x")).status_code == 204


async def test_a_client_that_does_not_read_is_given_up(path: Path) -> None:
    """`timeouts.write`: its connection is closed, so that nothing waits for it for ever."""
    async with served(path, {"app:web:timeouts.write": "100ms"}) as (app, client):
        stream = await raw(app, b"GET /do/large HTTP/1.1\r\nHost: x\r\n\r\n")
        await trio.sleep(0.3)
        got = 0
        with trio.fail_after(10):
            try:
                while chunk := await stream.receive_some(1 << 20):
                    got += len(chunk)
            except trio.BrokenResourceError:
                pass
        await stream.aclose()
        assert got < 50_000_000
        assert (await client.get("/do/x")).status_code == 204


async def test_an_answer_goes_out_whole_before_its_connection_ends(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HT3: in one write, however slow that is; the reader of the connection does not cut it off."""
    writes: list[int] = []
    plain = trio.SocketStream.send_all

    async def slow(stream: trio.SocketStream, data: Any) -> None:
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        writes.append(len(data))
        await plain(stream, data)

    async with served(path) as (app, _):
        monkeypatch.setattr(trio.SocketStream, "send_all", slow)
        for request in (b"GET /shout", b"HEAD /shout", b"GET /do/x", b"GET /no"):
            head = request + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            stream = await raw(app, head)
            del writes[:]
            answer = b"".join([bytes(part) async for part in stream])
            await stream.aclose()
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 "), request
            assert bool(body) == (request in (b"GET /shout", b"GET /no"))
            assert writes == [len(answer)]
        lines = (b"GET /shout?text=%d HTTP/1.1\r\nHost: x\r\n" % number for number in range(5))
        stream = await raw(app, b"\r\n".join(lines) + b"Connection: close\r\n\r\n")
        answer = b"".join([bytes(part) async for part in stream])
        await stream.aclose()
        found = [part.partition(b"}")[0] for part in answer.split(b'{"text":')[1:]]
        assert found == [b'"%d"' % number for number in range(5)]


async def test_a_stop_lets_requests_finish_or_cancels_them(path: Path) -> None:
    """HT7: no new connections, a running call gets its part of `stop_timeout`, then 503."""
    async with served(path) as (app, client):
        answers: list[httpx.Response] = []

        async def ask() -> None:
            answers.append(await client.get("/do/wait"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await until(lambda: code().log == ["inner began"])
            began = trio.current_time()
            await app.supervisor.stop(["app:web"])
            assert trio.current_time() - began < 2.5
        assert code().log == ["inner began", "inner ended"]
        assert answers[0].status_code == 503
        with pytest.raises(httpx.ConnectError):
            await client.get("/do/x")


async def test_tokens_and_policies_decide(path: Path) -> None:
    """HT8: 401 without actor, 403 without permission, and the function runs as the actor."""
    async with served(path) as (app, client):
        security = app.functions.security
        store, actor = security.token_stores["app:tokens"], security.new_actor("ann")
        allowed = security.new_scope([security.policies["app:readers"]])
        good, weak = store.create(actor, allowed), store.create(actor, security.new_scope())

        async def ask(token: str | None) -> tuple[int, Any]:
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            answer = await client.get("/guarded/who/7", headers=headers)
            return answer.status_code, answer.json()

        assert await ask(good) == (200, {"actor": "ann", "x": "7"})
        refused = {"kind": "PermissionDenied", "message": "authentication required"}
        assert await ask(None) == await ask("forged") == (401, {"error": refused})
        text = "not allowed: GET /guarded/who/{x}"
        denied = {"error": {"kind": "PermissionDenied", "message": text}}
        assert await ask(weak) == (403, denied)
        store.revoke(good)
        assert await ask(good) == (401, {"error": refused})


async def test_functions_run_as_the_service(path: Path) -> None:
    """HT7, F2: the service's actor and scope, and a call that they do not allow is refused."""
    security = {"actor": {"id": "gate"}, "policies": ["readers"]}
    async with served(path, {"app:web:lifecycle.security": security}) as (_, client):
        assert (await client.get("/do/who")).json() == "gate"
    security = {"actor": {"id": "gate"}, "policies": []}
    async with served(path, {"app:web:lifecycle.security": security}) as (_, client):
        answer = await client.get("/do/who")
        assert (answer.status_code, answer.json()["error"]["message"]) == (
            403,
            "not allowed: app:f",
        )


async def test_endpoints_change_while_it_runs(path: Path) -> None:
    """RG5, RG7: a new endpoint is there, a refused change leaves every route as it was."""
    async with served(path) as (app, client):

        def entry(name: str, path: str, func: str = "app:f") -> dict[str, Any]:
            meta = {"router": "app:open"}
            data = {"path": path, "func": func}
            return {"id": f"app:{name}", "kind": "http.endpoint", "meta": meta, "data": data}

        assert (await client.get("/new")).status_code == 404
        await app.registry.changes().create(entry("new", "/new")).apply()
        assert (await client.get("/new")).status_code == 200
        with pytest.raises(ProcessInvalid, match="which app:new has"):
            await app.registry.changes().create(entry("twice", "/new")).apply()
        router = app.registry.get("app:open")
        moved = {
            "id": router.id,
            "kind": router.kind,
            "meta": router.meta,
            "data": {"prefix": "/v2"},
        }
        await app.registry.changes().update(moved).delete("app:do").apply()
        statuses = [(await client.get(url)).status_code for url in ("/new", "/v2/new", "/v2/do/x")]
        assert statuses == [404, 200, 404]
        await app.registry.apply_version(1)
        assert (await client.get("/do/x")).status_code == 204
        service = app.registry.get("app:web")
        data = {**service.data, "max_body": 5}
        change = {"id": service.id, "kind": service.kind, "data": data}
        await app.registry.changes().update(change).apply()
        address = edge_of(app).sites["app:web"].address
        assert address is not None
        url = f"http://{address[0]}:{address[1]}/echo/1"
        assert (await client.post(url, content=b"123456")).status_code == 413


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ("kind: http.service, addr: localhost", 'addr: expected "host:port" or ":port"'),
        ("kind: http.service, addr: ':1', timeouts: {idle: 0}", "timeouts.idle: expected a dur"),
        ("kind: http.router, meta: {server: web}, middleware: [token_auth]",
         "options: expected token_auth with its store, got nothing"),
        ("kind: http.router, meta: {server: web}, prefix: api", 'prefix: expected a path that beg'),
        ("kind: http.router, meta: {server: open}", "meta.server: expected the id of a http.serv"),
        ("kind: http.router", "meta.server: expected"),
        ("kind: http.endpoint, meta: {router: open}, path: '/do/{x}', func: f",
         'path: expected a path of its own for GET, got "/do/{x}", which app:do has'),
        ("kind: http.endpoint, meta: {router: open}, path: /x",
         "expected exactly one of func and process, got neither"),
        ("kind: http.endpoint, meta: {router: open}, path: '/{a', func: f",
         "path: expected {name} as a whole segment"),
        ("kind: http.endpoint, meta: {router: open}, path: /x, func: f, method: get",
         'method: expected GET, POST, PUT, DELETE, PATCH, HEAD, OPTIONS or TRACE, got "get"'),
    ],
)  # fmt: skip
def test_wrong_entries_are_load_errors(
    entry: str, line: str, problems: Callable[..., list[str]]
) -> None:
    """HT1 and section 14: fields and their values."""
    text = f"{MAIN}  - {{name: wrong, {entry}}}\n"
    found = problems({"a.yaml": text, "code_of_http.py": CODE})
    assert any(f"entry app:wrong: {line}" in one for one in found), found


def test_without_the_extra_it_is_named(
    problems: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """HT1: an entry of the edge is a load error that says what to install."""
    for name in [name for name in sys.modules if name.startswith(("registry.edge", "hypercorn"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "registry.kinds.http", raising=False)
    monkeypatch.setitem(sys.modules, "hypercorn", None)
    found = problems({"a.yaml": MAIN, "code_of_http.py": CODE})
    assert any(
        'the extra "http" to be installed (pip install "trio-actors[http]")' in f for f in found
    )


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate with")
async def test_tls(path: Path) -> None:
    """`tls`: HTTPS, also HTTP/2, where requests share a connection; plain HTTP gets nothing."""
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
            "-keyout", "app/key.pem", "-out", "app/cert.pem", "-addext",
            "subjectAltName=IP:127.0.0.1"]  # fmt: skip
    await trio.run_process(made, capture_stderr=True)
    tls = {"cert": "cert.pem", "key": "key.pem"}
    async with served(path, {"app:web:tls": tls}) as (_, client):
        url = str(client.base_url).replace("http:", "https:")
        context = ssl.create_default_context(cafile="app/cert.pem")
        async with httpx.AsyncClient(verify=context, trust_env=False) as secure:
            assert (await secure.get(f"{url}/do/x")).status_code == 204
        async with httpx.AsyncClient(verify=context, trust_env=False, http2=True) as secure:
            answer = await secure.post(f"{url}/echo/1", content=b"in two")
            assert (answer.http_version, answer.json()["body"]) == ("HTTP/2", "in two")
            assert (await secure.post(f"{url}/echo/1", content=b"x" * 1001)).status_code == 413
            async with trio.open_nursery() as nursery:
                nursery.start_soon(secure.get, f"{url}/do/wait")
                await until(lambda: code().log == ["inner began"])
                assert (await secure.get(f"{url}/do/x")).status_code == 204
                nursery.cancel_scope.cancel()
        await until(lambda: code().log == ["inner began", "inner ended"])
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/do/x")


async def test_the_example_of_the_docs(write_app: WriteApp) -> None:
    """docs/how-to/http.md: what the page says it answers."""
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "http.md").read_text()
    text = page.split('```yaml title="app/main.yaml"\n')[1].split("```")[0]
    path = write_app({"main.yaml": text})
    async with served(path, {"app:web:addr": "127.0.0.1:0"}) as (_, client):
        for name, status in (("Ann", 200), ("nobody", 404)):
            answer = await client.get(f"/api/greetings/{name}")
            assert answer.status_code == status
            assert f"`{answer.text}`" in page


async def test_an_address_in_use_is_one_line(
    write_app: WriteApp, caplog: pytest.LogCaptureFixture
) -> None:
    """With the address and the entry, and no traceback: it is tried again later (Y34)."""
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    addr = f"127.0.0.1:{listener.socket.getsockname()[1]}"
    service = f"{{name: web, kind: http.service, addr: '{addr}', lifecycle: {{auto_start: true}}}}"
    async with listener, open_app(write_app({"a.yaml": f"namespace: a\nentries: [{service}]"})):
        pass
    told = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(told) == 1
    assert "a:web" in told[0].getMessage()
    assert f"failed: cannot listen on {addr}: " in told[0].getMessage()
    assert all(record.exc_info is None for record in caplog.records)
