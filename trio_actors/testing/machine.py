"""State machines whose rules may be async, all in one Trio run (TS17).

The theory: Hypothesis calls rules synchronously, one after the other. A machine therefore hosts a
Trio loop in guest mode: while a rule runs, the loop's turns are made; between rules none is, so the
system stands still and `precondition` sees the model and nothing else. The loop runs on virtual
time; a rule that waits for nothing that can happen fails as stuck.
"""

from __future__ import annotations

import functools
import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import outcome
import trio
from hypothesis import stateful
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    multiple,
    run_state_machine_as_test,
)

from trio_actors.testing.clock import SimClock
from trio_actors.testing.determinism import repeatable
from trio_actors.testing.policies import ByLateness
from trio_actors.testing.run import Options, Run

if TYPE_CHECKING:
    from trio_actors.testing.sim import Sim

__all__ = [
    "Bundle",
    "StateMachine",
    "consumes",
    "initialize",
    "invariant",
    "multiple",
    "precondition",
    "rule",
    "run_state_machine_as_test",
]


def _sync(function: Callable[..., Any]) -> Callable[..., Any]:
    """An async method of a machine as a sync one that runs it in the machine's loop."""
    if not inspect.iscoroutinefunction(function):
        return function

    @functools.wraps(function)
    def part(self: StateMachine, *args: Any, **kwargs: Any) -> Any:
        return self.perform(lambda: function(self, *args, **kwargs))

    return part


def rule(*args: Any, **kwargs: Any) -> Callable[[Callable[..., Any]], Any]:
    """As `hypothesis.stateful.rule`, also for async methods."""
    mark: Any = stateful.rule(*args, **kwargs)
    return lambda function: mark(_sync(function))


def initialize(*args: Any, **kwargs: Any) -> Callable[[Callable[..., Any]], Any]:
    """As `hypothesis.stateful.initialize`, also for async methods."""
    mark: Any = stateful.initialize(*args, **kwargs)
    return lambda function: mark(_sync(function))


def invariant(*args: Any, **kwargs: Any) -> Callable[[Callable[..., Any]], Any]:
    """As `hypothesis.stateful.invariant`, also for async methods."""
    mark = stateful.invariant(*args, **kwargs)
    return lambda function: mark(_sync(function))


def precondition(condition: Callable[[Any], bool]) -> Callable[[Callable[..., Any]], Any]:
    """As `hypothesis.stateful.precondition`: sync, it sees the model only."""
    mark = stateful.precondition(condition)
    return lambda function: mark(_sync(function))


class StateMachine(RuleBasedStateMachine):
    """As Hypothesis' RuleBasedStateMachine; `rule`, `initialize`, `invariant` may be async.

    `self.sim` is the simulated system of this run. Messages arrive in order unless a rule says
    otherwise (`sim.hold`, `sim.kill`); `settle` is called after each rule unless `settles` is
    False. The invariants of simulated runs are checked.
    """

    settles = True
    options = Options()

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._stack.enter_context(repeatable())
        self._loop = _Loop(self.options)
        try:
            self._loop.open()
        except BaseException:
            self._stack.close()
            raise

    @property
    def sim(self) -> Sim:
        """The simulated system."""
        return self._loop.run.sim

    async def setup(self) -> None:
        """Called before the first rule of a run, lazily, to build the system."""

    def perform(self, function: Callable[[], Awaitable[Any]]) -> Any:
        """Runs one async part of the machine to its end, and lets the system settle."""
        return self._loop.perform(self, function)

    def teardown(self) -> None:
        """Closes the system and checks what is checked at the end of a run."""
        try:
            self._loop.close()
        finally:
            self._stack.close()


class _Loop:
    """A Trio loop in guest mode that runs only while somebody waits for a part's end."""

    def __init__(self, options: Options) -> None:
        self.clock = SimClock()
        self._turns: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._end: outcome.Outcome[Any] | None = None
        self._parts: deque[tuple[StateMachine, Callable[[], Awaitable[Any]]]] = deque()
        self._results: deque[outcome.Outcome[Any]] = deque()
        self._wake: trio.Event | None = None
        self._closing = False
        self._ready = False
        self._set_up = False
        self.run = Run(self._body, ByLateness(), options)

    def open(self) -> None:
        """Starts the loop."""
        trio.lowlevel.start_guest_run(
            self.run.run_alone,
            self.clock,
            clock=self.clock,
            run_sync_soon_threadsafe=self._turns.put,
            done_callback=self._done,
            host_uses_signal_set_wakeup_fd=True,
        )
        self._turn_until(lambda: self._ready)

    def _done(self, end: outcome.Outcome[Any]) -> None:
        self._end = end

    def _turn_until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            if self._end is not None:
                self._end.unwrap()
                raise RuntimeError("the simulated system has ended")
            self._turns.get()()

    async def _body(self, sim: Sim) -> None:
        while True:
            self._wake = trio.Event()
            self._ready = self.run.pump.paused = True
            if not self._parts and not self._closing:
                await self._wake.wait()
            if self._closing:
                return
            machine, function = self._parts.popleft()
            try:
                if not self._set_up:
                    self._set_up = True
                    await machine.setup()
                result = await function()
                if machine.settles:
                    await sim.settle()
            except Exception as error:
                self._results.append(outcome.Error(error))
            else:
                self._results.append(outcome.Value(result))

    def perform(self, machine: StateMachine, function: Callable[[], Awaitable[Any]]) -> Any:
        """See `StateMachine.perform`."""
        self._parts.append((machine, function))
        assert self._wake is not None
        self.run.pump.paused = False
        self._wake.set()
        self._turn_until(lambda: bool(self._results) or self.run.failure is not None)
        if self.run.failure is not None and not self._results:
            raise self.run.failure
        return self._results.popleft().unwrap()

    def close(self) -> None:
        """Ends the run; raises what its checks have found."""
        if self._end is None:
            self._closing = True
            if self._wake is not None:
                self._wake.set()
            self.run.pump.paused = False
            while self._end is None:
                self._turns.get()()
        ended = self._end.unwrap()
        if ended.failure is not None:
            raise ended.failure
