"""`explore`: a test becomes one that is run under many orders of its messages."""

from __future__ import annotations

import functools
import inspect
import pprint
import re
import sys
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import attrs

from trio_actors.testing.exploration import (
    Exploration,
    Explored,
    ScheduleFailure,
    as_body,
)
from trio_actors.testing.faults import NO_FAULTS, Faults
from trio_actors.testing.invariants import DEFAULT, Invariant
from trio_actors.testing.run import Options
from trio_actors.testing.schedule import Schedule

SCHEDULES = 200  # about half a second for a small system
SCHEDULES_PER_EXAMPLE = 8  # under @given, which brings many inputs
LEVELS = ("message", "step")
KINDS = ("text", "svg", "mermaid")
DIRECTORY = Path(".sim")  # where pictures of failures go


@attrs.define(slots=True)
class Settings:
    """What the command line says; the pytest plugin sets it."""

    schedules: int | None = None
    replay: str | None = None
    directory: Path | None = None
    explored: dict[str, Explored] = attrs.field(factory=dict)  # for the summary
    # The test that pytest runs just now: the qualified name of its function, its node id.
    running: tuple[str, str] | None = None

    def filed_as(self, name: str) -> str:
        """What results of the test of this name are kept under: its node id, if pytest runs it.

        Two files may have tests of one name, and a parametrised test is many.
        """
        if self.running is not None and self.running[0] == name:
            return self.running[1]
        return name


settings = Settings()


def explore(
    test: Callable[..., Any] | None = None,
    /,
    *,
    schedules: int | None = None,
    strategy: str = "auto",
    seed: int | None = None,
    level: str = "message",
    faults: Faults = NO_FAULTS,
    invariants: Iterable[Invariant] = DEFAULT,
    max_steps: int = 20_000,
    check_determinism: float = 0.02,
    report: Iterable[str] = ("text", "svg"),
    replay: str | Schedule | None = None,
) -> Callable[..., Any]:
    """Decorates a test that takes `sim`, sync or async: it is run under many schedules.

    Both as `@explore` and as `@explore(schedules=500, ...)`.

    The test becomes a sync function, for pytest with and without pytest-trio, and for calling. It
    may stand above or below `@given`.

    Args:
        schedules: how many runs; 200, and 8 per example under `@given`. `--sim-schedules` wins.
        strategy: "auto" is in order, then all that differ (DPOR), then a portfolio; or one of
            "fifo", "dpor", "pct", "pos", "random", "portfolio".
        seed: of the random strategies; by default it depends on the test and its inputs only.
        level: "message" chooses between deliveries, "step" also between tasks of processes.
        faults: what may go wrong.
        invariants: which are checked.
        max_steps: more than these in one run count as a failure.
        check_determinism: the share of runs that are repeated to prove that they can be.
        report: pictures to write for a failure, beside the text: "svg", "mermaid".
        replay: a token or schedule; only that run is made.

    Raises:
        ScheduleFailure: when the test is called and a run fails.
        Vacuous: nothing was delivered, or a `sometimes` never held.
    """
    if level not in LEVELS:
        raise ValueError(f"unknown level {level!r}; known: {', '.join(LEVELS)}")
    kinds = tuple(report)
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"unknown report {kind!r}; known: {', '.join(KINDS)}")
    wanted = _Wanted(
        schedules=schedules,
        strategy=strategy,
        seed=seed,
        options=Options(
            faults=faults, invariants=frozenset(invariants), max_steps=max_steps, level=level
        ),
        check_determinism=check_determinism,
        kinds=kinds,
        replay=Schedule.parse(replay) if isinstance(replay, str) else replay,
    )
    if test is not None:
        return _decorate(test, wanted.perform)
    return lambda test: _decorate(test, wanted.perform)


