"""The Lua modules `registry` and `events`: section 11 (RG1-RG15) and section 12 (EV1-EV5)."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from registry import App, open_app
from trio_actors import ProcessError

WriteApp = Callable[..., Path]

MAIN = """\
namespace: app
entries:
  - {name: hosts, kind: process.host}
  - {name: data, kind: registry.entry, size: 1, meta: {type: test}}
  - {name: py, kind: process.py, source: "code_of_lua_registry:main"}
"""
CODE = "async def main(ctx):\n    return 1\n"
HEAD = 'local registry, events = require("registry"), require("events")\nreturn function(x)\n'
FUNCTION = """{
  id = "app:f", kind = "function.lua",
  data = {source = 'return {main = function() return "one" end}', method = "main"},
}"""


@pytest.fixture
async def app(write_app: WriteApp) -> AsyncIterator[App]:
    """A running application whose scripts are given by the tests."""
    async with open_app(write_app({"a.yaml": MAIN, "code_of_lua_registry.py": CODE})) as app:
        yield app


async def run(app: App, body: str) -> Any:
    """The result of a Lua process with this body."""
    data = {"source": f"{HEAD}{body}\nend", "modules": ["registry", "events"]}
    entry = {"id": "test:script", "kind": "process.lua", "data": data}
    known = "test:script" in app.definitions
    changes = app.registry.changes()
    await (changes.update(entry) if known else changes.create(entry)).apply()
    return await app.node.call("test:script", host="app:hosts")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('return registry.parse_id("a:b:c")', {"ns": "a", "name": "b:c"}),
        ('return registry.parse_id("x")', {"ns": "", "name": "x"}),
        ('return registry.get("app:data")',
         {"id": "app:data", "kind": "registry.entry", "meta": {"type": "test"},
          "data": {"size": 1}}),
        ('return registry.get({ns = "app", name = "hosts"}).kind', "process.host"),
        ('local e, err = registry.get("app:no") return {err:kind(), err:message()}',
         ["NotFound", "entry not found: app:no"]),
        ('local l = {} for _, e in ipairs(registry.find{[".ns"] = "app"}) do l[#l+1] = e.id end '
         "return l", ["app:data", "app:hosts", "app:py"]),
        ('return #registry.find{type = "test"}', 1),
        ('local e, err = registry.find{[".x"] = 1} return err:kind()', "Invalid"),
        ("local v = registry.current_version() return {v:id(), v:string(), tostring(v)}",
         [1, "v1", "Version(v1)"]),
        ("local v = registry.current_version() return {v:previous():id(), v:next() == nil}",
         [0, True]),
        ("return #registry.versions()", 2),
        ("local s = registry.snapshot() return {tostring(s), s:version():id(), #s:entries(), "
         '#s:namespace("test"), s:get("app:data").data.size, #s:find{kind = "process.*"}}',
         ["Snapshot(v1)", 1, 4, 1, 1, 3]),
        ("local s, err = registry.snapshot_at(0) return err:kind()", "Invalid"),
        ("local s, err = registry.snapshot_at(9) return err:kind()", "NotFound"),
        ("local h = registry.history() return {tostring(h), #h:versions(), "
         "h:get_version(1):id(), tostring(h:snapshot_at(h:get_version(0)))}",
         ["History", 2, 1, "Snapshot(v0)"]),
        ("local h = registry.history() local d = registry.build_delta(h:snapshot_at("
         "h:get_version(0)), registry.snapshot()) return {#d, d[1].kind, d[1].entry.id}",
         [1, "entry.create", "test:script"]),
        ('local c, err = registry.changes():create{id = "x"} return {c == nil, err:kind()}',
         [True, "Invalid"]),
        ('local v, err = registry.changes():delete("app:no"):apply() return err:kind()',
         "NotFound"),
        ("local v, err = registry.changes():apply() return {err:kind(), err:message()}",
         ["Invalid", "no operations"]),
        ('local c = registry.changes():create{id = "a:b", kind = "registry.entry"} '
         ':delete("app:data") local l = c:ops() return {#l, l[1].kind, l[2].entry.id}',
         [2, "entry.create", "app:data"]),
        ('local v, err = registry.changes():create{id = "a:p", kind = "process.py", '
         'data = {source = "x:y"}}:apply() return err:kind()', "PermissionDenied"),
        ('local v, err = registry.changes():create{id = "a:q", kind = "queue.queue", '
         'data = {driver = "sqlite", file = "../outside.sqlite"}}:apply() return err:message()',
         "not allowed: a:q names a file outside the application's directory"),
        ('local v, err = registry.changes():create{id = "a:w", kind = "http.service", data = '
         '{addr = ":0", tls = {cert = "c.pem", key = "/etc/key"}}}:apply() return err:kind()',
         "PermissionDenied"),
    ],
)  # fmt: skip
async def test_the_registry_answers_scripts(app: App, body: str, expected: Any) -> None:
    """RG1-RG14, GC7: the whole table of section 11, from Lua."""
    assert await run(app, body) == expected


async def test_a_script_changes_the_application(app: App) -> None:
    """RG7, RG8, RG12: a function created by a script is callable, and goes with its version."""
    version = await run(app, f"return registry.changes():create({FUNCTION}):apply():id()")
    assert (version, await app.call("app:f")) == (2, "one")
    body = "return registry.apply_version(registry.history():get_version(1))"
    with pytest.raises(ProcessError):
        await run(app, body + "\n  , error('the script itself is newer')")
    assert await run(app, body) is True
    assert "app:f" not in app.definitions


async def test_events_reach_scripts(app: App) -> None:
    """EV1-EV5, RG15: own events, patterns, changes of the registry, the end by close."""
    body = f"""
      local sub = events.subscribe("*", "*")
      local only = events.subscribe("mine", "a.*")
      registry.changes():create({FUNCTION}):apply()
      for i = 1, 100 do
        assert(events.send("mine", i % 2 == 0 and "a.x" or "b.x", "p", {{n = i}}))
      end
      local list, ch = {{}}, sub:channel()
      for i = 1, 102 do
        local e = ch:receive()
        list[i] = e.kind .. " " .. e.path
      end
      local n = 0
      for i = 1, 50 do n = n + only:channel():receive().data.n end
      only:close() only:close()
      local value, ok = only:channel():receive()
      local bad, err = events.subscribe("")
      local bad2, err2 = events.send("s", "", "p")
      return {{list[1], list[2], list[3], list[102], n, ok, err:kind(), err2:kind()}}
    """
    assert await run(app, body) == [
        "entry.create app:f", "registry.commit v2", "b.x p", "a.x p", 2550, False, "Invalid",
        "Invalid",
    ]  # fmt: skip
