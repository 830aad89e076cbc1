"""Under whose actor and scope a request runs, and whether it runs at all.

`token_auth` sets actor and scope from a bearer token; `endpoint_firewall` refuses what the scope
does not allow. Rule: HT8. The author of a router chose its token store, so no permission is needed
for looking tokens up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

import attrs

from trio_actors import ProcessContext, ProcessError
from trio_actors._core.inherited import Inherited, extend, permitted

from .exchange import Reply, refusal

if TYPE_CHECKING:
    from trio_actors.security.service import Security


@attrs.frozen(slots=True)
class Asking:
    """What middleware knows of a request: it runs before the body is read."""

    method: str
    # The pattern of the endpoint, as `/users/{id}`.
    pattern: str
    headers: Mapping[str, str]


class Middleware(Protocol):
    """Gives the security context to go on with, or the reply that refuses."""

    def __call__(
        self, ctx: ProcessContext, asking: Asking, inherited: Inherited
    ) -> Inherited | Reply: ...


def bearer(headers: Mapping[str, str]) -> str | None:
    """The bearer token of a request.

    >>> bearer({"authorization": "Bearer abc"}), bearer({"authorization": "Basic abc"}), bearer({})
    ('abc', None, None)
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def token_auth(security: Security, store: str) -> Middleware:
    """Actor and scope of a valid token; without one as before (HT8)."""

    def run(ctx: ProcessContext, asking: Asking, inherited: Inherited) -> Inherited:
        token, tokens = bearer(asking.headers), security.token_stores.get(store)
        if token is None or tokens is None:
            return inherited
        try:
            actor, scope = tokens.identify(token)
        except ProcessError:
            return inherited
        return extend(inherited, actor=actor, scope=scope)

    return run


def endpoint_firewall(
    ctx: ProcessContext, asking: Asking, inherited: Inherited
) -> Inherited | Reply:
    """401 without actor, 403 if the scope does not allow `http.request` (HT8)."""
    if inherited.actor is None:
        challenge = ("www-authenticate", "Bearer")
        return refusal(401, "PermissionDenied", "authentication required", challenge)
    node, resource = ctx.node, f"{asking.method} {asking.pattern}"
    if not permitted(node.guard, True, inherited, ctx.pid, "http.request", resource):
        return refusal(403, "PermissionDenied", f"not allowed: {resource}")
    return inherited


def run_all(
    middleware: Iterable[Middleware], ctx: ProcessContext, asking: Asking
) -> Inherited | Reply:
    """One after the other, beginning with what the service has; the first reply ends it."""
    inherited = ctx.inherited
    for step in middleware:
        outcome = step(ctx, asking, inherited)
        if isinstance(outcome, Reply):
            return outcome
        inherited = outcome
    return inherited
