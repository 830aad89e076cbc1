"""A YAML text as plain Python data, with the line and column of every key and value.

The text is composed to ruamel's nodes and converted here, because the nodes know what the finished
Python objects no longer do: where a key stands that is written twice, where an alias was used, and
which texts were block scalars (a script's own line numbers continue those of the file).

Rules: LD1 (YAML 1.2), LD4 (malformed file, duplicate key), I14 (positions).
Rejected: ruamel's round-trip objects (a duplicate key ends the load at the first one, and values
are of subclasses that strict checks must know), and positions kept inside the values (soon lost).
"""

from __future__ import annotations

import io
import re
from typing import Any

import attrs
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from .problems import Path, Position

_PREFIX = "tag:yaml.org,2002:"
_FLOATS = {
    ".inf": float("inf"),
    "+.inf": float("inf"),
    "-.inf": float("-inf"),
    ".nan": float("nan"),
}


@attrs.frozen(slots=True)
class Fault:
    """What is wrong at one place of a file, before it is known to which entry the place belongs."""

    position: Position
    path: Path
    expected: str
    got: str
    hint: str | None = None


@attrs.define(slots=True, eq=False)
class Document:
    """One file: its data and where each part of it stands."""

    file: str
    data: Any = None
    values: dict[Path, Position] = attrs.field(factory=dict)
    keys: dict[Path, Position] = attrs.field(factory=dict)
    # Literal block scalars (`|`): file and the line of their first line of text.
    blocks: dict[Path, tuple[str, int]] = attrs.field(factory=dict)
    # Files whose text a `file://` value stands for.
    included: dict[Path, str] = attrs.field(factory=dict)
    faults: list[Fault] = attrs.field(factory=list)
    # Values that could not be had: what follows from that is no fault of its own.
    unknown: set[Path] = attrs.field(factory=set)
    # The text could not be parsed, so nothing is known about what it defines.
    broken: bool = False

    def value_at(self, path: Path) -> Position:
        """Where the value at `path` stands, or the nearest part around it that is known."""
        return self._nearest(self.values, path)

    def key_at(self, path: Path) -> Position:
        """Where the key of `path` stands, or the nearest part around it that is known."""
        return self.keys.get(path) or self._nearest(self.values, path)

    def _nearest(self, table: dict[Path, Position], path: Path) -> Position:
        for length in range(len(path), -1, -1):
            if path[:length] in table:
                return table[path[:length]]
        return Position(self.file)


def read_yaml(text: str, file: str) -> Document:
    """Parse one YAML document; what is wrong with it stands in `faults`. Never raises."""
    document = Document(file)
    try:
        node = YAML(typ="rt").compose(io.StringIO(text))
    except MarkedYAMLError as error:
        document.broken = True
        document.faults.append(_syntax_fault(error, file))
        return document
    except YAMLError as error:
        document.broken = True
        found = str(error).splitlines()[0]
        document.faults.append(Fault(Position(file), (), "valid YAML", found))
        return document
    if node is not None:
        document.data = _Converter(document).convert(node, ())
    return document


def _syntax_fault(error: MarkedYAMLError, file: str) -> Fault:
    mark = error.problem_mark or error.context_mark
    position = Position(file, mark.line + 1, mark.column + 1) if mark else Position(file)
    found = " ".join(str(error.problem or error.context or error).split())
    context = f" ({error.context})" if error.context and error.problem else ""
    return Fault(position, (), "valid YAML", f"a syntax error: {found}{context}")


@attrs.frozen(slots=True)
class _Converter:
    document: Document
    # The collections around the node at hand: an alias to one of them would never end.
    around: set[int] = attrs.field(factory=set)

    def convert(self, node: Node, path: Path) -> Any:
        self.document.values[path] = self._position(node)
        if id(node) in self.around:
            self._fault(node, path, "data that ends", "an alias to a mapping or list around it")
            return None
        self.around.add(id(node))
        try:
            return self._convert(node, path)
        finally:
            self.around.discard(id(node))

    def _convert(self, node: Node, path: Path) -> Any:
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.convert(child, (*path, i)) for i, child in enumerate(node.value)]
        assert isinstance(node, ScalarNode)
        if node.style == "|":
            self.document.blocks[path] = (self.document.file, node.start_mark.line + 2)
        return self._scalar(node, path)

    def _position(self, node: Node) -> Position:
        return Position(self.document.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: list[dict[str, Any]] = []
        for key_node, value_node in node.value:
            if key_node.tag == _PREFIX + "merge":
                merged.extend(self._merge(value_node, path))
                continue
            key = self._key(key_node, path)
            if key is None:
                continue
            if key in result:
                first = self.document.keys[*path, key]
                again = f'"{key}" again (first at line {first.line})'
                self._fault(key_node, (*path, key), "each key once", again)
                continue
            self.document.keys[*path, key] = self._position(key_node)
            result[key] = self.convert(value_node, (*path, key))
        for source in merged:
            for key, value in source.items():
                result.setdefault(key, value)
        return result

    def _merge(self, node: Node, path: Path) -> list[dict[str, Any]]:
        """The mappings behind a merge key, the earlier ones winning."""
        value = self.convert(node, (*path, "<<"))
        sources = value if isinstance(value, list) else [value]
        if not all(isinstance(source, dict) for source in sources):
            self._fault(node, (*path, "<<"), "a mapping or a list of mappings", "something else")
            return []
        return sources

    def _key(self, node: Node, path: Path) -> str | None:
        if not isinstance(node, ScalarNode):
            self._fault(node, path, "a text as key", "a mapping or list")
            return None
        return str(node.value)

    def _scalar(self, node: ScalarNode, path: Path) -> Any:
        """The value by the core schema of YAML 1.2; timestamps stay text."""
        tag, text = str(node.tag).removeprefix(_PREFIX), str(node.value)
        match tag:
            case "str" | "timestamp":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return int(text.replace("_", ""), 0 if re.match(r"[-+]?0[box]", text) else 10)
            case "float":
                special = _FLOATS.get(text.lower())
                return float(text.replace("_", "")) if special is None else special
            case _:
                self._fault(node, path, "plain data", f"the tag {node.tag}")
                return None

    def _fault(self, node: Node, path: Path, expected: str, got: str) -> None:
        self.document.faults.append(Fault(self._position(node), path, expected, got))
