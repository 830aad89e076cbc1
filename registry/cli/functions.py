"""`trio-actors call` and `trio-actors docs`: what they do, without the parsing of their words.

Rules: CT18 and PG4 (documentation of contracts).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import trio

from trio_actors import ErrorKind, ProcessError
from trio_actors.fields import nearest
from trio_actors.functions import parse_binding, parse_definition
from trio_actors.functions.contract_docs import contract_pages
from trio_actors.functions.contract_model import Catalogue

from ..app import start_application
from ..definitions import Application
from ..problems import LoadError

FAILED = 1
USAGE = 2


def call(application: Application, id: str, words: Sequence[str]) -> int:
    """Starts the application, calls one function, prints its result as JSON, stops again.

    Every word is one argument, as JSON. Returns the exit code: 0, 1 for a failed call, 2 for a
    word that is no JSON.
    """
    arguments = []
    for number, word in enumerate(words, 1):
        try:
            arguments.append(json.loads(word))
        except ValueError as error:
            sys.stderr.write(
                f"trio-actors: argument {number}: expected JSON, got {word!r} ({error}); "
                f"a text needs its quotes: '{json.dumps(word)}'\n"
            )
            return USAGE

    async def main() -> object:
        async with start_application(application) as app:
            return await app.call(id, *arguments)

    try:
        result = trio.run(main)
    except ProcessError as error:
        kind = error.kind.value or "Internal"
        sys.stderr.write(f"{kind}: {error}{_which(application, id, error)}\n")
        return FAILED
    try:
        text = json.dumps(result, ensure_ascii=False, indent=2)
    except (TypeError, ValueError) as error:
        sys.stderr.write(f"trio-actors: the result is not JSON: {error}\n")
        return FAILED
    sys.stdout.write(text + "\n")
    return 0


def _which(application: Application, id: str, error: ProcessError) -> str:
    """The function that is meant, if the error is that there is none of this name."""
    if error.kind is not ErrorKind.NOT_FOUND or (error.details or {}).get("target") != id:
        return ""
    known = [one.id for one in application.definitions.values() if one.kind.startswith("function.")]
    close = nearest(id, known)
    return f" {id}; did you mean {close}?" if close else f" {id}"


def docs(application: Application, output: Path | None) -> int:
    """Writes a Markdown page per contract into `output`, or all of them to standard output."""
    pages = contract_pages(_catalogue(application))
    if output is None:
        only = [text for name, text in pages.items() if name != "index.md"]
        sys.stdout.write("\n".join(only or [pages["index.md"]]))
        return 0
    output.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        (output / name).write_text(text, encoding="utf-8")
    count = len(pages) - 1
    sys.stdout.write(f"{count} {'contract' if count == 1 else 'contracts'} in {output}\n")
    return 0


def serve(read: Callable[[], Application], port: int) -> int:
    """Shows the same pages in a browser, until Ctrl-C; `read` reads the application anew."""
    from .pages import make_server

    def source() -> dict[str, str] | str:
        try:
            return contract_pages(_catalogue(read()))
        except (LoadError, ValueError) as error:
            return str(error)

    try:
        server = make_server(source, port)
    except OSError as error:
        sys.stderr.write(f"trio-actors: --port {port}: {error}\n")
        return USAGE
    with server:
        sys.stdout.write(f"http://127.0.0.1:{server.server_port}/ (Ctrl-C ends it)\n")
        sys.stdout.flush()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


def _catalogue(application: Application) -> Catalogue:
    """All contracts of an application that was read and checked, without starting it."""
    catalogue = Catalogue()
    definitions = application.definitions.values()
    for definition in definitions:
        if definition.kind == "contract.definition":
            meta = definition.entry.meta
            text = str(meta.get("description") or meta.get("comment") or "")
            parsed = parse_definition(definition.id, definition.entry.data, text)
            catalogue = catalogue.with_definition(parsed)
    for definition in definitions:
        if definition.kind == "contract.binding":
            catalogue = catalogue.with_binding(parse_binding(definition.id, definition.entry.data))
    return catalogue
