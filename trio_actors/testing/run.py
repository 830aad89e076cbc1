"""One simulated run of a test: a policy, a node, faults, checks; what came of it as a value.

Many runs share one Trio loop, one after the other; each has a node, a clock from 0 and chance of
its own, and waits until everything it started has ended. The end of a run is not explored: when
the test is over, hosts are stopped and what is in transit is delivered in order. After a failure
the same happens, so that every run ends in an orderly way.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import TypeVar

import attrs
import trio

from trio_actors._core.current import running
from trio_actors._core.exit import Exit, terminated
from trio_actors._core.host import Host
from trio_actors._core.node import Node
from trio_actors._core.pid import Pid
from trio_actors._core.process import Process
from trio_actors._core.seams import adopting
from trio_actors.testing.clock import SimClock
from trio_actors.testing.delivery import Delivery, Step
from trio_actors.testing.determinism import SimRandom, order_tasks
from trio_actors.testing.faults import NO_FAULTS, FaultPlan, Faults, active_plan
from trio_actors.testing.footprint import WRITE, owner_of
from trio_actors.testing.invariants import DEFAULT, Checks, Invariant
from trio_actors.testing.policies import Covered
from trio_actors.testing.pump import Policy, Pump, Restless, Stuck
from trio_actors.testing.schedule import YOUNGEST, Fault, Schedule
from trio_actors.testing.sim import Sim, crashed, host_of
from trio_actors.testing.stage import Stage, StageNode, open_stage
from trio_actors.testing.steps import StepInstrument
from trio_actors.testing.tables import trace

EPOCH = 1_750_000_000.0  # the wall clock at the beginning of each run
MOST_GIVEN_UP = 1000  # so often may a run that is to end be at rest and not end

Body = Callable[[Sim], Awaitable[None]]
ResultT = TypeVar("ResultT")


@attrs.frozen(slots=True, kw_only=True)
class Options:
    """What is the same for all runs of an exploration."""

    faults: Faults = NO_FAULTS
    invariants: frozenset[Invariant] = DEFAULT
    max_steps: int = 20_000
    level: str = "message"
    seed: int = 0


@attrs.frozen(slots=True, kw_only=True)
class Outcome:
    """What came of one run."""

    failure: BaseException | None
    schedule: Schedule  # replays exactly this run
    steps: list[Step]
    delivered: int
    sometimes: dict[str, bool]
    covered: bool  # given up because an equivalent run was made before
    time: float  # virtual seconds
    labels: dict[Pid, str]
    unmet: tuple[str, ...]  # annotations of the given schedule whose messages did not occur
    yielded: bool  # code has let other code run at a checkpoint, in the one order there is

    @property
    def digest(self) -> str:
        """The same for runs in which the same happened."""
        return _digest(self.steps, self.failure)


class Run:
    """A run under way; watches the pump."""

    def __init__(
        self,
        body: Body,
        policy: Policy,  # with the lateness of the schedule, if it has any
        options: Options,
        *,
        schedule: Schedule = Schedule.FIFO,
        fault_seed: str | None = None,
        tables: bool = False,
    ) -> None:
        self._body = body
        self._options = options
        self.pump = Pump(SimClock(), policy, self, options.max_steps, footprints=tables)
        self.checks = Checks(self.pump, options.invariants, self.failed)
        self._schedule = schedule
        self._youngest_first = YOUNGEST in schedule.faults
        self.plan = FaultPlan(options.faults, schedule.faults, fault_seed)
        self._faulty = bool(schedule.faults) or (fault_seed is not None and options.faults.any)
        self.sim = Sim(self)
        self.failure: BaseException | None = None
        self.covered = False
        self.sometimes: dict[str, bool] = {}
        self.skew: dict[str, float] = {}
        self.hit: dict[Pid, None] = {}
        self._scope = trio.CancelScope()
        self._ending = trio.CancelScope()
        self._given_up = 0
        self._escaped: BaseException | None = None
        self._explored = 0  # steps before the end began

    # -- the run

    async def run_alone(self, clock: SimClock) -> Outcome:
        """As `run`, with a stage of its own."""
        async with open_stage(clock) as stage:
            return await self.run(stage)

    async def run(self, stage: Stage) -> Outcome:
        """Runs it in the running Trio loop, whose clock begins at 0 again."""
        clock = stage.clock
        random.seed(self._options.seed)
        order_tasks(youngest_first=self._youngest_first)
        clock.time = 0.0
        self.pump.clock = clock
        tokens = adopting.set(self.adopt), active_plan.set(self.plan)
        context = copy_context()
        clock.on_idle = lambda deadline: context.run(self._idle, deadline)
        instruments: list[trio.abc.Instrument] = []
        if self._options.level == "step":
            instruments.append(StepInstrument(self.pump))
        for instrument in instruments:
            trio.lowlevel.add_instrument(instrument)
        stage.observe(self.pump.footprint, self.pump.labels)
        try:
            await self._open_and_run(stage)
        finally:
            clock.on_idle = None
            for instrument in instruments:
                trio.lowlevel.remove_instrument(instrument)
            adopting.reset(tokens[0])
            active_plan.reset(tokens[1])
        if self._escaped is not None:
            raise self._escaped
        return self._outcome()

    async def _open_and_run(self, stage: Stage) -> None:
        nursery = await stage.nursery()
        node = StageNode(nursery, stage.rng)
        self._adopt(node, stage.rng)
        self.sim.opened(node, nursery)
        await self._run_body()
        self._end_exploring()
        left = list(dict.values(node.processes))
        self.sim.close_hosts()
        if left or node.hosts or node.tasks.any:
            with self._ending:
                await self._close(node, left)
        await stage.clear()

    async def _close(self, node: StageNode, left: list[Process]) -> None:
        if node.hosts:
            await self.pump.rest(with_time=True)
        self.checks.closed(node, [p for p in left if p.pid in node.processes])
        for id in node.hosts:
            self.failed(Stuck(f"nothing happens any more, and host {id} has not closed"))
        await node.tasks.cancel()

    async def _run_body(self) -> None:
        with self._scope:
            try:
                await self._body(self.sim)
                await self.sim.finish()
                self.checks.at_rest(timeless=False)
            except Exception as error:
                self.failed(alone(error))
            except BaseExceptionGroup as group:
                rest = group.split(trio.Cancelled)[1]
                if rest is not None:
                    self.failed(alone(rest))
                raise

    def _idle(self, deadline: float) -> float:
        try:
            return self.pump.idle(deadline)
        except Covered:
            self.covered = True
        except (Stuck, Restless) as error:
            self.failed(error)
            self._given_up += 1
            if self._given_up > MOST_GIVEN_UP:
                raise RuntimeError(
                    "a task of the run neither ends nor can be cancelled"
                ) from self.failure
            if self._given_up > 1:
                for node in self.pump.nodes:
                    for host in node.hosts.values():
                        host.abort()
                self._ending.cancel()
        self._end_exploring()
        self._scope.cancel()
        return 0.0

    def _end_exploring(self) -> None:
        pump = self.pump
        if pump.exploring:
            pump.exploring = False
            self._explored = len(pump.steps)
            pump.note_lateness(pump.pending())
            pump.max_steps += len(pump.steps) + self._options.max_steps
            pump.held_pairs.clear()
            pump.separated = {}
            pump.scripted = False

    def left(self, error: BaseException) -> None:
        """Something left a host: a failure, or what ends the program (E38)."""
        if not isinstance(error, Exception):
            self._escaped = self._escaped or error
        self.failed(error)

    def failed(self, error: BaseException) -> None:
        """The first failure counts; the test is stopped."""
        if self.failure is None and not self.covered:
            self.failure = error
            self._end_exploring()
            self._scope.cancel()

    # -- a node is opened inside the run

    def adopt(self, node: Node) -> None:
        """Takes over delivery, time and chance of a node (TS1-TS4)."""
        node.rng = rng = SimRandom()
        self._adopt(node, rng)

    def _adopt(self, node: Node, rng: SimRandom) -> None:
        pump = self.pump

        def ended(pid: Pid, id: str, exit: Exit) -> None:
            self._ended(node, pid, id, exit)

        if self._options.level == "step":  # each checkpoint is a step then
            node.tasked = Everything()
        trace(node, pump.footprint, ended)
        node.install(pump.gate(node))
        rng.begin(self._options.seed, self._who)
        node.wall_time = self._wall_time

    def _who(self) -> str:
        return self.pump.labels.of(owner_of(running.get(None)))

    def _wall_time(self) -> float:
        time = EPOCH + self.pump.clock.time
        if self.skew:
            pid = owner_of(running.get(None))
            if pid is not None:
                time += self.skew.get(host_of(pid), 0.0)
        return time

    def _ended(self, node: Node, pid: Pid, id: str, exit: Exit) -> None:
        if self.pump.steps and self.pump.exploring:
            error = f": {exit.error.message}" if exit.error is not None else ""
            self.pump.steps[-1].note(f"{self.pump.labels.of(pid)} ended{error}")
        self.pump.footprint.touch(("run", self.pump.labels.seen(pid) or pid), WRITE)
        self.pump.waiting.ended(pid)
        self.checks.ended(node, pid, id, exit)

    # -- watching the pump

    def posted(self, delivery: Delivery) -> None:
        """See `pump.Watcher`."""
        self.checks.posted(delivery)
        if not self._faulty or not self.pump.exploring:
            return
        fault = self.plan.of(delivery)
        if fault is not None:
            delivery.fault = fault
            if fault.kind in ("delay", "slow"):
                self.pump.delay(delivery, self.pump.clock.time + (fault.arg or 0.0))
                if delivery.target is not None:
                    self.hit[delivery.target.pid] = None

    def delivering(self, delivery: Delivery) -> bool:
        """See `pump.Watcher`."""
        self.checks.delivering(delivery)
        target = delivery.target
        if target is not None and target.ended:
            self.sim.dead_letters.append(delivery.id)
        fault = delivery.fault
        if fault is None or target is None or not self.pump.exploring:
            return True
        self.hit[target.pid] = None
        self.pump.steps[-1].note(f"fault: {fault} at {delivery.id.dst}")
        match fault.kind:
            case "kill":
                target.force(terminated(None))
            case "crash":
                self._crash(target.host)
            case "drop":
                self._crash(target.host)
                return False
            case "dup":
                delivery.fault = None
                self.pump.again(delivery)
            case "jump":
                host = target.host.id
                self.skew[host] = self.skew.get(host, 0.0) + (fault.arg or 0.0)
        return True

    def crash(self, host: Host) -> None:
        """Ends everything on a host."""
        self._crash(host)

    def _crash(self, host: Host) -> None:
        mark = f"{{{host.id}|"
        self.pump.drop_where(
            lambda d: (
                d.id.n > 0
                and (  # a start must come, so that the process can end
                    (d.target is not None and d.target.host is host)
                    or (d.source is not None and d.source.startswith(mark))
                )
            )
        )
        for process in host.processes():
            self.hit[process.pid] = None
            process.force(crashed(host.id))

    def note_fault(self, pid: Pid | None) -> None:
        """A process was hit by the test itself."""
        if pid is not None:
            self.hit[pid] = None

    def stepped(self, step: Step) -> None:
        """See `pump.Watcher`."""
        self.checks.stepped(step.delivery)
        if self.sim.promises and self.pump.exploring:
            self.sim.check_promises()

    # -- what came of it

    def _unmet(self) -> tuple[str, ...]:
        annotations = self._schedule.annotations()
        if not annotations:
            return ()
        seen = {step.id for step in self.pump.steps} | {d.id for d in self.pump.pending()}
        seen |= {YOUNGEST, *self.plan.used}
        return tuple(str(a) for a in annotations if a.id not in seen)

    def _outcome(self) -> Outcome:
        steps = self.pump.steps[: self._explored]
        late = {s.delivery.id: s.late for s in steps if s.delivery is not None and s.late}
        late.update((id, held) for id, held in self.pump.never.items() if held)
        faults = dict(self.plan.used)
        if self._youngest_first:
            faults[YOUNGEST] = Fault("on")
        return Outcome(
            failure=self.failure,
            schedule=Schedule(late, faults),
            steps=steps,
            delivered=self.pump.delivered,
            sometimes=self.sometimes,
            covered=self.covered,
            time=self.pump.clock.time,
            labels=self.pump.labels.known(),
            unmet=self._unmet(),
            yielded=self.pump.footprint.yielded and self._options.level == "message",
        )


class Everything(dict[int, object]):
    """Functions that need a task: all of them."""

    def __contains__(self, key: object) -> bool:
        return True


def _digest(steps: list[Step], failure: BaseException | None) -> str:
    digest = hashlib.blake2b(digest_size=12)
    for step in steps:
        delivery = step.delivery
        text = f"{step.at!r}" if delivery is None else f"{delivery.id} {delivery.what}"
        digest.update(f"{text} {list(step.effects)}\n".encode(errors="backslashreplace"))
    digest.update(type(failure).__name__.encode())
    return digest.hexdigest()


def alone(error: BaseException) -> BaseException:
    """The only exception inside groups of one, else the group."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def run_in_trio(function: Callable[[Stage], Awaitable[ResultT]]) -> ResultT:
    """Runs `await function(stage)` in a new Trio loop on virtual time."""
    __tracebackhide__ = True
    clock = SimClock()

    async def main() -> ResultT:
        __tracebackhide__ = True
        async with open_stage(clock) as stage:
            return await function(stage)

    return trio.run(main, clock=clock)
