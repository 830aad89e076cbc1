"""``decide`` against the reference model: the same history, the same starts, stops and states.

Rules: SU3-SU6, SU10-SU16, SU20-SU22, SU25, SU30. A history is a list of crashes, requests, updates
and pauses; the script of the world makes starts fail, and while the supervisor is busy it lets
children die and asks the supervisor to stop.
"""

import heapq
import random
from collections import deque
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from property_tests.models import supervisor as model
from property_tests.profiles import times
from supervision import state as s
from supervision.administration import SHOWN
from supervision.decide import decide
from supervision.specs import ChildSpec, SupervisorSpec
from supervision.terms import AutoShutdown, ExitClass, RestartType, Strategy


class World:
    """The script: which starts fail, and who dies during which operation."""

    def __init__(
        self, failures: dict[str, list[bool]], deaths: dict[int, list[tuple[str, str]]]
    ) -> None:
        self.failures = {id: deque(outcomes) for id, outcomes in failures.items()}
        self.deaths = deaths

    def start(self, id: str) -> bool:
        outcomes = self.failures.get(id)
        return outcomes.popleft() if outcomes else True

    def meanwhile(self, operation: int) -> list[tuple[str, str]]:
        return self.deaths.get(operation, [])


class Driver:
    """Carries out the plans of ``decide`` in the scripted world."""

    def __init__(self, spec: SupervisorSpec, world: World) -> None:
        self.state = s.SupervisorState(spec, random.Random(0))
        self.world = world
        self.now = 0.0
        self.log: list[tuple[str, str]] = []
        self.timers: list[tuple[float, int, s.Again]] = []
        self.made = 0
        self.operations = 0
        self.alive: set[int] = set()  # keys of children that have a process
        self.ended: s.End | None = None
        self.answers: dict[int, str] = {}
        self.events: deque[s.Event] = deque()

    def feed(self, event: s.Event) -> None:
        self.events.append(event)
        while self.events:
            for action in decide(self.state, self.events.popleft(), self.now):
                self.act(action)

    def act(self, action: s.Action) -> None:
        match action:
            case s.Launch(key):
                record = self.state.children[key]
                self.operation("start", record)
                if self.world.start(record.spec.id):
                    self.made += 1
                    self.alive.add(key)
                    self.events.append(s.Started(key, f"{{h|{self.made}}}"))
                else:
                    self.events.append(s.StartFailed(key, "no"))
            case s.Halt(key) if key in self.alive:  # else its end is on the way
                self.alive.remove(key)
                self.operation("stop", self.state.children[key])
                self.events.append(s.Ended(key, ExitClass.SHUTDOWN))
            case s.Wake(at, key):
                self.made += 1
                heapq.heappush(self.timers, (at, self.made, s.Again(key)))
            case s.Reply(token):
                self.answers[token] = "ok"
            case s.Refuse(token, error):
                self.answers[token] = error if isinstance(error, str) else error.kind.name
            case s.End():
                self.ended = action

    def operation(self, what: str, record: s.ChildRecord) -> None:
        self.log.append((what, record.spec.id))
        self.operations += 1
        for id, how in self.world.meanwhile(self.operations):
            if (id, how) == model.STOP:
                self.events.append(s.Stop())
                continue
            other = self.state.children.get(self.state.by_id.get(id, -1))
            if other is not None and other is not record and other.key in self.alive:
                self.crash(other, how, now=False)

    def crash(self, record: s.ChildRecord, how: str, *, now: bool = True) -> None:
        event = s.Ended(record.key, ExitClass(how))
        self.alive.discard(record.key)
        if now:
            self.feed(event)
        else:
            self.events.append(event)

    def advance(self, seconds: float) -> None:
        target = self.now + seconds
        while self.timers and self.timers[0][0] <= target and self.ended is None:
            at, _, event = heapq.heappop(self.timers)
            self.now = max(self.now, at)
            self.feed(event)
        self.now = target

    def picture(self) -> list[tuple[str, str, int]]:
        return [
            (record.spec.id, SHOWN[record.state], record.restarts)
            for record in self.state.children.values()
        ]

    def failures(self) -> list[int]:
        """The numbers that the next delays are made of (SU15)."""
        return [record.failures for record in self.state.children.values()]


IDS = ("a", "b", "c", "d")
ids = st.sampled_from(IDS)
exits = st.sampled_from([str(c) for c in ExitClass])


@st.composite
def child_specs(draw: st.DrawFn, id: str, auto: str) -> model.Spec:
    restart = draw(st.sampled_from([str(r) for r in RestartType]))
    significant = restart != "permanent" and auto != "never" and draw(st.booleans())
    delay = draw(st.sampled_from([0.0, 0.0, 1.0, 3.0]))
    return {"id": id, "restart": restart, "significant": significant, "delay": delay}


