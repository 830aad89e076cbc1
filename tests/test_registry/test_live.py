"""The registry at run time: RG5-RG15, PL16, PL18, FZ28, FZ29, EV1-EV5."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from registry import App, open_app
from registry.changes import Op, OpKind
from registry.entry import Entry
from registry.kind import Definition
from registry.transaction import Action, Step, plan
from supervision import ServiceState
from trio_actors import (
    ProcessConflict,
    ProcessError,
    ProcessInvalid,
    ProcessNotFound,
    ProcessUnavailable,
)
from trio_actors.events import bus_of

WriteApp = Callable[..., Path]

MAIN = """\
namespace: app
entries:
  - {name: hosts, kind: process.host}
  - name: text
    kind: library.lua
    source: return function() return "old text" end
  - name: say
    kind: function.lua
    method: say
    imports: {text: text}
    modules: [time]
    source: |
      return {say = function(wait) if wait then time.sleep("10s") end return text() end}
  - name: worker
    kind: process.lua
    source: |
      return function(name)
        process.registry.register(name)
        process.events():receive()
      end
  - name: service
    kind: process.service
    process: worker
    host: hosts
    input: [the_worker]
    lifecycle: {auto_start: true}
  - {name: data, kind: registry.entry, size: 1, meta: {type: test}}
"""


@pytest.fixture
def app_path(write_app: WriteApp) -> Path:
    """An application with a library, its importer, a service and data."""
    return write_app({"main.yaml": MAIN})


def source(text: str, **more: Any) -> dict[str, Any]:
    """The run-time form of a Lua function that returns a text."""
    code = f'return {{main = function() return "{text}" end}}'
    return {"kind": "function.lua", "data": {"source": code, "method": "main"}, **more}


async def test_what_is_created_can_be_called_when_apply_returns(app_path: Path) -> None:
    """RG7, RG8: a created function is callable, an update runs new code, a deleted one is gone."""
    async with open_app(app_path) as app:
        registry = app.registry
        version = await registry.changes().create(source("one", id="app:f")).apply()
        assert (str(version), await app.call("app:f")) == ("v1", "one")
        await registry.changes().update(source("two", id={"ns": "app", "name": "f"})).apply()
        assert await app.call("app:f") == "two"
        await registry.changes().delete("app:f").apply()
        with pytest.raises(ProcessNotFound):
            await app.call("app:f")
        await registry.changes().create(source("three", id="app:f")).apply()
        assert await app.call("app:f") == "three"
        assert [str(v) for v in registry.versions()] == ["v0", "v1", "v2", "v3", "v4"]


async def test_a_changed_library_rebuilds_its_importers(
    app_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """PL16, FZ29: a call that runs returns the old code's result, a later one the new one's."""
    async with open_app(app_path) as app:
        results = []

        async def call_old() -> None:
            results.append(await app.call("app:say", True))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call_old)
            await trio.sleep(1)
            library = app.registry.get("app:text")
            new = {"source": 'return function() return "new text" end'}
            await (
                app.registry.changes()
                .update({"id": library.id, "kind": library.kind, "data": new})
                .apply()
            )
            assert await app.call("app:say") == "new text"
        assert results == ["old text"]
        await app.registry.apply_version(0)
        assert await app.call("app:say") == "old text"


async def test_a_good_and_a_bad_change_together_change_nothing(app_path: Path) -> None:
    """RG5, RG6, FZ28: the bad one's kind, and nothing is created."""
    async with open_app(app_path) as app:
        changes = app.registry.changes().create(source("one", id="app:f"))
        with pytest.raises(ProcessNotFound, match="entry not found: app:nothing"):
            await changes.update(source("x", id="app:nothing")).apply()
        with pytest.raises(ProcessNotFound):
            app.registry.get("app:f")
        assert str(app.registry.current_version()) == "v0"


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda c: c, ProcessInvalid, "no operations"),
        (lambda c: c.create({"id": "app:data", "kind": "registry.entry"}), ProcessConflict,
         "entry exists already: app:data"),
        (lambda c: c.delete("app:hosts"), ProcessInvalid,
         'entry app:service: host: expected the id of a process.host or terminal.host, got '
         '"app:hosts", which does not exist'),
        (lambda c: c.create({"id": "a:x", "kind": "function.lua", "data": {"sorce": ""}}),
         ProcessInvalid, r"entry a:x: sorce: expected .*did you mean \"source\""),
        (lambda c: c.update({"id": "app:data", "kind": "process.host"}), ProcessInvalid,
         "the kind of app:data cannot change"),
        (lambda c: c.update({"id": "app:hosts", "kind": "process.host",
                             "data": {"host": {"workers": 2}}}), ProcessInvalid,
         "workers cannot change while the host runs"),
    ],
)  # fmt: skip
async def test_refused_changes_keep_their_kind(
    app_path: Path, change: Callable[[Any], Any], error: type[ProcessError], text: str
) -> None:
    """RG6: INVALID, CONFLICT, NOT_FOUND; nothing has changed."""
    async with open_app(app_path) as app:
        with pytest.raises(error, match=text):
            await change(app.registry.changes()).apply()
        assert str(app.registry.current_version()) == "v0"
        assert await app.call("app:say") == "old text"


