"""The running supervisor against the reference model: random trees, crashes, requests, time.

Rules: SU3-SU7, SU10-SU15, SU20-SU22, SU24, SU25, SU30, and SU13 through levels. Trees are up to
three supervisors deep with up to four children each. After every step of a history the order of
all starts and stops, the states and the restart counts of the whole tree have to agree. In some
histories a start never gets ready, and the tree is stopped while it is waited for.
"""

from typing import Any

import trio
from hypothesis import HealthCheck, given, settings
from trio.testing import MockClock, wait_all_tasks_blocked

from property_tests.children import live
from property_tests.models import supervisor as model
from property_tests.models.supervisor_plots import IDS, Plot, make_plot
from property_tests.picking import check_rolled, drawn
from property_tests.profiles import times
from supervision import Supervisor, SupervisorRef, child
from supervision.control import Answer, running
from supervision.promises import REQUEST
from supervision.state import DeleteChild, RestartChild, TerminateChild
from trio_actors import Message, Node, Pid, ProcessContext, ProcessError, open_node

Path = tuple[str, ...]


class Busy(Exception):
    """In the model: the start that hangs has been reached."""


class Script:
    """Which starts fail, by their numbers in the whole tree; that numbered `hangs` is never ready.

    Without `early` the numbers are counted from when the whole tree runs for the first time.
    """

    def __init__(self, plot: Plot) -> None:
        self.failures = plot.failures
        self.hangs = plot.hangs
        self.counting = plot.early
        self.starts = 0
        self.busy = trio.Event()
        self.log: list[tuple[str, Path]] = []

    def start(self, path: Path) -> bool:
        self.log.append(("start", path))
        self.starts += self.counting
        if self.starts == self.hangs:
            self.busy.set()
            return True
        return self.starts not in self.failures

    def stop(self, path: Path) -> None:
        self.log.append(("stop", path))


# ---- the model of a tree -------------------------------------------------------------------------


class Tree(model.Supervisor):
    """A model supervisor whose children may be model supervisors."""

    path: Path = ()
    script: Script
    inner: dict[str, "Tree"]

    @classmethod
    def of(cls, spec: dict[str, Any], path: Path, script: Script, now: float) -> "Tree":
        flags = {key: spec[key] for key in ("strategy", "intensity", "period", "auto")}
        tree = cls(**flags, specs=spec["children"], world=None, now=now)
        tree.path, tree.script, tree.inner = path, script, {}
        return tree

    def start(self, child: model.Child) -> bool:
        child.waiting, child.due = False, None
        child.incarnation += 1
        child.since = self.now
        path = (*self.path, child.id)
        if "supervisor" in child.spec:
            inner = Tree.of(child.spec["supervisor"], path, self.script, self.now)
            self.inner[child.id], child.alive = inner, True
            inner.boot()
            child.alive = inner.ended is None
            if not child.alive:
                del self.inner[child.id]
        else:
            child.alive = self.script.start(path)
            if self.script.busy.is_set():
                raise Busy
        return child.alive

    def stop(self, child: model.Child) -> None:
        if child.alive or self.has_exit(child):
            child.runs_no_more(self.now)
        if child.alive and child.id in self.inner:
            self.inner.pop(child.id).end("stopped")
        elif child.alive:
            self.script.stop((*self.path, child.id))
        child.alive = False
        self.forget_exit(child)

    def supervisors(self) -> list["Tree"]:
        """This one and all that run below it."""
        return [self, *(one for inner in self.inner.values() for one in inner.supervisors())]

    def leaves(self) -> list[tuple["Tree", model.Child]]:
        """All leaves that run."""
        return [
            (tree, one)
            for tree in self.supervisors()
            for one in tree.children
            if one.alive and one.id not in tree.inner
        ]

    def settle(self) -> None:
        """Tell each supervisor of those below it that have ended by themselves."""
        for inner in list(self.inner.values()):
            inner.settle()
        for one in list(self.children):
            below = self.inner.get(one.id)
            if below is not None and below.ended is not None and one.alive:
                del self.inner[one.id]
                self.crash(one, "shutdown")

    def crash(self, child: model.Child, how: str) -> None:
        child.alive = False
        self.mailbox.append(("exit", child, child.incarnation, how))
        self.run()

    def tree_picture(self) -> list[Any]:
        return [
            (*row, self.inner[row[0]].tree_picture() if row[0] in self.inner else None)
            for row in self.picture()
        ]


