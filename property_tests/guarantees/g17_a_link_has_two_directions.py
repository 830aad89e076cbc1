"""Guarantee 17: A link has two directions."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from property_tests.guarantees.puppets import Puppets
from property_tests.guarantees.registry import guarantee
from property_tests.models.links import Links
from property_tests.profiles import drawn, times
from trio_actors._core.pid import Pid
from trio_actors._core.topology import Topology
from trio_actors.testing import Sim, explore

COUNT = 4


FEW = drawn(25)


someone = st.integers(0, COUNT - 1)


tie = st.tuples(
    st.sampled_from(["monitor", "link", "trap", "monitor", "link", "link", "unlink", "unmonitor"]),
    someone,
    someone,
)


end = st.tuples(st.sampled_from(["fail", "fail", "return"]), someone, someone)


# Some ties before the first end: an end that nobody is told of shows little.
programs = st.builds(
    list.__add__,
    st.lists(tie, min_size=4, max_size=8),
    st.lists(end | tie, min_size=2, max_size=8),
)


@guarantee
def links_refine_their_model() -> None:
    """Ends, events and refusals are those of `models.links` (K10-K17, N1-N6)."""

    @FEW
    @given(program=programs)
    @explore(schedules=times(2), report=("text",))
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
