"""The stage: actors that do what a test tells them, in any language, one command at a time.

A *puppet* is a process that takes commands on its topic `do` and answers on the topic `reply`:

    do     {"serial": n, "op": text, "args": [...], "n": how many, "reply_to": PID}
    reply  {"serial": n, "ok": boolean, "value": what the operation gave, or its error}

So one scenario runs with puppets of any language that speaks this protocol: `LANGUAGES` lists
them, and `stage.cast` takes one language per puppet. A command that ends the puppet (`return`,
`fail`, `terminate` of itself, `upgrade`) has no answer: tell it with `tell`, not with `do`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import trio_actors
from lua_bridge import LuaTarget, Script
from trio_actors import EventKind, Exit, Host, Node, Pid, ProcessContext, ProcessError
from trio_actors._core.function import function_target

EXIT, CANCEL, LINK_DOWN = str(EventKind.EXIT), str(EventKind.CANCEL), str(EventKind.LINK_DOWN)


def plain_event(event: trio_actors.Event) -> dict[str, Any]:
    """An event as data that crosses languages; an error as its message and kind."""
    told: dict[str, Any] = {"kind": str(event.kind), "from": str(event.sender)}
    if event.deadline is not None:
        told["deadline"] = event.deadline
    if event.result is not None and event.result.error is not None:
        error = event.result.error
        told["error"] = {"message": str(error), "kind": str(error.kind)}
    elif event.result is not None and event.result.value is not None:
        told["value"] = event.result.value
    return told


PUPPET = "stage:puppet"  # by this id puppets spawn puppets
PUPPETS = {"python": PUPPET, "lua": "stage:lua_puppet"}  # and by these, puppets of a language


class _Ended(Exception):
    """The puppet was told to return."""

    def __init__(self, value: Any) -> None:
        self.value = value


async def python_puppet(ctx: ProcessContext, *state: Any) -> Any:
    """The puppet in Python; `state` is what an upgrade handed on."""
    commands = ctx.listen("do")
    async for command in commands:
        serial, op = command["serial"], command["op"]
        reply: dict[str, Any] = {"serial": serial, "ok": True}
        try:
            reply["value"] = await perform(ctx, op, command.get("args") or [], state)
        except _Ended as ended:
            return ended.value
        except ProcessError as error:
            reply = {"serial": serial, "ok": False, "value": error}
        ctx.send(command["reply_to"], "reply", reply)
    return None


async def perform(ctx: ProcessContext, op: str, args: list[Any], state: tuple[Any, ...]) -> Any:
    """One command of the protocol."""
    match op:
        case "return":
            raise _Ended(args[0] if args else None)
        case "fail":
            raise RuntimeError(args[0])
        case "upgrade":
            await ctx.upgrade(*args)
        case "spawn":
            target, host, name, options = args
            return await ctx.spawn(target, host=host, name=name or None, **options)
        case "trap":
            ctx.options.trap_links = args[0]
        case "state":
            return list(state)
        case "context":
            return dict(ctx.context)
        case "trapping":
            return ctx.options.trap_links
        case "open":  # "inbox" or "events"
            getattr(ctx, args[0])
        case "events":
            return [plain_event(event) for event in drained(ctx.events)]
        case "inbox":
            return [
                {"topic": m.topic, "from": m.sender, "payload": m.payload}
                for m in drained(ctx.inbox)
            ]
        case "listen":
            return [{"value": value} for value in drained(ctx.listen(args[0]))]
        case "unlisten":
            ctx.listen(args[0]).close()
        case "pid":
            return ctx.pid
        case _:
            return getattr(ctx, op)(*args)
    return None


def drained(channel: trio_actors.Subscription) -> list[Any]:
    """What is there to be read now."""
    items = []
    while True:
        try:
            items.append(channel.receive_nowait())
        except (trio.WouldBlock, trio.EndOfChannel):
            return items


PUPPET_LUA = Path(__file__).with_name("puppet.lua")
LUA_PUPPET = LuaTarget(
    Script("stage:lua_puppet", PUPPET_LUA.read_text(), "puppet.lua", ("ctx",), {}), "main"
)
LANGUAGES: dict[str, Any] = {"python": python_puppet, "lua": LUA_PUPPET}  # what to spawn


class Puppets:
    """Code source: the puppets, by the ids of `PUPPETS`; puppets spawn puppets by them."""

    def find(self, id: str) -> trio_actors.Target | None:
        """The puppet, or None."""
        if id == PUPPETS["lua"]:
            return LUA_PUPPET
        return function_target(python_puppet, id=id) if id == PUPPET else None


class Puppet:
    """One actor of the stage."""

    def __init__(self, stage: Stage, pid: Pid, language: str) -> None:
        self.stage = stage
        self.pid = pid
        self.language = language

    def tell(self, op: str, *args: Any) -> None:
        """Gives a command whose answer nobody waits for."""
        self.stage.send(self.pid, op, args, serial=0)

    def relay(self, to: Puppet, op: str, *args: Any) -> None:
        """Has this puppet give a command to another: it may cross with what the test tells that."""
        self.tell("send", to.pid, "do", self.stage.command(op, args, serial=0))

    async def do(self, op: str, *args: Any) -> Any:
        """Gives a command; returns what it gave, or raises its error."""
        if self.language != "python" and any(callable(arg) for arg in args):
            pytest.skip("a function cannot cross into another language")
        told = await self.stage.ask(self.pid, op, args)
        if op == "inbox":
            return [[m["topic"], m.get("from"), m.get("payload")] for m in told]
        if op == "listen":
            return [item.get("value") for item in told]
        return told

    async def events(self) -> list[dict[str, Any]]:
        """The events that have arrived, oldest first, once nothing moves any more."""
        await self.stage.settle()
        told: list[dict[str, Any]] = await self.do("events")
        return told

    async def inbox(self) -> list[Any]:
        """[topic, sender, payload] of what has arrived, once nothing moves any more."""
        await self.stage.settle()
        told: list[Any] = await self.do("inbox")
        return told

    async def ended(self) -> Exit:
        """How it ended; waits for it."""
        return await self.stage.node.wait(self.pid)

    @property
    def alive(self) -> bool:
        """Whether it lives."""
        return self.pid in self.stage.node.processes


class Stage:
    """A node with one host and puppets."""

    def __init__(self, node: Node, host: Host) -> None:
        self.node = node
        self.host = host
        node.add_source(Puppets())
        self.manager: Pid = host.spawn_soon(self._manage)
        self._replies: dict[int, trio.MemorySendChannel[dict[str, Any]]] = {}
        self._serial = 0

    async def _manage(self, ctx: ProcessContext) -> None:
        async for reply in ctx.listen("reply"):
            waiting = self._replies.pop(reply["serial"], None)
            if waiting is not None:
                waiting.send_nowait(reply)

    async def puppet(self, language: str = "python", **options: Any) -> Puppet:
        """One more actor."""
        pid = await self.host.spawn(LANGUAGES[language], **options)
        return Puppet(self, pid, language)

    async def cast(self, *languages: str) -> list[Puppet]:
        """One actor per language."""
        return [await self.puppet(language) for language in languages]

    def adopt(self, pid: str, language: str = "python") -> Puppet:
        """An actor that a puppet has spawned."""
        return Puppet(self, Pid(pid), language)

    def send(self, pid: str, op: str, args: tuple[Any, ...], *, serial: int) -> None:
        """Sends one command."""
        self.node.send(pid, "do", self.command(op, args, serial=serial))

    def command(self, op: str, args: tuple[Any, ...], *, serial: int) -> dict[str, Any]:
        """One command of the protocol; nobody waits for the answer to serial 0."""
        command = {"serial": serial, "op": op, "args": list(args), "n": len(args)}
        return {**command, "reply_to": self.manager}

    async def ask(self, pid: str, op: str, args: tuple[Any, ...]) -> Any:
        """Sends one command and waits for the answer."""
        self._serial += 1
        put, take = trio.open_memory_channel[dict[str, Any]](1)
        self._replies[self._serial] = put
        self.send(pid, op, args, serial=self._serial)
        reply = await take.receive()
        if not reply["ok"]:
            raise reply["value"]
        return reply.get("value")

    async def settle(self) -> None:
        """Returns when everybody waits."""
        await trio.testing.wait_all_tasks_blocked()

    async def exits(self, *puppets: Puppet) -> list[Exit]:
        """How they ended, in the order given."""
        return [await puppet.ended() for puppet in puppets]


@asynccontextmanager
async def open_stage(**host_options: Any) -> AsyncIterator[Stage]:
    """A stage; everything still alive at the end is terminated."""
    async with trio_actors.open_node() as node:
        async with node.open_host("stage:host", drain=0, **host_options) as host:
            yield Stage(node, host)
