"""`run --watch`: edits of the application's files become changes of the running registry.

The files are looked at twice a second, in a thread, and read when none of the application's has
changed between two looks: an editor may be writing. Those are its entry files, Python modules, and
the texts that entries name by `file://`; what else is written beside them, a log or a database,
does not count. A set of files that is wrong changes nothing, and its problems are
shown; of a right one what was edited is applied as one change set, on top of what was changed while
the program ran, and what it did is shown, or why it was refused. Python modules are not imported
again (DE15). Whatever is wrong with the files, the application goes on, and it is said once.

Rules: LD3, RG5.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

import trio

from trio_actors import ProcessError

from ..app import App
from ..changes import Op
from ..definitions import read_application
from ..files import SUFFIXES, included_files
from ..problems import LoadError

log = logging.getLogger("trio_actors.registry")
PERIOD = 0.5  # seconds
SOURCES = (*SUFFIXES, ".py")

Marks = Mapping[str, tuple[int, int]]


def fingerprint(root: Path) -> Marks:
    """Time of change and size of every file below a directory; dot directories are skipped."""
    marks = {}
    for directory, subdirectories, names in os.walk(root):
        subdirectories[:] = [d for d in subdirectories if not d.startswith((".", "__"))]
        for name in names:
            path = os.path.join(directory, name)
            try:
                status = os.stat(path)
            except OSError:  # gone since it was listed, or not to be seen
                continue
            marks[path] = (status.st_mtime_ns, status.st_size)
    return marks


def counted(marks: Marks, named: Collection[str]) -> Marks:
    """Those of the application: `named` are the files whose text an entry has."""
    return {path: mark for path, mark in marks.items() if path.endswith(SOURCES) or path in named}


def shown(op: Op) -> str:
    """An operation as a line: `+ app:x`, `~ app:x`, `- app:x`."""
    sign = {"entry.create": "+", "entry.update": "~", "entry.delete": "-"}[op.kind]
    return f"{sign} {op.id}"


async def apply_edits(app: App, path: Path, overrides: Sequence[str]) -> str:
    """Read the files again and apply what was edited; returns what to tell the user."""
    read = partial(read_application, path, overrides, catalog=app.application.catalog)
    try:
        edited = await app.node.blocking(read)
    except LoadError as error:
        return f"nothing applied, the files have problems:\n{error}"
    except (OSError, ValueError) as error:
        return f"nothing applied, the files cannot be read: {error}"
    entries = {id: definition.entry for id, definition in edited.definitions.items()}
    ops = app.registry.edits(entries)
    lines = "\n".join(shown(op) for op in ops)
    try:
        version = await app.registry.apply_edits(ops, entries)
    except ProcessError as error:
        return f"refused:\n{lines}\n{error}"
    except Exception as error:  # of a kind from elsewhere (PG2)
        log.exception("edits of the files were refused")
        return f"refused:\n{lines}\n{type(error).__name__}: {error}"
    return "" if version is None else f"applied as {version}:\n{lines}"


async def watch(app: App, path: Path, overrides: Sequence[str]) -> None:
    """Apply edits until cancelled, those made since the files were loaded included."""
    look = partial(app.node.blocking, fingerprint, app.application.root)
    named: Collection[str] = ()
    applied: Marks = {}
    told = ""
    seen = await look()
    while True:
        await trio.sleep(PERIOD)
        now = await look()
        if counted(seen, named) == counted(now, named) != counted(applied, named):
            # All files are kept: some of them may be named from now on.
            applied = now
            named = await app.node.blocking(included_files, path)
            text = await apply_edits(app, path, overrides)
            if text and text != told:
                sys.stderr.write(f"watch: {text}\n")
            told = text
        seen = now
