"""Stubs for Lua editors: LuaLS annotations and `.luarc.json`, from the table of reference.py.

`trio-actors lua APP --stubs DIR` writes them. Names of modules are globals in every script that
declares them, so they are globals in the stubs too.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from lua_bridge.reference import Name, Section, sections

STUBS = "trio_actors.lua"  # in the folder `.lua`, which editors need not list
OWN = ("coroutine", "string", "table", "utf8", "math", "os")  # the editor knows them
_TYPES = {"duration": "number|string|time.Duration", "error": "Error"}


def _type(text: str) -> str:
    return re.sub(r"\berror\b", "Error", text.strip())


def _returns(name: Name) -> list[str]:
    """One annotation per place: the type on success, joined with that on failure."""
    variants = [[_type(part) for part in result.split(", ")] for result in name.results]
    lines = []
    for place in range(max(map(len, variants), default=0)):
        types: list[str] = []
        for variant in variants:
            for type_ in variant[place].split("|") if place < len(variant) else ("nil",):
                if type_ not in types:
                    types.append(type_)
        lines.append(f"---@return {'|'.join(types)}")
    return lines


def _function(prefix: str, name: Name) -> list[str]:
    parameters = [parameter.partition(": ") for parameter in name.parameters or ()]
    lines = [f"---@param {word} {_type(type_)}" for word, _, type_ in parameters]
    words = ", ".join(word.rstrip("?") for word, _, _ in parameters)
    return [*lines, *_returns(name), f"function {prefix}{name.name}({words}) end", ""]


def _class(section: Section) -> str:
    return _type(section.name)


def _lines(section: Section) -> list[str]:
    module = section.name
    own = module in OWN
    if section.objects:
        local = "C_" + module.replace(".", "_")
        head = [f"---@class {_class(section)}", f"local {local} = {{}}", ""]
        prefix = local + ":"
    else:
        head = [] if own else [f"---{section.text}", f"{module} = {{}}", ""]
        prefix = module + "."
    body = []
    for name in section.names:
        if (own and name.parameters is None) or name.text == "Lua's":
            continue
        body.append(f"---{name.text}" + (f" (errors: {name.errors})" if name.errors else ""))
        if name.parameters is None:
            body += [f"{prefix}{name.name} = nil ---@type any", ""]
        else:
            body += _function(prefix, name)
    return head + body


def stubs() -> str:
    """Annotations of everything in the table."""
    lines = ["---@meta", "", *(f"---@alias {k} {v}" for k, v in _TYPES.items() if k != "error"), ""]
    ordered = sorted(sections(), key=lambda section: not section.objects)
    for section in ordered:
        lines += _lines(section)
    return "\n".join(lines)


def luarc() -> dict[str, object]:
    """The content of `.luarc.json` next to the folder of the stubs."""
    return {
        "runtime.version": "Lua 5.4",
        "workspace.library": [f".lua/{STUBS}"],
        "runtime.builtin": {"debug": "disable", "io": "disable", "package": "disable"},
    }


def write_stubs(directory: Path) -> list[Path]:
    """Writes `.luarc.json` and `.lua/trio_actors.lua` below a directory; gives their paths."""
    config, library = directory / ".luarc.json", directory / ".lua" / STUBS
    library.parent.mkdir(parents=True, exist_ok=True)
    library.write_text(stubs() + "\n", "utf-8")
    config.write_text(json.dumps(luarc(), indent=2) + "\n", "utf-8")
    return [config, library]
