"""simple_one_for_one against the reference model: dynamic children, crashes, requests, updates.

Rules: SU5 (all stop at once), SU13-SU15, SU23, SU25, SU30. After every step the order of all starts
and stops, the states and the restart counts agree. In some histories a start never gets ready, and
the supervisor is stopped while it is waited for.
"""

from typing import Any

import trio
from attrs import frozen
from hypothesis import example, given, settings
from trio.testing import MockClock, wait_all_tasks_blocked

from property_tests.children import live
from property_tests.models import supervisor as model
from property_tests.picking import Pick, check_rolled, drawn
from property_tests.profiles import times
from supervision import Supervisor, SupervisorRef, child
from trio_actors import Node, ProcessContext, ProcessError, open_node


class Busy(Exception):
    """In the model: the start that hangs has been reached."""


class Script:
    """Which starts fail, which one hangs, and what has happened."""

    def __init__(self, failures: list[bool], hangs: int | None) -> None:
        self.failures = failures
        self.hangs = hangs
        self.starts = 0
        self.busy = trio.Event()
        self.log: list[tuple[str, str]] = []
        self.pids: dict[str, str] = {}

    def start(self, name: str) -> bool:
        """Whether this one works."""
        self.starts += 1
        if self.starts == self.hangs:
            self.busy.set()
            return True
        return self.starts > len(self.failures) or self.failures[self.starts - 1]


class World:
    """The script as the model asks for it; nothing happens while the supervisor is busy."""

    def __init__(self, script: Script) -> None:
        self.script = script

    def start(self, name: str) -> bool:
        """As the script says."""
        return self.script.start(name)

    def meanwhile(self, operation: int) -> list[tuple[str, str]]:
        """Nothing."""
        return []


class Dynamic(model.Supervisor):
    """The model; a start that hangs is in progress for ever."""

    def start(self, child: model.Child) -> bool:
        """Raises: Busy."""
        works = super().start(child)
        if self.world.script.busy.is_set():
            child.alive = True
            raise Busy
        return works


async def leaf(ctx: ProcessContext, script: Script, name: str) -> None:
    """One child: ends as it is told, notes how."""
    script.log.append(("start", name))
    works, hangs = script.start(name), script.starts == script.hangs
    if not works:
        raise ProcessError("does not start")
    if not hangs:
        script.pids[name] = ctx.pid
        ctx.started()
    await live(ctx, lambda: script.log.append(("stop", name)))


def real(given: dict[str, Any], script: Script) -> Supervisor:
    """The supervisor that is described."""
    template = given["template"]
    one = child(
        "t",
        leaf,
        script,
        ready=True,
        restart=template["restart"],
        significant=template["significant"],
        backoff=model.backoff_of(template["delay"]),
    )
    return Supervisor(
        strategy="simple_one_for_one",
        intensity=given["intensity"],
        period=given["period"],
        auto_shutdown=given["auto"],
        children=[one],
    )


def make_supervisor(pick: Pick) -> dict[str, Any]:
    """Flags and a template."""
    auto = pick.one(["never", "any_significant", "all_significant"])
    restart = pick.one(["permanent", "transient", "temporary"])
    return {
        "intensity": pick.one([10, 3, 10, 1, 0]),
        "period": pick.one([2.0, 5.0]),
        "auto": auto,
        "template": {
            "restart": restart,
            "significant": restart != "permanent" and auto != "never" and pick.one([False, True]),
            "delay": pick.one([0.0, 0.75, 2.0]),
        },
    }


def make_step(pick: Pick) -> tuple[Any, ...]:
    """Something that is done."""
    match pick.one(["start", "crash", "start", "crash", "terminate", "pause", "rare"]):
        case "start":
            return ("start",)
        case "crash":
            return ("crash", pick.one(range(12)), pick.one(["abnormal", "normal", *HOW]))
        case "terminate":
            return ("terminate", pick.one(range(12)))
        case "pause":
            return ("pause", pick.one([0.3, 0.9, 2.3, 6.1]))
    return ("update", make_supervisor(pick)) if pick.one([True, False]) else ("stranger",)


HOW = ["abnormal", "normal", "shutdown"]


@frozen
class Plot:
    """A supervisor, which starts fail, and what is done."""

    given: dict[str, Any]
    failures: list[bool]
    steps: list[tuple[Any, ...]]
    hangs: int | None  # which start never gets ready


def make_plot(pick: Pick) -> Plot:
    """The whole of it."""
    failures = [pick.one([True, True, True, False]) for _ in range(pick.one([8, 4, 12, 0]))]
    hangs = pick.one(range(1, 11)) if pick.one([False, False, True]) else None
    size = pick.one([14, 9, 20, 5, 2, 0])
    return Plot(make_supervisor(pick), failures, [make_step(pick) for _ in range(size)], hangs)


