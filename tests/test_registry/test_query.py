"""`find`: RG1-RG4."""

from typing import Any

import pytest

from registry.entry import Entry
from registry.query import find
from trio_actors import ProcessInvalid

ENTRIES = [
    Entry("app:b", "function.lua", {"type": "test", "size": 1, "tags": ["x", "y"]}),
    Entry("app:a", "function.py", {"type": "tool", "size": 1.5, "deep": {"er": "v"}}),
    Entry("lib:c", "library.lua", {"on": True, "title": "the library"}),
]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({}, ["app:a", "app:b", "lib:c"]),
        ({".kind": "function.lua"}, ["app:b"]),
        ({"kind": "function.lua"}, ["app:b"]),
        ({"kind": "function.*"}, ["app:a", "app:b"]),
        ({"kind": "*.lua"}, ["app:b", "lib:c"]),
        ({"kind": "function.*lua"}, ["app:b"]),
        ({".ns": "app", ".name": "a"}, ["app:a"]),
        ({"namespace": "lib"}, ["lib:c"]),
        ({".id": "lib:*"}, ["lib:c"]),
        ({"type": "test"}, ["app:b"]),
        ({"meta.type": "test"}, ["app:b"]),
        ({"meta": {"type": "test", "size": 1.0}}, ["app:b"]),
        ({"meta.deep.er": "v"}, ["app:a"]),
        ({"~meta.type": "^t.{3}$"}, ["app:a", "app:b"]),
        ({"~title": "lib"}, ["lib:c"]),
        ({"*meta.tags": "x"}, ["app:b"]),
        ({"*title": "lib"}, ["lib:c"]),
        ({"^title": "the"}, ["lib:c"]),
        ({"$title": "library"}, ["lib:c"]),
        ({"tags": ["y"]}, ["app:b"]),
        ({"tags": ["y", "x"]}, ["app:b"]),
        ({"tags": ["y", "z"]}, []),
        ({"size": True}, []),
        ({"on": True}, ["lib:c"]),
        ({"kind": "function.*", "type": "tool"}, ["app:a"]),
        ({"nothing": "x"}, []),
    ],
)
def test_entries_are_found(query: dict[str, Any], ids: list[str]) -> None:
    """RG1-RG4: sorted by id; all conditions hold."""
    assert [entry.id for entry in find(ENTRIES, query)] == ids


@pytest.mark.parametrize(
    "query",
    [{".bogus": "x"}, {"kind": 3}, {"kind": "*a*"}, {"~title": "("}, {"^title": 3}, {"meta": 5},
     {"": 1}, {"^": "x"}],
)  # fmt: skip
def test_malformed_conditions_are_invalid(query: dict[str, Any]) -> None:
    """RG4: a malformed condition → INVALID."""
    with pytest.raises(ProcessInvalid, match="malformed condition"):
        find(ENTRIES, query)
