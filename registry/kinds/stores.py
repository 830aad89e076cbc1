"""`store.memory` and `security.token_store`. Rules: SE20, SE22, SE23."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import attrs

from trio_actors.security.store import MemoryStore
from trio_actors.security.tokens import TokenStore

from ..fields import Ref, Seconds, Text, Within, setting
from ..kind import BaseKind, Definition

if TYPE_CHECKING:
    from ..app import App

StoreRef = Annotated[str, Ref(("store.memory",))]


@attrs.frozen(slots=True)
class MemoryStoreFields:
    """A store of keys and values in memory."""

    max_size: Annotated[int, Within(0)] = setting("keys at most, 0 = unlimited", default=0)
    cleanup_interval: Seconds = setting("how often expired values are taken out", default=60.0)


@attrs.frozen(slots=True)
class TokenStoreFields:
    """Tokens that stand for an actor and a scope."""

    store: StoreRef = setting("where the tokens are kept")
    token_length: Annotated[int, Within(16)] = setting("random bytes of a token", default=32)
    default_expiration: Seconds = setting("how long a token is good", default=86400.0)
    token_key: Text | None = setting("signs tokens (HMAC-SHA256)", default=None)


class MemoryStoreKind(BaseKind):
    """`store.memory`."""

    model = MemoryStoreFields
    irrevocable = True
    doc = "Keys and values in memory, with times to live; gone when the application ends."

    async def add(self, app: App, definition: Definition) -> None:
        """The store is empty and ready."""
        model: MemoryStoreFields = definition.model
        app.functions.security.stores[definition.id] = MemoryStore(
            app.node,
            definition.id,
            max_size=model.max_size,
            cleanup_interval=model.cleanup_interval,
        )

    async def update(self, app: App, old: Definition, new: Definition) -> None:
        """Its values stay, its limits change."""
        model: MemoryStoreFields = new.model
        store = app.functions.security.stores[new.id]
        store.limit(model.max_size, model.cleanup_interval)

    async def remove(self, app: App, definition: Definition) -> None:
        """Its values are gone."""
        app.functions.security.stores.pop(definition.id).close()


class TokenStoreKind(BaseKind):
    """`security.token_store`."""

    model = TokenStoreFields
    doc = "Tokens that stand for an actor and the policies of a scope."

    async def add(self, app: App, definition: Definition) -> None:
        """Tokens can be created when this returns."""
        model: TokenStoreFields = definition.model
        security = app.functions.security
        security.token_stores[definition.id] = TokenStore(
            app.node,
            security,
            definition.id,
            security.stores[model.store],
            token_length=model.token_length,
            default_expiration=model.default_expiration,
            token_key=model.token_key,
        )

    async def remove(self, app: App, definition: Definition) -> None:
        """Its tokens are refused."""
        app.functions.security.token_stores.pop(definition.id).close()


STORE_MEMORY = MemoryStoreKind()
TOKEN_STORE = TokenStoreKind()
