"""`package.module:callable`: from the text to the callable, and what is wrong if that fails.

Rules: DE9 (missing module, attribute, or not callable: a load error that shows the import failure),
DE11 (a keyword-only parameter without default), DE15 (imported once).
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trio_actors.fields import shown

FORM = "package.module:callable"


class SourceError(Exception):
    """A source that names no usable callable."""

    def __init__(self, expected: str, got: str, choices: tuple[str, ...] = ()) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected = expected
        self.got = got
        self.choices = choices


def load_callable(source: str) -> Callable[..., Any]:
    """The callable that `source` names.

    Raises: SourceError, with the import failure in its text.
    """
    module_name, colon, attribute = source.partition(":")
    if not colon or not module_name or not attribute:
        raise SourceError(FORM, shown(source))
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever a module does while it is imported is its failure
        got = f"{type(error).__name__}: {error}{_place(error, module_name)}"
        raise SourceError("a module that can be imported", got) from error
    found: Any = module
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            names = tuple(name for name in vars(module) if not name.startswith("_"))
            expected = f"a callable in module {module_name}"
            raise SourceError(expected, f"no attribute {shown(part)}", names) from None
    if not callable(found):
        raise SourceError("a callable", f"{attribute}, a {type(found).__name__}")
    _check_parameters(found)
    return found  # type: ignore[no-any-return]


def _place(error: Exception, module_name: str) -> str:
    """File and line of the failure inside the module, when it has one."""
    trace = error.__traceback__
    place = ""
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") == module_name:
            place = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})"
        trace = trace.tb_next
    return place


def _check_parameters(function: Callable[..., Any]) -> None:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # built-in callables may have no signature
        return
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            expected = "a callable whose keyword-only parameters have defaults"
            raise SourceError(expected, f"none for {shown(parameter.name)}")


@contextmanager
def importable(root: Path) -> Iterator[None]:
    """Modules of the application directory can be imported inside the block.

    They are forgotten afterwards, so that the next application finds its own of the same name.
    """
    place = str(root)
    before = set(sys.modules)
    sys.path.insert(0, place)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(place)
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file is not None and Path(file).is_relative_to(root):
                del sys.modules[name]
