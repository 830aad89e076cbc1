"""The async programs again, each process of them with a Trio task of its own from the start.

Code that waits for nothing but its messages has no task. Here functions are started with one, as
where it cannot be seen whether code is tied to a task (carrier.py), and servers get theirs by a
checkpoint in `init`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import trio
from awaiting import AWAITING
from harness import Better, Program, Workload
from servers import Servers

from trio_actors import Server
from trio_actors._core.carrier import SIGHT

FUNCTION, SERVER, LIMIT = "async function", "async handlers", "thinnest"


def _waiting(kind: type[Server]) -> type[Server]:
    """The same server; its `init` takes a checkpoint."""

    class Waiting(kind):  # type: ignore[misc,valid-type]
        async def init(self, *args: Any) -> None:
            await trio.lowlevel.checkpoint()
            begun = super().init(*args)
            if begun is not None:
                await begun

    return Waiting


TASKED = Servers(*(_waiting(getattr(AWAITING, field.name)) for field in attrs.fields(Servers)))


def with_a_task_each(workloads: Iterable[Workload]) -> Iterator[Workload]:
    """The floors, what is thinnest possible with a task each, and our programs with tasks."""
    for workload in workloads:
        if workload.better is Better.LOWER:  # those are measured in programs of their own
            continue
        programs = [_with_tasks(program) for program in workload.programs[1:]]
        ours = [program for program in programs if program is not None]
        if any(program.goal is not None for program in ours):
            yield attrs.evolve(workload, programs=(workload.programs[0], *ours))


def _with_tasks(program: Program) -> Program | None:
    servers = getattr(program.run, "__self__", None)
    if program.name == SERVER and servers is AWAITING:
        return attrs.evolve(program, run=getattr(TASKED, program.run.__name__))
    if program.name == FUNCTION or program.name in (
        f"{LIMIT} task",
        f"{LIMIT} possible, a task each",
    ):
        return program
    return None


@contextmanager
def functions_have_tasks() -> Iterator[None]:
    """Inside, functions are started with a task."""
    before = SIGHT.asked, SIGHT.roaming
    SIGHT.asked, SIGHT.roaming = True, False
    try:
        yield
    finally:
        SIGHT.asked, SIGHT.roaming = before
