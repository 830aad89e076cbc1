"""Restart intensity and stop order are invariants of every run (testing.md §3, SU5, SU13)."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import trio
from unwinding import slow_to_end

from property_tests.mutants import Mutant
from supervision import Supervisor, SupervisorRef, child
from trio_actors import ProcessContext, ProcessError
from trio_actors.testing import Faults, Invariant, ScheduleFailure, Sim, explore
from trio_actors.testing.explore import settings

DECIDE = "supervision.decide:_Turn."


@pytest.fixture(autouse=True)
def _no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "directory", tmp_path)


async def worker(ctx: ProcessContext) -> None:
    """Fails when told so, and takes a moment to stop."""
    try:
        async for _ in ctx.listen("fail"):
            raise ValueError("told to fail")
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.1)


async def crashing(sim: Sim, strategy: str, pauses: list[float]) -> None:
    """Three children of a supervisor; they fail after each pause, then the tree is stopped."""
    children = [child(id, worker, shutdown=0.2) for id in ("a", "b", "c")]
    tree = Supervisor(strategy=strategy, intensity=2, period=5, children=children)
    pid = await sim.start(tree, name="top")
    for number, pause in enumerate(pauses):
        await sim.run_for(pause)
        if pid in sim.node.processes:
            victim = SupervisorRef(sim.node, pid).get_child("abc"[number % 3]).pid
            if victim is not None:
                sim.send(victim, "fail")
    await sim.run_for(0.05)
    if pid in sim.node.processes:
        sim.node.cancel(pid)
        await sim.run_for(5)


STRATEGIES = ("one_for_one", "one_for_all", "rest_for_one")
BROKEN = [
    (
        "supervision.intensity:IntensityWindow.add",
        "<= self.intensity",
        "<= self.intensity + 1",
        Invariant.INTENSITY,
    ),
    (
        "supervision.intensity:IntensityWindow.add",
        "now - self.period",
        "now - self.period / 9",
        Invariant.INTENSITY,
    ),
    (DECIDE + "count_restart", "not state.window.add(self.now)", "False", Invariant.INTENSITY),
    (
        DECIDE + "shut_down",
        "job.stop.appendleft(record.key)",
        "job.stop.append(record.key)",
        Invariant.STOP_ORDER,
    ),
    (DECIDE + "stop_next", "if not all_at_once:", "if False:", Invariant.STOP_ORDER),
]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_supervisors_as_they_are_pass(strategy: str) -> None:
    """Up to the intensity, beyond it, and slowly enough."""
    for pauses in ([1.0, 1.0], [1.0, 1.0, 1.0, 1.0], [4.0, 4.0, 4.0, 4.0]):

        @explore(schedules=15, check_determinism=0, report=("text",))
        async def test(sim: Sim, pauses: list[float] = pauses) -> None:
            await crashing(sim, strategy, pauses)

        test()


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("where", "old", "new", "invariant"), BROKEN)
def test_a_broken_supervisor_is_found(
    where: str, old: str, new: str, invariant: Invariant, strategy: str
) -> None:
    """By the invariant alone: the test itself checks nothing."""

    @explore(schedules=40, check_determinism=0, report=("text",))
    async def test(sim: Sim) -> None:
        await crashing(sim, strategy, [1.0, 1.0, 1.0, 1.0])

    with Mutant("", where, old, new, "").applied(), pytest.raises(ScheduleFailure) as caught:
        test()
    assert invariant.value in str(caught.value)


def test_the_order_within_a_group_restart_is_checked() -> None:
    """SU11: the others stop in reverse order there too."""
    mutant = Mutant("", DECIDE + "restart_group", "job.stop.appendleft", "job.stop.append", "")

    @explore(schedules=10, check_determinism=0, report=("text",))
    async def test(sim: Sim) -> None:
        await crashing(sim, "one_for_all", [1.0, 1.0])

    test()
    with mutant.applied(), pytest.raises(ScheduleFailure) as caught:
        test()
    assert Invariant.STOP_ORDER.value in str(caught.value)
    assert "is stopped before" in str(caught.value)


def test_a_supervisor_that_leaves_before_its_children_is_found() -> None:
    """SU5: it ends last."""
    mutant = Mutant("", DECIDE + "shut_down", "if record.state in ALIVE:", "if False:", "")

    @explore(schedules=5, check_determinism=0, report=("text",))
    async def test(sim: Sim) -> None:
        await crashing(sim, "one_for_one", [])

    # the table of moves would notice it too, so let every move pass
    lenient = Mutant(
        "",
        "supervision.state:ChildRecord.move",
        "state not in CHILD_MOVES[self.state]",
        "False",
        "",
    )
    with mutant.applied(), lenient.applied(), pytest.raises(ScheduleFailure) as caught:
        test()
    assert "has ended before its child" in str(caught.value)


@pytest.mark.parametrize("seed", range(6))
def test_no_false_alarm_on_random_trees(seed: int) -> None:
    """Nested trees, requests at random, children killed at any moment, slow and deaf children."""

    async def slow(ctx: ProcessContext, seconds: float) -> None:
        ctx.started()
        await slow_to_end(seconds)

    def tree(rng: random.Random, depth: int) -> Supervisor:
        children: list[Any] = []
        for index in range(rng.randint(1, 3)):
            restart = rng.choice(["permanent", "permanent", "transient", "temporary"])
            if depth and rng.random() < 0.4:
                children.append(child(f"s{index}", tree(rng, depth - 1), start_timeout=1000))
            else:
                shutdown = rng.choice([0.2, 3.0, "brutal_kill"])
                fields = {"restart": restart, "shutdown": shutdown, "ready": rng.random() < 0.5}
                seconds = rng.choice([0.0, 0.1, 0.4])
                children.append(child(f"c{index}", slow, seconds, start_timeout=1000, **fields))
        backoff = {"initial_delay": 0.5, "max_delay": 2.0} if rng.random() < 0.3 else None
        more: dict[str, Any] = {} if backoff is None else {"backoff": backoff}
        return Supervisor(
            strategy=rng.choice(STRATEGIES),
            intensity=rng.randint(0, 4),
            period=rng.choice([1.0, 5.0]),
            children=children,
            **more,
        )

    async def ask(sim: Sim, rng: random.Random, pid: str) -> None:
        ref = SupervisorRef(sim.node, pid)
        id = f"c{rng.randrange(4)}"
        try:
            match rng.randrange(4):
                case 0:
                    await ref.terminate_child(id)
                case 1:
                    await ref.restart_child(id)
                case 2:
                    await ref.delete_child(id)
                case _:
                    await ref.start_child(child(id, slow, 0.1))
        except ProcessError:
            pass

    @explore(
        schedules=40,
        strategy="portfolio",
        seed=seed,
        faults=Faults(kill=0.1, delay=0.05, seconds=3, most=12, only=("*/*",)),
        check_determinism=0,
        report=("text",),
    )
    async def test(sim: Sim) -> None:
        rng = random.Random(seed)
        await sim.host(drain=60)  # or what is killed while it stops others becomes a zombie
        for _ in range(3):
            try:
                pid = await sim.start(tree(rng, 2))
            except ProcessError:
                continue
            for _ in range(4):
                await sim.run_for(rng.choice([0.1, 1.0]))
                if pid in sim.node.processes:
                    await ask(sim, rng, pid)
            if pid in sim.node.processes and rng.random() < 0.5:
                sim.node.cancel(pid)
        await sim.run_for(10)
        seen = sim._run.pump.labels.known().values()
        sim.sometimes("a child was restarted", any("slow#" in label for label in seen))

    test()
