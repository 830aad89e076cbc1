"""Makes the runs of a test, checks that they repeat, shrinks what fails, and reports it."""

from __future__ import annotations

import inspect
import random
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import attrs

from trio_actors.testing.determinism import repeatable
from trio_actors.testing.report import Report
from trio_actors.testing.run import Options, Outcome, Run, run_in_trio
from trio_actors.testing.schedule import Schedule
from trio_actors.testing.search import Plan, replay, search
from trio_actors.testing.shrink import shrink
from trio_actors.testing.sim import Sim
from trio_actors.testing.stage import Stage

SHRINK_RUNS = 300


class ScheduleFailure(AssertionError):
    """A run of the test failed; the message is the report, `token` replays the smallest run."""

    def __init__(self, report: Report) -> None:
        super().__init__("\n" + report.text())
        self.report = report
        self.token = str(report.schedule)


CHECKPOINTS = 'of checkpoints one order only: level="step" explores them'


class Vacuous(AssertionError):
    """The test cannot fail: nothing was delivered, or a `sometimes` never held (TS11)."""


class Unrepeatable(AssertionError):
    """Two runs of one schedule differ: the test depends on something that is not simulated."""


@attrs.frozen(slots=True)
class Explored:
    """What an exploration without a failure has shown."""

    runs: int
    verified: int | None  # number of traces, if all there are were run
    seconds: float  # virtual time of all runs together
    sometimes: dict[str, int]  # in how many runs each held
    unmet: tuple[str, ...] = ()  # annotations of a replayed schedule whose messages did not occur
    yielded: bool = False  # processes let each other run at checkpoints, in one order only

    def __str__(self) -> str:
        if self.verified is not None:
            found = f"verified: all {self.verified} traces"
            return f"{found} of messages ({CHECKPOINTS})" if self.yielded else found
        passed = f"passed: {self.runs} schedule{'' if self.runs == 1 else 's'}"
        return f"{passed} (did not occur: {'; '.join(self.unmet)})" if self.unmet else passed


