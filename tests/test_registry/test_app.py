"""A running application: design.md §3, LD6, I10, I11, I3, P8."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from registry import LoadError, open_app
from trio_actors import ProcessError, ProcessInternal, ProcessNotFound, ProcessUnavailable

WriteApp = Callable[..., Path]

MAIN = """\
namespace: app
entries:
  - name: echo
    kind: process.py
    source: work:echo
    meta: {default_host: processes}
  - name: fail
    kind: process.py
    source: work:fail
  - name: wait
    kind: process.py
    source: work:wait
  - name: stubborn
    kind: process.py
    source: work:stubborn
  - name: processes
    kind: process.host
    host: {max_processes: 3}
  - name: terminal
    kind: terminal.host
"""
WORK = """\
import trio

ENDED = []

async def echo(ctx, *args):
    return [ctx.id, *args]

async def fail(ctx):
    raise RuntimeError("broken")

async def wait(ctx, name):
    try:
        async for event in ctx.events:
            return event.kind
    finally:
        ENDED.append(name)

async def stubborn(ctx):
    await trio.sleep_forever()
"""


@pytest.fixture
def app_path(write_app: WriteApp) -> Path:
    """An application with two hosts and four Python processes."""
    return write_app({"main.yaml": MAIN, "work.py": WORK})


async def test_a_process_is_called_and_spawned_by_its_id(app_path: Path) -> None:
    """`app.call` runs a process with a default host (C8), `app.spawn` starts one on a host."""
    async with open_app(app_path) as app:
        assert await app.call("app:echo", 1, "x") == ["app:echo", 1, "x"]
        pid = await app.spawn("app:fail", "app:processes")
        end = await app.node.wait(pid)
        assert isinstance(end.error, ProcessInternal)
        assert "broken" in str(end.error)


async def test_unknown_ids_and_hosts_are_errors(app_path: Path) -> None:
    """W3: factory not found, host not found."""
    async with open_app(app_path) as app:
        with pytest.raises(ProcessNotFound, match="factory not found"):
            await app.spawn("app:nothing", "app:processes")
        with pytest.raises(ProcessNotFound, match="host not found"):
            await app.spawn("app:echo", "app:nothing")


async def test_host_fields_hold(app_path: Path) -> None:
    """Z5, I12: `max_processes` of the entry, changed by an override."""
    async with open_app(app_path, overrides={"app:processes:host.max_processes": 1}) as app:
        await app.spawn("app:stubborn", "app:processes")
        with pytest.raises(ProcessUnavailable, match=r"host is full \(max_processes=1\)"):
            await app.spawn("app:stubborn", "app:processes")
        app.abort()


async def test_leaving_stops_in_order(app_path: Path) -> None:
    """Z3: every process is asked to end and has ended when the block is left."""
    async with open_app(app_path) as app:
        await app.spawn("app:wait", "app:processes", "one")
        await trio.testing.wait_all_tasks_blocked()
        import work  # type: ignore[import-not-found]
    assert work.ENDED == ["one"]


async def test_what_ignores_the_stop_is_ended(
    app_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Z3: those alive after the host's 10 seconds are ended."""
    async with open_app(app_path) as app:
        pid = await app.spawn("app:stubborn", "app:processes")
    assert trio.current_time() == 10
    assert pid not in app.node.processes


async def test_the_stop_has_a_limit(app_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """I3: after the limit the rest is ended at once."""
    async with open_app(app_path, stop_limit=2) as app:
        await app.spawn("app:stubborn", "app:processes")
        await app.spawn("app:stubborn", "app:terminal")
    assert trio.current_time() == 2
    assert not app.node.processes


async def test_a_cancellation_from_outside_stops_in_order_too(app_path: Path) -> None:
    """SU7, PH4: the ordered stop happens first, then the cancellation goes on."""
    with trio.CancelScope() as scope:
        async with open_app(app_path) as app:
            await app.spawn("app:wait", "app:processes", "one")
            await trio.testing.wait_all_tasks_blocked()
            import work

            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert work.ENDED == ["one"]


async def test_an_exception_of_the_user_leaves_as_it_is(app_path: Path) -> None:
    """PH3: the ordered stop, then the exception, unwrapped."""
    with pytest.raises(ZeroDivisionError):
        async with open_app(app_path):
            raise ZeroDivisionError


async def test_nothing_starts_when_anything_is_wrong(write_app: WriteApp) -> None:
    """I10: no module-level `start`, no host, no task: only the report."""
    path = write_app({"main.yaml": MAIN.replace("work:fail", "work:fial"), "work.py": WORK})
    with pytest.raises(LoadError) as caught:
        async with open_app(path):
            pytest.fail("started")
    assert str(caught.value) == (
        "app/main.yaml:9:13: entry app:fail: source: expected a callable in module work, "
        'got no attribute "fial"; did you mean "fail"?'
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("nothing", 'expected package.module:callable, got "nothing"'),
        ("no_such_module:main", "expected a module that can be imported, got ModuleNotFoundError: "
         "No module named 'no_such_module'"),
        ("crash:main", "expected a module that can be imported, got ZeroDivisionError: division "
         "by zero (crash.py:2)"),
        ("work:ENDED", "expected a callable, got ENDED, a list"),
        ("crash2:plain", "expected an async def main(ctx, *args), got a plain function"),
        ("crash2:needy", "expected a callable whose keyword-only parameters have defaults, "
         'got none for "key"'),
    ],
)  # fmt: skip
def test_python_sources_are_checked_at_the_load(
    source: str, expected: str, problems: Callable[..., list[str]]
) -> None:
    """DE9, DE11: a missing module or attribute, a failing import, a wrong signature."""
    files = {
        "main.yaml": f"namespace: a\nentries: [{{name: p, kind: process.py, source: '{source}'}}]",
        "work.py": WORK,
        "crash.py": "x = 1\nx / 0\n",
        "crash2.py": "def plain(ctx): ...\nasync def needy(ctx, *, key): ...\n",
    }
    (line,) = problems(files)
    assert line.startswith("app/main.yaml:2:47: entry a:p: source: " + expected)


async def test_two_applications_in_turn_have_their_own_modules(
    write_app: WriteApp, tmp_path: Path
) -> None:
    """DE15: modules are imported once per application."""
    path = write_app({"main.yaml": MAIN, "work.py": WORK})
    async with open_app(path) as app:
        assert (await app.call("app:echo"))[0] == "app:echo"
    (tmp_path / "app" / "work.py").write_text(
        WORK.replace("[ctx.id, *args]", "'changed since the last time'")
    )
    async with open_app(path) as app:
        assert await app.call("app:echo") == "changed since the last time"


async def test_the_terminal_host_is_found_when_there_is_one(app_path: Path) -> None:
    """I16, P8: one terminal host, room for one process, `io` only there."""
    async with open_app(app_path) as app:
        host = app.terminal()
        assert (host.id, host.max_processes) == ("app:terminal", 1)
    async with open_app(app_path, overrides={"app:terminal:kind": "process.host"}) as app:
        with pytest.raises(ValueError, match=r"exactly one entry of kind terminal.host, got none"):
            app.terminal()


async def test_errors_of_a_call_keep_their_kind(app_path: Path) -> None:
    """C3: the exit error with its message and kind."""
    async with open_app(app_path) as app:
        with pytest.raises(ProcessError) as caught:
            await app.node.call("app:fail", host="app:processes")
        assert caught.value.kind == "Internal"
