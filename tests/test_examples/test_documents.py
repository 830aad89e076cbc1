"""What README.md and docs/ show is run: programs with their output, applications with theirs.

- A `python` block that calls `trio.run` is executed; a `text` block right after it is its output.
- Any other `python` block has to compile (`await` at top level is allowed).
- Blocks with a `title="file"` are the files of an application, one per section of a page that has
  a `console` block; that block's commands are run among them and their output is compared.
"""

from __future__ import annotations

import ast
import contextlib
import io
import logging
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```", re.S | re.M
)
TITLE = re.compile(r'title="([^"]+)"')


@attrs.frozen
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    title: str | None
    text: str

    @property
    def where(self) -> str:
        """For test names."""
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    source = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(source):
        language, _, _ = match["info"].strip().partition(" ")
        title = TITLE.search(match["info"])
        indent = len(match["indent"])
        text = "".join(line[indent:] for line in match["text"].splitlines(keepends=True))
        line = source.count("\n", 0, match.start()) + 1
        where = page.relative_to(ROOT).as_posix()
        found.append(Block(where, line, language, title[1] if title else None, text))
    return found


def programs() -> Iterator[tuple[Block, Block | None]]:
    """Python blocks that run, each with the output it shows, if it shows one."""
    for page in PAGES:
        found = blocks(page)
        for block, after in zip(found, [*found[1:], None], strict=False):
            if block.language == "python" and "trio.run(" in block.text and not block.title:
                shows = after is not None and after.language == "text"
                yield block, after if shows else None


def fragments() -> Iterator[Block]:
    """Python blocks that only have to compile."""
    for page in PAGES:
        yield from (b for b in blocks(page) if b.language == "python" and "trio.run(" not in b.text)


def applications() -> Iterator[tuple[list[Block], Block]]:
    """The files that stand before each console block, and the block."""
    for page in PAGES:
        files: list[Block] = []
        for block in blocks(page):
            if block.title:
                files.append(block)
            elif block.language == "console" and "$ trio-actors" in block.text and files:
                yield files, block
                files = []


PROGRAMS, FRAGMENTS, APPLICATIONS = list(programs()), list(fragments()), list(applications())


@pytest.mark.parametrize(("block", "output"), PROGRAMS, ids=[b.where for b, _ in PROGRAMS])
def test_programs_print_what_the_page_shows(block: Block, output: Block | None) -> None:
    """Each program of the documentation runs and prints what stands below it."""
    code = compile("\n" * block.line + block.text, str(ROOT / block.page), "exec")
    printed = io.StringIO()
    logger = logging.getLogger("trio_actors")
    level = logger.level
    try:
        with contextlib.redirect_stdout(printed):
            exec(code, {"__name__": "__main__"})
    finally:
        logger.setLevel(level)
    if output is not None:
        assert printed.getvalue() == output.text


@pytest.mark.parametrize("block", FRAGMENTS, ids=[b.where for b in FRAGMENTS])
def test_fragments_compile(block: Block) -> None:
    """Each piece of Python is Python."""
    compile(block.text, block.where, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize(
    ("files", "session"), APPLICATIONS, ids=[session.where for _, session in APPLICATIONS]
)
def test_applications_do_what_the_page_shows(
    files: list[Block], session: Block, tmp_path: Path
) -> None:
    """Each application of the documentation, run as a reader would run it."""
    for block in files:
        assert block.title is not None
        path = tmp_path / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
    shown = run_session(session.text, tmp_path)
    assert shown == session.text


def run_session(text: str, cwd: Path) -> str:
    """The session again: each `$ trio-actors` command with what it really prints."""
    python = f"{shlex.quote(sys.executable)} -c 'import sys; from registry.cli import main;"
    script = f'{python} sys.argv[0] = "trio-actors"; sys.exit(main())\' '
    environ = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100"}
    shown = []
    for line in text.splitlines():
        if line.startswith("$ "):
            command = line.removeprefix("$ ").replace("trio-actors ", script, 1)
            done = subprocess.run(
                command,
                shell=True,
                cwd=cwd,
                env=environ,
                check=False,
                capture_output=True,
                text=True,
                timeout=60,
            )
            shown += [line, *(done.stdout + done.stderr).splitlines()]
    return "\n".join(shown) + "\n"


def test_links_between_pages_lead_somewhere() -> None:
    """Relative links of README and docs name files that exist."""
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []
