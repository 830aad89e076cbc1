"""``decide`` against the reference model: the same history, the same starts, stops and states.

Rules: SU3-SU6, SU10-SU16, SU20-SU22, SU25, SU30. A history is a list of crashes, requests, updates
and pauses; the script of the world makes starts fail, and while the supervisor is busy it lets
children die and asks the supervisor to stop.
"""

import heapq
import random
from collections import deque
from typing import Any

from attrs import frozen
from hypothesis import given, settings

from property_tests.models import supervisor as model
from property_tests.picking import Pick, check_rolled, drawn, some
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
        self.answers: dict[Any, str] = {}
        self.asked_meanwhile: list[str] = []  # tokens
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
            if how in model.REQUESTS:
                self.asked_meanwhile.append(f"meanwhile {len(self.asked_meanwhile)}")
                self.events.append(REQUESTS[how](self.asked_meanwhile[-1], id))
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
EXITS = tuple(str(c) for c in ExitClass)
REQUESTS: dict[str, Any] = {
    "terminate_child": s.TerminateChild,
    "restart_child": s.RestartChild,
    "delete_child": s.DeleteChild,
}


def make_child(pick: Pick, id: str, auto: str) -> model.Spec:
    """One child."""
    restart = pick.one([str(r) for r in RestartType])
    significant = restart != "permanent" and auto != "never" and pick.one([False, True])
    delay = pick.one([0.0, 1.0, 0.0, 3.0])
    return {"id": id, "restart": restart, "significant": significant, "delay": delay}


def make_supervisor(pick: Pick) -> dict[str, Any]:
    """Flags and children."""
    auto = pick.one(["never", "any_significant", "never", "all_significant"])
    return {
        "strategy": pick.one(["one_for_one", "one_for_all", "rest_for_one"]),
        "intensity": pick.one([20, 10, 3, 20, 1, 0]),
        "period": pick.one([2.0, 5.0]),
        "auto": auto,
        "specs": [make_child(pick, id, auto) for id in some(pick, IDS, pick.one([4, 3, 4, 2, 0]))],
    }


def make_step(pick: Pick, auto: str) -> tuple[Any, ...]:
    """A crash, time, a request, an update; rarely a stop, after which nothing happens."""
    match pick.one(["crash", "crash", "wait", "ask", "crash and wait", "crash and wait", "rare"]):
        case "crash":
            return ("crash", pick.one(range(12)), pick.one(EXITS))
        case "wait":
            return ("pause", pick.one([0.5, 1.0, 2.0, 6.0]))
        case "ask":
            return (pick.one(list(REQUESTS)), pick.one(IDS))
        case "crash and wait":
            first = ("crash", pick.one(range(12)), pick.one(EXITS))
            return (first, ("pause", pick.one([1.0, 3.0, 6.0])))
    if pick.one([True, False]):
        return ("start_child", make_child(pick, pick.one(IDS), auto))
    return ("update", make_supervisor(pick)) if pick.one([True, True, False]) else ("stop",)


@frozen
class Plot:
    """A supervisor, what goes wrong, what happens while it is busy, and what is done to it."""

    spec: dict[str, Any]
    failures: dict[str, list[bool]]  # the starts of each child
    meanwhile: dict[int, list[tuple[str, str]]]  # by the number of the start or stop
    steps: list[tuple[Any, ...]]


def make_plot(pick: Pick) -> Plot:
    """The whole of it; most supervisors start, or there would not be much to see."""
    spec = make_supervisor(pick)
    first = pick.one([[True], [True], [True, True], []])
    more = [True, True, True, False]
    failures = {
        id: [*first, *(pick.one(more) for _ in range(pick.one([4, 2, 6, 0])))] for id in IDS
    }
    hows = [*EXITS, *EXITS, *REQUESTS]
    meanwhile: dict[int, list[tuple[str, str]]] = {}
    for _ in range(pick.one([6, 3, 10, 1, 0])):
        size = pick.one([1, 2, 3])
        meanwhile[pick.one(range(1, 24))] = [(pick.one(IDS), pick.one(hows)) for _ in range(size)]
    if pick.one([False] * 7 + [True]):
        meanwhile.setdefault(pick.one(range(1, 30)), []).append(model.STOP)
    size = pick.one([12, 8, 16, 4, 2, 0])
    return Plot(spec, failures, meanwhile, [make_step(pick, spec["auto"]) for _ in range(size)])


def checked_supervisor(given: dict[str, Any]) -> SupervisorSpec:
    """The same for the running code."""
    return SupervisorSpec(
        strategy=Strategy(given["strategy"]),
        intensity=given["intensity"],
        period=given["period"],
        auto_shutdown=AutoShutdown(given["auto"]),
        children=tuple(checked(spec) for spec in given["specs"]),
    )


def checked(spec: model.Spec) -> ChildSpec:
    """The same for the running code."""
    return ChildSpec(
        id=spec["id"],
        target="t:t",
        restart=RestartType(spec["restart"]),
        significant=spec["significant"],
        backoff=model.backoff_of(spec["delay"]),
    )


ANSWERS = {
    "ok": "ok",
    "failed": "no",
    "already exists": "ALREADY_EXISTS",
    "not found": "NOT_FOUND",
    "conflict": "CONFLICT",
    "stopping": "UNAVAILABLE",
}


def check(plot: Plot) -> None:
    """Starts, stops, answers, states and the end agree after every step."""
    real = Driver(checked_supervisor(plot.spec), World(plot.failures, plot.meanwhile))
    ideal = model.Supervisor(**plot.spec, world=World(plot.failures, plot.meanwhile))
    real.feed(s.Boot())
    ideal.boot()
    for number, step in enumerate(plot.steps):
        compare(real, ideal)
        if ideal.ended is not None:
            break
        one_step(real, ideal, number, step)
    compare(real, ideal)


@settings(max_examples=times(300))
@given(drawn(make_plot))
def test_decide_does_what_the_model_does(plot: Plot) -> None:
    """SU3-SU30: whatever Hypothesis draws."""
    check(plot)


def test_decide_does_what_the_model_does_in_long_histories() -> None:
    """SU3-SU30: the same, rolled."""
    check_rolled(check, make_plot, 3000)


def answer_of(said: str) -> str:
    """An answer of the model in the words of `Driver`."""
    return ANSWERS[said]


def one_step(real: Driver, ideal: model.Supervisor, number: int, step: tuple[Any, ...]) -> None:
    match step:
        case (tuple(), tuple()):  # one after the other
            for one in step:
                one_step(real, ideal, number, one)
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
            match what:
                case "start_child":
                    real.feed(s.StartChild(number, checked(argument)))
                case "update":
                    real.feed(s.Update(number, checked_supervisor(argument)))
                case _:
                    real.feed(REQUESTS[what](number, argument))
            assert real.answers[number] == answer_of(answer[0] if answer else "stopping")


def compare(real: Driver, ideal: model.Supervisor) -> None:
    assert real.log == ideal.log
    assert (real.ended is not None) == (ideal.ended is not None)
    said = [answer[0] if answer else "stopping" for answer in ideal.asked_meanwhile]
    assert [real.answers[token] for token in real.asked_meanwhile] == [answer_of(a) for a in said]
    if ideal.ended is None:
        assert real.picture() == ideal.picture()
        assert real.failures() == [child.failures for child in ideal.children]
