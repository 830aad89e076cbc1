"""Guarantee 22: One holder per name, and never a dead one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from property_tests.guarantees.puppets import Puppets
from property_tests.guarantees.registry import guarantee
from property_tests.models.names import Names
from property_tests.profiles import drawn, times
from trio_actors.testing import Sim, explore

COUNT = 4


FEW = drawn(25)


someone = st.integers(0, COUNT - 1)


end = st.tuples(st.sampled_from(["fail", "fail", "return"]), someone, someone)


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
    @explore(schedules=times(2), report=("text",))
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
