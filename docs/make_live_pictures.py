"""Shows examples as `trio-actors tree` and `ps` do: `python docs/make_live_pictures.py`.

Writes docs/images/{logwatch,station}-{tree,live,ps}.svg and the text blocks of
docs/how-to/see-what-runs.md that stand below a comment `<!-- made: NAME -->`. The applications run
in virtual time; a test compares.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio
from rich.console import Console
from trio.testing import MockClock

from registry import App, open_app, read_application
from registry.cli.live import live_tree, ps_text
from registry.cli.tree import outline, render
from supervision import pictures

DOCS = Path(__file__).resolve().parent
EXAMPLES = DOCS.parent / "examples"
PAGE = DOCS / "how-to" / "see-what-runs.md"
WIDTH = 100
MADE = re.compile(r"(<!-- made: (\S+) -->\n\n```text\n)(.*?)(```)", re.S)


async def wait(app: App) -> None:
    """A few quiet seconds."""
    await trio.sleep(3)


async def accidents(app: App) -> None:
    """The wind gauge fails after a minute, and just now the barometer."""
    await trio.sleep(60)
    app.node.terminate("station.speed")
    await trio.sleep(15)
    app.node.terminate("station.barometer")
    await trio.sleep(2)


LIVES: dict[str, Callable[[App], Awaitable[None]]] = {"logwatch": wait, "station": accidents}


def made() -> dict[str, str]:
    """Everything that the tools make, by name; pictures end in .svg."""
    found = {}
    for name, life in LIVES.items():
        definition = outline(read_application(EXAMPLES / name), name)
        text = io.StringIO()
        Console(file=text, width=WIDTH).print(render(definition))
        found[f"{name}-tree"] = text.getvalue()
        found[f"{name}-tree.svg"] = pictures.svg(definition)
        data = trio.run(_live, name, life, clock=MockClock(autojump_threshold=0))
        live = live_tree(data, name)
        found[f"{name}-live"] = pictures.text(live) + "\n"
        found[f"{name}-live.svg"] = pictures.svg(live)
        found[f"{name}-ps"] = ps_text(data) + "\n"
        found[f"{name}-ps.svg"] = pictures.table_svg(ps_text(data))
    return found


async def _live(name: str, life: Callable[[App], Awaitable[None]]) -> dict[str, object]:
    async with open_app(EXAMPLES / name) as app:
        await life(app)
        return app.snapshot(exits=2).as_data()


def main() -> None:
    """Write the pictures and the page's blocks."""
    logging.disable()
    texts = made()
    for name, text in texts.items():
        if name.endswith(".svg"):
            (DOCS / "images" / name).write_text(text, encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    page = MADE.sub(lambda match: match[1] + texts[match[2]] + match[4], page)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