@st.composite
def supervisors(draw: st.DrawFn) -> dict[str, Any]:
    auto = draw(st.sampled_from([str(a) for a in AutoShutdown]))
    names = draw(st.permutations(IDS))[: draw(st.sampled_from([4, 3, 2, 1, 0]))]
    return {
        "strategy": draw(st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"])),
        "intensity": draw(st.sampled_from([10, 3, 1, 0])),
        "period": draw(st.sampled_from([2.0, 5.0])),
        "auto": auto,
        "specs": [draw(child_specs(name, auto)) for name in names],
    }


def checked_supervisor(given: dict[str, Any]) -> SupervisorSpec:
    return SupervisorSpec(
        strategy=Strategy(given["strategy"]),
        intensity=given["intensity"],
        period=given["period"],
        auto_shutdown=AutoShutdown(given["auto"]),
        children=tuple(checked(spec) for spec in given["specs"]),
    )


def steps(auto: str) -> st.SearchStrategy[tuple[Any, ...]]:
    crashes = st.tuples(st.just("crash"), st.integers(0, 11), exits)
    pauses = st.tuples(st.just("pause"), st.sampled_from([0.5, 1.0, 2.0, 6.0]))
    names = st.sampled_from(["terminate_child", "restart_child", "delete_child"])
    requests = st.tuples(names, ids)
    starts = st.tuples(st.just("start_child"), ids.flatmap(lambda id: child_specs(id, auto)))
    updates = st.tuples(st.just("update"), supervisors())
    stops = st.tuples(st.just("stop"))
    often = [crashes] * 5 + [pauses] * 3 + [requests] * 3
    return st.sampled_from([*often, starts, updates, stops]).flatmap(lambda step: step)


def checked(spec: model.Spec) -> ChildSpec:
    return ChildSpec(
        id=spec["id"],
        target="t:t",
        restart=RestartType(spec["restart"]),
        significant=spec["significant"],
        backoff=model.backoff_of(spec["delay"]),
    )


ANSWERS = {
    "already exists": "ALREADY_EXISTS",
    "not found": "NOT_FOUND",
    "conflict": "CONFLICT",
    "stopping": "UNAVAILABLE",
}


@settings(max_examples=times(300))
@given(st.data())
def test_decide_does_what_the_model_does(data: st.DataObject) -> None:
    """Starts, stops, answers, states and the end agree after every step of a history."""
    given_spec = data.draw(supervisors(), label="supervisor")
    outcomes = st.lists(st.sampled_from([True, True, True, False]), max_size=6)
    failures = data.draw(st.dictionaries(ids, outcomes), label="failing starts")
    deaths = data.draw(
        st.dictionaries(
            st.integers(1, 20), st.lists(st.tuples(ids, exits), max_size=3), max_size=8
        ),
        label="deaths while busy",
    )
    stop_at = data.draw(st.none() | st.integers(1, 30), label="stop while busy")
    if stop_at is not None:
        deaths.setdefault(stop_at, []).append(model.STOP)
    real = Driver(checked_supervisor(given_spec), World(failures, deaths))
    ideal = model.Supervisor(**given_spec, world=World(failures, deaths))
    real.feed(s.Boot())
    ideal.boot()
    size = data.draw(st.integers(0, 12), label="length")
    history = st.lists(steps(given_spec["auto"]), min_size=size, max_size=size)
    for number, step in enumerate(data.draw(history, label="history")):
        compare(real, ideal)
        if ideal.ended is not None:
            break
        one_step(real, ideal, number, step)
    compare(real, ideal)


def one_step(real: Driver, ideal: model.Supervisor, number: int, step: tuple[Any, ...]) -> None:
    match step:
        case ("crash", number, how):
            alive = [child for child in ideal.children if child.alive]
            if alive:
                child = alive[number % len(alive)]
                child.alive = False
                ideal.mailbox.append(("exit", child, child.incarnation, how))
                ideal.run()
                real.crash(real.state.children[real.state.by_id[child.id]], how)
        case ("pause", seconds):
            ideal.advance(seconds)
            real.advance(seconds)
        case ("stop",):
            ideal.end("asked to stop")
            real.feed(s.Stop())
        case (what, argument):
            answer: list[str] = []
            ideal.mailbox.append(("ask", what, argument, answer))
            ideal.run()
            request: Any = {
                "start_child": lambda: s.StartChild(number, checked(argument)),
                "terminate_child": lambda: s.TerminateChild(number, argument),
                "restart_child": lambda: s.RestartChild(number, argument),
                "delete_child": lambda: s.DeleteChild(number, argument),
                "update": lambda: s.Update(number, checked_supervisor(argument)),
            }[what]()
            real.feed(request)
            said = answer[0] if answer else "stopping"
            expected = {"ok": "ok", "failed": "no"}.get(said) or ANSWERS[said]
            # A stop and the answer may cross: then what was done may be answered or refused.
            assert real.answers[number] == expected


def compare(real: Driver, ideal: model.Supervisor) -> None:
    assert real.log == ideal.log
    assert (real.ended is not None) == (ideal.ended is not None)
    if ideal.ended is None:
        assert real.picture() == ideal.picture()
        assert real.failures() == [child.failures for child in ideal.children]
