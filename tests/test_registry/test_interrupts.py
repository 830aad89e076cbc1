"""Ctrl-C and cancellation at every single step of an application's life (I11, Y6, Z3, SU7)."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from interruption import ctrl_c, run_interrupted

from registry import App, Application, read_application
from registry.app import start_application

WriteApp = Callable[..., Path]

APP = """\
namespace: app
entries:
  - {name: hosts, kind: process.host}
  - {name: terminal, kind: terminal.host}
  - {name: role, kind: process.py, source: code_of_app:role}
  - {name: double, kind: function.py, source: code_of_app:double}
  - {name: pair, kind: supervisor, children: [{id: x, process: role, args: [x]}]}
  - name: a
    kind: process.service
    process: role
    host: hosts
    input: [a]
    lifecycle: {ready: true}
  - {name: b, kind: process.service, process: pair, host: hosts,
     lifecycle: {auto_start: true, depends_on: [a]}}
"""
CODE = """\
import trio

alive = []
faults = []

async def role(ctx, name):
    alive.append(name)
    try:
        ctx.started()
        await ctx.events.receive()
        await trio.sleep(0.1)
        if name == "a" and "x" in alive:
            faults.append("a ended before x, which depends on it")
    finally:
        alive.remove(name)

async def double(n):
    return 2 * n
"""


class Life:
    """An application opens, is called and asked, closes."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.outer = trio.CancelScope()
        self.app: App | None = None
        self.closed = False

    def opened(self, app: App) -> None:
        """The application is there, nothing of it runs."""
        self.app = app

    async def main(self) -> None:
        """The whole life."""
        with self.outer:
            async with start_application(self.application, opened=self.opened) as app:
                assert await app.call("app:double", 4) == 8
                await app.spawn("app:role", "app:terminal", "free")
                await trio.sleep(1)
        self.closed = True


@pytest.mark.parametrize("how", ["ctrl-c", "cancel"])
def test_interrupted_at_every_step(write_app: WriteApp, how: str) -> None:
    """It ends, in order, nothing is left, and Ctrl-C goes on to the caller of `trio.run`."""
    application = read_application(write_app({"main.yaml": APP, "code_of_app.py": CODE}))
    with application.importable():
        import code_of_app as code  # type: ignore[import-not-found]

        steps = 0
        while True:
            steps += 1
            life = Life(application)
            what = ctrl_c if how == "ctrl-c" else life.outer.cancel
            reached, interrupted = run_interrupted(life.main, steps, what, "Life.main")
            assert (code.alive, code.faults) == ([], []), steps
            assert life.app is None or not life.app.node.processes
            assert life.app is None or not life.app.node.hosts
            if not reached:
                break
            assert interrupted is (how == "ctrl-c"), steps
            assert interrupted or life.closed
        assert life.closed
    assert steps > 60
