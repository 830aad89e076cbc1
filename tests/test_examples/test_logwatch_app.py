"""examples/logwatch as a whole: exact counts with and without chaos, partial reports, errors.

On the real clock: the input is read in a thread, and a mock clock would jump while it reads.
"""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from registry import Terminal, open_app
from trio_actors import Exit, ProcessInvalid, ProcessNotFound

GOOD = '10.0.0.{n} - - [17/May/2015:10:05:{s:02}] "GET /{n} HTTP/1.1" 200 1{n} "-" "Mozilla"\n'
BAD = ["", "not a log line", '10.0.0.1 - - [17/May/2015:10:05:03] "GET / HTTP/1.1" 200', "\xff\xfe"]


def a_log(lines: int, bad_every: int) -> tuple[str, int]:
    """A log and how many of its lines no rule process can read."""
    text, bad = [], 0
    for i in range(lines):
        if i % bad_every == bad_every - 1:
            text.append(BAD[bad % len(BAD)] + "\n")
            bad += 1
        else:
            text.append(GOOD.format(n=i % 200, s=i % 60))
    return "".join(text), bad


async def run_report(app_path: Path, *words: str) -> tuple[Exit, dict[str, Any]]:
    """What `trio-actors run APP -x logwatch:report -- WORDS --json` does, and its report."""
    out = io.StringIO()
    async with open_app(app_path) as app:
        host = app.terminal()
        here = next(e for e in host.extensions.values() if isinstance(e, Terminal))
        here.stdout = out
        with trio.fail_after(60):
            pid = await app.spawn("logwatch:report", host.id, *words, "--json")
            end = await app.node.wait(pid)
    return end, json.loads(out.getvalue()) if end.error is None else {}


async def test_every_line_has_a_verdict(logwatch: Path, tmp_path: Path) -> None:
    """Lines that crash a rule process are tried twice and rejected; the report names some."""
    text, bad = a_log(300, 50)
    log = tmp_path / "some.log"
    log.write_text(text, encoding="latin-1")
    end, report = await run_report(logwatch, str(log), "--workers", "3")
    assert end.value == 0
    assert (report["read"], report["scored"], report["rejected"]) == (300, 300 - bad, bad)
    assert report["restarts"] == 2 * bad
    assert [r["line"] for r in report["rejects"]] == [50, 100, 150, 200, 250]
    assert "malformed line" in report["rejects"][0]["reason"]
    assert report["statuses"] == {"200": 300 - bad}


async def test_the_sample_has_known_sums(logwatch: Path) -> None:
    """The full sample: all lines are readable; the sums are those of `awk`."""
    end, report = await run_report(logwatch, str(logwatch / "data" / "access.log"))
    assert end.value == 0
    assert (report["read"], report["scored"], report["rejected"]) == (3000, 3000, 0)
    assert report["statuses"] == {
        "200": 2641,
        "206": 21,
        "301": 68,
        "304": 211,
        "404": 58,
        "500": 1,
    }
    assert [a["client"] for a in report["alerts"]][:2] == ["208.91.156.11", "195.250.34.144"]
    assert report["alerts"][1]["reasons"] == {"client error": 3, "scanner path": 3}


@pytest.mark.parametrize("seed", range(5))
async def test_chaos_changes_no_count(logwatch: Path, tmp_path: Path, seed: int) -> None:
    """Junk is added, everything but the report process is killed; the accounts are the same."""
    text, bad = a_log(700, 90)
    log = tmp_path / "some.log"
    log.write_text(text, encoding="latin-1")
    words = (str(log), "--workers", str(1 + seed), "--chaos", "--seed", str(seed))
    end, report = await run_report(logwatch, *words)
    assert end.value == 0
    assert (report["read"], report["scored"], report["rejected"]) == (700, 700 - bad, bad)
    assert report["statuses"] == {"200": 700 - bad}
    chaos = report["chaos"]
    assert chaos["killed"] >= 5
    assert chaos["injected"] == chaos["injected_rejected"] > 0
    assert chaos["injected_scored"] == 0


@pytest.mark.parametrize("lines", [0, 1])
async def test_short_input(logwatch: Path, tmp_path: Path, lines: int) -> None:
    """An empty log and one of one line without its end."""
    log = tmp_path / "short.log"
    log.write_text(a_log(lines, 9)[0].removesuffix("\n"), encoding="latin-1")
    end, report = await run_report(logwatch, str(log))
    assert end.value == 0
    assert (report["read"], report["scored"]) == (lines, lines)


@pytest.mark.parametrize(
    ("words", "kind", "text"),
    [
        (("nowhere.log",), ProcessNotFound, "cannot read nowhere.log"),
        (("x", "--workers", "9"), ProcessInvalid, "--workers: expected 1 to 8, got 9"),
        (("x", "--workers", "many"), ProcessInvalid, "--workers: invalid int value"),
        (("x", "--nope"), ProcessInvalid, "unrecognized arguments: --nope"),
        ((), ProcessInvalid, "the following arguments are required: path"),
    ],
)
async def test_a_wrong_command_line_says_what_is_expected(
    logwatch: Path, words: tuple[str, ...], kind: type[Exception], text: str
) -> None:
    """Bad words end the report process with a clear error."""
    end, _ = await run_report(logwatch, *words)
    assert isinstance(end.error, kind)
    assert text in str(end.error)


# -- the command itself


@pytest.fixture
def command(logwatch: Path) -> list[str]:
    """`trio-actors run examples/logwatch -x logwatch:report --`."""
    script = "from registry.cli import main; raise SystemExit(main())"
    return [sys.executable, "-c", script, "run", str(logwatch), "-x", "logwatch:report", "--"]


def test_standard_input(command: list[str]) -> None:
    """`-` reads standard input."""
    text, _ = a_log(40, 999)
    done = subprocess.run(
        [*command, "-", "--json"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["scored"] == 40


def test_an_error_is_one_line_and_exit_code_1(command: list[str]) -> None:
    """A file that is not there."""
    done = subprocess.run(
        [*command, "nowhere.log"], capture_output=True, text=True, check=False, timeout=120
    )
    error = "cannot read nowhere.log: No such file or directory\n"
    assert (done.returncode, done.stderr) == (1, error)


def test_an_interrupt_prints_the_partial_report(command: list[str]) -> None:
    """Ctrl-C: stops in order, exit code 0, and the equation holds for what was judged."""
    log = ("--set", "logwatch:terminal:hide_logs=false")
    at = command.index("-x")
    with subprocess.Popen(
        [*command[:at], *log, *command[at:], "-", "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdin is not None
        running.stdin.write(a_log(50, 10)[0])
        running.stdin.flush()
        assert running.stderr is not None
        while "rules_8" not in running.stderr.readline():  # sent home: the run is under way
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        out, errors = running.communicate(timeout=60)
    assert running.returncode == 0, errors
    report = json.loads(out)
    assert report["read"] == report["scored"] + report["rejected"]
    assert "unfinished" in report