@attrs.frozen(slots=True, kw_only=True)
class _Wanted:
    """What the decorator was told."""

    schedules: int | None
    strategy: str
    seed: int | None
    options: Options
    check_determinism: float
    kinds: tuple[str, ...]
    replay: Schedule | None

    def exploration(self, test: Callable[..., Any], arguments: dict[str, Any]) -> Exploration:
        """The runs of a test with these arguments; the command line wins."""
        name = name_of(test)
        inputs = {key: value for key, value in arguments.items() if key != "sim"}
        seed = self.seed if self.seed is not None else seed_of(name, inputs)
        token = settings.replay
        return Exploration(
            test=as_body(test, inputs, "sim" if "sim" in parameters_of(test) else None),
            name=name,
            options=attrs.evolve(self.options, seed=seed),
            schedules=settings.schedules or self.schedules or default_schedules(),
            strategy=self.strategy,
            check_determinism=self.check_determinism,
            replay=Schedule.parse(token) if token is not None else self.replay,
            inputs=inputs,
            shrink_runs=60 if in_hypothesis() else 300,
        )

    def perform(self, test: Callable[..., Any], arguments: dict[str, Any]) -> None:
        """Explores the test; writes pictures of a failure."""
        __tracebackhide__ = True
        exploration = self.exploration(test, arguments)
        filed_as = settings.filed_as(exploration.name)
        try:
            explored = exploration.run()
        except ScheduleFailure as failure:
            if settings.directory is not None or set(self.kinds) - {"text"}:
                _write(failure, self.kinds, filed_as)
            raise
        settings.explored[filed_as] = explored


def _decorate(
    test: Callable[..., Any], perform: Callable[[Callable[..., Any], dict[str, Any]], None]
) -> Callable[..., Any]:
    handle = getattr(test, "hypothesis", None)
    inner = handle.inner_test if handle is not None else test
    signature = inspect.signature(test)
    kept = [p for name, p in signature.parameters.items() if name != "sim"]

    def bound(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        names = [name for name in inspect.signature(inner).parameters if name != "sim"]
        kwargs.pop("sim", None)
        return {**dict(zip(names, args, strict=False)), **kwargs}

    @functools.wraps(inner)
    def exploring(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        perform(inner, bound(args, kwargs))

    exploring.simulated = True  # type: ignore[attr-defined]  # for the pytest plugin
    if handle is None:
        exploring.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
        return exploring
    handle.inner_test = exploring
    if "sim" not in signature.parameters:
        return test

    @functools.wraps(test)
    def given(*args: Any, **kwargs: Any) -> None:
        test(*args, sim=None, **kwargs)

    given.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
    given.hypothesis = handle  # type: ignore[attr-defined]
    return given


def name_of(test: Callable[..., Any]) -> str:
    """The qualified name of a test, as reports show it; what `@given` makes has another."""
    test = getattr(getattr(test, "hypothesis", None), "inner_test", test)
    return str(getattr(test, "__qualname__", repr(test))).replace("<locals>.", "")


def parameters_of(test: Callable[..., Any]) -> list[str]:
    """The names of a test's parameters."""
    return list(inspect.signature(test).parameters)


def in_hypothesis() -> bool:
    """Whether an example of a Hypothesis test is being run."""
    hypothesis = sys.modules.get("hypothesis")
    return hypothesis is not None and bool(hypothesis.currently_in_test_context())


def default_schedules() -> int:
    """Fewer for each example of many."""
    return SCHEDULES_PER_EXAMPLE if in_hypothesis() else SCHEDULES


def seed_of(name: str, inputs: dict[str, Any]) -> int:
    """Depends on the test and its inputs, not on this process.

    Addresses are left out, and what a set holds is sorted: its order depends on PYTHONHASHSEED.
    """
    shown = pprint.pformat(inputs, width=sys.maxsize, compact=True)
    text = re.sub(r" at 0x[0-9a-f]+", "", f"{name} {shown}")
    return zlib.crc32(text.encode(errors="replace"))


def _write(failure: ScheduleFailure, kinds: tuple[str, ...], filed_as: str) -> None:
    directory = settings.directory
    if directory is None:
        directory = DIRECTORY
        directory.mkdir(exist_ok=True)
        (directory / ".gitignore").write_text("*\n", encoding="utf-8")
    paths = failure.report.write(directory, filed_as)
    wanted = [p for p in paths if p.suffix == ".svg"] if "svg" in kinds else paths
    failure.add_note("pictures: " + ", ".join(str(path) for path in wanted))