class Tied(Exception):
    """Two supervisors want to restart a child at one moment: nobody promises who is first."""


def pass_time(root: Tree, seconds: float) -> None:
    target = root.now + seconds
    while root.ended is None:
        dues = [(due, tree) for tree in root.supervisors() if (due := tree.next_due())]
        dues = [pair for pair in dues if pair[0][0] <= target]
        if not dues:
            break
        (at, child), tree = min(dues, key=lambda pair: pair[0][0])
        if sum(pair[0][0] == at for pair in dues) > 1:
            raise Tied
        for one in root.supervisors():
            one.now = at
        tree.fire(child)
        root.settle()
    for one in root.supervisors():
        one.now = target


# ---- the running system --------------------------------------------------------------------------


async def leaf(ctx: ProcessContext, script: Script, path: Path) -> None:
    works, hangs = script.start(path), script.starts == script.hangs
    if not works:
        raise ProcessError("does not start")
    if not hangs:
        ctx.started()
    await live(ctx, lambda: script.stop(path))


def real_child(spec: dict[str, Any], path: Path, script: Script) -> Any:
    path = (*path, spec["id"])
    fields = {
        "restart": spec["restart"],
        "significant": spec["significant"],
        "backoff": model.backoff_of(spec["delay"]),
    }
    if "supervisor" in spec:
        return child(spec["id"], real(spec["supervisor"], path, script), **fields)
    return child(spec["id"], leaf, script, path, ready=True, **fields)


def real(spec: dict[str, Any], path: Path, script: Script) -> Supervisor:
    return Supervisor(
        strategy=spec["strategy"],
        intensity=spec["intensity"],
        period=spec["period"],
        auto_shutdown=spec["auto"],
        children=[real_child(one, path, script) for one in spec["children"]],
    )


def real_picture(node: Node, pid: str) -> list[Any]:
    return [
        (
            info.id,
            info.state,
            info.restarts,
            real_picture(node, info.pid) if info.pid and supervises(node, info.pid) else None,
        )
        for info in SupervisorRef(node, pid).which_children()
    ]


def supervises(node: Node, pid: str) -> bool:
    """What runs, not what the next start would run: an update may have changed that."""
    return running(node.processes[Pid(pid)]) is not None


def pid_of(node: Node, root: str, path: Path) -> str:
    for id in path:
        root = str(SupervisorRef(node, root).get_child(id).pid)
    return root


# ---- both sides ---------------------------------------------------------------------------------