class History:
    """One supervisor on both sides."""

    def __init__(self, plot: Plot) -> None:
        given, failures, hangs = plot.given, plot.failures, plot.hangs
        self.given = given
        self.history = plot.steps
        self.script = Script(failures, hangs)  # of the running system
        self.template = given["template"]
        flags = {key: given[key] for key in ("intensity", "period", "auto")}
        world = World(Script(failures, hangs))
        self.ideal = Dynamic("one_for_one", specs=[], world=world, **flags)
        self.names = iter(map(str, range(1_000)))

    async def run(self) -> None:
        """The whole history, and an orderly stop."""
        async with open_node() as node, node.open_host("app:h") as host:
            pid = await host.spawn(real(self.given, self.script), ready=True)
            stranger = await host.spawn(trio_stays)
            try:
                for step in self.history:
                    await self.step(SupervisorRef(node, pid), stranger, *step)
                    await wait_all_tasks_blocked()
                    self.compare(node, pid)
                    if self.ideal.ended is not None:
                        break
            except Busy:
                with trio.move_on_after(1):
                    await self.script.busy.wait()
                await wait_all_tasks_blocked()
                assert self.script.log == self.ideal.log
            assert stranger in node.processes
            if self.ideal.ended is None:
                before = len(self.ideal.log)
                self.ideal.end("asked to stop")
                node.cancel(pid)
                await node.wait(pid)
                assert self.script.log[:before] == self.ideal.log[:before]
        assert sorted(self.script.log) == sorted(self.ideal.log)

    def compare(self, node: Node, pid: str) -> None:
        """What can be seen from outside."""
        if self.ideal.ended is not None:
            assert pid not in node.processes
            assert sorted(self.script.log) == sorted(self.ideal.log)
            return
        assert self.script.log == self.ideal.log
        infos = SupervisorRef(node, pid).which_children()
        seen = [(info.state, info.restarts) for info in infos]
        assert seen == [(state, restarts) for _, state, restarts in self.ideal.picture()]

    async def step(self, ref: SupervisorRef, stranger: str, what: str, *rest: Any) -> None:
        """One step on both sides, the running system first: the model may raise Busy."""
        ideal = self.ideal
        match what, *rest:
            case ("crash", int(number), str(how)):
                alive = [one for one in ideal.children if one.alive]
                if alive:
                    one = alive[number % len(alive)]
                    ref.node.send(self.script.pids[one.id], how)
                    await wait_all_tasks_blocked()
                    one.alive = False
                    ideal.mailbox.append(("exit", one, one.incarnation, how))
                    ideal.run()
            case ("pause", float(seconds)):
                with trio.move_on_after(seconds):
                    await self.script.busy.wait()
                await wait_all_tasks_blocked()
                ideal.advance(seconds)
            case ("start",):
                name = next(self.names)
                answer = await self.ask(ref.start_child(name))
                expected = ideal.start_dynamic({**self.template, "id": name})
                assert answer == expected
            case ("terminate", int(number)) if ideal.children:
                one = ideal.children[number % len(ideal.children)]
                answer = await self.ask(ref.terminate_child(self.script.pids[one.id]))
                assert answer == ideal.terminate_child(one.id)
            case ("stranger",):
                assert await self.ask(ref.terminate_child(stranger)) == "NOT_FOUND"
                assert await self.ask(ref.restart_child("t")) == "INVALID"
                assert await self.ask(ref.delete_child("t")) == "INVALID"
            case ("update", dict(given)):
                assert await self.ask(ref.update(real(given, self.script))) == "ok"
                self.template = given["template"]
                ideal.update_template(given)
        ideal.run()

    async def ask(self, request: Any) -> str | None:
        """The answer; None if the supervisor is busy with it for ever."""
        answers: list[str] = []

        async def asked() -> None:
            try:
                await request
                answers.append("ok")
            except ProcessError as error:
                failed = error.message == "does not start"
                answers.append("failed" if failed else error.kind.name)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(asked)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        return answers[0] if answers else None


async def trio_stays(ctx: ProcessContext) -> None:
    """A stranger, which nobody harms."""
    await ctx.events.receive()


ONE: dict[str, Any] = {
    "intensity": 10,
    "period": 2.0,
    "auto": "never",
    "template": {"restart": "permanent", "significant": False, "delay": 0.75},
}


DUE_TOGETHER = Plot(  # who crashed first is the first to start again, and hangs
    given=ONE,
    failures=[],
    steps=[
        ("start",),
        ("start",),
        ("crash", 1, "normal"),
        ("crash", 0, "abnormal"),
        ("pause", 0.9),
    ],
    hangs=3,
)


def check(plot: Plot) -> None:
    """The same starts, stops, states, counts, answers and ends, after every step."""
    trio.run(History(plot).run, clock=MockClock(autojump_threshold=0))


@example(DUE_TOGETHER)
@settings(max_examples=times(300))
@given(drawn(make_plot))
def test_dynamic_children_are_those_of_the_model(plot: Plot) -> None:
    """SU23: whatever Hypothesis draws."""
    check(plot)


def test_dynamic_children_are_those_of_the_model_in_long_histories() -> None:
    """SU23: the same, rolled."""
    check_rolled(check, make_plot, 300)
