"""Ctrl-C at any line of what carries messages: it comes out, and nothing else does (E38)."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from types import CodeType, FrameType
from typing import Any, NoReturn

import attrs
import pytest
import trio
import trio.testing
from interruption import ctrl_c

from trio_actors import (
    Ask,
    Host,
    ProcessContext,
    ProcessError,
    Server,
    handles,
    open_node,
)
from trio_actors._core import ask as asks
from trio_actors._core.carried import Carried
from trio_actors._core.dispatch import Dispatcher
from trio_actors._core.mailbox import PythonMailbox
from trio_actors._core.stepped import Stepped
from trio_actors._core.subscription import Subscription


@attrs.frozen
class Get(Ask[int]):
    """A question."""


class Plain(Server):
    """Stepped."""

    @handles(Get)
    def get(self, request: Get) -> int:
        return 1

    @handles("number")
    def number(self, message: Any) -> None:
        """Takes one."""


class Async(Server):
    """With a task once it has waited."""

    @handles(Get)
    async def get(self, request: Get) -> int:
        await trio.sleep(0)
        return 1

    @handles("number")
    async def number(self, message: Any) -> None:
        """Takes one."""


async def reads(ctx: ProcessContext) -> None:
    """Twenty messages."""
    for _ in range(20):
        await ctx.inbox.receive()


async def asks_both(ctx: ProcessContext, *pids: str) -> None:
    """And sends to them."""
    for pid in pids * 2:
        ctx.send(pid, "number")
        await ctx.ask(pid, Get())


async def program() -> None:
    """Something of everything; who is not there any more is no matter."""
    async with open_node() as node, node.open_host("app:main", drain=0) as host:
        with contextlib.suppress(ProcessError):
            pids = [await host.spawn(Plain), await host.spawn(Async)]
            others = [await host.spawn(reads), await host.spawn(asks_both, *pids)]
            for number in range(20):
                node.send(others[0], "number", number)
            for pid in pids:
                await node.ask(pid, Get())
            for pid in others:
                await node.wait(pid)


def lines_of(*functions: Any) -> list[Any]:
    """Each line of their code but the first."""
    return [
        pytest.param(function.__code__, line, id=f"{function.__qualname__}-{line}")
        for function in functions
        for line in sorted({line for _, _, line in function.__code__.co_lines() if line})
        if line != function.__code__.co_firstlineno
    ]


@contextlib.contextmanager
def ctrl_c_at(code: CodeType, line: int) -> Any:
    """Presses it when that line is about to run for the first time."""
    before = sys.gettrace()

    def enters(frame: FrameType, event: str, _: Any) -> Any:
        return at_line if frame.f_code is code else None

    def at_line(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line" and frame.f_lineno == line:
            sys.settrace(before)
            pressed.append(line)
            ctrl_c()
        return at_line

    pressed: list[int] = []
    sys.settrace(enters)
    try:
        yield pressed
    finally:
        sys.settrace(before)


@pytest.mark.parametrize(
    ("code", "line"),
    lines_of(
        asks.ask,
        asks.Waiter.wait,
        Carried.turn,
        Stepped.put,
        PythonMailbox.put,
        PythonMailbox.open_route,
        Dispatcher.unpark,
        Dispatcher._serve,
        Dispatcher._step,
        Dispatcher._hold,
        Subscription.receive,
        Subscription._mark,
        Subscription.unmark,
    ),
)
def test_an_interrupt_at_any_line_comes_out(code: CodeType, line: int) -> None:
    """E38: whichever task it is that runs, and whatever it has just begun to do."""
    try:
        with ctrl_c_at(code, line) as pressed:
            trio.run(program)
    except KeyboardInterrupt:
        assert pressed
    else:
        assert not pressed


def endless(*_: Any) -> NoReturn:
    """Only Ctrl-C ends it."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        pass
    raise AssertionError("was not interrupted")


class InHandler(Server):
    """Of a topic."""

    @handles("go")
    def go(self, message: Any) -> None:
        endless()


class InAsyncHandler(Server):
    """Before it has waited for anything."""

    @handles("go")
    async def go(self, message: Any) -> None:
        endless()


class InTerminate(Server):
    """At its end."""

    @handles("go")
    def go(self, message: Any) -> None:
        self.stop()

    def terminate(self, exit: Any) -> None:
        endless()


async def in_function(ctx: ProcessContext) -> None:
    """Without a task."""
    await ctx.inbox.receive()
    endless()


async def in_task(ctx: ProcessContext) -> None:
    """With one."""
    await trio.sleep(0)
    await ctx.inbox.receive()
    endless()


async def in_condition(ctx: ProcessContext) -> None:
    """Called by who sends."""
    await ctx.receive(endless)


CODE = [InHandler, InAsyncHandler, InTerminate, in_function, in_task, in_condition]


@pytest.mark.parametrize("code", CODE)
def test_code_of_a_process_that_does_not_end_can_be_interrupted(
    code: type[Server] | Callable[[ProcessContext], Awaitable[None]],
) -> None:
    """T8: only the framework's own steps are not cut in two."""

    async def main() -> None:
        async with open_node() as node, node.open_host("app:main", drain=0) as host:
            await go(host)
            await trio.sleep_forever()

    async def go(host: Host) -> None:
        pid = await host.spawn(code)
        await trio.testing.wait_all_tasks_blocked()
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        host.node.send(pid, "go")

    before = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        with pytest.raises(KeyboardInterrupt):
            trio.run(main)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
