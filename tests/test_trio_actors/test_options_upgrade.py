"""Options and upgrade (processes.md §6; PY11)."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from stage import CANCEL, EXIT, Stage
from unwinding import slow_to_end

from trio_actors import (
    ErrorKind,
    Host,
    Message,
    ProcessContext,
    ProcessInvalid,
    Subscription,
)


async def test_trap_links_is_off_until_assigned(stage: Stage, language: str) -> None:
    """O1, O2: default false; an assignment holds."""
    a = await stage.puppet(language)
    assert await a.do("trapping") is False
    await a.do("trap", True)
    assert await a.do("trapping") is True


@pytest.mark.parametrize("value", [5, None, "true", 1])
async def test_sc24_trap_links_takes_a_boolean_only(host: Host, value: Any) -> None:
    """SC24, O3: ProcessInvalid, and the setting stays."""

    async def body(ctx: ProcessContext) -> bool:
        with pytest.raises(ProcessInvalid, match=r"^trap_links must be a boolean$"):
            ctx.options.trap_links = value
        return ctx.options.trap_links

    assert await host.node.call(body, host=host) is False


async def test_sc24_unknown_option_is_an_attribute_error(host: Host) -> None:
    """SC24, §15 table: an unknown name is AttributeError, read or assigned."""

    async def body(ctx: ProcessContext) -> None:
        with pytest.raises(AttributeError):
            ctx.options.nope = True  # type: ignore[attr-defined]
        with pytest.raises(AttributeError):
            ctx.options.nope  # type: ignore[attr-defined]

    await host.node.call(body, host=host)


# -- upgrade


async def test_sc23_upgrade_counts_up_under_one_pid(
    stage: Stage, languages: tuple[str, str]
) -> None:
    """SC23, U1-U4: the PID, name and monitor survive, state is handed on, trap_links is reset."""
    a, b = await stage.cast(*languages)
    await a.do("monitor", b.pid)
    await b.do("register", "bob")
    await b.do("trap", True)
    for n in range(1, 4):
        b.tell("upgrade", None, n)
        assert await b.do("state") == [n]
    assert await b.do("trapping") is False
    assert (await b.do("pid"), await a.do("lookup", "bob")) == (b.pid, b.pid)
    b.tell("return", "done")
    assert await a.events() == [{"kind": EXIT, "from": b.pid, "value": "done"}]


async def test_sc23_unread_messages_survive(stage: Stage, languages: tuple[str, str]) -> None:
    """SC23, U3: what was unread on inbox, topics and events can be read by the new code."""
    a, b = await stage.cast(*languages)
    await b.do("open", "inbox")
    await b.do("open", "events")
    await b.do("listen", "topic")
    for topic, value in (("x", 1), ("topic", 2), ("x", 3)):
        await a.do("send", b.pid, topic, value)
    await a.do("cancel", b.pid)
    b.tell("upgrade", None)
    assert await b.do("listen", "topic") == [2]
    assert await b.inbox() == [["x", a.pid, 1], ["x", a.pid, 3]]
    assert await b.events() == [{"kind": CANCEL, "from": a.pid}]


async def test_unread_messages_come_back_in_arrival_order(host: Host) -> None:
    """U3, L4: across inbox, topics and waiting messages, whatever was opened when."""

    async def old(ctx: ProcessContext) -> None:
        ctx.send(ctx.pid, "b", 0)
        ctx.send(ctx.pid, "a", 1)
        ctx.send(ctx.pid, "b", 2)
        ctx.listen("a")
        ctx.send(ctx.pid, "a", 3)
        ctx.send(ctx.pid, "b", 4)
        ctx.inbox
        ctx.send(ctx.pid, "a", 5)
        ctx.send(ctx.pid, "b", 6)
        ctx.listen("b")
        ctx.send(ctx.pid, "b", 7)
        ctx.listen("c").close()
        ctx.send(ctx.pid, "c", 8)
        await ctx.upgrade(new)

    async def new(ctx: ProcessContext) -> list[int]:
        return [(await ctx.inbox.receive()).payload for _ in range(9)]

    assert await host.node.call(old, host=host) == list(range(9))


async def test_process_id_is_the_new_code(host: Host) -> None:
    """U4: `ctx.id` gives the id of the new code, `ctx.pid` stays, context values stay."""

    async def old(ctx: ProcessContext) -> None:
        await ctx.upgrade(new, ctx.pid, ctx.id)

    async def new(ctx: ProcessContext, pid: str, id: str) -> tuple[bool, str, Any]:
        return pid == ctx.pid, ctx.id.rpartition(".")[2] + "<-" + id.rpartition(".")[2], ctx.actor

    pid = await host.spawn(old, actor="ann", context={"k": 1})
    assert (await host.node.wait(pid)).value == (True, "new<-old", "ann")


async def test_old_code_is_unwound_first(host: Host) -> None:
    """PY11: nurseries are cancelled and `finally` blocks run before the new code begins."""
    steps: list[str] = []

    async def child() -> None:
        try:
            await slow_to_end(1)
        finally:
            steps.append("child")

    async def old(ctx: ProcessContext) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(child)
                await trio.testing.wait_all_tasks_blocked()
                await ctx.upgrade(new)
        finally:
            steps.append("old")

    async def new(ctx: ProcessContext) -> None:
        steps.append("new")

    await host.node.call(old, host=host)
    assert steps == ["child", "old", "new"]


async def test_upgrade_in_a_child_task(host: Host) -> None:
    """PY11: it may be called in any task of the process."""

    async def old(ctx: ProcessContext) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ctx.upgrade, new, 5)
            await trio.sleep_forever()

    async def new(ctx: ProcessContext, value: int) -> int:
        return value

    assert await host.node.call(old, host=host) == 5


async def test_upgrade_whose_cancellation_is_swallowed_still_happens(host: Host) -> None:
    """U1: the old code stops, whatever it returns after the upgrade was asked for."""

    async def old(ctx: ProcessContext) -> str:
        try:
            await ctx.upgrade(new)
        finally:
            return "swallowed"  # noqa: B012

    async def new(ctx: ProcessContext) -> str:
        return "new"

    assert await host.node.call(old, host=host) == "new"


async def bad_unwinding(ctx: ProcessContext) -> None:
    """Fails while it unwinds for an upgrade."""
    try:
        await ctx.upgrade(None)
    finally:
        raise ValueError("stuck")


async def unknown_id(ctx: ProcessContext) -> None:
    """Upgrades to nothing."""
    await ctx.upgrade("app:none")


async def no_function(ctx: ProcessContext) -> None:
    """Upgrades to what is no process."""
    await ctx.upgrade(print)  # type: ignore[arg-type]


FAILED = [
    (unknown_id, "upgrade failed: factory not found", ErrorKind.NOT_FOUND),
    (bad_unwinding, "upgrade failed: ValueError: stuck", ErrorKind.INTERNAL),
    (no_function, "upgrade failed: TypeError: a process is an async function", "Internal"),
]


@pytest.mark.parametrize(("body", "text", "kind"), FAILED)
async def test_sc23_failed_upgrade_is_an_abnormal_end(
    stage: Stage, body: Any, text: str, kind: ErrorKind
) -> None:
    """SC23, U5, E35, PY11: watchers and links are told as for any failure."""
    a = await stage.puppet()
    options = {"monitor": True, "link": True}
    await a.do("trap", True)
    pid = await a.do("spawn", body, "stage:host", "", options)
    first, second = await a.events()
    assert [first["kind"], second["kind"]] == ["pid.exit", "pid.link.down"]
    assert (first["from"], first["error"]["kind"]) == (pid, kind)
    assert first["error"]["message"].startswith(text)


async def test_channels_of_the_old_code_are_closed(host: Host) -> None:
    """U4: channels and subscriptions are not kept."""
    kept: list[Subscription] = []

    async def old(ctx: ProcessContext) -> None:
        kept.append(ctx.inbox)
        ctx.send(ctx.pid, "t", 1)
        await ctx.upgrade(new)

    async def new(ctx: ProcessContext) -> Message:
        with pytest.raises(trio.EndOfChannel):
            kept[0].receive_nowait()
        message: Message = await ctx.inbox.receive()
        return message

    assert (await host.node.call(old, host=host)).payload == 1


async def test_event_that_arrives_while_the_old_code_unwinds_is_kept(host: Host) -> None:
    """U3: messages and events that come during the unwinding are read by the new code."""

    async def old(ctx: ProcessContext) -> None:
        ctx.inbox, ctx.events
        try:
            await ctx.upgrade(new)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)

    async def new(ctx: ProcessContext) -> list[str]:
        return [(await ctx.inbox.receive()).topic, (await ctx.events.receive()).kind]

    pid = await host.spawn(old)
    await trio.sleep(1)
    host.node.send(pid, "meanwhile")
    host.node.cancel(pid)
    assert (await host.node.wait(pid)).value == ["meanwhile", CANCEL]


@pytest.mark.parametrize("how", ["terminate", "deadline", "link"])
async def test_forced_end_during_an_upgrade_wins(host: Host, how: str) -> None:
    """E40: terminate, a deadline or a failed link while the old code unwinds is the result."""

    async def old(ctx: ProcessContext) -> None:
        if how == "link":
            await ctx.spawn(fails, link=True)
        try:
            await ctx.upgrade(new)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)

    async def fails(ctx: ProcessContext) -> None:
        await trio.sleep(1)
        raise ValueError

    async def new(ctx: ProcessContext) -> None:
        raise AssertionError

    pid = await host.spawn(old)
    if how == "deadline":
        host.node.cancel(pid, 1)
    await trio.sleep(1)
    if how == "terminate":
        host.node.terminate(pid)
    texts = {
        "terminate": "process terminated",
        "deadline": "cancel deadline exceeded",
        "link": "linked process failed",
    }
    assert str((await host.node.wait(pid)).error) == texts[how]


async def test_cancelled_from_outside_during_an_upgrade(host: Host) -> None:
    """E37: the cancellation goes on, the new code never begins."""

    async def old(ctx: ProcessContext) -> None:
        try:
            await ctx.upgrade(new)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)

    async def new(ctx: ProcessContext) -> None:
        raise AssertionError

    pid = await host.spawn(old)
    await trio.sleep(1)
    host.abort()
    assert str((await host.node.wait(pid)).error) == "process cancelled"


async def test_place_on_the_host_is_kept(host: Host) -> None:
    """U3: an upgrade needs no place and frees none."""
    seen: list[int] = []

    async def old(ctx: ProcessContext) -> None:
        host.max_processes = 1
        await ctx.upgrade(new)

    async def new(ctx: ProcessContext) -> None:
        seen.append(host.alive)

    await host.node.call(old, host=host)
    assert seen == [1]
