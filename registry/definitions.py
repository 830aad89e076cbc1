"""An application's definitions: files read and checked, or one error with all that is wrong."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import attrs

from .catalog import Catalog, read_catalog
from .checking import check
from .kind import Definition
from .loading import load_files
from .overrides import parse_overrides
from .problems import LoadError
from .python_source import importable


@attrs.frozen(slots=True)
class Application:
    """A checked application: where it lies and its definitions in order of creation."""

    root: Path
    catalog: Catalog
    definitions: Mapping[str, Definition]

    def importable(self) -> AbstractContextManager[None]:
        """Inside the block the application's own Python modules can be imported."""
        return importable(self.root)


def read_application(
    path: str | os.PathLike[str] = ".",
    overrides: Iterable[str] | Mapping[str, Any] = (),
    environ: Mapping[str, str] | None = None,
    catalog: Catalog | None = None,
) -> Application:
    """Read and check an application; nothing is started. Python sources are imported (DE9).

    Raises: LoadError with every problem; ValueError for a malformed override.
    """
    catalog = catalog or read_catalog()
    loaded = load_files(path, parse_overrides(overrides), environ)
    with importable(loaded.root):
        checked = check(loaded.entries, catalog, loaded.uncertain)
    problems = (*loaded.problems, *checked.problems)
    if problems:
        raise LoadError(problems)
    return Application(loaded.root, catalog, checked.definitions)
