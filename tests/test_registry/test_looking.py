"""`ps`, `top` and `tree --live`: a running application as text, JSON and pictures (SU41, SU42)."""

import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from terminals import TRIO_ACTORS, Terminal

from registry.cli import main
from registry.cli.live import (
    HEADINGS,
    Order,
    Rates,
    columns,
    live_tree,
    process_table,
    ps_text,
    widths_within,
)
from registry.cli.looking import Screen
from supervision.pictures import text

WriteApp = Callable[..., Path]

APP = """\
namespace: app
entries:
  - {name: hosts, kind: process.host}
  - {name: serve, kind: process.py, source: code_of_app:serve}
  - name: inner
    kind: supervisor
    children:
      - {id: left, process: serve}
      - {id: right, process: serve}
  - name: outer
    kind: supervisor
    children:
      - {id: inner, process: inner}
      - {id: last, process: serve}
  - name: service
    kind: process.service
    process: outer
    host: hosts
    lifecycle: {auto_start: true}
"""
CODE = """\
async def serve(ctx):
    await ctx.events.receive()
"""


def row(name: str, depth: int = 0, **fields: Any) -> dict[str, Any]:
    """One row of a snapshot's data."""
    return {
        "key": name, "parent": None, "depth": depth, "pid": f"{{h|{name}}}", "name": name,
        "entry": "app:x", "kind": "worker", "state": "idle", "restarts": 0, "mailbox": 0,
        "uptime": 61.9, "host": "h", "names": [], "note": "", **fields,
    }  # fmt: skip


