"""A piece of Lua source as it is written in an entry (E1): plain data, nothing runs."""

import itertools
from collections.abc import Mapping

import attrs

_numbers = itertools.count(1)


@attrs.frozen(eq=False)
class Script:
    """Source text with what it may use.

    Attributes:
        id: registry id of the entry.
        source: Lua text.
        path: shown in errors, `app/users.lua:3:`; the id if the text has no file of its own.
        modules: names of Lua modules.
        imports: alias -> library (E4).
    """

    id: str
    source: str
    path: str = ""
    modules: tuple[str, ...] = ()
    imports: Mapping[str, "Script"] = attrs.field(factory=dict)
    number: int = attrs.field(init=False, factory=lambda: next(_numbers))

    @property
    def key(self) -> str:
        """Names this very text in a state; a new version of an entry has another key."""
        return f"{self.id}#{self.number}"

    @property
    def place(self) -> str:
        """Where the text begins, `path:line`; empty lines before it stand for those of its file."""
        line = 1 + len(self.source) - len(self.source.lstrip("\n"))
        return f"{self.path or self.id}:{line}"

    @property
    def chunkname(self) -> str:
        """For Lua: positions read `path:line:`."""
        return "@" + (self.path or self.id)
