"""Contracts of an application, and the commands `call` and `docs`. Rules: CT1-CT6, CT18."""

import http.client
import threading
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from registry import open_app
from registry.cli.commands import run_command
from registry.cli.pages import make_server
from trio_actors import ProcessInvalid, contract

WriteApp = Callable[..., Path]

APP = """\
namespace: shop
entries:
  - name: pricing
    kind: contract.definition
    description: What a thing costs.
    methods:
      - name: price
        description: The price of one item.
        input_schemas:
          - {format: application/schema+json, definition: {type: object, required: [sku]}}
        output_schemas:
          - {format: application/schema+json, definition: {type: number}}
  - name: plain
    kind: contract.binding
    contracts:
      - {contract: pricing, default: true, methods: {price: lua_price}}
  - name: discount
    kind: contract.binding
    contracts:
      - {contract: pricing, methods: {price: py_price}, context_required: [tenant]}
  - name: lua_price
    kind: function.lua
    method: price
    source: |
      return {price = function(item) return item.amount * 2 end}
  - {name: py_price, kind: function.py, source: "shop_code:price"}
"""
CODE = "def price(item):\n    return item['amount'] * 0.9\n"


@pytest.fixture
def app_path(write_app: WriteApp) -> Path:
    """An application with a contract in two languages."""
    return write_app({"main.yaml": APP, "shop_code.py": CODE})


async def test_a_contract_in_yaml_is_called_in_both_languages(app_path: Path) -> None:
    """GC1, CT5, CT10, CT12, CT15."""
    async with open_app(app_path):
        pricing = contract.get("shop:pricing")
        assert await pricing.price({"sku": 1, "amount": 10}) == 20
        discount = contract.open("shop:discount?tenant=acme")
        assert await discount.price({"sku": 1, "amount": 10}) == 9
        with pytest.raises(ProcessInvalid, match=r"shop:pricing\.price: argument 1 at /"):
            await pricing.price({"amount": 10})


def test_call_prints_the_result_as_json(app_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One function from the shell; a slip of the keyboard gets a suggestion."""
    assert run_command(["call", str(app_path), "shop:py_price", '{"amount": 10}']) == 0
    assert capsys.readouterr().out == "9.0\n"
    assert run_command(["call", str(app_path), "shop:gone"]) == 1
    text = "NotFound: no handler registered for target shop:gone\n"
    assert capsys.readouterr().err == text
    assert run_command(["call", str(app_path), "shop:py_pice"]) == 1
    assert capsys.readouterr().err.endswith("shop:py_pice; did you mean shop:py_price?\n")
    assert run_command(["call", str(app_path), "shop:py_price", "{amount"]) == 2
    assert "argument 1: expected JSON" in capsys.readouterr().err


def test_docs_writes_a_page_per_contract(
    app_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CT18, PG4."""
    assert run_command(["docs", str(app_path)]) == 0
    page = capsys.readouterr().out
    assert "# `shop:pricing`" in page
    assert "What a thing costs." in page
    assert "| `shop:discount` |  | `tenant` | price → `shop:py_price` |" in page
    assert run_command(["docs", str(app_path), "--output", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "shop-pricing.md").read_text(encoding="utf-8") == page
    assert (tmp_path / "out" / "index.md").exists()


def fetch(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_docs_serves_the_pages_as_html() -> None:
    """CT18: index, page, unknown page; the source is asked anew each time, and HTML is inert."""
    found: list[dict[str, str] | str] = [
        {
            "index.md": "- [`a:b`](a-b.md) - <script>x</script>",
            "a-b.md": "| F | T |\n|--|--|\n| x | y |",
        }
    ]
    server = make_server(lambda: found[0], 0)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        status, index = fetch(server.server_port, "/")
        assert (status, '<a href="a-b.md">' in index, "<script>" in index) == (200, True, False)
        assert "<td>x</td>" in fetch(server.server_port, "/a-b.md")[1]
        assert fetch(server.server_port, "/a-b.html?x=1")[0] == 200
        assert fetch(server.server_port, "/../etc")[0] == 404
        found[0] = "main.yaml:3:1: <wrong>"
        status, broken = fetch(server.server_port, "/")
        assert (status, "main.yaml:3:1: &lt;wrong&gt;" in broken) == (500, True)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_docs_serve_shows_edits_and_stops_with_ctrl_c(
    app_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """CT18: the command itself; the pages are those of the files as they are now."""
    seen: list[str] = []

    def browse(server: Any) -> None:
        port = server.server_port
        for edit in ("What a thing costs.", "What it is worth."):
            text = (app_path / "main.yaml").read_text(encoding="utf-8")
            text = text.replace("What a thing costs.", edit)
            (app_path / "main.yaml").write_text(text, encoding="utf-8")
            worker = threading.Thread(target=server.handle_request)
            worker.start()
            seen.append(fetch(port, "/shop-pricing.md")[1])
            worker.join()
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", browse)
    assert run_command(["docs", str(app_path), "--serve", "--port", "0"]) == 0
    assert "What a thing costs." in seen[0]
    assert "What it is worth." in seen[1]
    assert "http://127.0.0.1:" in capsys.readouterr().out
    (app_path / "main.yaml").write_text("entries: 3\n", encoding="utf-8")
    assert run_command(["docs", str(app_path), "--serve"]) == 2
    assert capsys.readouterr().out == ""
