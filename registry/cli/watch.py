"""`run --watch`: edits of the application's files become changes of the running registry.

The files are looked at twice a second. A set of files that is wrong changes nothing, and its
problems are shown; a right one is applied as one change set, and what it did is shown, or why it
was refused. Python modules are not imported again (DE15).

Rules: LD3, RG5.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import trio

from trio_actors import ProcessError

from ..app import App
from ..changes import Op
from ..definitions import read_application
from ..problems import LoadError

PERIOD = 0.5  # seconds
DATABASES = (".sqlite", ".sqlite-wal", ".sqlite-shm", ".sqlite-journal")

Marks = Mapping[str, tuple[int, int]]


def fingerprint(root: Path) -> Marks:
    """Time of change and size of every file below a directory.

    Dot directories are skipped, and SQLite files, which the application itself may write.
    """
    marks = {}
    for directory, subdirectories, names in os.walk(root):
        subdirectories[:] = [d for d in subdirectories if not d.startswith((".", "__"))]
        for name in names:
            if name.endswith(DATABASES):
                continue
            path = os.path.join(directory, name)
            try:
                status = os.stat(path)
            except FileNotFoundError:  # gone since it was listed
                continue
            marks[path] = (status.st_mtime_ns, status.st_size)
    return marks


def shown(op: Op) -> str:
    """An operation as a line: `+ app:x`, `~ app:x`, `- app:x`."""
    sign = {"entry.create": "+", "entry.update": "~", "entry.delete": "-"}[op.kind]
    return f"{sign} {op.id}"


async def apply_edits(app: App, path: Path, overrides: Sequence[str]) -> str:
    """Read the files again and apply what changed; returns what to tell the user."""
    try:
        edited = read_application(path, overrides, catalog=app.application.catalog)
    except LoadError as error:
        return f"nothing applied, the files have problems:\n{error}"
    entries = {id: definition.entry for id, definition in edited.definitions.items()}
    ops = app.registry.build_delta(app.registry.snapshot(), entries)
    if not ops:
        return ""
    lines = "\n".join(shown(op) for op in ops)
    try:
        version = await app.registry.apply(ops)
    except ProcessError as error:
        return f"refused:\n{lines}\n{error}"
    return f"applied as {version}:\n{lines}"


async def watch(app: App, path: Path, overrides: Sequence[str]) -> None:
    """Apply edits until cancelled."""
    root = app.application.root
    seen = fingerprint(root)
    while True:
        await trio.sleep(PERIOD)
        now = fingerprint(root)
        if now != seen:
            seen = now
            text = await apply_edits(app, path, overrides)
            if text:
                sys.stderr.write(f"watch: {text}\n")
