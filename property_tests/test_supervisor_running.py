"""The running supervisor against the reference model: random trees, crashes, requests, time.

Rules: SU3-SU7, SU10-SU15, SU20-SU22, SU24, SU25, SU30, and SU13 through levels. Trees are up to
three supervisors deep with up to four children each. After every step of a history the order of
all starts and stops, the states and the restart counts of the whole tree have to agree. In some
histories a start never gets ready, and the tree is stopped while it is waited for.
"""

from typing import Any

import hypothesis.strategies as st
import trio
from hypothesis import HealthCheck, given, settings
from trio.testing import MockClock, wait_all_tasks_blocked

from property_tests.models import supervisor as model
from property_tests.profiles import times
from supervision import Supervisor, SupervisorRef, child
from supervision.control import running
from trio_actors import Node, Pid, ProcessContext, ProcessError, Shutdown, open_node

IDS = "abcd"

Path = tuple[str, ...]


class Busy(Exception):
    """In the model: the start that hangs has been reached."""


class Script:
    """Which starts fail: the n-th start of a leaf path, by a list; after it all work.

    The start with the number `hangs` never gets ready.
    """

    def __init__(self, failures: dict[str, list[bool]], hangs: int | None) -> None:
        self.failures = {id: list(outcomes) for id, outcomes in failures.items()}
        self.hangs = hangs
        self.starts = 0
        self.busy = trio.Event()
        self.log: list[tuple[str, Path]] = []

    def start(self, path: Path) -> bool:
        self.log.append(("start", path))
        self.starts += 1
        if self.starts == self.hangs:
            self.busy.set()
            return True
        outcomes = self.failures.get(path[-1])
        return outcomes.pop(0) if outcomes else True

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


def pass_time(root: Tree, seconds: float) -> None:
    target = root.now + seconds
    while root.ended is None:
        dues = [(due, tree) for tree in root.supervisors() if (due := tree.next_due())]
        dues = [pair for pair in dues if pair[0][0] <= target]
        if not dues:
            break
        (at, child), tree = min(dues, key=lambda pair: pair[0][0])
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
    how = "normal"
    async with trio.open_nursery() as nursery:

        async def watch() -> None:
            await ctx.events.receive()
            script.stop(path)
            nursery.cancel_scope.cancel()

        nursery.start_soon(watch)
        how = (await ctx.inbox.receive()).topic
        nursery.cancel_scope.cancel()
    if how == "abnormal":
        raise ProcessError("crash")
    if how == "shutdown":
        raise Shutdown


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


# ---- histories -----------------------------------------------------------------------------------


@st.composite
def children(draw: st.DrawFn, auto: str, depth: int, size: int = 4) -> list[dict[str, Any]]:
    specs = []
    for id in draw(st.lists(st.sampled_from(IDS), unique=True, max_size=size)):
        restart = draw(st.sampled_from(["permanent", "transient", "temporary"]))
        spec: dict[str, Any] = {
            "id": id,
            "restart": restart,
            "significant": restart != "permanent" and auto != "never" and draw(st.booleans()),
            # no two waits end at the same time, so that the order of starts is determined
            "delay": draw(st.sampled_from([0.0, 0.0, 1.0, 3.0])) and draw(st.floats(0.5, 3.5)),
        }
        if depth and draw(st.booleans()):
            spec["supervisor"] = draw(trees(depth - 1))
        specs.append(spec)
    return specs


@st.composite
def trees(draw: st.DrawFn, depth: int = 2) -> dict[str, Any]:
    auto = draw(st.sampled_from(["never", "any_significant", "all_significant"]))
    return {
        "strategy": draw(st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"])),
        "intensity": draw(st.sampled_from([0, 1, 3, 10])),
        "period": draw(st.sampled_from([2.0, 5.0])),
        "auto": auto,
        "children": draw(children(auto, depth)),
    }


REQUESTS = ["terminate", "restart", "delete", "start"]
steps = st.one_of(
    st.tuples(
        st.sampled_from(
            ["crash"] * 4 + ["pause"] * 2 + ["terminate", "restart", "delete", "start"]
        ),
        st.integers(0, 50),
        st.integers(0, 50),
        st.sampled_from(["normal", "shutdown", "abnormal"]),
    ),
    st.tuples(st.just("update"), st.integers(0, 50), trees(1), st.just("")),
)


class History:
    """One tree on both sides."""

    def __init__(
        self, spec: dict[str, Any], failures: dict[str, list[bool]], hangs: int | None
    ) -> None:
        self.spec = spec
        self.ideal_script = Script(failures, hangs)
        self.real_script = Script(failures, hangs)
        self.ideal = Tree.of(spec, (), self.ideal_script, 0.0)

    async def run(self, history: list[tuple[str, int, Any, str]]) -> None:
        async with open_node() as node, node.open_host("app:h") as host:
            pid = host.spawn_soon(real(self.spec, (), self.real_script))
            try:
                self.ideal.boot()
                await wait_all_tasks_blocked()
                await self.steps(node, pid, history)
                if self.ideal.ended is None:
                    self.ideal.end("asked to stop")
            except Busy:
                with trio.move_on_after(1):
                    await self.real_script.busy.wait()
                await wait_all_tasks_blocked()
                assert self.real_script.log == self.ideal_script.log
                self.ideal.end("asked to stop")
        assert self.real_script.log == self.ideal_script.log

    async def steps(self, node: Node, pid: str, history: list[tuple[str, int, Any, str]]) -> None:
        for step in history:
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
            seconds = (n + 1) / 16 + 0.001
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
        else:
            await self.request(node, pid, what, n, m)

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


ANSWERS = {
    "ALREADY_EXISTS": "already exists",
    "NOT_FOUND": "not found",
    "CONFLICT": "conflict",
    "UNKNOWN": "failed",
    "INTERNAL": "failed",
    "UNAVAILABLE": "failed",
}


@settings(
    max_examples=times(300),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    trees(),
    st.dictionaries(
        st.sampled_from(IDS), st.lists(st.sampled_from([True, True, True, False]), max_size=6)
    ),
    st.lists(steps, max_size=10),
    st.none() | st.integers(1, 12),
)
def test_the_running_supervisor_refines_the_model(
    spec: dict[str, Any],
    failures: dict[str, list[bool]],
    history: list[tuple[str, int, Any, str]],
    hangs: int | None,
) -> None:
    """The same starts, stops, states, counts and ends, after every step."""
    clock = MockClock(autojump_threshold=0)
    trio.run(History(spec, failures, hangs).run, history, clock=clock)
