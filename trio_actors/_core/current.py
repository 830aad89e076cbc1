"""Which frame is running: the process or function call that the current task belongs to."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from trio_actors._core.errors import ErrorKind, make_error

if TYPE_CHECKING:
    from trio_actors._core.context import ProcessContext
    from trio_actors._core.process import Process


class Stepping:
    """What a dispatcher's task holds in place of a context: the process it steps right now."""

    __slots__ = ("process",)

    def __init__(self) -> None:
        self.process: Process | None = None


running: ContextVar[ProcessContext | Stepping] = ContextVar("trio_actors.running")


def current() -> ProcessContext:
    """The context of the running process or function call, in any task that it started (DE12).

    Raises:
        ProcessInvalid: `no process context`, outside every process and function call.
    """
    context = current_or_none()
    if context is None:
        raise make_error(ErrorKind.INVALID, "no process context")
    return context


def current_or_none() -> ProcessContext | None:
    """As `current`; None outside every process and function call."""
    context = running.get(None)
    if isinstance(context, Stepping):
        return None if context.process is None else context.process.context
    return context
