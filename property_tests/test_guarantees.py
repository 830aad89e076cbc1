"""Every guarantee holds for the framework as it is, and each promise has its file."""

from __future__ import annotations

import ast
import re

import pytest

from property_tests.guarantees.registry import FOLDER, Property, load
from property_tests.ways import functions_begin

PROPERTIES = load()
PROMISED = {  # 64 is about both ways itself
    name: promise
    for name, promise in PROPERTIES.items()
    if promise.__module__.rpartition(".")[2].startswith("g") and ".g64_" not in promise.__module__
}
PAGE = FOLDER.parents[1] / "docs" / "guarantees.md"

# Promises whose outcome no order of events can change; the tests on the page hold them.
WITHOUT_ORDER = {
    1: "a send is done when it returns",
    6: "one process closes its own channel",
    43: "types",
    47: "counted at checkpoints of a real loop",
    48: "counted in turns of a real loop",
    49: "memory",
    51: "the scenarios run in both languages",
    53: "decided in one piece, before anything is made",
    59: "one call through each door",
    60: "copied when the call is made",
    61: "decided in one piece, before anything is done",
    62: "one change between two calls",
}


@pytest.mark.parametrize("promise", PROPERTIES.values(), ids=list(PROPERTIES))
def test_guarantee(promise: Property) -> None:
    """The property named in the id."""
    promise()


@pytest.mark.parametrize("promise", PROMISED.values(), ids=list(PROMISED))
def test_guarantee_where_functions_have_a_task_from_the_start(promise: Property) -> None:
    """Else they begin without one (guarantee 64)."""
    with functions_begin(stepped=False):
        promise()


def test_each_promise_has_a_file_of_its_own_or_a_reason() -> None:
    """docs/guarantees.md and the folder name the same promises."""
    promised = {int(number) for number in re.findall(r"(?m)^(\d+)\. ", PAGE.read_text())}
    files = [int(path.stem[1:3]) for path in FOLDER.glob("g[0-9][0-9]_*.py")]
    assert len(files) == len(set(files))
    assert set(files) | set(WITHOUT_ORDER) == promised
    assert not set(files) & set(WITHOUT_ORDER)


def test_the_page_names_the_file_of_each_promise() -> None:
    """And each file says which promise it holds."""
    promises = re.split(r"(?m)^(\d+)\. ", PAGE.read_text())[1:]
    for number, text in zip(promises[::2], promises[1::2], strict=True):
        named = re.findall(r"`(P/\w+\.py)`", text)
        path = next(FOLDER.glob(f"g{int(number):02}_*.py"), None)
        assert named == ([] if path is None else [f"P/{path.name}"]), number
        if path is not None:
            docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
            title = re.sub(r"\s+", " ", re.findall(r"\*\*(.+?)\*\*", text, re.S)[0])
            assert docstring.splitlines()[0] == f"Guarantee {number}: {title.rstrip('.:')}."
