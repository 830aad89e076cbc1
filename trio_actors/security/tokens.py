"""Tokens that stand for an actor and a scope. Rules: SE20-SE22.

A token is random bytes as URL-safe base64; with a key the HMAC of it follows after a dot. The store
holds the actor and the ids of the policies, never the policies: `validate` takes them as they are
then, and a token with a policy that is gone is no good (fail closed). All refusals read the same.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trio_actors._core.current import current_or_none
from trio_actors._core.errors import ErrorKind, ProcessError, make_error
from trio_actors.fields import FieldError, duration
from trio_actors.permission import require
from trio_actors.security.actors import Actor
from trio_actors.security.policies import Scope

if TYPE_CHECKING:
    from trio_actors._core.node import Node
    from trio_actors.security.service import Security
    from trio_actors.security.store import MemoryStore

__all__ = ["TokenStore"]


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _invalid() -> ProcessError:
    return make_error(ErrorKind.INVALID, "invalid token")


class TokenStore:
    """Creates, checks and revokes tokens."""

    def __init__(
        self,
        node: Node,
        security: Security,
        id: str,
        store: MemoryStore,
        *,
        token_length: int = 32,
        default_expiration: float = 24 * 3600.0,
        token_key: str | None = None,
    ) -> None:
        self.id = id
        self._node = node
        self._security = security
        self._store = store
        self._length = token_length
        self._expiration = default_expiration
        self._key = None if token_key is None else token_key.encode("utf-8")
        self._closed = False

    def create(
        self,
        actor: Actor,
        scope: Scope,
        *,
        expiration: float | str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> str:
        """A token. Units: `expiration` in milliseconds or as a duration text (SE22)."""
        self._check("security.token.create")
        if not isinstance(actor, Actor):
            raise TypeError(f"expected an actor, not {type(actor).__name__}")
        if not isinstance(scope, Scope):
            raise TypeError(f"expected a scope, not {type(scope).__name__}")
        seconds = self._expiration
        if expiration is not None:
            try:
                seconds = duration(expiration, "expiration")
            except FieldError as error:
                raise error.as_invalid() from None
            if seconds <= 0:
                raise make_error(ErrorKind.INVALID, "expiration must be above 0")
        body = _base64(secrets.token_bytes(self._length))
        record = {
            "actor": actor,
            "policies": tuple(policy.id for policy in scope.policies()),
            "meta": dict(meta or {}),
        }
        self._store.set(self._slot(body), record, seconds)
        return body if self._key is None else f"{body}.{self._signature(body)}"

    def validate(self, token: str) -> tuple[Actor, Scope]:
        """Actor and scope of a token. Raises: ProcessInvalid `invalid token` (SE21)."""
        self._check("security.token.validate")
        return self.identify(token)

    def identify(self, token: str) -> tuple[Actor, Scope]:
        """As `validate`, without a permission: for edges, whose author chose the store (HT8)."""
        if self._closed:
            raise make_error(ErrorKind.UNAVAILABLE, "token store is closed")
        record = self._record(token)
        policies = [self._security.policies.get(id) for id in record["policies"]]
        known = [policy for policy in policies if policy is not None]
        if len(known) != len(policies):
            raise _invalid()
        return record["actor"], Scope(known)

    def revoke(self, token: str) -> None:
        """Ends a token. Raises: ProcessInvalid for one that is not valid."""
        self._check("security.token.revoke")
        self._record(token)
        self._store.delete(self._slot(token.partition(".")[0]))

    def close(self) -> None:
        """Later use is refused; repeatable (SE22)."""
        self._closed = True

    def _check(self, action: str) -> None:
        if self._closed:
            raise make_error(ErrorKind.UNAVAILABLE, "token store is closed")
        require(self._node, current_or_none(), action, self.id)

    def _record(self, token: str) -> dict[str, Any]:
        if not isinstance(token, str):
            raise TypeError(f"a token is a text, not {type(token).__name__}")
        body, dot, signature = token.partition(".")
        if self._key is None:
            genuine = not dot
        else:
            expected = self._signature(body)
            genuine = hmac.compare_digest(signature.encode("utf-8"), expected.encode("ascii"))
        record: dict[str, Any] | None = self._store.get(self._slot(body)) if genuine else None
        if record is None:
            raise _invalid()
        return record

    def _slot(self, body: str) -> str:
        """The key in the store: a hash, so that the store does not hold usable tokens."""
        return f"token:{self.id}:{hashlib.sha256(body.encode('utf-8')).hexdigest()}"

    def _signature(self, body: str) -> str:
        assert self._key is not None
        return _base64(hmac.new(self._key, body.encode("utf-8"), hashlib.sha256).digest())
