"""Functions that only wait for messages, and how to see whether one has a task."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from trio_actors import Exit, Host
from trio_actors._core.carrier import SIGHT
from trio_actors._core.roaming import Roaming
from trio_actors._core.task import TaskDrive

WAYS = ["stepped", "task"]  # without a task at first, or with one from the start


def go(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets all functions of this test begin in this way."""
    if way == "task":
        monkeypatch.setattr(SIGHT, "asked", True)
        monkeypatch.setattr(SIGHT, "roaming", False)


def has_task(host: Host, pid: str) -> bool:
    """Whether a process has a task of its own."""
    drive = host.node.processes[pid].drive
    assert isinstance(drive, Roaming | TaskDrive)
    return drive.carrier is not None if isinstance(drive, Roaming) else drive.task is not None


def stepped(host: Host, pid: str) -> bool:
    """Whether a process began without a task."""
    return isinstance(host.node.processes[pid].drive, Roaming)


def here() -> int:
    """The task that runs, without keeping it."""
    return id(trio.lowlevel.current_task())


def shown(end: Exit) -> Any:
    """An exit as its value, or the text of its error."""
    return end.value if end.error is None else end.error.message
