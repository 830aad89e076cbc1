"""Names (processes.md §7)."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from stage import EXIT, Stage

from trio_actors import (
    Host,
    ProcessAlreadyExists,
    ProcessContext,
    ProcessInvalid,
    ProcessNotFound,
    ProcessPermissionDenied,
)


async def test_register_and_lookup(stage: Stage, languages: tuple[str, str]) -> None:
    """R1, R3, R5: by default the caller; several names for one PID; lookup gives the PID."""
    a, b = await stage.cast(*languages)
    await a.do("register", "mine")
    await a.do("register", "theirs", b.pid)
    await a.do("register", "again")
    found = [await b.do("lookup", name) for name in ("mine", "theirs", "again")]
    assert found == [a.pid, b.pid, a.pid]
    assert stage.node.lookup("mine") == a.pid


async def test_sc19_name_held_by_another(stage: Stage, languages: tuple[str, str]) -> None:
    """SC19, R2, R7: ALREADY_EXISTS; for the same PID it succeeds; after EXIT it is free at once."""
    a, b = await stage.cast(*languages)
    await b.do("register", "n")
    await b.do("register", "n")
    with pytest.raises(ProcessAlreadyExists, match=r"^name already registered$"):
        await a.do("register", "n")
    await a.do("monitor", b.pid)
    b.tell("return")
    assert [event["kind"] for event in await a.events()] == [EXIT]
    await a.do("register", "n")
    assert await a.do("lookup", "n") == a.pid


@pytest.mark.parametrize(
    ("pid", "error"),
    [
        ("nonsense", ProcessInvalid),
        ("", ProcessInvalid),
        ("{|x}", ProcessInvalid),
        ("{stage:host|0xfffff}", ProcessNotFound),
        ("{far@stage:host|0x00001}", ProcessNotFound),
    ],
)
async def test_sc19_register_for_what_is_not_there(
    stage: Stage, language: str, pid: str, error: type[Exception]
) -> None:
    """SC19, R4: no PID is INVALID; the PID of an ended process or another node NOT_FOUND."""
    a = await stage.puppet(language)
    with pytest.raises(error):
        await a.do("register", "n", pid)
    assert stage.node.names.by_name == {}


@pytest.mark.parametrize("op", ["register", "lookup", "unregister"])
async def test_sc19_empty_name(stage: Stage, language: str, op: str) -> None:
    """SC19, R9: INVALID, whatever is done with it."""
    a = await stage.puppet(language)
    with pytest.raises(ProcessInvalid, match=r"^name cannot be empty$"):
        await a.do(op, "")
    with pytest.raises(ProcessInvalid, match=r"^name cannot be empty$"):
        stage.node.lookup("")


@pytest.mark.parametrize("name", [5, None, b"n"])
async def test_name_of_another_type_raises(host: Host, name: Any) -> None:
    """PY2: TypeError."""

    async def body(ctx: ProcessContext) -> None:
        for function in (ctx.register, ctx.lookup, ctx.unregister):
            with pytest.raises(TypeError):
                function(name)
        with pytest.raises(TypeError):
            ctx.register("n", 5)  # type: ignore[arg-type]

    await host.node.call(body, host=host)


async def test_lookup_of_an_unknown_name(stage: Stage, language: str) -> None:
    """R5: NOT_FOUND `name not registered`, from a process and from outside."""
    a = await stage.puppet(language)
    with pytest.raises(ProcessNotFound, match=r"^name not registered$"):
        await a.do("lookup", "n")
    with pytest.raises(ProcessNotFound, match=r"^name not registered$"):
        stage.node.lookup("n")


async def test_unregister_says_whether_there_was_a_name(stage: Stage, language: str) -> None:
    """R6: true if removed, false if there was none."""
    a = await stage.puppet(language)
    await a.do("register", "n")
    assert [await a.do("unregister", "n"), await a.do("unregister", "n")] == [True, False]


async def test_name_of_another_needs_an_explicit_allow(
    stage: Stage, languages: tuple[str, str]
) -> None:
    """R6: without actor and scope the name of another process is PERMISSION_DENIED."""
    a, b = await stage.cast(*languages)
    await b.do("register", "n")
    with pytest.raises(ProcessPermissionDenied, match=r"^not allowed to unregister name: n$"):
        await a.do("unregister", "n")
    assert stage.node.lookup("n") == b.pid


async def test_explicit_allow_removes_the_name_of_another(host: Host) -> None:
    """R6: with actor and scope that allow it the name goes."""

    class Allow:
        def permits(self, *asked: Any) -> bool:
            return True

    async def holder(ctx: ProcessContext) -> None:
        ctx.register("n")
        await trio.sleep_forever()

    async def remover(ctx: ProcessContext) -> bool:
        return ctx.unregister("n")

    host.node.guard = Allow()
    await host.spawn(holder)
    await trio.testing.wait_all_tasks_blocked()
    pid = await host.spawn(remover, actor="a", scope="s")
    assert (await host.node.wait(pid)).value is True


async def test_late_unregister_never_removes_the_successors_name(host: Host) -> None:
    """R6: cleanup code of an ended holder cannot take its successor's name away."""
    kept: list[ProcessContext] = []

    async def holder(ctx: ProcessContext) -> None:
        kept.append(ctx)
        ctx.register("n")

    async def successor(ctx: ProcessContext) -> None:
        ctx.register("n")
        await trio.sleep_forever()

    await host.node.call(holder, host=host)
    pid = await host.spawn(successor)
    await trio.testing.wait_all_tasks_blocked()
    with pytest.raises(ProcessInvalid, match=r"^no process context$"):
        kept[0].unregister("n")
    assert host.node.lookup("n") == pid


async def test_all_names_are_released_at_the_end(stage: Stage, language: str) -> None:
    """R7: every name of an ended process is free."""
    a = await stage.puppet(language, name="first")
    for name in ("second", "third"):
        await a.do("register", name)
    a.tell("fail", "boom")
    await a.ended()
    assert (stage.node.names.by_name, stage.node.names.names_of(a.pid)) == ({}, [])
