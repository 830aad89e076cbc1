"""Functions, interceptors and policies of an application: C8, DE9, PL1-PL3, IC7, IC12, Y10."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from registry import open_app
from trio_actors import (
    ProcessError,
    ProcessInternal,
    ProcessNotFound,
    ProcessPermissionDenied,
    ProcessTimeout,
    ProcessUnavailable,
    funcs,
)

WriteApp = Callable[..., Path]

MAIN = """\
namespace: app
entries:
  - {name: add, kind: function.py, source: "code_of_functions:add", pool: {workers: 2}}
  - name: slow
    kind: function.py
    source: code_of_functions:slow
    meta: {options: {timeout: 50}}
  - name: around
    kind: function.interceptor
    source: code_of_functions:around
    match: "app:a*"
  - name: process
    kind: process.py
    source: code_of_functions:process
    meta: {options: {default_host: hosts, timeout: 1s}}
  - {name: hosts, kind: process.host}
  - name: lua_add
    kind: function.lua
    method: add
    modules: [ctx, time]
    pool: {workers: 1}
    source: |
      local M = {}
      function M.add(a, b)
        if a == "boom" then error({}) end
        if a == "wait" then time.sleep("1h") end
        return a + b, ctx.get("tenant")
      end
      return M
  - name: guarded
    kind: process.service
    process: asks
    host: hosts
    lifecycle:
      auto_start: true
      security: {actor: {id: robot}, groups: [robots]}
  - {name: asks, kind: process.py, source: "code_of_functions:asks"}
  - name: may_add
    kind: security.policy
    policy: {actions: "funcs.call", resources: "app:add", effect: allow}
    groups: [robots]
"""
CODE = """\
import trio
from trio_actors import ProcessError, funcs

ANSWERS = []

def add(a, b):
    return a + b

async def slow():
    await trio.sleep(60)

async def around(call, next):
    return [await next(call)]

async def process(ctx, x):
    return await funcs.call("app:add", x, 1)

async def asks(ctx):
    for id in ("app:add", "app:slow"):
        try:
            ANSWERS.append(await funcs.call(id, 1, 2))
        except ProcessError as error:
            ANSWERS.append(str(error.kind))
    ANSWERS.append(ctx.actor.id)
"""


@pytest.fixture
def app_path(write_app: WriteApp) -> Path:
    """An application with functions."""
    return write_app({"main.yaml": MAIN, "code_of_functions.py": CODE})


async def test_functions_are_called_by_id(app_path: Path) -> None:
    """DE9, PL1, IC12: through its pool and the interceptors of the application."""
    async with open_app(app_path) as app:
        assert await app.call("app:add", 1, 2) == [3]
        assert await funcs.call("app:add", 2, 2) == [4]
        assert app.functions.statistics("app:add").workers == 2
        with pytest.raises(ProcessNotFound, match="no handler registered for target"):
            await app.call("app:nothing")


async def test_default_options_come_from_meta(
    app_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """F20, GC6: `meta.options.timeout` in milliseconds."""
    async with open_app(app_path) as app:
        start = trio.current_time()
        with pytest.raises(ProcessTimeout):
            await app.call("app:slow")
        assert trio.current_time() - start == pytest.approx(0.05)


async def test_a_process_with_a_default_host_is_a_function(app_path: Path) -> None:
    """C8, F27, CX8: spawned on that host, its result is the call's; calls go on from there."""
    async with open_app(app_path) as app:
        assert await app.call("app:process", 4) == [5]


