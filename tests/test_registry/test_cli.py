"""The command line: I1-I3, I11, I12, I15-I17, SU41."""

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from registry.cli import main
from registry.cli.words import Words, WordsError, split_words

WriteApp = Callable[..., Path]
MAN = 'expected the id of a process, got "app:man"; did you mean "app:main"?'
TWO = ["--set", "app:data:kind=terminal.host", "--set", "x"]
OPTIONS = ("-x", "--exec", "--set", "--log-level")

MAIN = """\
namespace: app
entries:
  - {name: main, kind: process.py, source: code_of_app:main}
  - {name: wait, kind: process.py, source: code_of_app:wait}
  - {name: deaf, kind: process.py, source: code_of_app:deaf}
  - {name: stuck, kind: process.py, source: code_of_app:stuck}
  - {name: terminal, kind: terminal.host}
  - {name: data, kind: registry.entry, size: 1}
"""
CODE = """\
import json, time, trio
from registry import terminal

async def main(ctx, *args):
    io = terminal(ctx)
    if args[:1] == ("raise",):
        raise ValueError("what a pity")
    if args[:1] == ("json",):
        return json.loads(args[1])
    io.print(json.dumps([list(args), io.args()]))

async def wait(ctx):
    io = terminal(ctx)
    io.print("ready")
    io.flush()
    async for event in ctx.events:
        io.print("got", event.kind)
        return 5

async def deaf(ctx):
    io = terminal(ctx)
    io.print("ready")
    io.flush()
    try:
        await trio.sleep_forever()
    finally:
        io.print("unwound")

async def stuck(ctx):
    io = terminal(ctx)
    io.print("ready")
    io.flush()
    while True:
        time.sleep(0.01)
"""


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Give the log handlers back that the command line replaces."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def app(write_app: WriteApp) -> str:
    """An application with a terminal host."""
    return str(write_app({"main.yaml": MAIN, "code_of_app.py": CODE}))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("app", Words(("app",))),
        ("app -x a:b", Words(("app",), "a:b")),
        ("-x a:b 1 two", Words((), "a:b", ("1", "two"))),
        ("app -x a:b --json -v --set k=v", Words(("app", "--set", "k=v"), "a:b", ("--json", "-v"))),
        ("-x a:b 1 --log-level=debug app", Words(("--log-level=debug", "app"), "a:b", ("1",))),
        ("app --exec a:b 1 -- --set -x", Words(("app",), "a:b", ("1", "--set", "-x"))),
        ("app -x a:b --", Words(("app",), "a:b")),
    ],
)
def test_words_of_the_process_are_split_off(line: str, expected: Words) -> None:
    """I1: up to the next option of the command itself; after `--` every word."""
    assert split_words(line.split(), OPTIONS) == expected


@pytest.mark.parametrize("line", ["-x", "app -- 1", "-x a:b 1 -x c:d"])
def test_words_that_cannot_be_split_are_refused(line: str) -> None:
    """I1: no id, arguments of no process, two processes."""
    with pytest.raises(WordsError):
        split_words(line.split(), OPTIONS)


def test_arguments_arrive_as_strings_and_in_io(app: str, capfd: pytest.CaptureFixture[str]) -> None:
    """I1: the words are the process's arguments and `io.args()`."""
    assert main(["run", app, "-x", "app:main", "1", "--json", "--", "--set", "x"]) == 0
    words = ["1", "--json", "--set", "x"]
    assert json.loads(capfd.readouterr().out) == [words, words]


@pytest.mark.parametrize(
    ("result", "code"),
    [("3", 3), ("0", 0), ("true", 0), ("false", 1), ("null", 0), ('"text"', 0), ("[1]", 0)],
)
def test_the_result_of_the_process_is_the_exit_code(app: str, result: str, code: int) -> None:
    """SC32, I2: number → that number; true → 0; false → 1; nil and anything else → 0."""
    assert main(["run", app, "-x", "app:main", "json", result]) == code


