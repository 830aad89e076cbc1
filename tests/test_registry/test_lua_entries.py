"""Entries with Lua code: E1-E7, DE1, DE6, P8, and the positions that errors show."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from registry import Terminal, open_app
from trio_actors import ProcessError, ProcessNotFound, ProcessUnavailable

WriteApp = Callable[..., Path]

MAIN = """\
namespace: app
entries:
  - {name: processes, kind: process.host}
  - {name: terminal, kind: terminal.host}
  - name: double
    kind: library.lua
    source: |
      return function(x) return x * 2 end
  - name: quad
    kind: library.lua
    imports: {double: double}
    source: |
      local double = require("double")
      return function(x) return double(double(x)) end
  - name: main
    kind: process.lua
    meta: {default_host: processes}
    imports: {quad: quad}
    source: |
      local function main(x)
        if x == "boom" then
          error("no good")
        end
        return quad(x)
      end
      return {main = main}
  - name: other
    kind: process.lua
    method: missing
    source: file://lua/other.lua
  - name: talk
    kind: process.lua
    modules: [io]
    source: file://lua/talk.lua
"""
OTHER = 'return {main = function() return "other" end}\n'
TALK = """\
return function(...)
  local args, err = io.args()
  if not args then return nil, err end
  io.print("args", table.concat(args, ","), ...)
  local line, rest = io.readline(), io.read()
  io.write(line, "|", rest, "|", tostring(io.read()), nil, true, 1.5)
  io.eprint("to the other side")
  return #args
end
"""


@pytest.fixture
def app_path(write_app: WriteApp) -> Path:
    """An application in Lua."""
    return write_app({"main.yaml": MAIN, "lua/other.lua": OTHER, "lua/talk.lua": TALK})


async def test_a_lua_process_imports_libraries_that_import(app_path: Path) -> None:
    """E1, E2, E4, GC8: imports by bare names, through two levels."""
    async with open_app(app_path) as app:
        assert await app.call("app:main", 3) == 12


async def test_errors_show_the_line_of_the_file(app_path: Path) -> None:
    """I14, E26: a script inside a YAML file reports the lines of that file."""
    async with open_app(app_path) as app:
        with pytest.raises(ProcessError) as caught:
            await app.call("app:main", "boom")
        line = MAIN.splitlines().index('          error("no good")') + 1
        assert str(caught.value) == f"app/main.yaml:{line}: no good"


async def test_a_missing_method_fails_the_spawn(app_path: Path) -> None:
    """E6: NOT_FOUND, and no PID comes into being."""
    async with open_app(app_path) as app:
        with pytest.raises(ProcessNotFound, match='method "missing" not found in module'):
            await app.spawn("app:other", "app:processes")
    async with open_app(app_path, overrides={"app:other:method": "main"}) as app:
        assert await app.node.call("app:other", host="app:processes") == "other"


async def test_io_works_on_a_terminal_host_only(app_path: Path) -> None:
    """P8, I1: stdin, stdout, stderr and args; elsewhere nil, UNAVAILABLE."""
    async with open_app(app_path) as app:
        with pytest.raises(ProcessUnavailable, match=r"io is only available on a terminal\.host"):
            await app.node.call("app:talk", host="app:processes")
        host = app.terminal()
        out, err = io.StringIO(), io.StringIO()
        terminal = Terminal(io.StringIO("one\ntwo\nthree"), out, err, ("a", "b"))
        host.extensions["terminal"] = terminal
        assert await app.node.call("app:talk", "x", host=host) == 2
        assert out.getvalue() == "args a,b x\none|two\nthree|nilniltrue1.5"
        assert err.getvalue() == "to the other side\n"


@pytest.mark.parametrize(
    ("entry", "lines"),
    [
        (
            "kind: process.lua\n    source: |\n      local x = 1\n      x = = 2\n",
            ["app/a.yaml:7:1: entry app:x: source: expected valid Lua, got a syntax error: "
             "unexpected symbol near '='"],
        ),
        (
            "kind: library.lua\n    source: file://b.lua\n",
            ["app/b.lua:3:1: entry app:x: source: expected valid Lua, got a syntax error: "
             "'end' expected (to close 'if' at line 1) near <eof>"],
        ),
        (
            "kind: process.lua\n    source: return 1\n    modules: [time, jsn, a:b, process]\n",
            ['app/a.yaml:6:21: entry app:x: modules[1]: expected contract, ctx, errors',
             "app/a.yaml:6:26: entry app:x: modules[2]: expected the name of a built-in module "
             '(libraries belong under imports), got "a:b"'],
        ),
        (
            "kind: process.lua\n    source: return 1\n"
            "    imports: {a: data, b: nothing, '': lib}\n",
            ['app/a.yaml:6:18: entry app:x: imports.a: expected the id of a library.lua, got '
             '"app:data", a registry.entry',
             "app/a.yaml:6:27: entry app:x: imports.b: expected the id of a library.lua, got "
             '"app:nothing", which does not exist',
             'app/a.yaml:6:36: entry app:x: imports.: expected an alias that is not empty, got ""'],
        ),
        (
            "kind: library.lua\n    source: return 1\n    imports: {y: y}\n"
            "  - name: y\n    kind: library.lua\n    source: return 1\n    imports: {x: 'app:x'}\n",
            ["app/a.yaml:6:18: entry app:x: imports.y: expected references without a cycle, got "
             "app:x -> app:y -> app:x"],
        ),
    ],
)  # fmt: skip
def test_wrong_lua_entries_are_load_errors(
    entry: str, lines: list[str], problems: Callable[..., list[str]]
) -> None:
    """DE1, DE6, LD4, LD5: syntax errors in their line, unknown modules, imports, cycles."""
    head = "namespace: app\nentries:\n  - name: x\n    "
    tail = (
        "  - {name: data, kind: registry.entry}\n  - {name: lib, kind: library.lua, source: ''}\n"
    )
    tail = tail.replace("''", "return 1")
    found = problems({"a.yaml": head + entry + tail, "b.lua": "if x then\n  y()\n"})
    assert len(found) == len(lines)
    for line, start in zip(found, lines, strict=True):
        assert line.startswith(start)