@pytest.mark.parametrize("entry", [5, {}, {"id": "x", "kind": "y"}, {"id": "a:x"},
                                   {"id": "a:x", "kind": "y", "data": 5}])  # fmt: skip
async def test_malformed_entries_are_refused_at_once(app_path: Path, entry: Any) -> None:
    """RG6: INVALID for a malformed entry, when it is put into the set."""
    async with open_app(app_path) as app:
        with pytest.raises(ProcessInvalid):
            app.registry.changes().create(entry)


async def test_a_service_follows_its_process(app_path: Path) -> None:
    """Live effects: the service of a changed process is restarted with the new code."""
    async with open_app(app_path) as app:
        first = app.supervisor.status("app:service").pid
        entry = app.registry.get("app:worker")
        code = (
            'return function(name) process.registry.register("other") process.inbox():receive() end'
        )
        await (
            app.registry.changes()
            .update({"id": entry.id, "kind": entry.kind, "data": {"source": code}})
            .apply()
        )
        status = app.supervisor.status("app:service")
        assert (status.state, status.pid != first) == (ServiceState.RUNNING, True)
        await trio.testing.wait_all_tasks_blocked()
        assert app.node.lookup("other") == status.pid
        app.abort()


async def test_limits_of_a_host_change_while_it_runs(app_path: Path) -> None:
    """Live effects: `max_processes` holds from the next spawn on."""
    async with open_app(app_path) as app:
        changed = {
            "id": "app:hosts",
            "kind": "process.host",
            "data": {"host": {"max_processes": 1}},
        }
        await app.registry.changes().update(changed).apply()
        with pytest.raises(ProcessUnavailable, match="host is full"):
            await app.spawn("app:worker", "app:hosts", "x")


@pytest.mark.parametrize("broken", range(7))
async def test_a_fault_at_any_step_undoes_everything(app_path: Path, broken: int) -> None:
    """RG5: whichever step fails, the application is what it was."""
    async with open_app(app_path) as app:
        before = (dict(app.definitions), dict(app.code.targets), dict(app.libraries))
        changes = app.registry.changes()
        for number in range(2):
            changes.create(source(str(number), id=f"app:f{number}"))
        changes.create({"id": "app:h", "kind": "process.host"})
        changes.delete("app:data")
        for id in ("app:text", "app:worker"):
            entry = app.registry.get(id)
            text = entry.data["source"] + " "
            changes.update({"id": id, "kind": entry.kind, "data": {"source": text}})
        count = 0
        do = app.registry._do

        async def fail_once(step: Step) -> None:
            nonlocal count
            count += 1
            if count == broken + 1:
                raise ProcessUnavailable("a fault")
            await do(step)

        app.registry._do = fail_once  # type: ignore[method-assign]
        with pytest.raises(ProcessUnavailable, match="a fault"):
            await changes.apply()
        assert count > broken + 1 or broken == 0
        assert str(app.registry.current_version()) == "v0"
        assert app.definitions == before[0]
        assert app.code.targets.keys() == before[1].keys()
        assert {id: s.source for id, s in app.libraries.items()} == {
            id: s.source for id, s in before[2].items()
        }
        assert "app:h" not in app.node.hosts
        assert not app.functions.has("app:f0")
        assert await app.call("app:say") == "old text"
        assert app.supervisor.status("app:service").state is ServiceState.RUNNING
        app.registry._do = do  # type: ignore[method-assign]
        assert str(await changes.apply()) == "v1"


