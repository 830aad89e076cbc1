"""Guarantee 64: How a function is run changes nothing else."""

from __future__ import annotations

from typing import Any

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from property_tests.guarantees.players import PLAYERS, Adder, Cast, Do, Slow
from property_tests.guarantees.registry import guarantee
from property_tests.profiles import drawn
from property_tests.ways import functions_begin, unlogged
from trio_actors import Host, Node, open_node
from trio_actors._core.exit import terminated
from trio_actors._core.roaming import Roaming

FEW = drawn(400)

# What a process is told, by how often.
READING = ["note", "send", "send", "read", "events", "pause", "receiving"]
TIED = ["scope", "nursery", "lock", "unlock", "seize", "locked", "task", "deadline", "var"]
WAITING = ["sleep", "checkpoint", "timeout", "event", "ask", "later", "child"]
ROUND = ["finally", "except", "swallow", "last", "up", "up"]
ENDS = ["return", "fail", "suicide", "terminate", "cancel", "close", "upgrade"]
TIES = ["link", "link", "unlink", "monitor", "unmonitor", "trap", "spawn"]
TOLD = [*READING, *TIED, *WAITING, *ROUND, *ENDS, *TIES]
DONE = ["force", "limit", *4 * ["replace"], "wait", "rest"]  # from outside

acts = st.tuples(
    st.sampled_from([*TOLD, *TOLD, *DONE]), st.integers(0, 5), st.integers(0, 8), st.integers(0, 2)
)
programs = st.fixed_dictionaries(
    {
        "styles": st.lists(st.sampled_from(list(PLAYERS)), min_size=2, max_size=4),
        "acts": st.lists(acts, min_size=3, max_size=25),
        "end": st.sampled_from(["stop", "stop", "force", "abort"]),
    }
)


@guarantee
def functions_are_alike_with_and_without_a_task() -> None:
    """TM2, TM3, M12, E37, E40, K6, U3, PY4, PY9: what everybody has seen of any program."""

    @FEW
    @given(program=programs)
    def test(program: dict[str, Any]) -> None:
        stepped, tasks = (_seen(program, stepped=stepped) for stepped in (True, False))
        assert stepped == tasks, f"\nstepped {stepped}\ntasks   {tasks}"

    with unlogged():
        test()


def _seen(program: dict[str, Any], *, stepped: bool) -> tuple[Any, ...]:
    """One run; between two acts everything comes to rest."""
    found: list[Cast] = []

    async def main() -> None:
        async with (
            open_node() as node,
            node.open_host("app:servers") as later,
            node.open_host("app:h", drain=3) as host,
        ):
            servers = [await later.spawn(kind) for kind in (Adder, Slow)]
            cast = Cast(node, servers)
            found.append(cast)
            for style in program["styles"]:
                cast.joins(await host.spawn(PLAYERS[style], cast))
            await trio.testing.wait_all_tasks_blocked()
            for pid in cast.pids:
                assert isinstance(node.processes[pid].drive, Roaming) == stepped
            for serial, act in enumerate(program["acts"], 1):
                _act(node, cast, serial, *act)
                await trio.sleep({"wait": 1, "rest": 100}.get(act[0], 0))
                await trio.testing.wait_all_tasks_blocked()
            await _finish(host, cast, program["end"])

    with functions_begin(stepped=stepped):
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    (cast,) = found
    return cast.notes, cast.exits


def _act(node: Node, cast: Cast, serial: int, what: str, who: int, whom: int, how: int) -> None:
    pid = cast.pids[who % len(cast.pids)]
    process = node.processes.get(pid)
    command = Do(what, serial, whom, how)
    if process is None:
        return
    if what == "force":
        process.force(terminated(node.control))
    elif what == "limit":
        process.limit(trio.current_time() + command.seconds, node.control)
    elif what == "replace":  # and something comes while it is unwound
        process.upgrade = list(PLAYERS.values())[whom], (cast, None)
        process.drive.interrupt()
        node.send(pid, "do", Do("note", serial))
    elif what not in DONE:
        node.send(pid, "do", command)


async def _finish(host: Host, cast: Cast, end: str) -> None:
    match end:
        case "abort":
            cast.aborted = True
            host.abort()
        case "force":
            host.request_stop(0)
        case _:  # who still does something would be told of the stop at the same time as others
            await trio.sleep(200)
            host.request_stop()
    await trio.sleep(100)
    stuck = [process.id for process in host.processes()]
    if stuck:
        host.abort()  # else its end would be waited for
    assert not stuck
