"""The files of an application as documents: found, parsed, environment and file texts filled in.

Rules: I5 (which files), I8 (`file://`), LD1, LD2 (`${env:NAME|default}`), LD3 (all files are read,
whatever is wrong with one of them). The text of an included file is taken as it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

import attrs

from trio_actors.fields import nearest

from .problems import Path, Position
from .yaml_text import Document, Fault, read_yaml

SUFFIXES = (".yaml", ".yml")
SCHEME = "file://"
_VARIABLE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)(?:\|([^}]*))?\}")


@attrs.frozen(slots=True)
class Folder:
    """An application on disk: its directory and how its files are called in reports."""

    root: FilePath
    # Shown in front of a file's relative name, "" for the current directory.
    shown: str
    files: tuple[FilePath, ...]

    def name_of(self, file: FilePath) -> str:
        """The file's name as a report shows it: relative to where the user stands."""
        return FilePath(self.shown, file.relative_to(self.root)).as_posix()


def find_files(path: str | os.PathLike[str]) -> Folder:
    """The directory's YAML files in name order, or the one file given. Rule: I5.

    Raises: FileNotFoundError, NotADirectoryError when there is no such directory or file.
    """
    given = FilePath(path)
    if given.is_file():
        return Folder(given.resolve().parent, given.parent.as_posix(), (given.resolve(),))
    if not given.is_dir():
        raise FileNotFoundError(os.fspath(path))
    root = given.resolve()
    found: list[FilePath] = []
    for directory, subdirectories, names in os.walk(root):
        subdirectories[:] = sorted(d for d in subdirectories if not d.startswith("."))
        found += [FilePath(directory, name) for name in names if name.endswith(SUFFIXES)]
    return Folder(root, given.as_posix(), tuple(sorted(found)))


def read_document(folder: Folder, file: FilePath, environ: Mapping[str, str]) -> Document:
    """One file with everything filled in; what is wrong stands in its `faults`."""
    name = folder.name_of(file)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        document = Document(name, broken=True)
        fault = Fault(
            Position(name), (), "a readable UTF-8 file", f"{type(error).__name__}: {error}"
        )
        document.faults.append(fault)
        return document
    document = read_yaml(text, name)
    document.data = _Filler(folder, file.parent, document, environ).fill(document.data, ())
    return document


def included_files(path: str | os.PathLike[str]) -> frozenset[str]:
    """The files whose text the entry files name, whether they are there or not. Never raises."""
    try:
        folder = find_files(path)
    except OSError:
        return frozenset()
    documents = (read_document(folder, file, os.environ) for file in folder.files)
    names = {name for document in documents for name in document.included.values()}
    return frozenset(os.fspath(FilePath(name).resolve()) for name in names)


def defined_in_broken_text(text: str) -> set[str]:
    """Ids that a file which cannot be parsed probably defines, so that references to them pass."""
    spaces = re.findall(r"""^namespace:\s*["']?([^\s"'#]+)""", text, re.MULTILINE)
    names = re.findall(r"""^[\s-]*name:\s*["']?([^\s"'#]+)""", text, re.MULTILINE)
    return {f"{space}:{name}" for space in spaces for name in names}


@attrs.frozen(slots=True)
class _Filler:
    folder: Folder
    directory: FilePath
    document: Document
    environ: Mapping[str, str]

    def fill(self, value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {key: self.fill(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item, (*path, index)) for index, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        if "${env:" in value:
            value = _VARIABLE.sub(lambda match: self._variable(match, path), value)
        return self._included(value, path) if value.startswith(SCHEME) else value

    def _variable(self, match: re.Match[str], path: Path) -> str:
        name, default = match.groups()
        value: str | None = self.environ.get(name, default)
        if value is None:
            expected = (
                f"the environment variable {name} to be set (or a default: ${{env:{name}|...}})"
            )
            self._fault(path, expected, "no such variable", nearest(name, self.environ))
            return ""
        return value

    def _included(self, value: str, path: Path) -> str:
        target = (self.directory / value.removeprefix(SCHEME)).resolve()
        if not target.is_relative_to(self.folder.root):
            self._fault(path, "a file below the application directory", f'"{value}"')
            return ""
        self.document.included[path] = self.folder.name_of(target)
        try:
            return target.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            got = f'"{value}" ({type(error).__name__})'
            self._fault(path, "a readable text file", got, self._similar_file(target))
            return ""

    def _similar_file(self, target: FilePath) -> str | None:
        if not target.parent.is_dir():
            return None
        name = nearest(target.name, (p.name for p in target.parent.iterdir() if p.is_file()))
        if name is None:
            return None
        return SCHEME + os.path.relpath(target.parent / name, self.directory)

    def _fault(self, path: Path, expected: str, got: str, hint: str | None = None) -> None:
        at = self.document.value_at(path)
        self.document.unknown.add(path)
        self.document.faults.append(Fault(at, path, expected, got, hint))
