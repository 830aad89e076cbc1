"""Where the code of each process waits, as lines of source for people.

A task belongs to the process that `current()` gives in it: that of its main function, the tasks of
nurseries that this opened, its child tasks, and a function that it calls.
"""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from types import FrameType

import trio

from trio_actors._core.current import running
from trio_actors._core.process import Process

SHOWN = 5  # places of one process
FRAMEWORK = ("trio.", "trio_actors.", "supervision.", "outcome")
# In these a local variable `target` or `process` is the process whose answer or end is awaited.
AWAITING = {"trio_actors._core.ask": "target", "trio_actors._core.spawn": "process"}


class Places:
    """The tasks of this Trio run by process, at one moment."""

    def __init__(self) -> None:
        self._tasks: dict[Process, list[trio.lowlevel.Task]] = {}
        root = trio.lowlevel.current_root_task()
        for task in _with_children(root) if root is not None else ():
            context = task.context.get(running)
            process = getattr(context, "_process", None)  # a function that nobody knows has none
            if isinstance(process, Process):
                self._tasks.setdefault(process, []).append(task)

    def of(self, process: Process) -> list[str]:
        """The lines where a process waits, that of its main function first; at most SHOWN."""
        drive = process.drive
        line = place(drive.frames(), process) or drive.line()
        tasks = self._tasks.get(process, ())
        others = {place(task.iter_await_frames(), process) for task in tasks}
        rest = sorted(other for other in others if other and other != line)
        lines = [line, *rest] if line else rest
        more = len(lines) - SHOWN
        return lines if more <= 0 else [*lines[:SHOWN], f"{more} more places"]


def _with_children(root: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    waiting = [root]
    while waiting:
        task = waiting.pop()
        yield task
        for nursery in task.child_nurseries:
            waiting.extend(nursery.child_tasks)


def place(frames: Iterator[tuple[FrameType, int]], process: Process) -> str:
    """The innermost line that is no framework's, and the process that it waits for.

    Of a supervisor, which has no such line, the function of its own.
    """
    found = whom = inside = ""
    for frame, line in frames:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(FRAMEWORK):
            whom = _awaited(module, frame, process) or whom
            if module.startswith("supervision."):
                inside = inside or f"{module}.{frame.f_code.co_qualname}"
        else:
            name = frame.f_code.co_filename
            found, whom = f"{name}:{line}: {linecache.getline(name, line).strip()}", ""
    return f"{found} (for {whom})" if found and whom else found or inside


def _awaited(module: str, frame: FrameType, process: Process) -> str:
    name = AWAITING.get(module)
    other = frame.f_locals.get(name) if name is not None else None
    return other.pid if isinstance(other, Process) and other is not process else ""
