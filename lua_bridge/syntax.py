"""Whether a Lua text is Lua at all, before any state runs it (E6, DE1)."""

import re
from functools import cache
from typing import Any

import lupa.lua54 as lupa

_PLACE = re.compile(r"s:(\d+): (.*)", re.DOTALL)


@cache
def _load() -> Any:
    runtime = lupa.LuaRuntime(register_eval=False, register_builtins=False)
    return runtime.eval("function(source) local _, text = load(source, '=s', 't') return text end")


def syntax_error(source: str) -> tuple[int, str] | None:
    """Line and text of the first syntax error, or None. Nothing of the source runs.

    >>> syntax_error("return 1"), syntax_error("x = = 2")
    (None, (1, "unexpected symbol near '='"))
    """
    text = _load()(source)
    if text is None:
        return None
    found = _PLACE.fullmatch(text)
    return (int(found[1]), found[2]) if found else (1, str(text))


def unfinished(source: str) -> bool:
    """Whether the text is the beginning of a chunk: its only error is that it ends too soon.

    >>> unfinished("for i = 1, 3 do"), unfinished("x = 1"), unfinished("x = = 2")
    (True, False, False)
    """
    if syntax_error("return " + source) is None:
        return False
    wrong = syntax_error(source)
    return wrong is not None and wrong[1].endswith("near <eof>")
