"""Contracts of an application, and the commands `call` and `docs`. Rules: CT1-CT6, CT18."""

from collections.abc import Callable
from pathlib import Path

import pytest

from registry import open_app
from registry.cli.commands import run_command
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
    """Issue: one function from the shell."""
    assert run_command(["call", str(app_path), "shop:py_price", '{"amount": 10}']) == 0
    assert capsys.readouterr().out == "9.0\n"
    assert run_command(["call", str(app_path), "shop:gone"]) == 1
    assert "NotFound: no handler registered for target" in capsys.readouterr().err
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
