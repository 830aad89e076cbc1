"""The pytest plugin: options for simulated tests, and what exploration has shown (TS12)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The three options."""
    group = parser.getgroup("trio-actors", "simulated tests of trio-actors")
    group.addoption(
        "--sim-schedules", type=int, metavar="N", help="runs per simulated test, instead of its own"
    )
    group.addoption(
        "--sim-replay", metavar="TOKEN", help="make only the run of this schedule in each test"
    )
    group.addoption(
        "--sim-report", metavar="DIR", help="where text, Mermaid and SVG of failures are written"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Hands the options to `explore`; a wrong one ends pytest with a usage error."""
    import pytest

    schedules = config.getoption("--sim-schedules")
    token = config.getoption("--sim-replay")
    directory = config.getoption("--sim-report")
    if schedules is None and token is None and directory is None:
        return
    from trio_actors.testing.explore import settings
    from trio_actors.testing.schedule import Schedule

    if schedules is not None and schedules < 1:
        raise pytest.UsageError(f"--sim-schedules must be at least 1, not {schedules}")
    if token is not None:
        try:
            Schedule.parse(token)
        except ValueError as error:
            raise pytest.UsageError(f"--sim-replay: {error}") from None
    settings.schedules = schedules
    settings.replay = token
    settings.directory = None if directory is None else Path(directory)


def pytest_itemcollected(item: Any) -> None:
    """A simulated test brings its own Trio loop: the mark `trio` is not for it."""
    function = getattr(item, "obj", None)
    if getattr(function, "simulated", False):
        item.own_markers[:] = [mark for mark in item.own_markers if mark.name != "trio"]


def pytest_runtest_setup(item: Any) -> None:
    """Results of the test that runs are kept under its node id, as parametrised tests have one."""
    module, function = _explore_module(), getattr(item, "obj", None)
    if module is not None and function is not None:
        module.settings.running = module.name_of(function), item.nodeid


def pytest_runtest_teardown() -> None:
    """No test runs."""
    module = _explore_module()
    if module is not None:
        module.settings.running = None


def _explore_module() -> Any:
    """The module, if any test uses it."""
    return sys.modules.get("trio_actors.testing.explore")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """With -v, what each exploration has shown, for example `verified: all 12 traces`.

    With `--sim-replay` always: a token of another version may name what no longer occurs.
    """
    module = _explore_module()
    if module is None or not module.settings.explored:
        return
    if terminalreporter.verbosity < 1 and module.settings.replay is None:
        return
    terminalreporter.section("simulated tests")
    for name, explored in module.settings.explored.items():
        terminalreporter.write_line(f"{name}: {explored}")
