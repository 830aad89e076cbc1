"""What people see of a failure: the property, how to replay it, and a picture of the run (TS15)."""

from __future__ import annotations

import re
import shlex
import zlib
from pathlib import Path
from typing import Any

import attrs

from trio_actors.testing.delivery import Step
from trio_actors.testing.report_mermaid import mermaid
from trio_actors.testing.report_svg import svg
from trio_actors.testing.report_text import Picture, one_line, picture_of, sequence_text
from trio_actors.testing.schedule import YOUNGEST, Fault, MessageId, Schedule, plain_label

MAX_STEM = 150  # characters of a file's name; file systems have room for 255 bytes


@attrs.frozen(slots=True, kw_only=True)
class Report:
    """A failure of a test, shrunk."""

    test: str
    error: BaseException
    schedule: Schedule
    steps: list[Step]
    strategy: str
    found_at: int
    tries: int
    inputs: dict[str, Any]
    where: str

    @property
    def picture(self) -> Picture:
        """The run as data for the three kinds of pictures."""
        return picture_of(self.steps)

    def text(self) -> str:
        """The report for a terminal."""
        what = f"{type(self.error).__name__}: {self.error}".rstrip(": ")
        first, *more = what.splitlines() or [""]
        lines = [f"{self.test} fails: {first}", *(f"    {line}" for line in more[:20])]
        if self.where:
            lines.append(f"  at      {self.where}")
        for name, value in self.inputs.items():
            lines.append(f"  with    {name} = {_short(value)}")
        if self.strategy != "replay":
            lines.append(
                f"  found   at schedule {self.found_at} ({self.strategy}),"
                f" shrunk in {self.tries} runs"
            )
        if self.schedule.faults:
            faults = ", ".join(_in_words(*item) for item in self.schedule.faults.items())
            lines.append(f"  faults  {faults}")
        lines.append(f"  replay  --sim-replay={quoted(str(self.schedule))}")
        lines.append("")
        lines.append(sequence_text(self.picture))
        return "\n".join(lines)

    def mermaid(self) -> str:
        """The run as a Mermaid sequence diagram."""
        return mermaid(self.picture)

    def svg(self) -> str:
        """The run as an SVG picture."""
        title = f"{type(self.error).__name__}: {self.error}".splitlines()[0]
        return svg(self.picture, one_line(title))

    def write(self, directory: Path, filed_as: str | None = None) -> list[Path]:
        """Writes text, Mermaid and SVG files named after the test; returns their paths.

        Args:
            filed_as: name them after this instead, for example the node id of pytest.
        """
        directory.mkdir(parents=True, exist_ok=True)
        stem = file_stem(self.test if filed_as is None else filed_as)
        contents = {".txt": self.text(), ".mmd": self.mermaid(), ".svg": self.svg()}
        paths = []
        for suffix, content in contents.items():
            path = directory / f"{stem}{suffix}"
            path.write_text(content + "\n", encoding="utf-8", errors="backslashreplace")
            paths.append(path)
        return paths


def file_stem(test: str) -> str:
    """The name of a test or its node id as a file's: `tests-test_a.py-test_b-x` for `…[x]`.

    Where something else had to be replaced, or cut off, a checksum keeps names apart.
    """
    place, bracket, parameters = test.removesuffix("]").partition("[")
    parts = re.sub(r"::|[/\\]", "-", place) + ("-" if bracket else "") + parameters
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "_", parts)[:MAX_STEM].lstrip(".-")
    if stem and stem == parts:
        return stem
    return f"{stem}-{zlib.crc32(test.encode(errors='replace')):08x}".lstrip("-")


def quoted(token: str) -> str:
    """A token as one word for a shell."""
    return shlex.quote(token)


def _in_words(id: MessageId, fault: Fault) -> str:
    if id == YOUNGEST:
        return "tasks that run in one step do so youngest first"
    if id.src == "buggify":
        return f"buggify({plain_label(id.dst)!r}) number {id.n}"
    return f"{fault} at {plain_label(id.dst)} on {id}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:197] + "..."
