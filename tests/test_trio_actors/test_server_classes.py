"""Server classes: what cannot work is refused by name, at the class or at its first spawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import attrs
import pytest

from trio_actors import Ask, Host, Server, handles


class Get(Ask[int]):
    pass


class Counter(Server):
    def init(self, start: int = 0) -> None:
        self.count = start

    @handles(Get)
    def get(self, request: Get) -> int:
        return self.count


SPAWNS: list[Callable[[Host, Any], Any]] = [
    lambda host, target: host.spawn(target),
    lambda host, target: _now(host.spawn_soon(target)),
    lambda host, target: _now(host.spawn_soon(target, name="x")),
    lambda host, target: host.node.call(target, host=host),
]
every_spawn = pytest.mark.parametrize("spawn", SPAWNS, ids=["spawn", "soon", "options", "call"])


async def _now(value: Any) -> Any:
    return value


NEVER_CALLED = r"Wrong\.__init__ is never called: .* in init\(self, \.\.\.\)"


def test_an_init_with_underscores_is_refused_with_the_class() -> None:
    """It would never be called: the error names the class and says what to write."""
    with pytest.raises(TypeError, match=NEVER_CALLED):

        class Wrong(Server):
            def __init__(self, n: int) -> None:
                self.n = n


def test_a_class_with_slots_of_attrs_is_refused_when_it_is_made() -> None:
    """Attrs makes a second class, which has an `__init__` from the start."""

    class Wrong(Server):
        n: int = 0

    with pytest.raises(TypeError, match=NEVER_CALLED):
        attrs.define(Wrong)


@every_spawn
@pytest.mark.parametrize(
    "decorator", [dataclasses.dataclass, attrs.define(slots=False)], ids=["dataclass", "attrs"]
)
async def test_an_init_of_a_decorator_is_refused_by_each_spawn(
    host: Host, decorator: Any, spawn: Callable[[Host, Any], Any]
) -> None:
    """It comes when the class is there already; nothing is started."""

    class Wrong(Server):
        n: int = 0

        @handles(Get)
        def get(self, request: Get) -> int:
            return self.n

    decorator(Wrong)
    for _ in range(2):
        with pytest.raises(TypeError, match=NEVER_CALLED):
            await spawn(host, Wrong)
    assert (host.alive, host.node.processes) == (0, {})


async def test_decorators_and_bases_that_leave_init_alone_are_welcome(host: Host) -> None:
    """`init=False`; and a base that is no server may have an `__init__`, for `init` to call."""

    @runtime_checkable
    class Shown(Protocol):
        def show(self) -> str: ...

    class Base:
        def __init__(self, n: int) -> None:
            self.n = n

    class Mixed(Base, Server, Shown):
        def init(self, n: int) -> None:
            Base.__init__(self, n)

        @handles(Get)
        def get(self, request: Get) -> int:
            return self.n

        def show(self) -> str:
            return str(self.n)

    @attrs.define(init=False)
    class Attrs(Mixed):
        m: int = 0

    @dataclasses.dataclass(init=False)
    class Data(Mixed):
        m: int = 0

    for server in (Mixed, Attrs, Data):
        assert await host.node.ask(await host.spawn(server, 5), Get()) == 5


@every_spawn
async def test_an_object_of_a_server_is_refused(
    host: Host, spawn: Callable[[Host, Any], Any]
) -> None:
    """The class is what is spawned; before its first spawn, and after it."""

    class Fresh(Counter):
        pass

    for _ in range(2):
        with pytest.raises(TypeError, match=r"spawn the class .*Fresh, not an object of it"):
            await spawn(host, Fresh())
        await host.spawn(Fresh)
    assert host.alive == 2


@every_spawn
async def test_the_base_of_servers_is_refused(
    host: Host, spawn: Callable[[Host, Any], Any]
) -> None:
    """It has no handlers."""
    with pytest.raises(TypeError, match="Server is the base of servers: spawn a subclass"):
        await spawn(host, Server)
    assert host.alive == 0


async def test_each_class_has_a_target_of_its_own(host: Host) -> None:
    """Also if a base of it was spawned first."""

    class Base(Counter):
        pass

    class Other(Base):
        def init(self, start: int = 7) -> None:
            self.count = start

    answers = [await host.node.ask(await host.spawn(one), Get()) for one in (Base, Other, Base)]
    assert answers == [0, 7, 0]
