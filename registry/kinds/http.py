"""`http.service`, `http.router` and `http.endpoint`: functions and processes behind HTTP.

A service is a process of the application's own, as a queue's consumer: it has actor and scope,
restarts, and stops in order. Endpoints are looked up by its requests, so they come and go without
a restart.

Rules: section 14 of functions.md (fields, HT1), HT7 (actor and scope), LD8 (lifecycle).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import attrs
import trio

from supervision import ServiceSpec
from trio_actors import ErrorKind, EventKind, ProcessContext, make_error
from trio_actors.fields import shown

from ..edge.middleware import Middleware, endpoint_firewall, token_auth
from ..edge.routes import Pattern, PatternError, Route, full_path
from ..edge.server import Tls, listen, log, serve
from ..edge.site import Endpoint, Limits, Site, WebApp
from ..fields import FunctionRef, HostRef, ProcessRef, Ref, Seconds, Text, Within, setting
from ..kind import BaseKind, Definition, Definitions, Finding
from .lifecycle import Lifecycle, lifecycle_findings
from .queues import RunningKind

if TYPE_CHECKING:
    from ..app import App

ServerRef = Annotated[str, Ref(("http.service",))]
RouterRef = Annotated[str, Ref(("http.router",))]
TokensRef = Annotated[str, Ref(("security.token_store",))]
Method = Literal["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"]
ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]]*)):(?P<port>\d{1,5})")
# The part of `stop_timeout` that running requests have; the rest is for what they leave behind.
GRACE = 0.8


@attrs.frozen(slots=True)
class Timeouts:
    """How long a client may take."""

    read: Seconds = setting("the body of a request", default=30.0)
    write: Seconds = setting("a part of a response", default=30.0)
    idle: Seconds = setting("the next request of a connection, with its headers", default=60.0)


@attrs.frozen(slots=True)
class TlsFields:
    """Certificate and key, as files seen from the application's directory."""

    cert: Text = setting("file of the certificate chain")
    key: Text = setting("file of the private key")


@attrs.frozen(slots=True)
class HttpService:
    """A server that listens on an address."""

    addr: Text = setting('where it listens: "host:port", or ":port" for all interfaces')
    timeouts: Timeouts = setting("how long a client may take", factory=Timeouts)
    max_body: Annotated[int, Within(1)] = setting(
        "bytes of a request's body or a websocket's message", default=1048576
    )
    tls: TlsFields | None = setting("certificate and key; without it plain HTTP", default=None)
    lifecycle: Lifecycle = setting("when it runs", factory=Lifecycle)


@attrs.frozen(slots=True)
class TokenAuth:
    """What `token_auth` needs."""

    store: TokensRef = setting("whose tokens are accepted")


@attrs.frozen(slots=True)
class RouterOptions:
    """Options of middleware, by its name."""

    token_auth: TokenAuth | None = setting("`store`: whose tokens are accepted", default=None)


@attrs.frozen(slots=True)
class PostOptions:
    """Options of post-middleware; none has any."""


@attrs.frozen(slots=True)
class RouterMeta:
    """Which server it belongs to."""

    server: ServerRef = setting("the server of its endpoints")


@attrs.frozen(slots=True)
class Router:
    """Endpoints with a common prefix and middleware."""

    prefix: str = setting("before the path of every endpoint", default="")
    middleware: tuple[Literal["token_auth"], ...] = setting("run first, in order", default=())
    options: RouterOptions = setting("their options", factory=RouterOptions)
    post_middleware: tuple[Literal["endpoint_firewall"], ...] = setting(
        "run after those, in order", default=()
    )
    post_options: PostOptions = setting("their options", factory=PostOptions)


@attrs.frozen(slots=True)
class EndpointMeta:
    """Which router it belongs to."""

    router: RouterRef = setting("whose prefix and middleware apply")


@attrs.frozen(slots=True)
class HttpEndpoint:
    """One method at one path."""

    path: Text = setting("begins with `/`; segments `{name}`, at the end also `{name:path}`")
    method: Method = setting("the method", default="GET")
    func: FunctionRef | None = setting("called with the request", default=None)
    process: ProcessRef | None = setting("instead of `func`: one per websocket", default=None)
    host: HostRef | None = setting("where `process` runs", default=None)


