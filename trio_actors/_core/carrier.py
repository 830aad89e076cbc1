"""A task of a host that steps processes, and sees whether their code is tied to it.

The theory: code may be stepped now by this task and then by another one as long as nothing that it
keeps belongs to the task where it has run: an open cancel scope or nursery, a lock, the task object
itself. Whatever holds a task shows in its reference count. Only a scope does not: it is found in
the one attribute of a task that changes when a scope is entered. Which that is, is seen by entering
one; a version of Trio in which it cannot be seen has no such attribute, and processes that are
functions have their task from the start.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from math import inf
from operator import attrgetter
from sys import getrefcount
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any

import trio
from trio.lowlevel import Task, current_task

if TYPE_CHECKING:
    from trio_actors._core.process import Process


def _innermost(task: Task) -> Callable[[Task], Any] | None:
    """What tells the innermost scope of a task from others; called in that task."""
    members = [m for m in vars(type(task)).values() if isinstance(m, MemberDescriptorType)]

    def look() -> list[Any]:
        return [getattr(task, member.__name__, None) for member in members]

    before = look()
    with trio.CancelScope():
        inside = look()
    rows = zip(members, before, inside, look(), strict=True)
    changed = [m for m, first, within, last in rows if first is last is not within]
    return attrgetter(changed[0].__name__) if len(changed) == 1 else None


def _nurseries(task: Task) -> Any:
    return task.child_nurseries or None


class Sight:
    """What can be seen of the tasks of this version of Trio; asked once, in a task."""

    def __init__(self) -> None:
        self.asked = False
        self.roaming = False  # whether it can be seen if code is tied to a task
        self.innermost: Callable[[Task], Any] = _nurseries

    def ask(self) -> None:
        """Called in a task; repeatable."""
        if not self.asked:
            found = _innermost(current_task())
            self.asked = True
            self.roaming = found is not None
            self.innermost = found or _nurseries


SIGHT = Sight()


class Carrier:
    """A task that steps processes, or that belongs to one of them while its code waits."""

    __slots__ = ("_free", "context", "innermost", "references", "scope", "stepping", "task")
    context: Context  # its own, to which it returns
    scope: trio.CancelScope  # around all code; a new one when it was used

    def __init__(self) -> None:
        self.task = current_task()
        self.context = self.task.context
        self.stepping = True  # else it waits until it is wanted
        # What is tied to the task before code of processes comes; set by who steps it.
        self.innermost: Any = None
        self.references = 0
        self._free = getrefcount(self.task) + 1  # with the local variable of `Dispatcher._carry`

    def untied(self) -> bool:
        """Whether the code that it has stepped may go on in another task."""
        return (
            SIGHT.innermost(self.task) is self.innermost
            and getrefcount(self.task) <= self.references
        )

    def free(self) -> bool:
        """Whether nobody keeps anything of it, outside its scope."""
        task = self.task
        return not task.child_nurseries and getrefcount(task) <= self._free + 1

    def limit(self, process: Process) -> None:
        """Its code is to see when it has to end."""
        self.scope.deadline = process.deadline

    def used(self) -> bool:
        """True if its scope cannot be around the code of others any more."""
        scope = self.scope
        return scope.cancel_called or scope.deadline != inf
