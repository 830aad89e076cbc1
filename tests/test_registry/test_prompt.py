"""`trio-actors lua`: the prompt, piped and on a pseudo terminal."""

from __future__ import annotations

import doctest
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from registry.cli import main, prompt

pty = pytest.importorskip("pty")
WriteApp = Callable[..., Path]
COMMAND = [sys.executable, "-c", "import sys, registry.cli as c; sys.exit(c.main())", "lua"]
MAIN = """\
namespace: app
entries:
  - {name: processes, kind: process.host}
  - {name: double, kind: process.lua, source: "return function(x) return 2 * x end"}
  - {name: lib, kind: library.lua, source: "return {three = 3}"}
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An application with a process and a library."""
    (tmp_path / "_index.yaml").write_text(MAIN, "utf-8")
    return tmp_path


def piped(app: Path, text: str, *options: str) -> tuple[int, str, str]:
    """Exit code and both outputs of a prompt that reads these lines."""
    done = subprocess.run(
        [*COMMAND, str(app), *options],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_results_are_printed(app: Path) -> None:
    """Expressions give their values, statements nothing; globals and the mailbox stay"""
    code, out, err = piped(
        app,
        "1 + 1\n"
        "x = 20\n"
        'x, "two", nil, 2.0\n'
        "print(x, 1)\n"
        "process.id()\n"
        'process.call("app:double", "app:processes", x + 1)\n'
        'process.send(process.pid(), "t", "here")\n'
        "process.inbox():receive():payload()\n"
        'time.sleep("1ms"), io ~= nil\n',
    )
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        *("2", "20\ttwo\tnil\t2.0", "20\t1", "prompt:stdin", "42", "true", "here", "true\ttrue")
    ]


def test_a_chunk_has_as_many_lines_as_it_needs(app: Path) -> None:
    """As long as its only mistake is its end"""
    lines = "for i = 1, 2 do\n\nprint(i)\nend\nlocal s = [[\na\n]] return #s\nfunction f()\n"
    code, out, err = piped(app, lines)
    assert (code, out.splitlines()) == (0, ["1", "2", "2"])
    assert err == "stdin:1: 'end' expected near <eof>\n"


def test_errors_read_like_luas_own(app: Path) -> None:
    """Message, place, stack of the script; the prompt goes on, with its globals"""
    code, out, err = piped(
        app,
        "y = 1\n= = 3\nerror('boom')\nlocal function g() error('deep') end g()\n"
        "channel.new():recieve()\nerror(errors.new('an error'))\nerror()\ny\n",
    )
    assert (code, out) == (0, "1\n")
    assert "stdin:1: unexpected symbol near '='\n" in err
    assert "stdin:1: boom\nstack traceback:\n" in err
    assert "stdin:1: in local 'g'" in err
    assert "(method 'recieve'); did you mean 'receive'?\n" in err
    assert "\nan error\n" in err
    assert "(error object is nil)" in err
    assert "host:" not in err


def test_a_chunk_reads_lines(app: Path) -> None:
    """`io.readline` takes the next line of the terminal, nil at its end"""
    text = "io.readline() .. '!'\nhello\nio.read()\nio.readline()\n"
    code, out, err = piped(app, text)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "hello!",
        "nil\tio.read does not work at a prompt; use io.readline",
        "nil",
    ]


def test_the_end_of_the_process_gives_a_new_one(app: Path) -> None:
    """A limit ends it like any process; the prompt says so"""
    code, out, err = piped(
        app,
        "z = 1\nz\nlocal t = {} while true do t[#t + 1] = ('x'):rep(1000000) end\nz\n"
        "process.terminate(process.pid())\n'on'\n",
    )
    assert (code, out.splitlines()) == (0, ["1", "nil", "on"])
    assert err.count("(the process has ended; here is a new one)") == 2
    assert "\nmemory limit exceeded\n" in err or "memory limit exceeded\nstack" in err


def test_libraries(app: Path) -> None:
    """`--import` makes them known to `require`"""
    assert piped(app, "require('app:lib').three\n", "--import", "app:lib") == (0, "3\n", "")
    code, _, err = piped(app, "", "--import", "app:double")
    assert (code, "expected the id of a library.lua" in err) == (2, True)