@attrs.define(slots=True, kw_only=True)
class Exploration:
    """All runs of one test with one set of inputs."""

    test: Callable[[Sim], Awaitable[None]]
    name: str
    options: Options
    schedules: int = 200
    strategy: str = "auto"
    check_determinism: float = 0.02
    replay: Schedule | None = None
    inputs: dict[str, Any] = attrs.field(factory=dict)
    shrink_runs: int = SHRINK_RUNS
    progress: Callable[[int], None] | None = None  # is told after each run how many were made
    _stage: Stage | None = None

    def run(self) -> Explored:
        """Makes the runs.

        Raises:
            ScheduleFailure: a run failed. Vacuous, Unrepeatable: the test proves nothing.
        """
        __tracebackhide__ = True  # pytest: the report says it all
        with repeatable(quiet=self.replay is None):
            return run_in_trio(self._explore)

    async def _make(self, plan: Plan) -> Outcome:
        run = Run(
            self.test,
            plan.policy,
            self.options,
            schedule=plan.schedule,
            fault_seed=plan.fault_seed,
            tables=plan.tables,
        )
        assert self._stage is not None
        return await run.run(self._stage)

    async def _explore(self, stage: Stage) -> Explored:
        __tracebackhide__ = True
        self._stage = stage
        if self.replay is not None:
            outcome = await self._make(replay(self.replay))
            if outcome.failure is not None:
                raise self._failure(outcome, self.replay, "replay", 1, 0)
            return Explored(1, None, outcome.time, {}, outcome.unmet)
        plans = search(
            self.strategy, self.schedules, self.options.seed, faults=self.options.faults.any
        )
        chance = random.Random(f"{self.options.seed}/check")
        runs, delivered, seconds, yielded = 0, 0, 0.0, False
        held: dict[str, int] = {}
        plan = next(plans)
        while True:
            outcome = await self._make(plan)
            if not outcome.covered:
                runs += 1
                delivered += outcome.delivered
                seconds += outcome.time
                yielded = yielded or outcome.yielded
                for name, true in outcome.sometimes.items():
                    held[name] = held.get(name, 0) + true
                if self.progress is not None:
                    self.progress(runs)
            if outcome.failure is not None:
                await self._report(outcome, plan, runs)
            elif not outcome.covered and (runs == 1 or chance.random() < self.check_determinism):
                await self._check_repeats(outcome)
            try:
                plan = plans.send(outcome)
            except StopIteration as stop:
                verified: int | None = stop.value
                break
        self._check_worth(delivered, held, runs)
        return Explored(runs, verified, seconds, held, yielded=yielded)

    def _check_worth(self, delivered: int, held: dict[str, int], runs: int) -> None:
        if not delivered:
            raise Vacuous(f"{self.name} proves nothing: no run delivered anything")
        for name, count in held.items():
            if not count:
                raise Vacuous(
                    f"{self.name} proves nothing: sometimes {name!r} held in none of {runs} runs"
                )

    async def _check_repeats(self, outcome: Outcome) -> None:
        __tracebackhide__ = True
        again = await self._make(replay(outcome.schedule))
        if again.digest != outcome.digest:
            pairs = zip(outcome.steps, again.steps, strict=False)
            where = next((i for i, (a, b) in enumerate(pairs) if a.id != b.id), len(again.steps))
            raise Unrepeatable(
                f"{self.name} does not repeat: two runs of {outcome.schedule} differ from step"
                f" {where + 1}. It depends on something that is not simulated: real time,"
                " iteration over a set, hash or id of an object, global state that stays"
            ) from outcome.failure

    # -- failures

    async def _report(self, outcome: Outcome, plan: Plan, found_at: int) -> None:
        __tracebackhide__ = True
        replayed = await self._make(replay(outcome.schedule))
        if replayed.failure is None or not same_failure(replayed.failure, outcome.failure):
            await self._check_repeats(outcome)
        smallest, tries = await self._shrink(outcome.schedule, outcome.failure)
        final = await self._make(replay(smallest))
        if final.failure is None:
            final, smallest = outcome, outcome.schedule
        raise self._failure(final, smallest, plan.name, found_at, tries)

    async def _shrink(
        self, schedule: Schedule, failure: BaseException | None
    ) -> tuple[Schedule, int]:
        attempts = shrink(schedule)
        known: dict[str, bool] = {}
        best, tries = schedule, 0
        try:
            candidate = next(attempts)
            while tries < self.shrink_runs:
                token = str(Schedule.of(sorted(candidate.annotations())))
                if token not in known:
                    tries += 1
                    outcome = await self._make(replay(candidate))
                    known[token] = same_failure(outcome.failure, failure)
                if known[token]:
                    best = candidate
                candidate = attempts.send(known[token])
        except StopIteration as stop:
            best = stop.value
        return best, tries

    def _failure(
        self, outcome: Outcome, schedule: Schedule, strategy: str, found_at: int, tries: int
    ) -> ScheduleFailure:
        error = outcome.failure
        assert error is not None
        report = Report(
            test=self.name,
            error=error,
            schedule=schedule,
            steps=outcome.steps,
            strategy=strategy,
            found_at=found_at,
            tries=tries,
            inputs=self.inputs,
            where=_where(error),
        )
        failure = ScheduleFailure(report)
        failure.__cause__ = error
        return failure


def same_failure(a: BaseException | None, b: BaseException | None) -> bool:
    """Whether two runs failed in the same way: the same property, or the same line of code."""
    if a is None or b is None:
        return False
    if type(a) is not type(b):
        return False
    name = getattr(a, "name", None)
    if name is not None:
        return bool(name == getattr(b, "name", None))
    return _where(a) == _where(b)


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    last = frames[-1]
    return f"{last.filename}:{last.lineno}"


def as_body(test: Callable[..., Any], arguments: dict[str, Any], sim_name: str | None) -> Any:
    """The test as an async function of `sim`; a sync one builds a system, which then runs.

    What a sync test returns, if callable, is called when the system has come to rest.
    """
    is_async = inspect.iscoroutinefunction(test)

    async def body(sim: Sim) -> None:
        given = dict(arguments)
        if sim_name is not None:
            given[sim_name] = sim
        if is_async:
            await test(**given)
            return
        await sim.host()
        check = test(**given)
        await sim.settle()
        if callable(check):
            check()

    return body
