"""The arguments that several commands share, and the application that most of them begin with."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..definitions import Application, read_application
from ..problems import LoadError
from . import logs

App = Annotated[Path, Parameter(help="Directory of the application, or one YAML file.")]
Set = Annotated[
    tuple[str, ...],
    Parameter(
        name="--set",
        negative=(),
        show_default=False,
        help="Change a field before anything is checked: `ns:entry:field=value`. Repeatable; "
        "dots go deeper, as in `app:pool:host.workers=4`.",
    ),
]
LogLevel = Annotated[logs.Level, Parameter(help="The lowest level of log records shown.")]
LogFormat = Annotated[logs.Format, Parameter(help="How log records are written.")]
Running = Annotated[
    Path | None,
    Parameter(help="Directory or file of the application; not needed if only one runs."),
]
Control = Annotated[
    Path | None, Parameter(help="The control socket, if `run` was given a path for it.")
]
HERE = Path()


def exec_option(help: str) -> Parameter:
    """The option `-x` of a command."""
    return Parameter(name=["--exec", "-x"], negative=(), show_default=False, help=help)


def read(app: Path, overrides: Sequence[str]) -> Application | None:
    """The application, or None after its problems were written to standard error."""
    try:
        return read_application(app, overrides)
    except LoadError as error:
        sys.stderr.write(f"{error}\n")
    except ValueError as error:
        sys.stderr.write(f"trio-actors: --set: {error}\n")
    return None
