"""Markdown for contracts: what each method takes and gives, and who implements it.

Rule: CT18. The order is by id and nothing depends on time or hashing, so the text is stable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from trio_actors.functions.contract_model import Catalogue, Definition, Method, SchemaDef

__all__ = ["contract_page", "contract_pages", "file_name"]


# What limits a value, in the order in which it is said.
LIMITS = {
    "format": "format {}",
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "length at least {}",
    "maxLength": "length at most {}",
    "minItems": "length at least {}",
    "maxItems": "length at most {}",
    "pattern": "pattern `{}`",
}


def file_name(contract: str) -> str:
    """The file of a contract's page.

    >>> file_name("app.email:sender")
    'app.email-sender.md'
    """
    return contract.replace(":", "-").replace("/", "-") + ".md"


def contract_pages(catalogue: Catalogue) -> dict[str, str]:
    """One page per contract and an index, by file name."""
    ids = sorted(catalogue.definitions)
    pages = {file_name(id): contract_page(catalogue, id) for id in ids}
    lines = ["# Contracts", ""]
    for id in ids:
        definition = catalogue.definitions[id]
        first = definition.description.strip().splitlines()
        text = f" - {first[0]}" if first else ""
        lines.append(f"- [`{id}`]({file_name(id)}){text}")
    if not ids:
        lines.append("This application has no contracts.")
    return {"index.md": "\n".join([*lines, ""]), **pages}


def contract_page(catalogue: Catalogue, id: str) -> str:
    """The page of one contract."""
    definition = catalogue.definitions[id]
    lines = [f"# `{id}`", ""]
    if definition.description:
        lines += [definition.description.strip(), ""]
    if definition.methods:
        lines += _calling(definition)
    lines += _implementations(catalogue, definition)
    lines += ["## Methods", ""]
    if not definition.methods:
        lines += ["This contract has no methods.", ""]
    for method in definition.methods:
        lines += _method(method)
    return "\n".join(lines).rstrip() + "\n"


def _calling(definition: Definition) -> list[str]:
    method = definition.methods[0]
    call = f"{method.name}({_arguments(method)})"
    return [
        f'Python: `await contract.get("{definition.id}").{call}`  ',
        f'Lua: `contract.get("{definition.id}"):{call}`',
        "",
    ]


def _implementations(catalogue: Catalogue, definition: Definition) -> list[str]:
    ids = catalogue.implementations(definition.id)
    lines = ["## Implementations", ""]
    if not ids:
        return [*lines, "Nothing implements this contract yet.", ""]
    lines += ["| Binding | Default | Required context | Functions |", "|---|---|---|---|"]
    for binding_id in ids:
        bound = catalogue.bindings[binding_id].for_contract(definition.id)
        assert bound is not None
        required = ", ".join(f"`{key}`" for key in bound.context_required) or "-"
        functions = ", ".join(
            f"{name} → `{function}`" for name, function in sorted(bound.methods.items())
        )
        default = "yes" if bound.default else ""
        lines.append(f"| `{binding_id}` | {default} | {required} | {functions or '-'} |")
    return [*lines, ""]


def _method(method: Method) -> list[str]:
    lines = [f"### `{method.name}({_arguments(method)})`", ""]
    if method.description:
        lines += [method.description.strip(), ""]
    for index, schema in enumerate(method.inputs, 1):
        lines += _schema(f"Argument {index}", schema)
    if method.outputs:
        lines += _schema("Result", method.outputs[0])
    return lines


def _arguments(method: Method) -> str:
    return ", ".join(_argument_name(s, i) for i, s in enumerate(method.inputs, 1))


def _argument_name(schema: SchemaDef, index: int) -> str:
    title = schema.definition.get("title") if isinstance(schema.definition, Mapping) else None
    return str(title) if title else f"arg{index}"


def _schema(what: str, schema: SchemaDef) -> list[str]:
    definition = schema.definition
    if definition is None:
        return [f"**{what}**: anything.", ""]
    if not isinstance(definition, Mapping):
        return [f"**{what}** ({schema.format})", "", "```", str(definition), "```", ""]
    text = str(definition.get("description", "")).strip()
    lines = [f"**{what}**: {_type_text(definition)}." + (f" {text}" if text else ""), ""]
    properties = definition.get("properties")
    if isinstance(properties, Mapping) and properties:
        required = definition.get("required") or []
        lines += ["| Field | Type | Required | Meaning |", "|---|---|---|---|"]
        for name, part in properties.items():
            kind = _type_text(part).replace("|", "\\|")
            meaning = part.get("description", "") if isinstance(part, Mapping) else ""
            need = "yes" if name in required else ""
            lines.append(f"| `{name}` | {kind} | {need} | {meaning} |")
        lines.append("")
    if definition.get("additionalProperties") is False:
        lines += ["No other fields.", ""]
    source = json.dumps(definition, indent=2, ensure_ascii=False)
    return [*lines, "```json", source, "```", ""]


def _type_text(schema: Any) -> str:
    """A schema in a few words.

    >>> _type_text({"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 3})
    'array of string, length at least 1, length at most 3'
    """
    if not isinstance(schema, Mapping):
        return "anything"
    kind = schema.get("type", "anything")
    words = [" or ".join(kind) if isinstance(kind, list) else str(kind)]
    if "enum" in schema:
        words = ["one of " + ", ".join(json.dumps(item) for item in schema["enum"])]
    if isinstance(schema.get("items"), Mapping):
        words[0] += f" of {_type_text(schema['items'])}"
    words += [text.format(schema[key]) for key, text in LIMITS.items() if key in schema]
    return ", ".join(words)
