"""A mistyped name of a module, function or method gets a suggestion in its error message (pure).

Lua itself says `attempt to call a nil value (method 'recieve')`. At the end of a process, where the
message leaves the script, the nearest name of reference.py is added. What a script catches itself
reads as in any Lua.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache

from lua_bridge.reference import sections
from trio_actors.fields import nearest

_NIL = re.compile(r"attempt to (?:call|index) a nil value \((method|field|global) '(\w+)'\)")
_MODULE = re.compile(r"module '(\w+)' not found")
CUTOFF = 0.75  # names of a script's own are left alone
_GLOBALS = """
assert error getmetatable ipairs load next pairs pcall print rawequal rawget rawlen rawset
require select setmetatable tonumber tostring type xpcall
"""
GLOBALS = frozenset(_GLOBALS.split())


@cache
def _modules() -> frozenset[str]:
    return frozenset(s.name for s in sections() if not s.objects and "." not in s.name)


@cache
def _names(kind: str) -> frozenset[str]:
    if kind == "global":
        return _modules() | GLOBALS
    wanted = [s for s in sections() if s.objects or kind == "field"]
    return frozenset(name.name for section in wanted for name in section.names)


def guess(word: str, known: Collection[str]) -> str:
    """`; did you mean 'x'?` if a known name is near, else nothing."""
    near = nearest(word, known, CUTOFF)
    return f"; did you mean '{near}'?" if near else ""


def module_guess(word: str) -> str:
    """The same for the name of a module."""
    return guess(word, _modules())


def with_guess(message: str) -> str:
    """The message of an error that left a script, with a suggestion if a name was mistyped.

    >>> with_guess("a.lua:3: attempt to call a nil value (method 'recieve')")
    "a.lua:3: attempt to call a nil value (method 'recieve'); did you mean 'receive'?"
    >>> with_guess("module 'json' not found")
    "module 'json' not found; is it missing under modules of the entry?"
    """
    if "nil value (" in message:
        found = _NIL.search(message)
        if found is None or found.end() != len(message):
            return message
        kind, word = found.groups()
        if kind == "global" and word in _modules():
            return f"{message}; is it missing under modules of the entry?"
        return message if word in _names(kind) else message + guess(word, _names(kind))
    if "' not found" in message:
        missing = _MODULE.search(message)
        if missing is not None and missing.end() == len(message):
            if missing[1] in _modules():
                return f"{message}; is it missing under modules of the entry?"
            return message + module_guess(missing[1])
    return message
