"""The Lua module `queue`.  Rules QU1-QU9, see `trio_actors.queues`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from lua_bridge.modules import LuaModule
from trio_actors import ProcessContext
from trio_actors.queues import message_of, queues_of


async def _publish(ctx: ProcessContext, id: str, data: Any = None, headers: Any = None) -> bool:
    given = headers if isinstance(headers, Mapping) else None
    await queues_of(ctx.node).publish(id, data, given, caller=ctx)
    return True


def _info(ctx: ProcessContext, id: str) -> dict[str, int]:
    return attrs.asdict(queues_of(ctx.node).info(id))


def _present(ctx: ProcessContext) -> bool:
    message_of(ctx).id()
    return True


async def _ack(ctx: ProcessContext) -> bool:
    await message_of(ctx).ack()
    return True


async def _nack(ctx: ProcessContext) -> bool:
    await message_of(ctx).nack("refused by the handler")
    return True


MODULE = LuaModule(
    "queue",
    operations={
        "publish": _publish,
        "info": _info,
        "present": _present,
        "id": lambda ctx: message_of(ctx).id(),
        "headers": lambda ctx: message_of(ctx).headers(),
        "header": lambda ctx, key: message_of(ctx).header(key),
        "attempt": lambda ctx: message_of(ctx).attempt(),
        "ack": _ack,
        "nack": _nack,
    },
)
