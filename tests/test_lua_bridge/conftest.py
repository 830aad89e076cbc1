"""Scenarios with Lua processes: an application of scripts on one host."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest

from lua_bridge import DEFAULT_LIMITS, Limits, LuaTarget, Script
from trio_actors import Exit, Host, Node, ProcessContext, open_node


class Scripts:
    """A code source: registry ids and the Lua or Python code behind them."""

    def __init__(self) -> None:
        self.targets: dict[str, Any] = {}

    def find(self, id: str) -> Any:
        return self.targets.get(id)


@attrs.define
class World:
    """One node with one host `app:h` and scripts by id."""

    node: Node
    host: Host
    scripts: Scripts

    def lua(
        self,
        id: str,
        source: str,
        *,
        modules: tuple[str, ...] = (),
        imports: dict[str, Script] | None = None,
        limits: Limits = DEFAULT_LIMITS,
        method: str = "main",
    ) -> LuaTarget:
        script = Script(id, source, f"{id.replace(':', '/')}.lua", modules, imports or {})
        target = LuaTarget(script, method, limits)
        self.scripts.targets[id] = target
        return target

    def python(self, id: str, function: Callable[..., Any]) -> None:
        from trio_actors._core.function import function_target

        self.scripts.targets[id] = function_target(function, id=id)

    async def run(self, source: str, *args: Any, **options: Any) -> Any:
        """The value (or raised error) of one script."""
        target = self.lua(options.pop("id", "app:test"), source, **options)
        return await self.node.call(target, *args, host=self.host)

    async def exit(self, target: Any, *args: Any) -> Exit:
        pid = await self.host.spawn(target, *args)
        return await self.node.wait(pid)

    async def act(self, function: Callable[[ProcessContext], Any]) -> Any:
        """Runs a Python process to its end and returns its value."""

        async def actor(ctx: ProcessContext) -> Any:
            return await function(ctx)

        return await self.node.call(actor, host=self.host)


@asynccontextmanager
async def make_world(**host_options: Any) -> AsyncIterator[World]:
    scripts = Scripts()
    async with open_node() as node:
        node.add_source(scripts)
        async with node.open_host("app:h", drain=0, **host_options) as host:
            yield World(node, host, scripts)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with make_world() as made:
        yield made


@pytest.fixture
def open_world() -> Callable[..., Any]:
    return make_world


@pytest.fixture(params=["python", "lua"], ids=lambda name: f"from_{name}")
def caller(request: pytest.FixtureRequest) -> str:
    """The language of the process that calls."""
    return str(request.param)


@pytest.fixture(params=["python", "lua"], ids=lambda name: f"to_{name}")
def callee(request: pytest.FixtureRequest) -> str:
    """The language of the function or process that is called."""
    return str(request.param)
