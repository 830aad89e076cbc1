"""Supervision trees as entries: SU1, SU2, SU11, and as the process of a service."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from registry import open_app
from supervision import SupervisorRef

WriteApp = Callable[..., Path]

MAIN = """\
namespace: app
entries:
  - {name: hosts, kind: process.host}
  - name: worker
    kind: process.lua
    source: |
      return function(name)
        process.registry.register(name)
        process.events():receive()
      end
  - name: tree
    kind: supervisor
    strategy: one_for_all
    intensity: 3
    children:
      - {id: a, process: worker, args: [a]}
      - {id: b, process: {ns: app, name: worker}, host: hosts, args: [b], shutdown: 500}
  - name: service
    kind: process.service
    process: tree
    host: hosts
    lifecycle: {auto_start: true, ready: true}
"""


async def test_a_tree_is_the_process_of_a_service(write_app: WriteApp) -> None:
    """SU2, SU11: children run in order; one that is ended takes the other along, both return."""
    async with open_app(write_app({"a.yaml": MAIN})) as app:
        await trio.testing.wait_all_tasks_blocked()
        pid = app.supervisor.status("app:service").pid
        assert pid is not None
        tree = SupervisorRef(app.node, pid)
        before = {child.id: child.pid for child in tree.which_children()}
        assert list(before) == ["a", "b"]
        app.node.terminate(str(before["a"]))
        with trio.fail_after(5):
            while {child.id: child.pid for child in tree.which_children()} == before or any(
                child.state != "running" for child in tree.which_children()
            ):
                await trio.testing.wait_all_tasks_blocked()
        after = {child.id: child.pid for child in tree.which_children()}
        assert after.keys() == before.keys()
        assert not set(after.values()) & set(before.values())


def test_wrong_trees_are_load_errors(problems: Callable[..., list[str]]) -> None:
    """SU1, LD5: every wrong field with its position, references too."""
    text = (
        MAIN.replace("one_for_all", "one_for_al")
        .replace("shutdown: 500", "shutdwn: 500")
        .replace("process: worker, args", "process: wrker, args")
    )
    found = problems({"a.yaml": text})
    assert [line.partition(": expected")[0] for line in found] == [
        "app/a.yaml:13:15: entry app:tree: strategy",
        "app/a.yaml:17:75: entry app:tree: children[1].shutdwn",
    ]
    assert found[0].endswith('did you mean "one_for_all"?')
    text = MAIN.replace("process: worker, args", "process: wrker, args")
    (line,) = problems({"a.yaml": text})
    assert line.endswith(
        "entry app:tree: children[0].process: expected the id of a process.lua, process.py or "
        'supervisor, got "app:wrker", which does not exist; did you mean "app:worker"?'
    )


def test_trees_are_drawn(write_app: WriteApp, capfd: pytest.CaptureFixture[str]) -> None:
    """SU41: the tree of a supervisor, as text and as a picture, without starting it."""
    from registry.cli import main

    path = str(write_app({"a.yaml": MAIN}))
    assert main(["tree", path]) == 0
    out = capfd.readouterr().out
    assert "app:tree  supervisor, one_for_all, 3 in 5s" in out
    assert "a  app:worker; permanent" in out
    assert main(["tree", path, "--svg"]) == 0
    assert capfd.readouterr().out.startswith("<svg ")