def test_an_error_of_the_process_is_its_message_and_1(
    app: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """SC32, I2: process error → its message on standard error and 1."""
    assert main(["run", app, "--log-format", "json", "-x", "app:main", "raise"]) == 1
    *records, message = capfd.readouterr().err.splitlines()
    assert message == "ValueError: what a pity"
    assert [json.loads(record)["level"] for record in records] == ["error"]


def test_a_wrong_application_is_all_its_problems_and_2(
    write_app: WriteApp, capfd: pytest.CaptureFixture[str]
) -> None:
    """I17: all messages on standard error, exit code 2; the same for every command."""
    path = str(write_app({"a.yaml": "namespace: a\nentries: [{name: x, kind: y}, {name: z}]\n"}))
    lines = (
        'app/a.yaml:2:27: entry a:x: kind: expected a known kind, got "y"\n'
        "app/a.yaml:2:31: entry a:z: kind: expected a kind, got nothing\n"
    )
    for command in ("run", "check", "tree"):
        assert main([command, path]) == 2
        assert capfd.readouterr() == ("", lines)


def test_set_changes_fields_before_the_checks(app: str, capfd: pytest.CaptureFixture[str]) -> None:
    """I12: typed values; unknown entry or field is a problem at the option."""
    assert main(["check", app, "--set", "app:data:size=2", "--set", "app:data:new.deep=x"]) == 0
    assert main(["check", app, "--set", "app:terminal:hide_logs=true"]) == 0
    capfd.readouterr()
    options = ["--set", "app:terminal:hide_logs=1", "--set", "app:dat:x=1"]
    assert main(["check", app, *options, "--set", "app:terminal:hid=1"]) == 2
    assert capfd.readouterr().err == (
        "--set:1:1: entry app:terminal: hide_logs: expected true or false, got 1\n"
        "--set:2:1: entry app:dat: expected the id of an entry, got an unknown id; "
        'did you mean "app:data"?\n'
        '--set:3:1: entry app:terminal: hid: expected hide_logs or lifecycle, got "hid"\n'
    )
    assert main(["check", app, "--set", "nonsense"]) == 2
    assert "expected ns:entry:field=value" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-x", "app:man"], MAN),
        (["-x", "app:data"], 'expected the id of a process, got "app:data"'),
        (["-x", "app:main", "--set", "app:terminal:kind=process.host"],
         "expected exactly one entry of kind terminal.host, got none"),
        (["-x", "app:main", *TWO], "--set: expected"),
        (["--bogus"], "Unknown option"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_starts_nothing_and_is_2(
    app: str, arguments: list[str], text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """I16: no such process, no terminal host or more than one, unknown options."""
    assert main(["run", app, *arguments]) == 2
    out, err = capfd.readouterr()
    assert (out, text in err) == ("", True)


NO_MAIN = """\
namespace: app
entries:
  - {name: terminal, kind: terminal.host}
  - name: script
    kind: process.lua
    source: |
      function main() end
  - {name: early, kind: process.lua, source: "error('early')"}
"""


@pytest.mark.parametrize(
    ("process", "code", "line"),
    [
        ("app:script", 2, 'app/main.yaml:7: entry app:script: method "main" not found in module; '
         "the script has to return a function or a table with this method: "
         "end it with `return {main = main}`\n"),
        ("app:early", 1, "app/main.yaml:8: early\n"),
    ],
)  # fmt: skip
def test_a_script_that_cannot_begin_is_one_line(
    write_app: WriteApp, process: str, code: int, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """E6, I2: its place, its entry and the remedy; 2 if the definition is wrong, 1 if it failed."""
    app = write_app({"main.yaml": NO_MAIN})
    assert main(["run", str(app), "-x", process]) == code
    assert capfd.readouterr().err == line


def test_tree_shows_entries_by_subject(app: str, capfd: pytest.CaptureFixture[str]) -> None:
    """SU41: the definition, without starting it."""
    assert main(["tree", app]) == 0
    out = capfd.readouterr().out
    assert "app  6 entries" in out
    assert "app:terminal  terminal.host" in out
    assert main(["tree", app, "--mermaid"]) == 0
    assert capfd.readouterr().out.startswith("flowchart LR\n")


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without cyclopts or rich: one remedy instead of a traceback."""
    monkeypatch.setitem(sys.modules, "cyclopts", None)
    for name in [name for name in sys.modules if name.startswith("registry.cli.")]:
        monkeypatch.delitem(sys.modules, name)
    assert main(["--help"]) == 2
    assert 'pip install "trio-actors[cli]"' in capfd.readouterr().err


def test_help_imports_nothing_of_what_the_commands_do() -> None:
    """Nor does a command import what only another one needs: a start is paid every time."""
    heavy = {"markdown_it", "starlette", "hypercorn", "trio_actors.testing", "registry.cli.runner"}
    code = "import sys; import registry.cli.commands; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert heavy & set(done.stdout.split()) == set()


class Program:
    """`trio-actors run` as a program of its own, to send signals to."""

    def __init__(self, app: str, process: str) -> None:
        command = [sys.executable, "-c", "import sys, registry.cli as c; sys.exit(c.main())"]
        self.process = subprocess.Popen(
            [*command, "run", app, "-x", process],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def noticed(self) -> bool:
        """Wait until the program says that it is stopping."""
        assert self.process.stderr is not None
        return "stopping" in self.process.stderr.readline()

    def signal_until_end(self, number: signal.Signals) -> None:
        """Send the signal again and again."""
        while self.process.poll() is None:
            self.send(number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=0.05)

    def end(self) -> tuple[int, str]:
        """Exit code and what was written to standard output since the start."""
        out, _ = self.process.communicate(timeout=20)
        return self.process.returncode, out


def test_the_first_signal_stops_in_order(app: str) -> None:
    """I11: the `-x` process is asked to end, then the rest; exit code 0."""
    for number in (signal.SIGINT, signal.SIGTERM):
        program = Program(app, "app:wait")
        program.send(number)
        assert program.end() == (0, "got pid.cancel\n")


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this platform has no SIGUSR1")
def test_sigusr1_shows_what_everybody_waits_for(app: str) -> None:
    """A stuck program tells its process tree, and goes on."""
    program = Program(app, "app:wait")
    program.send(signal.SIGUSR1)
    assert program.process.stderr is not None
    assert program.process.stderr.readline() == "node local: 1 processes\n"
    line = program.process.stderr.readline()
    assert "app:wait" in line
    assert "async for event in ctx.events" in line
    program.send(signal.SIGINT)
    assert program.end() == (0, "got pid.cancel\n")


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this platform has no SIGUSR1")
def test_sigusr1_shows_the_code_that_never_awaits(app: str) -> None:
    """T8: the Trio thread is held by a process, so no tree comes, but the stack."""
    program = Program(app, "app:stuck")
    program.send(signal.SIGUSR1)
    assert program.process.stderr is not None
    lines = iter(program.process.stderr.readline, "")
    assert next(line for line in lines if " in stuck" in line).strip().startswith("File ")
    program.signal_until_end(signal.SIGINT)
    assert program.end()[0] == 128 + signal.SIGINT


def test_the_second_signal_ends_everything_at_once(app: str) -> None:
    """I11: everything is terminated at once; exit code 128 + signal number."""
    program = Program(app, "app:deaf")
    program.send(signal.SIGINT)
    assert program.noticed()
    program.send(signal.SIGTERM)
    assert program.end() == (128 + signal.SIGTERM, "unwound\n")


def test_the_third_signal_ends_a_program_that_is_stuck(app: str) -> None:
    """I11, T8: also when the Trio thread runs code that never awaits."""
    program = Program(app, "app:stuck")
    program.signal_until_end(signal.SIGINT)
    assert program.end() == (128 + signal.SIGINT, "")
