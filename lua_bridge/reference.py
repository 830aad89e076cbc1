"""What scripts can name, read from lua/reference.txt: the source of the documentation page.

A test compares the table with a sandbox. page.py makes the documentation of it, stubs.py the
annotations for editors, and nearest.py the suggestions in error messages.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

import attrs

_SECTION = re.compile(r"== (?P<name>[\w.]+)(?P<objects>:)?(?P<always> always)?")
_LINE = re.compile(
    r"(?P<names>\w+(?: \w+)*)(?P<args>\(.*?\))?(?: -> (?P<results>.*?))?"
    r" ; (?P<text>.*?)(?: ; (?P<errors>.*))?"
)


@attrs.frozen
class Name:
    """One name of a module or a method of an object.

    Attributes:
        parameters: `name: type`, a `?` behind an optional name; None for what is no function.
        results: what it returns, and how it fails: a list of types, separated by commas.
        errors: kinds of the errors, or what is raised.
    """

    name: str
    parameters: tuple[str, ...] | None
    results: tuple[str, ...]
    text: str
    errors: str

    @property
    def signature(self) -> str:
        """As it stands in the documentation: `send(destination, topic, ...)`."""
        if self.parameters is None:
            return self.name
        shown = ""
        for parameter in self.parameters:
            word = parameter.partition(":")[0]
            part = f", {word}" if shown else word
            shown += f" [{part.replace('?', '')}]" if word.endswith("?") else part
        return f"{self.name}({shown})".replace("( [", "([")


@attrs.frozen
class Section:
    """A module, or a class of objects (`objects`).

    Attributes:
        listed: names that are Lua's own stand in one line of the table.
    """

    name: str
    objects: bool
    always: bool
    text: str
    names: tuple[Name, ...]
    listed: tuple[tuple[Name, ...], ...]


def _names(line: str) -> tuple[Name, ...]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"reference.txt: cannot read {line!r}")
    inner = match["args"]
    parameters = None if inner is None else tuple(p for p in inner[1:-1].split(", ") if p)
    results = tuple((match["results"] or "").split(" | ")) if match["results"] else ()
    return tuple(
        Name(name, parameters, results, match["text"], match["errors"] or "")
        for name in match["names"].split()
    )


def _section(text: str) -> Section:
    head, *lines = text.strip().splitlines()
    match = _SECTION.fullmatch("== " + head)
    if match is None:
        raise ValueError(f"reference.txt: cannot read the heading {head!r}")
    prose = lines.pop(0) if lines and " ; " not in lines[0] else ""
    listed = tuple(_names(line) for line in lines)
    names = tuple(name for group in listed for name in group)
    always = match["always"] is not None
    return Section(match["name"], match["objects"] is not None, always, prose, names, listed)


@cache
def sections() -> tuple[Section, ...]:
    """All of the table, in its order."""
    text = resources.files("lua_bridge").joinpath("lua", "reference.txt").read_text("utf-8")
    return tuple(_section(part) for part in re.split(r"^== ", text, flags=re.M)[1:])