@attrs.define(slots=True, eq=False)
class Edge:
    """All servers of an application, and what they offer."""

    app: App
    sites: dict[str, Site] = attrs.field(factory=dict)
    routers: dict[str, Definition] = attrs.field(factory=dict)
    endpoints: dict[str, Definition] = attrs.field(factory=dict)

    def site(self, server: str) -> Site:
        """What a server offers; made when it is first asked for."""
        if server not in self.sites:
            self.sites[server] = Site(lambda: self._routes(server))
        return self.sites[server]

    def changed(self) -> None:
        """A router or endpoint has come, changed or gone."""
        for site in self.sites.values():
            site.changed()

    def _routes(self, server: str) -> Iterator[Route]:
        for endpoint in self.endpoints.values():
            router = self.routers.get(endpoint.meta.router)
            if router is not None and router.meta.server == server:
                yield self._route(endpoint, router)

    def _route(self, definition: Definition, router: Definition) -> Route:
        model: HttpEndpoint = definition.model
        middleware = middleware_of(self.app, router.model)
        endpoint = Endpoint(definition.id, model.func, model.process, model.host, middleware)
        pattern = Pattern.of(full_path(router.model.prefix, model.path))
        return Route(model.method, pattern, endpoint)


def edge_of(app: App) -> Edge:
    """The servers of an application; `edge_of(app).sites[id].address` is where one listens."""
    edge = app.node.extensions.get("http")
    if not isinstance(edge, Edge):
        edge = app.node.extensions["http"] = Edge(app)
    return edge


class HttpServiceKind(RunningKind):
    """`http.service`."""

    model = HttpService
    doc = "An HTTP server (extra `http`): its routers' endpoints call functions."

    def files(self, data: Mapping[str, Any]) -> Iterable[str]:
        """Certificate and key."""
        tls = data.get("tls")
        names = tls.values() if isinstance(tls, Mapping) else ()
        return [name for name in names if isinstance(name, str)]

    def findings(self, definition: Definition, others: Definitions) -> Iterable[Finding]:
        """Address, limits and lifecycle."""
        model: HttpService = definition.model
        if address_of(model.addr) is None:
            yield Finding(("addr",), '"host:port" or ":port"', shown(model.addr))
        for name in ("read", "write", "idle"):
            if getattr(model.timeouts, name) <= 0:
                yield Finding(("timeouts", name), "a duration above 0", "0")
        yield from lifecycle_findings(definition, others)

    def main_of(self, app: App, definition: Definition) -> Callable[..., Any]:
        """Listen, serve until CANCEL, stop within the limit."""

        async def main(ctx: ProcessContext) -> None:
            await run_service(ctx, app, definition)

        return main

    async def spec_of(self, app: App, definition: Definition) -> ServiceSpec:
        """It has started when it listens."""
        return attrs.evolve(await super().spec_of(app, definition), ready=True)

    async def remove(self, app: App, definition: Definition) -> None:
        """It has stopped, and its routes are gone."""
        await super().remove(app, definition)
        edge_of(app).sites.pop(definition.id, None)


async def run_service(ctx: ProcessContext, app: App, definition: Definition) -> None:
    """One run of a server: a process's main."""
    model: HttpService = definition.model
    address = address_of(model.addr)
    assert address is not None
    times, root = model.timeouts, app.application.root
    limits = Limits(times.read, times.write, times.idle, model.max_body)
    tls = None
    if model.tls is not None:
        tls = Tls(str(root / model.tls.cert), str(root / model.tls.key))
    site = edge_of(app).site(definition.id)
    site.limits = limits
    web = WebApp(site, ctx, trio.Event())
    try:
        listeners = await listen(*address, tls)
    except OSError as error:  # in use, say: no fault of this code, so no traceback
        text = f"cannot listen on {model.addr}: {error}"
        raise make_error(ErrorKind.UNAVAILABLE, text, retryable=True) from None
    site.address = bound_to(listeners[0])
    log.info("%s listens on %s port %d", definition.id, *site.address)
    ctx.started()
    try:
        async with trio.open_nursery() as nursery:
            grace = model.lifecycle.stop_timeout * GRACE
            nursery.start_soon(serve, web, listeners, limits, grace)
            async for event in ctx.events:
                if event.kind is EventKind.CANCEL:
                    break
            web.stopping.set()
    finally:
        site.address = None


def bound_to(listener: Any) -> tuple[str, int]:
    """Where a listener listens, with TLS or without."""
    name = getattr(listener, "transport_listener", listener).socket.getsockname()
    return name[0], name[1]


