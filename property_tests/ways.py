"""How programs are run: functions stepped at first or as tasks, and nothing written to the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from trio_actors._core.carrier import SIGHT


@contextmanager
def functions_begin(*, stepped: bool) -> Iterator[None]:
    """Inside, functions begin without a task of their own, or have one from the start."""
    if not SIGHT.asked:
        trio.run(_ask)
    before = SIGHT.roaming
    assert before or not stepped, "this version of Trio does not let them"
    SIGHT.roaming = stepped
    try:
        yield
    finally:
        SIGHT.roaming = before


async def _ask() -> None:
    SIGHT.ask()


@contextmanager
def unlogged() -> Iterator[None]:
    """Inside, nothing is logged: programs fail on purpose."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
