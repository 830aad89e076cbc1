"""Links, monitors and names refine their models, for generated programs."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from property_tests.guarantees.puppets import Puppets
from property_tests.guarantees.registry import guarantee
from property_tests.models.links import Links
from property_tests.models.names import Names
from trio_actors._core.pid import Pid
from trio_actors._core.topology import Topology
from trio_actors.testing import Sim, explore

COUNT = 4
FEW = settings(
    max_examples=25,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # a mutant has to be found, not shown
)

someone = st.integers(0, COUNT - 1)
tie = st.tuples(
    st.sampled_from(["link", "link", "link", "monitor", "monitor", "unlink", "unmonitor", "trap"]),
    someone,
    someone,
)
end = st.tuples(st.sampled_from(["fail", "fail", "return"]), someone, someone)
programs = st.lists(tie | tie | tie | end, min_size=4, max_size=14)


@guarantee
def links_refine_their_model() -> None:
    """Ends, events and refusals are those of `models.links` (K10-K17, N1-N6)."""

    @FEW
    @given(program=programs)
    @explore(schedules=2, report=("text",))
    async def test(sim: Sim, program: list[tuple[str, int, int]]) -> None:
        model = Links(COUNT)
        puppets = Puppets(sim)
        await puppets.make(COUNT)
        for command, who, other in program:
            if who not in model.alive:
                continue
            if command in ("fail", "return"):
                model.end(who, command == "fail")
                await puppets.do(who, command)
            else:
                expected = getattr(model, command)(who, other)
                assert await puppets.do(who, command, other) == expected, (command, who, other)
            assert puppets.alive() == model.alive, (command, who, other)
            for living in model.alive:
                assert puppets.counted(living) == model.events[living], (command, who, other)

    test()


@guarantee
def the_tables_of_ties_refine_their_model() -> None:
    """`Topology`, called directly: every answer, and every look at it (K10, K11, N1-N4, V20.3)."""
    rng = random.Random(11)
    pids = [Pid(f"{{h|0x0000{i}}}") for i in range(3)]
    for _ in range(400):
        table = Topology()
        links: list[frozenset[Pid]] = []
        monitors: list[tuple[Pid, Pid]] = []
        for _ in range(14):
            act = rng.choice(["link", "link", "monitor", "monitor", "unlink", "unmonitor", "end"])
            a, b = rng.choice(pids), rng.choice(pids)
            pair = frozenset((a, b))
            match act:
                case "link":
                    new = a != b and pair not in links
                    assert table.link(a, b) == new
                    links += [pair] if new else []
                case "unlink":
                    assert table.unlink(a, b) == (pair in links)
                    links = [known for known in links if known != pair]
                case "monitor":
                    if a == b:
                        continue
                    assert table.monitor(a, b) == ((a, b) not in monitors)
                    monitors += [(a, b)] if (a, b) not in monitors else []
                case "unmonitor":
                    assert table.unmonitor(a, b) == ((a, b) in monitors)
                    monitors = [known for known in monitors if known != (a, b)]
                case _:
                    watchers, peers = table.remove(a)
                    assert list(watchers) == [w for w, t in monitors if t == a]
                    assert set(peers) == {p for k in links if a in k for p in k if p != a}
                    monitors = [known for known in monitors if a not in known]
                    links = [known for known in links if a not in known]
            for pid in pids:
                expected = {p for known in links if pid in known for p in known if p != pid}
                assert set(table.links_of(pid)) == expected
                assert table.watchers_of(pid) == [w for w, t in monitors if t == pid]
                assert table.watched_by(pid) == [t for w, t in monitors if w == pid]


@guarantee
def ties_can_be_undone() -> None:
    """SC7: unlinked, one survives the other's failure; unmonitored, one is not told."""

    @explore(schedules=6, report=("text",))
    async def test(sim: Sim) -> None:
        puppets = Puppets(sim)
        await puppets.make(3)
        await puppets.do(0, "link", 1)
        await puppets.do(0, "monitor", 1)
        await puppets.do(2, "link", 1)
        await puppets.do(2, "trap", 1)
        assert await puppets.do(0, "monitor", 1) == "AlreadyExists"
        await puppets.do(0, "unmonitor", 1)
        await puppets.do(1, "unlink", 0)
        await puppets.do(1, "fail")
        assert puppets.alive() == {0, 2}
        assert puppets.counted(0) == {}
        assert puppets.counted(2) == {("pid.link.down", 1): 1}
        assert await puppets.do(0, "monitor", 1) == "NotFound"
        assert await puppets.do(0, "link", 1) == "NotFound"

    test()


