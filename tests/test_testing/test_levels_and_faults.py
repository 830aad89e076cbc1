"""Step level (TS10) and faults (TS16): found, replayed, shrunk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from trio_actors import EventKind, ProcessContext, ProcessError
from trio_actors.testing import (
    Fault,
    Faults,
    MessageId,
    Schedule,
    ScheduleFailure,
    Sim,
    Violation,
    buggify,
    explore,
)
from trio_actors.testing.explore import settings


@pytest.fixture(autouse=True)
def _no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "directory", tmp_path)


def shared_memory(safe: bool, level: str, schedules: int = 200) -> Any:
    """Two tasks of one process add to a number that they share."""

    @explore(level=level, schedules=schedules, report=("text",))
    async def test(sim: Sim) -> None:
        async def adder(ctx: ProcessContext) -> int:
            total = 0
            lock = trio.Lock()

            async def add(steps_before: int) -> None:
                nonlocal total
                for _ in range(steps_before):
                    await trio.lowlevel.checkpoint()
                if safe:
                    async with lock:
                        seen = total
                        await trio.lowlevel.checkpoint()
                        total = seen + 1
                else:
                    seen = total
                    await trio.lowlevel.checkpoint()
                    total = seen + 1

            async with trio.open_nursery() as nursery:
                nursery.start_soon(add, 0)
                nursery.start_soon(add, 5)
            return total

        assert await sim.call(adder) == 2

    return test


def test_step_level_finds_a_race_over_shared_memory() -> None:
    """A task must be three steps ahead of the other: only level "step" can do that."""
    shared_memory(safe=False, level="message")()
    with pytest.raises(ScheduleFailure) as caught:
        shared_memory(safe=False, level="step")()
    assert "adder~" in caught.value.token


def test_step_level_is_silent_about_a_locked_twin() -> None:
    """No false alarm."""
    shared_memory(safe=True, level="step")()


async def server(ctx: ProcessContext) -> None:
    """Answers every question."""
    async for message in ctx.inbox:
        ctx.send(message.payload, "answer")


def asking(faults: Faults, patient: bool = True, **options: Any) -> Any:
    """A client that has to get its answer, or to see the server end."""

    @explore(faults=faults, report=("text",), **options)
    async def test(sim: Sim) -> None:
        got: list[str] = []

        async def client(ctx: ProcessContext) -> None:
            ctx.monitor("server")
            ctx.send("server", "question", ctx.pid)
            async with trio.open_nursery() as nursery:

                async def watch() -> None:
                    event = await ctx.events.receive()
                    assert event.kind is EventKind.EXIT
                    got.append("end")
                    nursery.cancel_scope.cancel()

                if patient:
                    nursery.start_soon(watch)
                await ctx.receive("answer")
                got.append("answer")
                nursery.cancel_scope.cancel()

        await sim.spawn(server, name="server", host="far")
        await sim.spawn(client, name="client")
        await sim.settle()
        assert got, "the client waits for ever"
        sim.sometimes("a fault hits", any(sim.faulted(p) for p in (sim_pids(sim))))

    return test


def sim_pids(sim: Sim) -> list[str]:
    """All processes there ever were."""
    return list(sim._run.pump.labels.known())


@pytest.mark.parametrize(
    "faults",
    [
        Faults(kill=0.3, only=("server",)),
        Faults(crash=0.3, only=("server",)),
        Faults(drop=0.3, only=("server",)),
        Faults(delay=0.5),
        Faults(slow_start=0.5),
        Faults(duplicate=0.5, at_least_once=("question", "answer")),
        Faults(clock_jump=0.5),
    ],
    ids=lambda faults: next(n for n in faults.__slots__ if getattr(faults, n, 0)),
)
def test_a_client_that_watches_its_server_survives_faults(faults: Faults) -> None:
    """Each kind of fault happens, and is survived."""
    asking(faults, patient=True, schedules=60)()


def test_a_kill_is_found_shrunk_and_replayed() -> None:
    """Keyed by message id: the token alone brings it back."""
    faults = Faults(kill=0.3, only=("server",))
    with pytest.raises(ScheduleFailure) as caught:
        asking(faults, patient=False, schedules=60)()
    assert caught.value.token == "!server<client.1=kill"
    assert "kill at server on client>server.1" in str(caught.value)
    with pytest.raises(ScheduleFailure):
        asking(faults, patient=False, replay=caught.value.token)()


def test_a_drop_comes_with_the_end_of_the_host() -> None:
    """Nothing is lost between hosts that live on."""
    token = Schedule(faults={MessageId("client", "server", 1): Fault("drop")})
    with pytest.raises(ScheduleFailure) as caught:
        asking(Faults(drop=0.1), patient=False, replay=token)()
    assert "server ended: host far crashed" in str(caught.value)


def test_buggify_is_false_outside_and_part_of_the_schedule_inside() -> None:
    """TS16: a site of user code that misbehaves on demand."""
    assert not buggify("disk")

    @explore(faults=Faults(buggify=0.2), schedules=50, report=("text",))
    async def test(sim: Sim) -> None:
        async def writer(ctx: ProcessContext) -> None:
            async for _ in ctx.inbox:
                if buggify("disk"):
                    raise ProcessError("disk full")

        pid = await sim.spawn(writer, name="writer")
        for _ in range(5):
            sim.send("writer", "write")
        await sim.settle()
        if pid not in sim.node.processes:
            raise Violation("the writer lives", "")

    with pytest.raises(ScheduleFailure) as caught:
        test()
    assert caught.value.token.startswith("!disk<buggify.")
    assert caught.value.token.count(";") == 0


def test_clock_jumps_move_wall_time_only() -> None:
    """Trio's clock goes on."""

    @explore(schedules=1)
    async def test(sim: Sim) -> None:
        async def teller(ctx: ProcessContext) -> tuple[float, float]:
            return ctx.node.wall_time(), ctx.node.now()

        before = await sim.call(teller)
        sim.clock_jump("h0", 3600)
        after = await sim.call(teller)
        assert after[0] - before[0] == 3600
        assert after[1] == before[1]

    test()


def test_a_wrong_probability_is_refused() -> None:
    """With the field's name."""
    with pytest.raises(ValueError, match="kill is a probability per delivery, 0 to 1, not 3"):
        Faults(kill=3)