def data(*rows: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A snapshot's data."""
    counts = {"processes": len(rows), "delivered": 0, "ended": 0, "dead_letters": 0, "at": 0.0}
    return {"node": "local", **counts, "rows": list(rows), "exits": [], "pools": [], **fields}


TREE = data(
    row("app:s"),
    row("a", 1, parent="app:s", restarts=12, mailbox=3),
    row("b", 1, parent="app:s", pid=None, state="restarting", uptime=0.0, entry=""),
    row("app:t", note="requires app:s", state="inactive"),
)


def test_the_table_keeps_the_order_of_the_tree() -> None:
    """Children are indented; what has no process has dashes; a note says why."""
    assert columns(process_table(TREE)).splitlines() == [
        "NAME   PID        STATE                      RESTARTS  MAILBOX  UPTIME  ENTRY",
        "app:s  {h|app:s}  idle                              0        0    1m1s  app:x",
        "  a    {h|a}      idle                             12        3    1m1s  app:x",
        "  b    -          restarting                        0        0       -  -",
        "app:t  {h|app:t}  inactive (requires app:s)         0        0    1m1s  app:x",
    ]  # fmt: skip


def test_other_orders_have_the_most_first() -> None:
    """`top --by`: no indentation then; equal ones stay in the order of the tree."""
    table = process_table(TREE, Order.RESTARTS)
    assert [line[0] for line in table] == ["NAME", "a", "app:s", "b", "app:t"]


LONG = data(
    row("a-supervisor-of-many-readers", pid="{app:hosts|0x00012}", entry="app.readers:read_all"),
    row("left", 1, pid="{app:hosts|0x00013}", state="restarting", note="in 12s", restarts=3),
)


@pytest.mark.parametrize(
    ("width", "headings"),
    [
        (200, "NAME PID STATE RESTARTS MAILBOX UPTIME ENTRY"),
        (100, "NAME PID STATE RESTARTS MAILBOX UPTIME ENTRY"),
        (80, "NAME PID STATE RESTARTS MAILBOX UPTIME"),
        (60, "NAME PID STATE MAILBOX"),
        (40, "NAME PID"),
    ],
)
def test_a_narrow_terminal_shows_whole_pids(width: int, headings: str) -> None:
    """`top`: names and entries are shortened, then the least important columns are left out."""
    table = process_table(LONG)
    widths = widths_within(table, width)
    assert " ".join(widths) == headings
    assert sum(widths.values()) + len(widths) <= width
    screen = Screen(Console(width=width, height=40, file=io.StringIO()), "app", Order.TREE)
    with screen.console.capture() as capture:
        screen.console.print(screen.frame(LONG))
    head, help, first, *lines = capture.get().splitlines()
    assert head.startswith("app: 2 processes")
    assert help.startswith("order: tree")
    assert first.split() == headings.split()
    for line, (name, pid, *_) in zip(lines, table[1:], strict=True):
        assert pid in line
        assert line.startswith(name[:12])
        assert len(line) <= width


@given(
    st.lists(st.tuples(*[st.text("ab語 ", max_size=30)] * 7), max_size=4),
    st.integers(1, 120),
)
def test_columns_fit_or_only_the_most_important_are_left(
    lines: list[tuple[str, ...]], room: int
) -> None:
    """Nothing is wider than its texts; whatever is left out, NAME and PID stay, PID unshortened."""
    table = [HEADINGS, *lines]
    widths = widths_within(table, room)
    whole = dict(zip(HEADINGS, columns_of(table), strict=True))
    assert widths["PID"] == whole["PID"]
    assert all(0 < width <= whole[name] for name, width in widths.items())
    fits = sum(widths.values()) + len(widths) <= room
    assert fits or list(widths) == ["NAME", "PID"]
    if sum(whole.values()) + len(whole) <= room:
        assert widths == whole


def columns_of(table: list[tuple[str, ...]]) -> list[int]:
    """The width of each column's widest text."""
    return [max(cell_len(line[i]) for line in table) for i in range(len(table[0]))]


def test_pools_and_ends_follow_when_there_are_any() -> None:
    """Below the processes, each with an empty line before it."""
    pool = {"function": "app:f", "type": "lazy", "workers": 1, "busy": 0, "queued": 0}
    end = {"pid": "{h|1}", "ago": 5.0, "chain": ["{h|1} (app:x) ended", "because {h|2} ended"]}
    shown = ps_text(data(pools=[{**pool, "completed": 3, "failed": 0}], exits=[end]))
    assert shown.splitlines()[1:] == [
        "",
        "FUNCTION  TYPE  WORKERS  BUSY  QUEUED  COMPLETED  FAILED",
        "app:f     lazy  1        0     0       3          0",
        "",
        "5s ago: {h|1} (app:x) ended",
        "  because {h|2} ended",
    ]


def test_rates_are_those_between_two_frames() -> None:
    """Unknown in the first frame."""
    rates = Rates()
    assert rates.line(data()) == "0 processes, - messages/s, - ends/s, 0 dead letters"
    later = data(at=2.0, delivered=30, ended=1, dead_letters=4)
    assert rates.line(later) == "0 processes, 15.0 messages/s, 0.5 ends/s, 4 dead letters"


def test_the_live_tree_is_a_picture() -> None:
    """State, uptime, restarts and mailbox in each box."""
    assert text(live_tree(TREE, "app")).splitlines() == [
        "app  (4 processes)",
        "├─ app:s  ({h|app:s}, idle, up 1m1s)",
        "│  ├─ a  ({h|a}, idle, up 1m1s, restarts 12, mailbox 3)",
        "│  └─ b  (restarting)",
        "└─ app:t  ({h|app:t}, inactive (requires app:s), up 1m1s)",
    ]


def test_a_long_chain_is_drawn_as_far_as_it_can_be_read() -> None:
    """A thousand levels are no error."""
    rows = [row(str(n), n, parent=str(n - 1) if n else None) for n in range(1_000)]
    lines = text(live_tree(data(*rows), "app")).splitlines()
    assert len(lines) == 42
    assert "more below" in lines[-1]
    assert "more below" not in lines[-2]


# ---- on a running application --------------------------------------------------------------------


class Running:
    """`trio-actors run` as a program of its own."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [*TRIO_ACTORS, "run", *words], stderr=subprocess.PIPE, text=True
        )

    def stop(self) -> tuple[int, str]:
        """Stop in order; the exit code and the log."""
        self.process.send_signal(signal.SIGINT)
        _, log = self.process.communicate(timeout=30)
        return self.process.returncode, log


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for another program."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def app(write_app: WriteApp) -> str:
    """An application of three levels."""
    return str(write_app({"main.yaml": APP, "code_of_app.py": CODE}))


@pytest.fixture
def running(app: str, runtime: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Running]:
    """The application, started and complete."""
    started = Running(app)

    def complete() -> bool:
        code = main(["ps", app, "--json"])
        out = capfd.readouterr().out
        return code == 0 and json.loads(out)["processes"] == 5

    wait_until(complete)
    yield started
    if started.process.poll() is None:
        started.stop()


NAMES = ["app:service", "inner", "left", "right", "last"]


def test_ps_lists_a_running_application(
    running: Running, app: str, runtime: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """SU41: found by its files, or as the only one; as text, as JSON, as a tree and a picture."""
    assert main(["ps"]) == 0
    out = capfd.readouterr().out
    assert [line.split()[0] for line in out.splitlines()] == ["NAME", *NAMES]
    assert main(["ps", app, "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)["rows"]
    assert [(r["name"], r["depth"]) for r in rows] == list(zip(NAMES, [0, 1, 2, 2, 1], strict=True))
    assert main(["ps", app, "--svg"]) == 0
    out = capfd.readouterr().out
    assert out.startswith("<svg ")
    assert ">app:service  {app:hosts|" in out
    assert main(["tree", app, "--live"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "app  (5 processes)"
    assert lines[3].startswith("   │  ├─ left  ({app:hosts|")
    assert main(["tree", "--live", app, "--svg"]) == 0
    assert capfd.readouterr().out.startswith("<svg ")
    assert main(["tree", "--live", app, "--mermaid"]) == 0
    assert capfd.readouterr().out.startswith("flowchart TD\n")
    assert main(["top", app, "--frames", "2", "--interval", "0.01", "--by", "uptime"]) == 0
    assert capfd.readouterr().out.count("app: 5 processes") == 2
    code, log = running.stop()
    assert code == 0
    assert log.endswith("stopping; a second signal stops at once\n")
    assert list((runtime / "trio-actors").iterdir()) == []


def test_nothing_runs(app: str, capfd: pytest.CaptureFixture[str]) -> None:
    """One line that says so, exit code 1."""
    for command in (["ps"], ["top"], ["tree", "--live"]):
        assert main([*command, app]) == 1
        out, err = capfd.readouterr()
        assert (out, err) == (
            "",
            f"trio-actors: {app} is not running for this user; start it with"
            " `trio-actors run`, or give --control PATH\n",
        )
    assert main(["ps"]) == 1
    assert "no application is running" in capfd.readouterr().err


def test_a_control_socket_at_a_path_of_ones_own(
    app: str, runtime: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`--control PATH` on both sides; nothing in the runtime directory."""
    path = str(runtime / "mine")
    running = Running(app, "--control", path)
    wait_until(lambda: main(["ps", "--control", path]) == 0)
    capfd.readouterr()
    assert main(["tree", "--control", path]) == 0
    assert capfd.readouterr().out.startswith("app  (")
    assert not (runtime / "trio-actors").exists()
    assert running.stop()[0] == 0
    assert not Path(path).exists()


def test_a_path_that_cannot_be_had_stops_the_start(
    app: str, runtime: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Asked for and not possible: exit code 2, nothing was started."""
    path = runtime / "mine"
    path.write_text("")
    assert main(["run", app, "--control", str(path)]) == 2
    assert capfd.readouterr().err == (f"trio-actors: --control: {path}: exists and is no socket\n")


def test_an_unsafe_runtime_directory_is_a_warning(app: str, runtime: Path) -> None:
    """The application runs all the same, without a control socket."""
    (runtime / "trio-actors").mkdir()
    (runtime / "trio-actors").chmod(0o777)
    running = Running(app)
    assert running.process.stderr is not None
    assert "no control socket: " in running.process.stderr.readline()
    assert running.stop()[0] == 0


@pytest.mark.parametrize("end", ["q", "ctrl-c", "sigterm"])
def test_top_on_a_terminal_ends_cleanly(running: Running, app: str, end: str) -> None:
    """Frames until q, Ctrl-C or SIGTERM; a key changes the order; the screen is given back."""
    top = Terminal("top", app, "--interval", "0.05")
    top.wait_for("order: tree")
    os.write(top.screen, b"r")
    top.wait_for("order: restarts")
    if end == "sigterm":
        top.process.terminate()
    else:
        os.write(top.screen, b"q" if end == "q" else b"\x03")
    seen = top.rest()
    assert top.process.wait(timeout=20) == 0
    assert "Traceback" not in seen
    assert seen.rindex("\x1b[?1049l") > seen.rindex("order:")  # the alternate screen is left
    assert running.process.poll() is None


def test_top_ends_with_the_application(running: Running, app: str) -> None:
    """And says so."""
    top = Terminal("top", app, "--interval", "0.05")
    top.wait_for("order: tree")
    running.stop()
    assert "trio-actors: the application has ended" in top.rest()
    assert top.process.wait(timeout=20) == 1