class History:
    """One tree on both sides."""

    def __init__(self, plot: Plot) -> None:
        self.spec = plot.spec
        self.history = plot.steps
        self.ideal_script = Script(plot)
        self.real_script = Script(plot)
        self.ideal = Tree.of(plot.spec, (), self.ideal_script, 0.0)

    async def run(self) -> None:
        async with open_node() as node, node.open_host("app:h") as host:
            pid = host.spawn_soon(real(self.spec, (), self.real_script))
            try:
                self.ideal.boot()
                await wait_all_tasks_blocked()
                self.ideal_script.counting = self.real_script.counting = True
                await self.steps(node, pid)
                if self.ideal.ended is None:
                    self.ideal.end("asked to stop")
            except Tied:
                return
            except Busy:
                with trio.move_on_after(1):
                    await self.real_script.busy.wait()
                await wait_all_tasks_blocked()
                assert self.real_script.log == self.ideal_script.log
                self.ideal.end("asked to stop")
        assert self.real_script.log == self.ideal_script.log

    async def steps(self, node: Node, pid: str) -> None:
        for step in self.history:
            self.compare(node, pid)
            if self.ideal.ended is not None:
                return
            await self.step(node, pid, *step)
            await wait_all_tasks_blocked()
        self.compare(node, pid)

    def compare(self, node: Node, pid: str) -> None:
        assert self.real_script.log == self.ideal_script.log
        if self.ideal.ended is None:
            assert real_picture(node, pid) == self.ideal.tree_picture()
        else:
            assert pid not in node.processes

    async def step(self, node: Node, pid: str, what: str, n: int, m: Any, how: str) -> None:
        if what == "pause":
            seconds = (n + 1) / 10 + 0.001
            with trio.move_on_after(seconds):  # real first: the model may raise Busy
                await self.real_script.busy.wait()
            await wait_all_tasks_blocked()
            pass_time(self.ideal, seconds)
        elif what == "crash":
            leaves = self.ideal.leaves()
            if leaves:
                tree, one = leaves[n % len(leaves)]
                node.send(pid_of(node, pid, (*tree.path, one.id)), how)
                tree.crash(one, how)
                self.ideal.settle()
        elif what == "burst":
            await self.burst(node, pid, n, m)
        else:
            await self.request(node, pid, what, n, m)

    async def burst(self, node: Node, pid: str, n: int, requests: list[tuple[str, str]]) -> None:
        """Several requests are there before the first one is handled."""
        all = self.ideal.supervisors()
        tree = all[n % len(all)]
        process = node.processes[Pid(pid_of(node, pid, tree.path))]
        answers = [Answer() for _ in requests]
        expected: list[list[str]] = [[] for _ in requests]
        for (what, id), answer, said in zip(requests, answers, expected, strict=True):
            request = REQUESTS[what](answer, id)
            node.post(None, process, Message(REQUEST, None, request))
            tree.mailbox.append(("ask", f"{what}_child", id, said))
        await wait_all_tasks_blocked()
        tree.run()
        self.ideal.settle()
        assert [said_by(answer) for answer in answers] == [said[0] for said in expected]

    async def request(self, node: Node, pid: str, what: str, n: int, m: Any) -> None:
        all = self.ideal.supervisors()
        tree = all[n % len(all)]
        ref = SupervisorRef(node, pid_of(node, pid, tree.path))
        ideal_argument: Any
        argument: Any
        if what == "update":
            method = "update"
            ideal_argument = {**m, "specs": m["children"]}
            argument = real(m, tree.path, self.real_script)
        else:
            method, id = f"{what}_child", IDS[m % len(IDS)]
            ideal_argument = argument = id
            if what == "start":
                spec = {"id": id, "restart": "permanent", "significant": False, "delay": 0.0}
                ideal_argument, argument = spec, real_child(spec, tree.path, self.real_script)
        answers: list[str] = []

        async def ask() -> None:
            try:
                await getattr(ref, method)(argument)
                answers.append("ok")
            except ProcessError as error:
                answers.append(ANSWERS[error.kind.name])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            if self.real_script.busy.is_set():
                nursery.cancel_scope.cancel()  # who asks has gone, the start goes on
        expected = getattr(tree, method)(ideal_argument)
        tree.run()
        self.ideal.settle()
        assert answers == [expected]


def said_by(answer: Answer) -> str:
    """An answer in the words of the model."""
    return ANSWERS[answer.error.kind.name] if answer.error else "ok"


REQUESTS: dict[str, Any] = {
    "terminate": TerminateChild,
    "restart": RestartChild,
    "delete": DeleteChild,
}
ANSWERS = {
    "ALREADY_EXISTS": "already exists",
    "NOT_FOUND": "not found",
    "CONFLICT": "conflict",
    "UNKNOWN": "failed",
    "INTERNAL": "failed",
    "UNAVAILABLE": "failed",
}


def check(plot: Plot) -> None:
    """The same starts, stops, states, counts, answers and ends, after every step."""
    trio.run(History(plot).run, clock=MockClock(autojump_threshold=0))


@settings(
    max_examples=times(300),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(drawn(make_plot))
def test_the_running_supervisor_refines_the_model(plot: Plot) -> None:
    """SU3-SU30: whatever Hypothesis draws."""
    check(plot)


def test_the_running_supervisor_refines_the_model_in_long_histories() -> None:
    """SU3-SU30: the same, rolled."""
    check_rolled(check, make_plot, 300)