def address_of(text: str) -> tuple[str | None, int] | None:
    """Host and port of an address, host None for all interfaces; None if it is no address.

    >>> address_of("localhost:80"), address_of(":8080"), address_of("[::1]:1"), address_of("x")
    (('localhost', 80), (None, 8080), ('::1', 1), None)
    """
    found = ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        return None
    return found["six"] or found["host"] or None, int(found["port"])


class RouterKind(BaseKind):
    """`http.router`."""

    model = Router
    meta_model = RouterMeta
    doc = "Endpoints of a server with a common prefix and middleware (extra `http`)."

    def findings(self, definition: Definition, others: Definitions) -> Iterable[Finding]:
        """The prefix, and the options that its middleware needs."""
        model: Router = definition.model
        try:
            Pattern.of(model.prefix or "/")
        except PatternError as error:
            yield Finding(("prefix",), str(error), shown(model.prefix))
        if "token_auth" in model.middleware and model.options.token_auth is None:
            yield Finding(("options",), "token_auth with its store", "nothing")

    async def add(self, app: App, definition: Definition) -> None:
        """Its endpoints can come."""
        edge_of(app).routers[definition.id] = definition
        edge_of(app).changed()

    async def update(self, app: App, old: Definition, new: Definition) -> None:
        """Requests that come from now on go through the new one; there is no gap."""
        await self.add(app, new)

    async def remove(self, app: App, definition: Definition) -> None:
        """It is gone, as its endpoints are."""
        del edge_of(app).routers[definition.id]
        edge_of(app).changed()


class EndpointKind(BaseKind):
    """`http.endpoint`."""

    model = HttpEndpoint
    meta_model = EndpointMeta
    doc = "A function called by requests, or a process per websocket (extra `http`)."

    def findings(self, definition: Definition, others: Definitions) -> Iterable[Finding]:
        """Its path, what it leads to, and that nobody else has the same method and path (HT1)."""
        model: HttpEndpoint = definition.model
        try:
            Pattern.of(model.path)
        except PatternError as error:
            yield Finding(("path",), str(error), shown(model.path))
            return
        if (model.func is None) == (model.process is None):
            got = "neither" if model.func is None else "both"
            yield Finding((), "exactly one of func and process", got)
        if (model.process is None) != (model.host is None):
            yield Finding((), "process and host together", "only one of them")
        if model.process is not None and model.method != "GET":
            yield Finding(("method",), "GET, as websockets ask with it", shown(model.method))
        try:
            place = place_of(definition, others)
        except PatternError as error:  # of the router's prefix and its own path together
            yield Finding(("path",), str(error), shown(model.path))
            return
        for other in others.values():
            if other.kind != definition.kind or other.id >= definition.id or place is None:
                continue
            if _same_place(place, other, others):
                got = f"{shown(model.path)}, which {other.id} has"
                yield Finding(("path",), f"a path of its own for {model.method}", got)

    async def add(self, app: App, definition: Definition) -> None:
        """Requests that come from now on reach it."""
        edge_of(app).endpoints[definition.id] = definition
        edge_of(app).changed()

    async def update(self, app: App, old: Definition, new: Definition) -> None:
        """Requests that come from now on reach the new one; there is no gap."""
        await self.add(app, new)

    async def remove(self, app: App, definition: Definition) -> None:
        """Its path is unknown; running requests go on."""
        del edge_of(app).endpoints[definition.id]
        edge_of(app).changed()


def place_of(endpoint: Definition, others: Definitions) -> tuple[str, str, str] | None:
    """Server, method and shape of path; None without a router. Raises: PatternError."""
    router = others.get(endpoint.meta.router)
    if router is None or router.kind != "http.router":
        return None
    pattern = Pattern.of(full_path(router.model.prefix, endpoint.model.path))
    return router.meta.server, endpoint.model.method, pattern.shape


def _same_place(place: tuple[str, str, str], other: Definition, others: Definitions) -> bool:
    try:
        return place_of(other, others) == place
    except PatternError:
        return False


def middleware_of(app: App, router: Router) -> tuple[Middleware, ...]:
    """What a router's requests go through, in order."""
    chain: list[Middleware] = []
    for _ in router.middleware:
        assert router.options.token_auth is not None
        chain.append(token_auth(app.functions.security, router.options.token_auth.store))
    chain += [endpoint_firewall for _ in router.post_middleware]
    return tuple(chain)


HTTP_SERVICE = HttpServiceKind()
HTTP_ROUTER = RouterKind()
HTTP_ENDPOINT = EndpointKind()
