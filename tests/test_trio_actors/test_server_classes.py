"""Server classes: what cannot work is refused by name, at the class or at its first spawn."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Protocol, runtime_checkable

import attrs
import pytest
import trio

from trio_actors import Ask, EventKind, Host, ProcessInvalid, Server, handles


class Get(Ask[int]):
    pass


class Counter(Server):
    def init(self, start: int = 0) -> None:
        self.count = start

    @handles(Get)
    def get(self, request: Get) -> int:
        return self.count


async def _now(value: Any) -> Any:
    return value


async def _called(host: Host, target: Any) -> None:
    with trio.fail_after(60):
        await host.node.call(target, host=host)


SPAWNS: list[Callable[[Host, Any], Any]] = [
    lambda host, target: host.spawn(target),
    lambda host, target: _now(host.spawn_soon(target)),
    lambda host, target: _now(host.spawn_soon(target, name="x")),
    _called,
]
every_spawn = pytest.mark.parametrize("spawn", SPAWNS, ids=["spawn", "soon", "options", "call"])


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


class Wrong(Server):
    def nothing(self) -> int:
        return 0

    def two(self, a: Get, b: Get) -> int:
        return 0

    def keyword(self, *, request: Get) -> int:
        return 0

    def needs(self, request: Get, *, more: int) -> int:
        return 0

    async def waits(self) -> int:
        return 0

    @classmethod
    def shared(cls, request: Get) -> int:
        return 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing", r"\(self\) -> 'int'"),
        ("two", r"\(self, a: 'Get', b: 'Get'\) -> 'int'"),
        ("keyword", r"\(self, \*, request: 'Get'\) -> 'int'"),
        ("needs", r"\(self, request: 'Get', \*, more: 'int'\) -> 'int'"),
        ("waits", r"\(self\) -> 'int'"),
        ("shared", r", a classmethod,"),
    ],
    ids=lambda value: value if value.isidentifier() else "",
)
def test_a_handler_takes_one_message(name: str, said: str) -> None:
    """Else the class is refused, with its name, the method and what is expected."""
    method = vars(Wrong)[name]
    expected = (
        rf"Bad\.{name}{said} is no handler: expected one message, def {name}\(self, message\)"
    )
    with pytest.raises(TypeError, match=f"^{expected}$"):
        type("Bad", (Server,), {name: handles(Get)(method)})


def test_a_handler_does_not_yield() -> None:
    """A generator would be the reply, and its code would never run."""
    for_topics = handles(Get, "topic")

    with pytest.raises(TypeError, match=r"Slow\.get must not yield"):

        class Slow(Server):
            @for_topics
            async def get(self, request: Get) -> AsyncIterator[int]:
                yield 0

    with pytest.raises(TypeError, match=r"Lazy\.get must not yield"):

        class Lazy(Server):
            @for_topics
            def get(self, request: Get) -> Iterator[int]:
                yield 0


@pytest.mark.parametrize("what", [Get, "topic", EventKind.EXIT], ids=str)
def test_one_class_has_one_handler_for_one_thing(what: Any) -> None:
    """Which of two would win is not to be guessed."""
    name = getattr(what, "__name__", repr(what))
    with pytest.raises(TypeError, match=rf"Twice\.first and .*Twice\.second handle {name}"):

        class Twice(Server):
            @handles(what)
            def first(self, message: Any) -> None: ...

            @handles(what, "other")
            def second(self, message: Any) -> None: ...


async def test_a_handler_may_be_marked_more_than_once(host: Host) -> None:
    """One after the other is the same as both at once."""

    class Both(Server):
        @handles(Get)
        @handles("go", "stop")
        def all(self, what: Any) -> int:
            return 7

    assert set(Both._handlers.by_topic) == {"go", "stop"}
    assert await host.node.ask(await host.spawn(Both), Get()) == 7


def test_what_only_looks_alike_is_not_handled_twice() -> None:
    """One function under two names; a class, a topic and an event of the same text."""

    class Once(Server):
        @handles(Get, "Get", EventKind.EXIT, Get)
        def get(self, message: Any) -> int:
            return 0

        also = get

        @handles("pid.exit")
        def topic(self, message: Any) -> None: ...

    table = Once._handlers
    assert (table.by_type, table.by_topic, table.by_event) == (
        {Get: Once.get},
        {"Get": Once.get, "pid.exit": Once.topic},
        {EventKind.EXIT: Once.get},
    )


async def test_decorated_handlers_and_callables_of_any_kind_work(host: Host) -> None:
    """Only what is called counts: not what it wraps, and not if it has no signature."""

    def injecting(function: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> int:
            return function(*args, more=5, **kwargs)

        return wrapper

    class Caller:
        def __call__(self, server: Server, request: Get) -> int:
            return 6

    class One(Server):
        @handles(Get)
        @injecting
        def get(self, request: Get, more: int) -> int:
            return more

    class Two(One):
        get = handles(Get)(Caller())  # type: ignore[assignment]

    class Three(One):
        @staticmethod
        def get(server: Server, request: Get, more: int = 8) -> int:  # type: ignore[override]
            return more

    class Four(One):
        get = max  # type: ignore[assignment]  # whose signature Python does not know

    for server, answer in ((One, 5), (Two, 6), (Three, 8)):
        assert await host.node.ask(await host.spawn(server), Get()) == answer
    assert Get in Four._handlers.by_type


async def test_an_override_handles_what_it_overrides(host: Host) -> None:
    """Marked or not, plain or async, over several classes; None takes a handler away."""

    class Plain(Counter):
        def get(self, request: Get) -> int:
            return 1 + super().get(request)

    class Awaiting(Plain):
        async def get(self, request: Get) -> int:  # type: ignore[override]
            return 10 + Plain.get(self, request)

    class Again(Awaiting):
        def get(self, request: Get) -> int:  # type: ignore[override]
            return 100

    class Without(Plain):
        get = None  # type: ignore[assignment]

    for server, answer in ((Plain, 6), (Awaiting, 16), (Again, 100)):
        assert await host.node.ask(await host.spawn(server, 5), Get()) == answer
    assert [one._handlers.plain for one in (Plain, Awaiting, Again)] == [True, False, True]
    with pytest.raises(ProcessInvalid, match="has no handler for Get"):
        await host.node.ask(await host.spawn(Without), Get())


def test_the_handler_of_the_nearest_class_wins() -> None:
    """Whatever the names: one marked here, then one that overrides, then those of the bases."""

    class Other(Counter):
        @handles(Get)
        def other(self, request: Get) -> int:
            return 1

    class Same(Other):
        def get(self, request: Get) -> int:
            return 2

    class Back(Other):
        @handles(Get)
        def get(self, request: Get) -> int:
            return 3

    class Both(Counter):
        def get(self, request: Get) -> int:
            return 4

        @handles(Get)
        def marked(self, request: Get) -> int:
            return 5

    winners = [one._handlers.by_type[Get] for one in (Other, Same, Back, Both)]
    assert winners == [Other.other, Other.other, Back.get, Both.marked]


def test_an_override_has_to_be_a_handler_too() -> None:
    """It is checked as one that is marked, under the name of its own class."""
    with pytest.raises(TypeError, match=r"Sub\.get\(self\).* is no handler"):

        class Sub(Counter):
            def get(self) -> int:  # type: ignore[override]
                return 0
