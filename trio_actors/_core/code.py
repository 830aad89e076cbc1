"""From a target to code: what can be spawned, and how its body is driven.

A *target* is a coroutine function, a class that makes its own body (a `Server`), or a registry id
that one of the node's code sources knows. A *body* is the code of one process. What runs it is a
*drive* (drive.py): a Trio task of its own, or its host's dispatcher that steps it; what a process
is does not depend on it (design.md §5).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from trio_actors._core.mailbox import Mailbox, PythonMailbox
from trio_actors._core.task import TaskDrive

if TYPE_CHECKING:
    from trio_actors._core.context import ProcessContext
    from trio_actors._core.drive import Drive
    from trio_actors._core.host import Host
    from trio_actors._core.process import Process

ProcessFunction = Callable[..., Awaitable[Any]]


class Body(Protocol):
    """The code of one process, bound to its arguments."""

    def make_mailbox(self, process: Process) -> Mailbox:
        """The mailbox that this code reads from."""
        ...

    def attach(self, process: Process) -> Drive:
        """The drive that will run this code; nothing runs before its `start`."""
        ...


@runtime_checkable
class Target(Protocol):
    """A definition that processes can be started from."""

    @property
    def id(self) -> str:
        """Registry id; also the resource of permission checks."""
        ...

    def prepare(self, host: Host, args: tuple[Any, ...]) -> Body:
        """A body for these arguments; runs inside spawn and never awaits (E5).

        Raises:
            ProcessError: the spawn fails with it and no PID comes into being (E6).
        """
        ...


class TargetMaker(Protocol):
    """What makes its own definition: a Server class, a Supervisor."""

    def __process_target__(self) -> Target:
        """The definition."""
        ...


class CodeSource(Protocol):
    """Knows definitions by registry id."""

    def find(self, id: str) -> Target | None:
        """The definition of this id, or None."""
        ...


class TaskBody:
    """Base of bodies that run as a Trio task: `run(ctx)` is awaited, its end is the exit."""

    __slots__ = ()

    def make_mailbox(self, process: Process) -> Mailbox:
        """The ordinary mailbox of Python code."""
        if process.host.copy_messages:
            from trio_actors._core.copying import CopyingMailbox

            return CopyingMailbox(process.node.hand)
        return PythonMailbox(process.node.hand)

    def attach(self, process: Process) -> Drive:
        """A task of the host's nursery."""
        return TaskDrive(process, self)

    def run(self, ctx: ProcessContext) -> Awaitable[Any]:
        """The code itself; what it returns or raises is the exit result (§1.5)."""
        raise TypeError(f"{type(self).__name__} has no run method")

    def interrupted(self) -> None:
        """Told at once that the code will be stopped, before its task is cancelled (T6)."""
