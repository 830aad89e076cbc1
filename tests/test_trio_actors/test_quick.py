"""Plain servers that are started in one piece (quick.py) are like all others."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

import trio_actors
from trio_actors import (
    Ask,
    Exit,
    Host,
    Message,
    ProcessError,
    ProcessUnavailable,
    Server,
    handles,
    open_node,
)

LOG: list[Any] = []


class Get(Ask[int]):
    """How many notes came."""


class Late(Server):
    """Has no `init`: it is made when its first code comes."""

    count = 0

    @handles("note")
    def note(self, message: Message) -> None:
        """Counts."""
        self.count += 1
        LOG.append(("note", self.ctx.pid, message.payload))

    @handles(Get)
    def get(self, request: Get) -> int:
        """Says the number."""
        return self.count

    @handles("again")
    def again(self, message: Message) -> None:
        """Goes on as the same class."""
        self.upgrade(None, self.count)

    def migrate(self, old_version: int, state: int) -> None:
        """Keeps the number."""
        self.count = state

    @handles("fail")
    def fail(self, message: Message) -> None:
        """Fails."""
        raise ValueError("as told")


class Parting(Late):
    """The same, and says that it goes."""

    def terminate(self, exit: Exit) -> None:
        """Says how it ended."""
        LOG.append(("over", self.ctx.pid, self.count, repr(exit)))


class Begun(Parting):
    """The same with an `init`."""

    def init(self, count: int = 0) -> None:
        """Begins to count elsewhere."""
        self.count = count


def new(host: Host, server: type[Server], quick: bool, *args: Any) -> str:
    """Started in one piece, or in the general way."""
    return host.spawn_soon(server, *args) if quick else host.spawn_soon(server, *args, context={})


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["note", "again", "fail", "turn", "suspend", "resume", "ask", "cancel", "kill"]
        ),
        st.integers(0, 2),
    ),
    max_size=12,
)


async def _run(steps: list[tuple[str, int]], quick: bool) -> list[Any]:
    LOG.clear()
    async with open_node() as node, node.open_host("app:test", drain=0) as host:
        classes: list[tuple[type[Server], tuple[Any, ...]]]
        classes = [(Late, ()), (Parting, ()), (Begun, (5, "surplus"))]
        pids = [new(host, cls, quick, *args) for cls, args in classes]
        LOG.append([(pid, node.processes[pid].doing()) for pid in pids])
        for step, which in steps:
            pid = pids[which]
            try:
                if step == "turn":
                    await wait_all_tasks_blocked()
                    LOG.append(
                        [(p, node.processes[p].doing()) for p in pids if p in node.processes]
                    )
                elif step == "suspend":
                    trio_actors.sys.suspend(node, pid)
                elif step == "resume":
                    trio_actors.sys.resume(node, pid)
                elif step == "ask":
                    with trio.move_on_after(1):
                        answer = await node.ask(pid, Get())
                        await wait_all_tasks_blocked()  # how far others are depends on the time
                        LOG.append(answer)
                elif step == "cancel":
                    node.cancel(pid)
                elif step == "kill":
                    node.terminate(pid)
                else:
                    node.send(pid, step, len(LOG))
                LOG.append(trio_actors.sys.get_state(node, pid))
            except ProcessError as error:
                await wait_all_tasks_blocked()
                LOG.append(repr(error))
        await wait_all_tasks_blocked()
        LOG.append([repr(record and record.exit) for record in map(node.exits.get, pids)])
    return list(LOG)


@given(STEPS)
def test_servers_started_in_one_piece_do_what_all_others_do(steps: list[tuple[str, int]]) -> None:
    """PH5, TM2: for each history it is the same what they do, what is seen, and how they end."""

    async def main() -> None:
        assert await _run(steps, quick=True) == await _run(steps, quick=False)

    clock = trio.testing.MockClock(autojump_threshold=0)
    trio.run(main, clock=clock)


async def test_a_server_without_init_is_made_for_its_first_code(host: Host) -> None:
    """TM2: it has no attributes before, like any other; its `terminate` runs, if that is first."""
    LOG.clear()
    made = list[str]()

    class Counted(Parting):
        def __new__(cls) -> Counted:
            made.append(cls.__name__)
            return super().__new__(cls)

    idle, ended = (host.spawn_soon(Counted) for _ in range(2))
    await wait_all_tasks_blocked()
    assert (made, trio_actors.sys.get_state(host.node, idle)) == ([], {})
    host.node.terminate(ended)
    await wait_all_tasks_blocked()
    assert made == ["Counted"]
    assert [entry[:3] for entry in LOG] == [("over", ended, 0)]
    host.node.send(idle, "note")
    await wait_all_tasks_blocked()
    assert made == ["Counted"] * 2
    assert trio_actors.sys.get_state(host.node, idle) == {"count": 1}


async def test_a_start_in_one_piece_is_refused_like_any_other() -> None:
    """Z2, Z5: by a host that is full, and by one that stops."""
    async with open_node() as node:
        async with node.open_host("app:full", max_processes=1, drain=0) as full:
            full.spawn_soon(Late)
            with pytest.raises(ProcessUnavailable, match="host is full"):
                full.spawn_soon(Late)
            assert full.alive == 1
        with pytest.raises(ProcessUnavailable):
            full.spawn_soon(Late)
        assert (full.alive, len(node.processes)) == (0, 0)