def test_it_does_not_run_inside_itself(app: Path) -> None:
    """The module of the prompt is of no use to a chunk, or to an entry"""
    assert "the prompt runs already" in piped(app, "prompt.run()\n")[2]
    text = MAIN.replace("kind: process.lua,", "kind: process.lua, modules: [prompt],")
    (app / "_index.yaml").write_text(text, "utf-8")
    assert piped(app, "1\n")[0] == 2


def test_stubs_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--stubs DIR` starts nothing"""
    assert main(["lua", "--stubs", str(tmp_path / "deep")]) == 0
    written = capsys.readouterr().out.split()[1::2]
    assert [Path(path).name for path in written] == [".luarc.json", "trio_actors.lua"]
    assert all(Path(path).exists() for path in written)


def test_completion() -> None:
    """Modules, functions, methods"""
    assert doctest.testmod(prompt).failed == 0
    assert prompt.complete("nothing.like", 0) is None


class Terminal:
    """A prompt on a pseudo terminal."""

    def __init__(self, app: Path, history: Path) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            command = [*COMMAND, str(app), "--history", str(history)]
            os.execve(command[0], command, {**os.environ, "TERM": "dumb"})
        self.text = ""

    def expect(self, text: str, key: str = "") -> None:
        """Waits until this comes, and forgets all up to it; types the key whenever it is silent."""
        limit = time.monotonic() + 30.0
        while text not in self.text:
            ready, _, _ = select.select([self.fd], [], [], 0.3)
            assert ready or time.monotonic() < limit, f"no {text!r} in {self.text!r}"
            if ready:
                self.text += os.read(self.fd, 4096).decode()
            elif key:
                self.type(key)
        self.text = self.text.partition(text)[2]

    def type(self, text: str) -> None:
        """Keys."""
        os.write(self.fd, text.encode())

    def wait(self) -> int:
        """The exit code."""
        try:
            while os.read(self.fd, 4096):
                pass
        except OSError:
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    """Ends what a failed test leaves."""
    started: list[Terminal] = []
    yield started
    for terminal in started:
        try:
            os.kill(terminal.pid, signal.SIGKILL)
            os.waitpid(terminal.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(terminal.fd)


STUCK = [
    "while true do end",
    "while true do pcall(error) end",
    "process.inbox():receive()",
    "channel.new():receive()",
    "time.sleep('1h')",
    "channel.select{process.inbox():case_receive(), time.after('1h'):case_receive()}",
    "coroutine.wrap(function() while true do end end)()",
    "coroutine.spawn(function() while true do end end) time.sleep('1h')",
    "io.readline()",
]


def test_ctrl_c_stops_the_chunk_and_not_the_prompt(
    app: Path, tmp_path: Path, terminals: list[Terminal]
) -> None:
    """Whatever it waits for or computes; globals and mailbox stay; Ctrl-D leaves; history stays"""
    history = tmp_path / "state" / "history"
    terminal = Terminal(app, history)
    terminals.append(terminal)
    terminal.expect("> ")
    terminal.type("kept = 7\n")
    terminal.expect("> ")
    for line in STUCK:
        terminal.type(line + "\n")
        terminal.expect("\n")
        terminal.expect("interrupted!", key="\x03")
        terminal.type("'after' .. 'wards'\n")
        terminal.expect("afterwards")
        terminal.expect("> ")
    terminal.type("process.send(process.pid(), 't', kept * 6)\n")
    terminal.expect("true")
    terminal.expect("> ")
    terminal.type("process.inbox():receive():payload()\n")
    terminal.expect("42")
    terminal.expect("> ")
    terminal.type("half a line")
    terminal.expect("half a line")
    terminal.expect("> ", key="\x03")
    terminal.type("for i = 1, 1 do\n")
    terminal.expect(">> ")
    terminal.expect("\r\n> ", key="\x03")
    terminal.type("1 + 2\n")
    terminal.expect("3")
    terminal.expect("> ")
    terminal.type("\x04")
    assert terminal.wait() == 0
    assert "kept = 7" in history.read_text("utf-8")
