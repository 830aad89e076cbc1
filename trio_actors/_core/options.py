"""The options of a process as its code sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_actors._core.errors import ErrorKind, make_error

if TYPE_CHECKING:
    from trio_actors._core.context import ProcessContext


class Options:
    """A process's options as attributes (O1-O3): `trap_links`, `upgradable`; false unless set."""

    __slots__ = ("_context",)

    def __init__(self, context: ProcessContext) -> None:
        self._context = context

    @property
    def trap_links(self) -> bool:
        """Whether LINK_DOWN arrives as an event instead of ending the process (K14, K15)."""
        return self._context.process.trap_links

    @trap_links.setter
    def trap_links(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise make_error(ErrorKind.INVALID, "trap_links must be a boolean")
        self._context.process.trap_links = value

    @property
    def upgradable(self) -> bool:
        """Whether OUTDATED comes when the registry has newer code of this process's id."""
        return self._context.process.upgradable

    @upgradable.setter
    def upgradable(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise make_error(ErrorKind.INVALID, "upgradable must be a boolean")
        self._context.process.upgradable = value
