"""Entry ids: `namespace:name`, split at the first colon.

Rules: GC7 (form of an id, also `{ns, name}`), GC8 (a reference without a colon means the own
namespace).
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen(slots=True, order=True)
class EntryId:
    """The two parts of an id; `str()` puts them together again."""

    ns: str
    name: str

    def __str__(self) -> str:
        return f"{self.ns}:{self.name}" if self.ns or ":" in self.name else self.name


def parse_id(text: str) -> EntryId:
    """Split an id at its first colon; without a colon the namespace is empty. Rule: GC7.

    >>> parse_id("a:b:c")
    EntryId(ns='a', name='b:c')
    >>> parse_id("x"), parse_id(":x"), parse_id("")
    (EntryId(ns='', name='x'), EntryId(ns='', name='x'), EntryId(ns='', name=''))
    """
    ns, colon, name = text.partition(":")
    return EntryId(ns, name) if colon else EntryId("", text)


def resolve(reference: str, namespace: str) -> str:
    """The full id that a reference inside `namespace` means. Rule: GC8.

    >>> resolve("worker", "app"), resolve("lib:util", "app")
    ('app:worker', 'lib:util')
    """
    return reference if ":" in reference else f"{namespace}:{reference}"


def id_text(value: object) -> str | None:
    """The id as text when `value` is a text or a `{ns, name}` mapping of texts, else None.

    >>> id_text({"ns": "app", "name": "x"}), id_text("app:x"), id_text({"name": 3})
    ('app:x', 'app:x', None)
    """
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and set(value) == {"ns", "name"}:
        ns, name = value["ns"], value["name"]
        if isinstance(ns, str) and isinstance(name, str):
            return f"{ns}:{name}"
    return None
