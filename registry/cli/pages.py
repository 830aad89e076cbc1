"""`trio-actors docs --serve`: the documentation of contracts as web pages on this machine. CT18.

Pages are made anew for each request, so an edit of the application shows at the next reload; an
application that does not load shows its problems instead.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt

__all__ = ["make_server", "page_of"]

# Markdown by file name, as contract_pages gives it, or the text of what is wrong.
Source = Callable[[], Mapping[str, str] | str]

STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse}th,td{border:1px solid #ccc;padding:.3rem .6rem}"
    "pre{background:#f4f4f4;padding:.8rem;overflow:auto}code{background:#f4f4f4}"
)
# Descriptions come from an application: HTML in them is shown, never obeyed.
MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


def page_of(path: str, found: Mapping[str, str] | str) -> tuple[HTTPStatus, str]:
    """Status and HTML for a path; `/` is the index, and a page may be asked for as `.html`."""
    if isinstance(found, str):
        body = f"<h1>The application does not load</h1><pre>{html.escape(found)}</pre>"
        return HTTPStatus.INTERNAL_SERVER_ERROR, _document("problems", body)
    name = unquote(urlsplit(path).path).lstrip("/").removesuffix(".html").removesuffix(".md")
    text = found.get(f"{name or 'index'}.md")
    if text is None:
        return HTTPStatus.NOT_FOUND, _document("not found", "<h1>No such page</h1>")
    back = "" if name in ("", "index") else '<p><a href="/">Contracts</a></p>'
    return HTTPStatus.OK, _document(name or "contracts", back + MARKDOWN.render(text))


def _document(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style>{body}</html>"
    )


def make_server(source: Source, port: int) -> ThreadingHTTPServer:
    """A server on the loopback address; port 0 takes a free one. Raises: OSError."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = page_of(self.path, source())
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Requests are not logged."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)