def slow_down(app: App) -> None:
    """Each step of a change takes a second longer."""
    do = app.registry._do

    async def slow(step: Step) -> None:
        await trio.sleep(1)
        await do(step)

    app.registry._do = slow  # type: ignore[method-assign]


async def test_one_change_at_a_time(app_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """RG6: another apply running → CONFLICT, retryable."""
    async with open_app(app_path) as app:
        slow_down(app)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(app.registry.changes().create(source("1", id="app:f")).apply)
            await trio.sleep(0.5)
            with pytest.raises(ProcessConflict) as caught:
                await app.registry.changes().create(source("2", id="app:g")).apply()
            assert caught.value.retryable is True
        assert await app.call("app:f") == "1"


async def test_a_cancelled_apply_is_all_or_nothing(
    app_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """RG9: the change is complete although its caller was cancelled."""
    async with open_app(app_path) as app:
        slow_down(app)
        with trio.move_on_after(0.5):
            await app.registry.changes().create(source("1", id="app:f")).apply()
        assert await app.call("app:f") == "1"
        assert str(app.registry.current_version()) == "v1"


async def test_snapshots_do_not_change(app_path: Path) -> None:
    """RG10-RG13: every snapshot holds the full state of its version."""
    async with open_app(app_path) as app:
        registry = app.registry
        before = registry.snapshot()
        await registry.changes().create(source("one", id="app:f")).delete("app:data").apply()
        assert [entry.id for entry in before.find({"type": "test"})] == ["app:data"]
        assert registry.find({"type": "test"}) == []
        assert registry.snapshot(1).get("app:f").kind == "function.lua"
        assert [(op.kind, op.id) for op in registry.build_delta(before, registry.snapshot())] == [
            (OpKind.DELETE, "app:data"),
            (OpKind.CREATE, "app:f"),
        ]
        with pytest.raises(ProcessInvalid):
            registry.snapshot(0)
        with pytest.raises(ProcessNotFound):
            registry.snapshot(7)


async def test_what_was_given_or_read_is_a_copy(app_path: Path) -> None:
    """RG13: nobody changes a version by changing what he gave or got, however deep."""
    async with open_app(app_path) as app:
        registry = app.registry
        data: dict[str, Any] = {"list": [1]}
        entry = {"id": "app:new", "kind": "registry.entry", "data": data, "meta": {"m": [1]}}
        change = registry.changes().create(entry)
        data["list"].append("by who gave it")
        await change.apply()
        change.ops()[0].entry.data["list"].append("by who asked for the operations")
        snapshot = registry.snapshot()
        for found in (
            registry.get("app:new"),
            *registry.find({"id": "app:new"}),
            snapshot.get("app:new"),
            *snapshot.find({"id": "app:new"}),
            *(one for one in snapshot.namespace("app") if one.id == "app:new"),
            *(one for one in snapshot.entries() if one.id == "app:new"),
        ):
            assert (found.data, found.meta) == ({"list": [1]}, {"m": [1]})
            found.data["list"].append("by a reader")
            found.meta["m"].append("by a reader")
        assert registry.get("app:new").data == {"list": [1]}


async def test_changes_are_announced(app_path: Path) -> None:
    """RG15, EV1-EV3: after success, as system `registry`; `registry.entry` makes no events."""
    async with open_app(app_path) as app:
        with pytest.raises(ProcessError):
            await app.registry.changes().delete("app:nothing").apply()
        async with bus_of(app.node).subscribe("registry", "*") as events:
            await app.registry.changes().create(source("1", id="app:f")).delete("app:data").apply()
            seen = [await events.receive() for _ in range(2)]
        assert [(e.system, e.kind, e.path) for e in seen] == [
            ("registry", "entry.create", "app:f"),
            ("registry", "registry.commit", "v1"),
        ]


def definition(id: str, *needs: str, kind: str = "k", size: int = 0) -> Definition:
    """A definition that refers to others."""
    from registry.references import Reference

    entry = Entry(id, kind, {}, {"size": size})
    return Definition(entry, None, None, tuple(Reference((), need) for need in needs))


def test_the_plan_of_a_change_is_in_order() -> None:
    """RG5: dependents are removed before, dependencies added before, survivors moved between."""
    old = {d.id: d for d in [definition("h1"), definition("p"), definition("s", "p", "h1")]}
    new = {d.id: d for d in [definition("h2"), definition("p2"), definition("s", "p2", "h2")]}
    steps = plan(old, new, lambda definition: object())  # type: ignore[arg-type, return-value]
    found = [(step.action, (step.new or step.old).id) for step in steps]  # type: ignore[union-attr]
    assert found == [
        (Action.ADD, "h2"), (Action.ADD, "p2"), (Action.REMOVE, "p"), (Action.REMOVE, "h1"),
    ]  # fmt: skip
    new = {"h1": definition("h1", kind="other"), "s": definition("s", size=1)}
    steps = plan(old, new, lambda definition: object())  # type: ignore[arg-type, return-value]
    found = [(step.action, (step.new or step.old).id) for step in steps]  # type: ignore[union-attr]
    assert found == [
        (Action.REMOVE, "h1"), (Action.ADD, "h1"), (Action.UPDATE, "s"), (Action.REMOVE, "p"),
    ]  # fmt: skip


async def test_subscriptions_end_with_their_process(app_path: Path) -> None:
    """EV4, EV5: the sender never waits, everything arrives, and the end of the process closes."""
    from trio_actors import events

    seen: list[Any] = []

    async def listener(ctx: Any) -> None:
        async with events.subscribe("sys", "a.*") as sub:
            seen.append(sub)
            ctx.started()
            async for event in sub:
                seen.append((event.kind, event.data))
                if event.kind == "a.stop":
                    return

    async with open_app(app_path) as app:
        bus = bus_of(app.node)
        host = app.node.hosts["app:hosts"]
        await host.spawn(listener, ready=True)
        data = {"n": [1]}
        bus.send("sys", "a.x", "p", data)
        data["n"].append(2)
        bus.send("sys", "b.x", "p", 3)
        bus.send("sys", "a.stop", "p")
        await trio.testing.wait_all_tasks_blocked()
        assert seen[1:] == [("a.x", {"n": [1]}), ("a.stop", None)]
        for wrong in (("", "k", "p"), ("s", "", "p"), ("s", "k", "")):
            with pytest.raises(ProcessInvalid, match="cannot be empty"):
                bus.send(*wrong)


async def test_operations_are_values(app_path: Path) -> None:
    """Section 11: `changes:ops()` lists them in order."""
    async with open_app(app_path) as app:
        assert isinstance(app, App)
        ops = app.registry.changes().delete("app:data").ops()
        assert ops == [Op(OpKind.DELETE, Entry("app:data", ""))]


async def test_edits_of_the_files_are_applied(app_path: Path) -> None:
    """`run --watch`: a right edit is one change set, a wrong one only shows its problems."""
    from registry.cli.watch import apply_edits, fingerprint

    file = app_path / "main.yaml"
    async with open_app(app_path) as app:
        assert await apply_edits(app, app_path, ()) == ""
        seen = fingerprint(app_path)
        file.write_text(MAIN.replace("old text", "newer text").replace(", size: 1", ""))
        assert fingerprint(app_path) != seen
        assert await apply_edits(app, app_path, ()) == "applied as v1:\n~ app:data\n~ app:text"
        assert await app.call("app:say") == "newer text"
        file.write_text(MAIN.replace("process: worker", "process: wrker"))
        text = await apply_edits(app, app_path, ())
        assert text.startswith("nothing applied, the files have problems:\napp/main.yaml:23:14: ")
        file.write_text(MAIN.replace("process.host}", "process.host, host: {workers: 3}}"))
        text = await apply_edits(app, app_path, ())
        assert text.startswith("refused:\n~ app:data\n~ app:hosts\n~ app:text\napp:hosts: ")
        assert await app.call("app:say") == "newer text"
