"""New code for running processes: OUTDATED, `upgradable`, `on_change`; O1-O4, U1-U4, RG5, RG7."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from registry import App, open_app
from trio_actors import EventKind, ProcessContext, ProcessInvalid

WriteApp = Callable[..., Path]
LUA = """\
local function main(count)
  count = count or 0
  process.set_options {{ upgradable = {upgradable} }}
  local inbox, events = process.inbox(), process.events()
  process.registry.register("keeper")
  while true do
    local got = channel.select {{ events:case_receive(), inbox:case_receive() }}
    if got.channel == inbox then
      local m = got.value
      if m:topic() == "tell" then
        process.send(m:payload(), "told", {{ count, lib.name, process.get_options() }})
      else
        count = count + 1
      end
    elseif got.value.kind == process.event.OUTDATED then
      process.upgrade(process.id(), count)
    elseif got.value.kind == process.event.CANCEL then
      return count
    end
  end
end
return main
"""
MAIN = """\
namespace: app
entries:
  - {name: host, kind: process.host}
  - {name: lib, kind: library.lua, source: 'return {name = "old"}'}
  - {name: other, kind: registry.entry}
  - name: keeper
    kind: process.lua
    imports: {lib: lib}
    source: %s
  - name: service
    kind: process.service
    process: keeper
    host: host
    on_change: %s
    lifecycle: {auto_start: true}
"""


def written(write_app: WriteApp, on_change: str, *, upgradable: bool = True) -> Path:
    """The application: a Lua process that counts, as a service."""
    source = LUA.format(upgradable=str(upgradable).lower())
    return write_app({"main.yaml": MAIN % (json.dumps(source), on_change)})


async def told(app: App) -> Any:
    """What the keeper tells: its count, the name in its library, its options."""
    answers: list[Any] = []

    async def asks(ctx: ProcessContext) -> None:
        ctx.send("keeper", "tell", ctx.pid)
        answers.append((await ctx.inbox.receive()).payload)

    await app.node.wait(await app.node.hosts["app:host"].spawn(asks))
    return answers[0]


def library(name: str) -> dict[str, Any]:
    """The library with another content."""
    data = {"source": f'return {{name = "{name}"}}'}
    return {"id": "app:lib", "kind": "library.lua", "data": data}


async def after(app: App, *changes: dict[str, Any]) -> tuple[bool, Any]:
    """Whether the keeper kept its PID through these changes, and what it tells then."""
    await trio.testing.wait_all_tasks_blocked()
    pid = app.node.lookup("keeper")
    for _ in range(3):
        app.node.send("keeper", "count")
    for change in changes:
        await app.registry.changes().update(change).apply()
    await trio.testing.wait_all_tasks_blocked()
    return app.node.lookup("keeper") == pid, await told(app)


OPTIONS = {"trap_links": False, "upgradable": True}


@pytest.mark.parametrize(
    ("on_change", "upgradable", "expected"),
    [
        ("upgrade", True, (True, [3, "newest", OPTIONS])),
        ("upgrade", False, (False, [0, "newest", {"trap_links": False, "upgradable": False}])),
        ("restart", True, (False, [0, "newest", OPTIONS])),
        ("ignore", True, (True, [3, "newest", OPTIONS])),
        ("ignore", False, (True, [3, "old", {"trap_links": False, "upgradable": False}])),
    ],
)
async def test_a_service_follows_a_change(
    write_app: WriteApp, on_change: str, upgradable: bool, expected: Any
) -> None:
    """A changed library reaches the running process as `on_change` and its option say."""
    async with open_app(written(write_app, on_change, upgradable=upgradable)) as app:
        kept, (count, name, options) = await after(app, library("new"), library("newest"))
        options.setdefault("upgradable", False)
        assert (kept, [count, name, options]) == expected


async def test_a_refused_change_tells_nobody(
    write_app: WriteApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RG5: the step that fails comes after the process's, and no OUTDATED was sent."""
    async with open_app(written(write_app, "upgrade")) as app:
        posted: list[Any] = []
        post = app.node.post
        monkeypatch.setattr(app.node, "post", lambda s, t, i: (posted.append(i), post(s, t, i)))
        bad = {"id": "app:host", "kind": "process.host", "data": {"host": {"workers": 2}}}
        with pytest.raises(ProcessInvalid):
            await app.registry.changes().update(library("new")).update(bad).apply()
        await trio.testing.wait_all_tasks_blocked()
        assert not [item for item in posted if getattr(item, "kind", None) is EventKind.OUTDATED]
        assert (await told(app))[1] == "old"


async def test_only_who_runs_older_code_is_told(write_app: WriteApp) -> None:
    """A change of something else, or of the service alone, sends nothing."""
    async with open_app(written(write_app, "upgrade")) as app:
        other = {"id": "app:other", "kind": "registry.entry", "data": {"n": 1}}
        kept, (count, _, _) = await after(app, other)
        assert (kept, count) == (True, 3)
        entry = app.registry.get("app:service")
        service = {
            "id": entry.id,
            "kind": entry.kind,
            "data": {**entry.data, "on_change": "ignore"},
        }
        kept, (count, _, _) = await after(app, service)
        assert (kept, count) == (False, 0)  # its own entry: a restart


async def test_a_python_process_upgrades(write_app: WriteApp) -> None:
    """The option and the event in Python; the option is false again in the new code (U4)."""
    code = """\
        from trio_actors import EventKind
        seen = []
        async def old(ctx):
            ctx.options.upgradable = True
            async for event in ctx.events:
                seen.append(event.kind.value)
                if event.kind is EventKind.OUTDATED:
                    await ctx.upgrade(ctx.id, "state")
        async def new(ctx, state):
            seen.append((state, ctx.options.upgradable, ctx.options.trap_links))
            await ctx.events.receive()
        """
    main = """\
        namespace: app
        entries:
          - {name: host, kind: process.host}
          - {name: p, kind: process.py, source: "code_of_upgrades:old"}
        """
    path = write_app({"main.yaml": main, "code_of_upgrades.py": code})
    async with open_app(path) as app:
        import code_of_upgrades as module  # type: ignore[import-not-found]

        pid = await app.spawn("app:p", "app:host")
        await trio.testing.wait_all_tasks_blocked()
        data = {"source": "code_of_upgrades:new"}
        await (
            app.registry.changes()
            .update({"id": "app:p", "kind": "process.py", "data": data})
            .apply()
        )
        await trio.testing.wait_all_tasks_blocked()
        assert module.seen == ["pid.outdated", ("state", False, False)]
        assert pid in app.node.processes


async def test_wrong_values_of_the_option_are_refused(write_app: WriteApp) -> None:
    """O3: all options are checked before any takes effect."""
    source = """\
      return function()
        local ok, err = process.set_options({trap_links = true, upgradable = 1})
        return {ok, err:message(), process.get_options().trap_links}
      end"""
    main = f"namespace: app\nentries:\n  - {{name: h, kind: process.host}}\n  - name: p\n" \
        f"    kind: process.lua\n    source: {json.dumps(source)}\n"  # fmt: skip
    async with open_app(write_app({"main.yaml": main})) as app:
        found = await app.node.call("app:p", host="app:h")
        assert found == [False, "upgradable must be a boolean", False]

        async def wrong(ctx: ProcessContext) -> None:
            ctx.options.upgradable = 1  # type: ignore[assignment]

        with pytest.raises(ProcessInvalid, match="upgradable must be a boolean"):
            await app.node.call(wrong, host="app:h")
