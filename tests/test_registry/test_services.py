"""Services of an application: Y6, Y20-Y30, Y32, Y34, Y38, I11, LD6, LD8."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from registry import open_app
from supervision import ServiceState

WriteApp = Callable[..., Path]

MAIN = """\
namespace: app
entries:
  - name: second
    kind: process.service
    process: worker
    host: processes
    input: [second]
    lifecycle: {auto_start: true, depends_on: [first, data]}
  - name: first
    kind: process.service
    process: worker
    host: {ns: app, name: processes}
    input: [first]
    lifecycle: {ready: true}
  - name: unstable
    kind: process.service
    process: crash
    host: processes
    lifecycle:
      auto_start: true
      restart: {initial_delay: 1s, jitter: 0, max_attempts: 3}
  - name: idle
    kind: process.service
    process: worker
    host: processes
    input: [idle]
  - {name: worker, kind: process.py, source: "work_of_services:worker"}
  - {name: crash, kind: process.lua, source: "return function() error('again') end"}
  - {name: data, kind: registry.entry}
  - {name: processes, kind: process.host}
"""
WORK = """\
import trio

LOG = []

async def worker(ctx, name):
    LOG.append(f"{name} starts")
    if name == "first":
        await trio.sleep(2)
        LOG.append("first is ready")
        ctx.started()
    async for event in ctx.events:
        break
    await trio.sleep(0.5)
    LOG.append(f"{name} ends")
"""


@pytest.fixture
def app_path(write_app: WriteApp) -> Path:
    """An application with four services."""
    return write_app({"main.yaml": MAIN, "work_of_services.py": WORK})


async def test_services_start_and_stop_in_order(
    app_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Y6, Y8, Y9: dependencies are ready first, dependents end first, others are not started."""
    async with open_app(app_path) as app:
        import work_of_services as work  # type: ignore[import-not-found]

        assert app.supervisor.status("app:second").state is ServiceState.RUNNING
        assert app.supervisor.status("app:idle").state is ServiceState.INACTIVE
    assert work.LOG == [
        "first starts", "first is ready", "second starts", "second ends", "first ends",
    ]  # fmt: skip


async def test_a_failing_service_is_retried_and_given_up(
    app_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Y1, Y2, Y34, Y38: three runs at 0, 1 and 3 s; the rest of the application goes on."""
    async with open_app(app_path) as app:
        await trio.sleep(10)
        status = app.supervisor.status("app:unstable")
        assert (status.state, status.runs) == (ServiceState.FAILED, 3)
        assert app.supervisor.status("app:second").state is ServiceState.RUNNING


async def test_a_service_can_be_started_on_request(
    app_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Y8: a service without auto_start."""
    async with open_app(app_path) as app:
        await app.supervisor.start(["app:idle"])
        assert app.supervisor.status("app:idle").state is ServiceState.RUNNING


@pytest.mark.parametrize(
    ("lifecycle", "line"),
    [
        ("{depends_on: [a], requires: [a]}",
         "lifecycle.requires: expected either depends_on or requires, which mean the same, "
         "got both"),
        ("{restart: {max_attempts: ten}}",
         'lifecycle.restart.max_attempts: expected an integer of at least 0, got "ten"'),
        ("{depends_on: [nothing]}",
         'lifecycle.depends_on[0]: expected the id of an entry, got "app:nothing", which does not '
         "exist"),
        ("{depends_on: [service]}",
         "lifecycle.depends_on[0]: expected references without a cycle, got "
         "app:service -> app:service"),
        ("{security: {groups: [admins]}}",
         'lifecycle.security.groups[0]: expected a group that a policy names, got "admins"'),
        ("{stop_timeout: 5}", ""),
        ("{stop_timeout: 5x}",
         "lifecycle.stop_timeout: expected a number of milliseconds or a duration such as "
         '"1.5s", got "5x"'),
    ],
)  # fmt: skip
def test_wrong_lifecycles_are_load_errors(
    lifecycle: str, line: str, problems: Callable[..., list[str]]
) -> None:
    """Y25, Y28, Y30, SE8, LD4, LD8."""
    found = problems({"main.yaml": f"""\
        namespace: app
        entries:
          - {{name: a, kind: process.host}}
          - {{name: p, kind: process.lua, source: return 1}}
          - name: service
            kind: process.service
            process: p
            host: a
            lifecycle: {lifecycle}
        """})  # fmt: skip
    assert [text.partition("entry app:service: ")[2] for text in found] == ([line] if line else [])


NO_MAIN = """\
namespace: app
entries:
  - {name: hosts, kind: process.host}
  - {name: script, kind: process.lua, method: go, source: "function go() end"}
  - {name: s, kind: process.service, process: script, host: hosts, lifecycle: {auto_start: true}}
"""


async def test_a_service_whose_script_cannot_begin_says_where_and_what_to_do(
    write_app: WriteApp, autojump_clock: trio.testing.MockClock
) -> None:
    """Y35, E6: it is tried again, and its code may be changed meanwhile."""
    async with open_app(write_app({"main.yaml": NO_MAIN})) as app:
        reason = app.supervisor.status("app:s").reason
        assert reason == (
            'app/main.yaml:4: entry app:script: method "go" not found in module; the script has '
            "to return a function or a table with this method: end it with `return {go = go}`"
        )
        source = "function go() process.inbox():receive() end return {go = go}"
        data = {"source": source, "method": "go"}
        change = {"id": "app:script", "kind": "process.lua", "data": data}
        await app.registry.changes().update(change).apply()
        await trio.sleep(2)
        assert app.supervisor.status("app:s").state is ServiceState.RUNNING
