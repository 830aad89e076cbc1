"""Contracts as entries: CT1-CT6."""

from collections.abc import Callable
from pathlib import Path

import pytest

from registry import open_app
from trio_actors import ProcessAlreadyExists, ProcessInvalid

WriteApp = Callable[..., Path]

MAIN = """\
namespace: mail
entries:
  - name: sender
    kind: contract.definition
    methods:
      - name: send
        input_schemas:
          - {format: application/schema+json, definition: {type: object, required: [to]}}
  - name: smtp
    kind: contract.binding
    contracts: [{contract: sender, default: true, methods: {send: smtp_send}}]
  - name: paper
    kind: contract.binding
    contracts: [{contract: sender, methods: {send: paper_send}}]
  - {name: smtp_send, kind: function.lua, method: f,
     source: 'return {f = function(m) return "smtp to " .. m.to end}'}
  - {name: paper_send, kind: function.lua, method: f,
     source: 'return {f = function(m) return "paper to " .. m.to end}'}
"""


async def test_a_contract_is_called_through_its_default(write_app: WriteApp) -> None:
    """CT5, CT6, CT15: validation, the default binding, and another default by a change."""
    async with open_app(write_app({"a.yaml": MAIN})) as app:
        contracts = app.functions.contracts
        assert await contracts.get("mail:sender").send({"to": "x"}) == "smtp to x"
        with pytest.raises(ProcessInvalid, match=r"mail:sender\.send: argument 1"):
            await contracts.get("mail:sender").send({})
        changes = app.registry.changes()
        for name, default in (("smtp", False), ("paper", True)):
            bound = {"contract": "sender", "default": default, "methods": {"send": f"{name}_send"}}
            data = {"contracts": [bound]}
            changes.update({"id": f"mail:{name}", "kind": "contract.binding", "data": data})
        await changes.apply()
        assert await contracts.get("mail:sender").send({"to": "x"}) == "paper to x"


async def test_changes_that_break_a_contract_are_refused(write_app: WriteApp) -> None:
    """CT3: a second default is ALREADY_EXISTS; a broken binding and a used definition INVALID."""
    async with open_app(write_app({"a.yaml": MAIN})) as app:
        bound = {"contract": "sender", "default": True, "methods": {"send": "paper_send"}}
        second = {"id": "mail:paper", "kind": "contract.binding", "data": {"contracts": [bound]}}
        with pytest.raises(ProcessAlreadyExists, match="one default binding of mail:sender"):
            await app.registry.changes().update(second).apply()
        methods = {"id": "mail:sender", "kind": "contract.definition",
                   "data": {"methods": [{"name": "post"}]}}  # fmt: skip
        with pytest.raises(ProcessInvalid, match="every method of mail:sender, got no function"):
            await app.registry.changes().update(methods).apply()
        with pytest.raises(ProcessInvalid, match="which does not exist"):
            await app.registry.changes().delete("mail:sender").apply()
        assert await app.functions.contracts.get("mail:sender").send({"to": "x"}) == "smtp to x"


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("name: send\n", "name: ''\n", "methods[0].name: expected a method name"),
        ("type: object", "type: objekt", "methods[0].input_schemas[0].definition: expected a JSON"),
        ("format: application/schema+json, ", "", "methods[0].input_schemas[0].format: expected"),
        ("{send: smtp_send}", "{}",
         'contracts[0].methods: expected every method of mail:sender, got no function for "send"'),
        ("{send: smtp_send}", "{send: smtp_send, sent: smtp_send}",
         'contracts[0].methods.sent: expected a method of mail:sender, got "sent"; did you mean '
         '"send"?'),
        ("{send: smtp_send}", "{send: smtp}",
         "contracts[0].methods.send: expected the id of a function.lua, function.py, process.lua "
         'or process.py, got "mail:smtp", a contract.binding'),
        ("[{contract: sender, methods: {send: paper_send}}]", "[]",
         "contracts: expected at least one contract, got none"),
        ("contract: sender, methods: {send: paper_send}",
         "contract: sender, default: true, methods: {send: paper_send}",
         "contracts[0].default: expected one default binding of mail:sender"),
    ],
)  # fmt: skip
def test_wrong_contracts_are_load_errors(
    old: str, new: str, line: str, problems: Callable[..., list[str]]
) -> None:
    """CT1, CT2, CT3: with entry and field path."""
    assert old in MAIN
    found = problems({"a.yaml": MAIN.replace(old, new)})
    assert any(line in text for text in found)
