"""docs/guarantees.md: each promise names tests that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text()
PROMISES = re.split(r"^(\d+)\. ", PAGE, flags=re.MULTILINE)[1:]


def test_promises_are_numbered_without_gaps() -> None:
    """The numbers can be cited."""
    numbers = [int(number) for number in PROMISES[::2]]
    assert numbers == list(range(1, len(numbers) + 1))


def test_each_promise_names_a_test() -> None:
    """A promise without a test is not on the page."""
    naked = [
        number
        for number, text in zip(PROMISES[::2], PROMISES[1::2], strict=True)
        if "::test_" not in text
    ]
    assert naked == []


def test_each_named_test_exists() -> None:
    """The page cannot go stale without a failing test."""
    missing = []
    for path, name in re.findall(r"`([\w/.]+\.py)::(\w+)`", PAGE):
        file = ROOT / "tests" / re.sub(r"^T/", "test_trio_actors/", path)
        names = set()
        if file.exists():
            tree = ast.parse(file.read_text())
            kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
            names = {node.name for node in ast.walk(tree) if isinstance(node, kinds)}
        if name not in names:
            missing.append(f"{path}::{name}")
    assert missing == []
