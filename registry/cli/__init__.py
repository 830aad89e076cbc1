"""The command `trio-actors`. What it needs beyond the library comes with the extra `cli`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

REMEDY = """\
trio-actors: the command line needs the extra "cli" ({missing} is not installed).
Install it with:  pip install "trio-actors[cli]"
"""
USAGE = 2  # exit code of a wrong command line or a wrong application (I17)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        from .commands import run_command
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in ("cyclopts", "rich"):
            raise
        sys.stderr.write(REMEDY.format(missing=missing))
        return USAGE
    return run_command(sys.argv[1:] if argv is None else argv)