name = st.sampled_from(["a", "b", ""])
acts = st.lists(
    st.tuples(st.sampled_from(["register", "register", "unregister", "return"]), someone, name),
    max_size=14,
)


@guarantee
def names_refine_their_model() -> None:
    """Who holds what, and every refusal, is that of `models.names` (R1-R9)."""

    @FEW
    @given(program=acts)
    @explore(schedules=2, report=("text",))
    async def test(sim: Sim, program: list[tuple[str, int, str]]) -> None:
        model = Names(COUNT)
        puppets = Puppets(sim)
        await puppets.make(COUNT)
        for command, who, what in program:
            if who not in model.alive:
                continue
            if command == "return":
                model.end(who)
                await puppets.do(who, command)
            else:
                expected = getattr(model, command)(who, what)
                assert await puppets.do(who, command, what) == expected, (command, who, what)
            names = sim.node.names
            for known in ("a", "b"):
                holder = names.by_name.get(known)
                shown = puppets.pids.index(holder) if holder else "NotFound"
                assert shown == model.lookup(known)
            for index, pid in enumerate(puppets.pids):
                held = [n for n in names.names_of(pid) if n in ("a", "b")]
                assert sorted(held) == sorted(n for n, h in model.holder.items() if h == index)

    test()


@guarantee
def an_end_is_seen_as_one_piece() -> None:
    """Who has got EXIT sees PID and name gone, may take the name, finds room (V4, V20)."""

    @explore(schedules=20, report=("text",))
    async def test(sim: Sim) -> None:
        seen: list[object] = []

        async def brief(ctx: object) -> None:
            pass

        async def watcher(ctx: object) -> None:
            from trio_actors import ProcessContext, ProcessError

            assert isinstance(ctx, ProcessContext)
            pid = await ctx.spawn(brief, name="brief", monitor=True, link=True, host="small")
            event = await ctx.events.receive()
            seen.append((str(event.kind), event.sender == pid, event.result.error))
            for action in (
                lambda: ctx.send(pid, "x"),
                lambda: ctx.lookup("brief"),
                lambda: ctx.monitor(pid),
            ):
                try:
                    action()
                    seen.append("no refusal")
                except ProcessError as error:
                    seen.append(error.message)
            ctx.register("brief")
            await ctx.spawn(brief, host="small")

        await sim.host("small", max_processes=1)
        pid = await sim.spawn(watcher)
        await sim.settle()
        assert (await sim.node.wait(pid)).error is None
        assert seen == [
            ("pid.exit", True, None),
            "process not found",
            "name not registered",
            "pid not registered",
        ]

    test()


@guarantee
def a_link_cascade_spreads_and_stops_at_a_trap() -> None:
    """K17 in a chain of five; the one who traps gets LINK_DOWN from its neighbour, once."""

    @explore(schedules=20, report=("text",))
    async def test(sim: Sim) -> None:
        puppets = Puppets(sim)
        await puppets.make(5)
        for index in range(4):
            await puppets.do(index, "link", index + 1)
        await puppets.do(1, "trap", 1)
        await puppets.do(4, "fail")
        assert puppets.alive() == {0, 1}
        assert puppets.counted(1) == {("pid.link.down", 2): 1}
        for index in (2, 3):
            error = (await sim.node.wait(puppets.pids[index])).error
            assert error is not None
            assert error.message == "linked process failed"

    test()
