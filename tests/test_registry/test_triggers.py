"""Whatever triggers a function, its call passes the chain. Rules: IC1, IC12, SJ2, QU3, F29."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio
import trio.testing

from registry import open_app
from trio_actors import contract
from trio_actors.queues import queues_of

WriteApp = Callable[..., Path]

MAIN = """\
namespace: app
entries:
  - {name: host, kind: process.host}
  - {name: seen, kind: function.interceptor, source: "code_of_triggers:seen", match: "app:*"}
  - {name: f, kind: function.lua, method: main, source: "return function() return 1 end"}
  - {name: outer, kind: function.lua, method: main, modules: [funcs],
     source: "return function() return funcs.call('app:f') end"}
  - {name: proc, kind: process.lua, source: "return function() return 2 end",
     meta: {default_host: "app:host"}}
  - {name: c, kind: contract.definition, methods: [{name: go}]}
  - {name: b, kind: contract.binding, contracts: [{contract: c, default: true, methods: {go: f}}]}
  - {name: q, kind: queue.queue}
  - {name: consumer, kind: queue.consumer, queue: q, func: f, lifecycle: {auto_start: true}}
  - {name: job, kind: schedule.job, func: f, interval: 10s, lifecycle: {auto_start: true}}
"""
CODE = """\
SEEN = []
async def seen(call, next):
    SEEN.append(call.id)
    return await next(call)
"""


async def test_every_trigger_passes_the_chain(
    write_app: WriteApp, autojump_clock: trio.testing.MockClock
) -> None:
    """IC1, IC12: root, Lua, contract, process as a function, consumer, job; a spawn does not."""
    files = {"main.yaml": MAIN, "code_of_triggers.py": CODE}
    async with open_app(write_app(files)) as app:
        import code_of_triggers as code  # type: ignore[import-not-found]

        def fresh() -> list[Any]:
            seen, code.SEEN[:] = list(code.SEEN), []
            return seen

        fresh()
        assert await app.call("app:f") == 1
        assert fresh() == ["app:f"]
        assert await app.call("app:outer") == 1
        assert fresh() == ["app:outer", "app:f"]
        assert await contract.get("app:c").go() == 1
        assert fresh() == ["app:f"]
        assert await app.call("app:proc") == 2
        assert fresh() == ["app:proc"]
        await queues_of(app.node).publish("app:q", "x")
        await trio.sleep(1)
        assert fresh() == ["app:f"]
        await trio.sleep(10)
        assert fresh() == ["app:f"]
        pid = await app.spawn("app:proc", "app:host")
        await app.node.wait(pid)
        assert fresh() == []
