"""Where a test harness gets hold of a node: whoever opens it, it is offered here first."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio_actors._core.node import Node

adopting: ContextVar[Callable[[Node], None] | None] = ContextVar(
    "trio_actors.adopting", default=None
)


def offer(node: Node) -> None:
    """Lets a simulation, if one runs, take over delivery, time and randomness of a new node."""
    adopt = adopting.get()
    if adopt is not None:
        adopt(node)
