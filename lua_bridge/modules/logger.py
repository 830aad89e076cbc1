"""The Python half of the Lua module `logger` and of the global `print` (E8): to `logging`.

Records go to the logger ``trio_actors.lua`` (or below it, when the script named one) and carry
``pid``, ``entry`` and ``fields`` as attributes, for any formatter or structlog processor.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from lua_bridge.modules import LuaModule
from trio_actors import ProcessContext

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+){0,7}\Z")


def _log(ctx: ProcessContext, level: str, name: Any, message: Any, fields: Any) -> None:
    logger = logging.getLogger("trio_actors.lua")
    if isinstance(name, str) and name:
        if _NAME.match(name) and len(name) <= 100:
            logger = logger.getChild(name)
        else:  # loggers live for ever: only plain names make one
            fields = {**_mapping(fields), "logger": name}
    number = LEVELS.get(level, logging.INFO)
    if logger.isEnabledFor(number):
        extra = {"pid": ctx.pid, "entry": ctx.id, "fields": _mapping(fields)}
        logger.log(number, "%s", _text(message), extra=extra)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _mapping(fields: Any) -> dict[str, Any]:
    return {_text(key): value for key, value in fields.items()} if isinstance(fields, dict) else {}


MODULE = LuaModule("logger", operations={"log": _log})
