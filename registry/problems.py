"""What is wrong with an application, as data and as one line each.

    file:line:column: entry id: field: expected ..., got ...; did you mean "..."?

Three texts in the documents show this line a little differently: I14 with `found 'x'` and the guess
in brackets, LD5 with `found "x"` and the guess after a semicolon, the design with `entry app:x` and
`got "x"`. This is the one form: the word `entry` before the id (an id contains a colon, so it
needs a marker), values quoted as JSON, `got`, and the guess after a semicolon. Parts that do not
apply are left out: a file that cannot be parsed has no entry.

Rules: I10, I13, I14, LD3-LD5.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from trio_actors import ErrorKind, ProcessInvalid

Path = tuple[str | int, ...]


@attrs.frozen(slots=True, order=True)
class Position:
    """A place in a file; lines and columns count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@attrs.frozen(slots=True, order=True)
class Problem:
    """One thing that is wrong; `str()` is its report line. Sorts by file, line and column (I13)."""

    position: Position
    # Entry id, or "" when the problem belongs to a file rather than to an entry.
    entry: str
    # Field path such as `host.workers` or `children[2].id`; "" for the entry or file as a whole.
    field: str
    expected: str
    got: str
    # The nearest known name, when one is close.
    hint: str | None = None
    kind: ErrorKind = attrs.field(default=ErrorKind.INVALID, order=str)

    def __str__(self) -> str:
        parts = [str(self.position)]
        if self.entry:
            parts.append(f"entry {self.entry}")
        if self.field:
            parts.append(self.field)
        guess = f'; did you mean "{self.hint}"?' if self.hint else ""
        return f"{': '.join(parts)}: expected {self.expected}, got {self.got}{guess}"


class LoadError(ProcessInvalid):
    """An application that cannot start; `str()` is one line per problem. Nothing was started (I10).

    `problems` holds them as data, in file and line order.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__(
            "\n".join(str(p) for p in self.problems),
            retryable=False,
            details={"problems": [problem_details(p) for p in self.problems]},
        )


def problem_details(problem: Problem) -> dict[str, str]:
    """A problem as plain data, for `details().problems` (RG6)."""
    return {"id": problem.entry, "field": problem.field, "message": str(problem)}


def field_text(path: Path) -> str:
    """A path as people write it.

    >>> field_text(("lifecycle", "depends_on", 0)), field_text(())
    ('lifecycle.depends_on[0]', '')
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def listed(names: Iterable[str], last: str = "or", limit: int = 12) -> str:
    """Names as a phrase.

    >>> listed(["inline", "static", "lazy"])
    'inline, static or lazy'
    """
    items = list(names)
    if len(items) > limit:
        items = [*items[:limit], f"{len(items) - limit} more"]
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"
