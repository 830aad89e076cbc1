"""Ending other processes: terminate and cancel (processes.md §5.1, §5.2; PY9, PY10)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
import trio
import trio.testing
from stage import CANCEL, EXIT, Stage
from unwinding import slow_to_end

from trio_actors import (
    CauseKind,
    Host,
    ProcessContext,
    ProcessError,
    ProcessInvalid,
    ProcessNotFound,
)

TERMINATED = {"message": "process terminated", "kind": "Canceled"}
EXCEEDED = {"message": "cancel deadline exceeded", "kind": "Canceled"}


async def test_sc13_terminate_ends_without_an_event(
    stage: Stage, languages: tuple[str, str]
) -> None:
    """SC13, T1, T2: the watcher gets EXIT with `process terminated`, the target sees nothing."""
    a, b = await stage.cast(*languages)
    await a.do("monitor", b.pid)
    await a.do("terminate", b.pid)
    assert await a.events() == [{"kind": EXIT, "from": b.pid, "error": TERMINATED}]
    with pytest.raises(ProcessNotFound, match=r"^process not found$"):
        await a.do("terminate", b.pid)


async def test_terminate_sends_the_target_nothing(host: Host) -> None:
    """T1: no event is sent to the target of terminate."""
    seen: list[int] = []

    async def target(ctx: ProcessContext) -> None:
        events = ctx.events
        try:
            await trio.sleep_forever()
        finally:
            seen.append(len(events))

    pid = await host.spawn(target)
    await trio.testing.wait_all_tasks_blocked()
    host.node.terminate(pid)
    await host.node.wait(pid)
    assert seen == [0]


async def test_terminate_of_an_unknown_name(stage: Stage, language: str) -> None:
    """T3: an unknown name is NOT_FOUND."""
    a = await stage.puppet(language)
    with pytest.raises(ProcessNotFound):
        await a.do("terminate", "nobody")


async def test_second_terminate_before_the_end_changes_nothing(host: Host) -> None:
    """T3: between terminate and the end a second terminate succeeds."""

    async def target(ctx: ProcessContext) -> None:
        await slow_to_end(1)

    pid = await host.spawn(target)
    await trio.testing.wait_all_tasks_blocked()
    for _ in range(3):
        host.node.terminate(pid)
        await trio.testing.wait_all_tasks_blocked()
    assert str((await host.node.wait(pid)).error) == "process terminated"
    assert trio.current_time() == 1


async def test_terminate_before_the_first_step(host: Host) -> None:
    """T1: a process that has not begun ends without running."""
    ran: list[int] = []

    async def target(ctx: ProcessContext) -> None:
        ran.append(1)

    pid = host.spawn_soon(target)
    host.node.terminate(pid)
    assert str((await host.node.wait(pid)).error) == "process terminated"
    assert ran == []


async def test_terminate_of_oneself_takes_effect_at_the_next_checkpoint(host: Host) -> None:
    """PY9: it returns; the next checkpoint raises Cancelled, also a receive with messages there."""
    steps: list[str] = []

    async def target(ctx: ProcessContext) -> None:
        inbox = ctx.inbox
        for _ in range(5):
            ctx.send(ctx.pid, "t")
        await inbox.receive()
        await inbox.receive()
        ctx.terminate(ctx.pid)
        steps.append("returned")
        try:
            await inbox.receive()
        except trio.Cancelled:
            steps.append("cancelled")
            raise

    end = await host.node.wait(await host.spawn(target))
    assert [str(end.error), *steps] == ["process terminated", "returned", "cancelled"]


async def test_sc14_finally_runs_and_only_shielded_awaits_complete(host: Host) -> None:
    """SC14, T5, PY10, E40: `finally` runs, unshielded awaits raise, shielded ones complete."""
    steps: list[str] = []

    async def target(ctx: ProcessContext) -> str:
        try:
            await trio.sleep_forever()
        finally:
            try:
                await trio.sleep(0)
            except trio.Cancelled:
                steps.append("cancelled again")
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
                await trio.sleep(2)
                steps.append("shielded")
            return "ignored"  # noqa: B012

    pid = await host.spawn(target)
    await trio.testing.wait_all_tasks_blocked()
    host.node.terminate(pid)
    end = await host.node.wait(pid)
    assert steps == ["cancelled again", "shielded"]
    assert (str(end.error), trio.current_time()) == ("process terminated", 2)


async def test_cause_of_a_forced_end_names_who_did_it(stage: Stage) -> None:
    """SU42: the exit knows the process that forced it."""
    a, b = await stage.cast("python", "python")
    await a.do("terminate", b.pid)
    cause = (await b.ended()).cause
    assert (cause.kind, cause.by) == (CauseKind.TERMINATED, a.pid)


# -- cancel


async def test_sc9_deadline_is_enforced(stage: Stage, languages: tuple[str, str]) -> None:
    """SC9, K6: a target that never reads its events is gone at the deadline."""
    a, b = await stage.cast(*languages)
    await a.do("monitor", b.pid)
    began = trio.current_time()
    await a.do("cancel", b.pid, "50ms")
    await b.ended()
    assert trio.current_time() - began == pytest.approx(0.05)
    assert await a.events() == [{"kind": EXIT, "from": b.pid, "error": EXCEEDED}]


async def test_sc10_cancel_without_deadline_only_asks(
    stage: Stage, languages: tuple[str, str]
) -> None:
    """SC10, K1, K3: alive after an hour, then it reads CANCEL without a deadline."""
    a, b = await stage.cast(*languages)
    await a.do("cancel", b.pid)
    await trio.sleep(3600)
    assert await b.events() == [{"kind": CANCEL, "from": a.pid}]


@pytest.mark.parametrize(
    ("requests", "ends_at"),
    [(["1s", "10s", None], 1), (["10s", "1s"], 1), ([None, "2s"], 2), ([3, 2.5, "4s"], 2.5)],
    ids=str,
)
async def test_sc11_earliest_deadline_wins(host: Host, requests: list[Any], ends_at: float) -> None:
    """SC11, K7: no later call extends or removes the earliest deadline ever requested."""
    pid = await host.spawn(idle)
    for deadline in requests:
        host.node.cancel(pid, deadline)
    assert str((await host.node.wait(pid)).error) == "cancel deadline exceeded"
    assert trio.current_time() == pytest.approx(ends_at)


async def idle(ctx: ProcessContext) -> None:
    """Waits for ever."""
    await trio.sleep_forever()


async def test_each_event_names_its_own_deadline(host: Host) -> None:
    """K3, K7: CANCEL names the deadline of its call, in RFC 3339, though an earlier one holds."""

    async def target(ctx: ProcessContext) -> list[float | None]:
        named = []
        for _ in range(3):
            event = await ctx.events.receive()
            text = event.deadline
            named.append(text and datetime.fromisoformat(text).timestamp() - event.at)
        return named

    pid = await host.spawn(target)
    for deadline in (5, 60, None):
        host.node.cancel(pid, deadline)
    assert (await host.node.wait(pid)).value == [
        pytest.approx(5, abs=1e-3),
        pytest.approx(60, abs=1e-3),
        None,
    ]


@pytest.mark.parametrize("deadline", ["bogus", "5", "1d", "", -1, "-1s", float("nan"), 1e16])
async def test_sc12_malformed_deadline_sends_nothing(
    stage: Stage, languages: tuple[str, str], deadline: Any
) -> None:
    """SC12, K2: INVALID, and no event is sent; also for more than 292 years."""
    a, b = await stage.cast(*languages)
    with pytest.raises(ProcessInvalid) as caught:
        await a.do("cancel", b.pid, deadline)
    if isinstance(deadline, str) and deadline != "-1s":
        assert str(caught.value) == f"invalid duration format: {deadline}"
    assert await b.events() == []


@pytest.mark.parametrize("deadline", [{}, [], True, b"5s"], ids=repr)
async def test_sc12_deadline_of_another_type_raises(host: Host, deadline: Any) -> None:
    """SC12, PY2: in Python a wrong type is a TypeError."""
    pid = await host.spawn(idle)
    with pytest.raises(TypeError):
        host.node.cancel(pid, deadline)
    assert host.node.processes[pid].mailbox.depth() == 0


@pytest.mark.parametrize("deadline", [0, "0", "0s"])
async def test_deadline_of_zero_ends_at_once(host: Host, deadline: Any) -> None:
    """K2, K6: zero is a deadline like any other."""
    pid = await host.spawn(idle)
    host.node.cancel(pid, deadline)
    assert str((await host.node.wait(pid)).error) == "cancel deadline exceeded"
    assert trio.current_time() == 0


async def test_cancel_of_the_dead_and_the_unknown(stage: Stage, languages: tuple[str, str]) -> None:
    """K4: NOT_FOUND for an ended target and for an unknown name."""
    a, b = await stage.cast(*languages)
    b.tell("return")
    await b.ended()
    with pytest.raises(ProcessNotFound, match=r"^process not found$"):
        await a.do("cancel", b.pid, "1s")
    with pytest.raises(ProcessNotFound, match="could not resolve"):
        await a.do("cancel", "nobody")


@pytest.mark.parametrize("how", ["return", "fail"])
async def test_end_before_the_deadline_is_the_own_result(
    stage: Stage, languages: tuple[str, str], how: str
) -> None:
    """K8: a process that ends before the deadline has its own result."""
    a, b = await stage.cast(*languages)
    await a.do("monitor", b.pid)
    await a.do("cancel", b.pid, "10s")
    b.tell(how, "mine")
    [event] = await a.events()
    assert "mine" in str(event.get("value") or event["error"]["message"])


async def test_deadline_is_noticed_by_code_that_never_checks(host: Host) -> None:
    """K6: alive at the deadline means E33, also if the code returns without another checkpoint."""

    async def target(ctx: ProcessContext) -> str:
        with trio.CancelScope(shield=True):
            await trio.sleep(10)
        return "too late"

    pid = await host.spawn(target)
    host.node.cancel(pid, 1)
    assert str((await host.node.wait(pid)).error) == "cancel deadline exceeded"
    assert trio.current_time() == 10


async def test_upgrade_does_not_lift_the_deadline(stage: Stage, languages: tuple[str, str]) -> None:
    """K9: the deadline of the old code binds the new code."""
    a, b = await stage.cast(*languages)
    await a.do("cancel", b.pid, "5s")
    b.tell("upgrade", None, 1)
    assert await b.do("state") == [1]
    began = trio.current_time()
    end = await b.ended()
    assert (str(end.error), trio.current_time() - began) == (
        "cancel deadline exceeded",
        pytest.approx(5),
    )


@pytest.mark.parametrize("op", ["terminate", "cancel"])
async def test_control_by_name(stage: Stage, languages: tuple[str, str], op: str) -> None:
    """R8: both accept a registered name."""
    a, b = await stage.cast(*languages)
    await b.do("register", "bob")
    await a.do(op, "bob")
    if op == "cancel":
        assert await b.events() == [{"kind": CANCEL, "from": a.pid}]
    else:
        assert str((await b.ended()).error) == "process terminated"


async def test_async_methods_of_an_ended_context_raise(host: Host) -> None:
    """PY14: after the end every method of the context is `no process context`."""
    kept: list[ProcessContext] = []

    async def body(ctx: ProcessContext) -> None:
        kept.append(ctx)

    pid = await host.spawn(body)
    await host.node.wait(pid)
    ctx = kept[0]
    calls: list[Any] = [
        lambda: ctx.send(pid, "t"),
        lambda: ctx.terminate(pid),
        lambda: ctx.cancel(pid),
        lambda: ctx.monitor(pid),
        lambda: ctx.unmonitor(pid),
        lambda: ctx.link(pid),
        lambda: ctx.unlink(pid),
        lambda: ctx.register("n"),
        lambda: ctx.unregister("n"),
        lambda: ctx.lookup("n"),
        lambda: ctx.listen("t"),
        ctx.started,
        lambda: ctx.inbox,
        lambda: ctx.events,
        lambda: ctx.context,
        lambda: ctx.actor,
        lambda: ctx.scope,
        lambda: ctx.id,
        lambda: ctx.options.trap_links,
    ]
    for call in calls:
        with pytest.raises(ProcessInvalid, match=r"^no process context$"):
            call()
    for coroutine in (
        ctx.spawn(body),
        ctx.call(body),
        ctx.upgrade(None),
        ctx.receive(),
    ):
        with pytest.raises(ProcessError, match=r"^no process context$"):
            await coroutine
    assert ctx.pid == pid