async def test_a_lua_function_is_called_like_any_other(
    app_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """GC1, CX1, F11, F20: result, context, error, cancellation; a second call waits its turn."""
    async with open_app(app_path, overrides={"app:around:match": "nothing"}) as app:
        executor = funcs.new().with_context({"tenant": 7})
        assert await executor.call("app:lua_add", 1, 2) == 3
        with pytest.raises(ProcessTimeout):
            await executor.with_options({"timeout": "5s"}).call("app:lua_add", "wait", 1)
        assert trio.current_time() == 5
        assert [p for p in app.node.processes if "lua_add" in p] == []
        with pytest.raises(ProcessError) as caught:
            await app.call("app:lua_add", 1)
        assert str(caught.value).startswith("app/main.yaml:")


async def test_a_service_acts_under_its_policies(app_path: Path) -> None:
    """Y10, A6: the actor and all policies of its groups; what no policy allows is denied."""
    async with open_app(app_path) as app:
        with trio.fail_after(5):
            while app.supervisor.status("app:guarded").state != "Exited":
                await trio.lowlevel.checkpoint()
        import code_of_functions as code  # type: ignore[import-not-found]

        assert code.ANSWERS == [[3], "PermissionDenied", "robot"]
        assert ProcessPermissionDenied.default_kind == "PermissionDenied"


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ("{kind: function.py, source: 'm:f', pool: {type: §lasy}}",
         'pool.type: expected inline, static, lazy or adaptive, got "lasy"; did '
         'you mean "lazy"?'),
        ("{kind: function.py, source: 'm:f', pool: {§size: 4}}",
         "pool.size: expected one of type, workers, max_size, idle_timeout, "
         'buffer, overflow, got "size"'),
        ("{kind: function.py, source: 'm:f', meta: {options: {retry: {max_attempts: §x}}}}",
         'meta.options.retry.max_attempts: expected an integer, got "x"'),
        ("{kind: function.py, source: 'm:f', meta: {options: {default_host: x}}}",
         ""),
        ("{kind: process.py, source: 'm:p', meta: {options: {default_host: §x}}}",
         'meta.options.default_host: expected the id of a process.host, got "x"'),
        ("{kind: process.py, source: 'm:p', meta: {default_host: §y}}",
         'meta.default_host: expected the id of a process.host or '
         'terminal.host, got "app:y", which does not exist; did you mean "app:h"?'),
        ("{kind: function.interceptor, source: §'m:g'}",
         "source: expected an async def interceptor(call, next), got a plain "
         "function"),
        ("{kind: security.policy, policy: {actions: §'a*b', resources: '*', effect: allow}}",
         "policy.actions"),
        ("{kind: security.policy, policy: {actions: 'a', resources: '*', effect: §alow}}",
         'policy.effect: expected allow or deny, got "alow"; did you mean '
         '"allow"?'),
        ("§{kind: function.lua, source: 'return 1'}",
         "method: expected a text that is not empty, got nothing"),
    ],
)  # fmt: skip
def test_wrong_function_entries_are_load_errors(
    entry: str, line: str, problems: Callable[..., list[str]]
) -> None:
    """PL3, IC7, C8, SE10, SE14: with the position of the very field."""
    text = "namespace: app\nentries:\n  - " + entry.replace("{", "{name: x, ", 1)
    module = "async def f(): ...\nasync def p(ctx): ...\ndef g(call, next): ...\n"
    host = "  - {name: h, kind: process.host}\n"
    found = problems({"a.yaml": f"{text.replace('§', '')}\n{host}", "m.py": module})
    assert len(found) == bool(line)
    column = text.splitlines()[2].find("§") + 1
    assert not line or found[0].startswith(f"app/a.yaml:3:{column}: entry app:x: {line}")


LUA = """\
namespace: app
entries:
  - name: math
    kind: library.lua
    source: "return {twice = function(n) return n * 2 end}"
  - name: count
    kind: function.lua
    source: |
      local n = 0
      return {next = function(by) n = n + math2.twice(by); return n end}
    method: next
    imports: {math2: math}
    pool: {workers: 1}
  - name: broken
    kind: function.lua
    source: |
      return function() error("boom") end
    method: main
"""


async def test_a_lua_function_keeps_its_worker_between_calls(write_app: WriteApp) -> None:
    """PL14, E4, GC1: locals of the chunk live as long as the worker; errors say where."""
    async with open_app(write_app({"main.yaml": LUA})) as app:
        assert [await app.call("app:count", 1) for _ in range(3)] == [2, 4, 6]
        with pytest.raises(ProcessInternal, match=r"main\.yaml:17: boom"):
            await app.call("app:broken")
        await app.stop()
        with pytest.raises(ProcessUnavailable, match="pool is closed"):
            await app.call("app:count", 1)
