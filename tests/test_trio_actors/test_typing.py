"""What mypy and pyright see of the public API, on a program whose lines say what to expect."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

api = pytest.importorskip("mypy.api")

ROOT = Path(__file__).parents[2]

# `R:` what reveal_type says; `E:` the code of the one error of that line; all others have none.
PROGRAM = """
import attrs
import trio_actors
from trio_actors import Ask, Exit, Host, Node, Pid, ProcessContext, Server, handles


@attrs.frozen
class Get(Ask[int]):
    pass


@attrs.frozen
class Names(Ask[list[str]]):
    prefix: str = ""


@attrs.frozen
class Forget:
    name: str


class Counter(Server):
    def init(self, start: int = 0) -> None:
        self.count = start
        reveal_type(self.ctx)  # R: trio_actors._core.context.ProcessContext

    @handles(Get)
    def get(self, request: Get) -> int:
        return self.count

    @handles(Names)
    async def names(self, request: Names) -> list[str]:
        return [request.prefix]

    @handles(Forget)
    def forget(self, message: Forget) -> None:
        self.stop("value")


async def process(ctx: ProcessContext, start: int) -> None:
    pid = await ctx.spawn(Counter, start, name="counter", link=True)
    await ctx.spawn(Counter, mailbox=5)  # E: arg-type
    reveal_type(pid)  # R: trio_actors._core.pid.Pid
    reveal_type(await ctx.ask(pid, Get()))  # R: int
    reveal_type(await ctx.ask(pid, Names("a"), timeout="5s"))  # R: list[str]
    await ctx.ask(pid, Forget("a"))  # E: arg-type
    ctx.cast(pid, Forget("a"))
    reveal_type(ctx.pid)  # R: trio_actors._core.pid.Pid
    reveal_type(ctx.lookup("n"))  # R: trio_actors._core.pid.Pid
    reveal_type(ctx.unregister("n"))  # R: bool
    reveal_type(ctx.options.trap_links)  # R: bool
    ctx.options.trap_links = "yes"  # E: assignment
    ctx.options.nope = True  # E: attr-defined
    ctx.send(5, "topic")  # E: arg-type
    ctx.cancel(pid, b"5s")  # E: arg-type
    ctx.context["key"] = 1  # E: index
    message = await ctx.receive("topic", timeout=1.5)
    reveal_type(message)  # R: trio_actors._core.message.Message
    reveal_type(message.sender)  # R: trio_actors._core.pid.Pid | None
    async with ctx.monitoring(pid) as down:
        reveal_type(await down)  # R: trio_actors._core.exit.Exit
    await ctx.upgrade(None, 1)
    print("never reached")  # E: unreachable


def not_async(ctx: ProcessContext) -> None:
    pass


async def program(node: Node, host: Host) -> None:
    pid = await host.spawn(process, 1, ready=True)
    await host.spawn(not_async)  # E: arg-type
    await host.spawn(process, mailbox=trio_actors.Bounded(5, "block"))
    await host.spawn(process, mailbox=5)  # E: arg-type
    host.spawn_soon(process, mailbox=None)
    host.spawn_soon(process, mailbox=5)  # E: arg-type
    async with node.open_host("app:text", drain="5s"):
        pass
    node.open_host("app:wrong", drain=b"5s")  # E: arg-type
    reveal_type(await node.ask(pid, Get(), timeout=5))  # R: int
    await node.ask(pid, "get")  # E: arg-type
    end = await node.wait(pid)
    reveal_type(end)  # R: trio_actors._core.exit.Exit
    reveal_type(end.error)  # R: trio_actors._core.errors.ProcessError | None
    reveal_type(host.spawn_soon(Counter, 5))  # R: trio_actors._core.pid.Pid
    reveal_type(node.statistics().processes)  # R: int
    async with trio_actors.open_node() as other:
        reveal_type(other)  # R: trio_actors._core.node.Node
        async with other.open_host("app:a", drain=1) as third:
            reveal_type(third)  # R: trio_actors._core.host.Host
    try:
        node.send(pid, "topic")
    except trio_actors.ProcessNotFound as error:
        reveal_type(error.undelivered)  # R: trio_actors._core.message.Message | None
        reveal_type(error.kind)  # R: trio_actors._core.errors.ErrorKind
"""

SAID = re.compile(r"^.*?\.py:(\d+): (error|note): (.*?)(?:  \[([a-z-]+)\])?$")


def plain(text: str) -> str:
    """A revealed type without the spelling that differs between versions of mypy."""
    text = text.replace("builtins.", "").replace("Union[", "")
    return re.sub(r", None\]?$", " | None", text)


def test_mypy_sees_the_types_that_the_documentation_promises(tmp_path: Path) -> None:
    """Guarantee 43: an ask is typed by its request; PIDs, exits and errors have their classes."""
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    options = ["--strict", "--warn-unreachable", "--no-error-summary", "--hide-error-context"]
    cache = ["--cache-dir", str(ROOT / ".mypy_cache" / "snippets")]
    out, err, _ = api.run(["--config-file", "", *cache, *options, str(file)])
    assert err == ""
    revealed: dict[int, str] = {}
    errors: dict[int, str] = {}
    for line in out.splitlines():
        match = SAID.match(line)
        assert match, line
        number, level, text, code = match.groups()
        if level == "error":
            errors[int(number)] = code or "unreachable"
        elif text.startswith("Revealed type is"):
            revealed[int(number)] = plain(text.split('"')[1])
    lines = dict(enumerate(PROGRAM.splitlines(), 1))
    assert revealed == {n: s.split("# R: ")[1] for n, s in lines.items() if "# R: " in s}
    assert errors == {n: s.split("# E: ")[1] for n, s in lines.items() if "# E: " in s}


def test_pyright_sees_the_same_types(tmp_path: Path) -> None:
    """Guarantee 43: the same for pyright (here basedpyright, which brings its own node)."""
    checker = shutil.which("basedpyright", path=str(Path(sys.executable).parent))
    if checker is None:
        pytest.skip("basedpyright is not installed; `make types` installs it and runs this test")
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"typeCheckingMode": "standard"}))
    command = [checker, "--outputjson", "--pythonpath", sys.executable, "--project", str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    revealed: dict[int, str] = {}
    errors = set()
    for found in json.loads(done.stdout)["generalDiagnostics"]:
        line = found["range"]["start"]["line"] + 1
        if found["severity"] == "error":
            errors.add(line)
        elif match := re.match(r'Type of ".*" is "(.*)"$', found["message"], re.DOTALL):
            revealed[line] = match.group(1)
    lines = dict(enumerate(PROGRAM.splitlines(), 1))
    short = {n: re.sub(r"trio_actors[\w.]*\.", "", s) for n, s in lines.items()}
    assert revealed == {n: s.split("# R: ")[1] for n, s in short.items() if "# R: " in s}
    refused = {n for n, s in lines.items() if "# E: " in s and "# E: unreachable" not in s}
    assert errors == refused
