"""Generated channel programs, run in Lua, refine the reference model (H1-H8, X1-X8, G3)."""

import pytest
import trio
from hypothesis import given, settings
from trio.testing import MockClock

from lua_bridge import LuaTarget, Script
from property_tests.models.channel import (
    Begin,
    ChannelModel,
    Close,
    Done,
    End,
    Program,
    Raised,
    Receive,
    Received,
    Select,
    Send,
    Sent,
    refines,
)
from property_tests.models.channel_programs import SCRIPT, as_argument, channel_programs, read_log
from property_tests.profiles import times
from trio_actors import open_node

TARGET = LuaTarget(Script("app:program", SCRIPT, modules=("time",)))


def run(program: Program) -> list[Begin | End]:
    async def main() -> list[Begin | End]:
        async with open_node() as node, node.open_host("app:h") as host:
            rows = await node.call(TARGET, as_argument(program), host=host)
            return read_log(program, rows)

    return trio.run(main, clock=MockClock(autojump_threshold=0))


@given(channel_programs())
@settings(max_examples=times(60))
def test_every_program_refines_the_model(program: Program) -> None:
    """Property: each operation gives what the model says, nothing is lost, nobody sleeps on."""
    assert refines(program, run(program)) is None


def test_the_model_serves_first_come_first_served() -> None:
    """H5: draining a full buffer lets the oldest waiting value in."""
    model = ChannelModel((1,))
    assert model.begin(0, Send(0, "a")) == Sent()
    assert model.begin(1, Send(0, "b")) is None
    assert model.begin(2, Send(0, "c")) is None
    assert [model.begin(3, Receive(0)) for _ in range(3)] == [
        Received("a", True),
        Received("b", True),
        Received("c", True),
    ]
    assert model.blocked() == set()


def test_the_model_closes_as_the_rules_say() -> None:
    """H6, H7, X4, X6: waiting receivers get nil and false, waiting senders an error."""
    model = ChannelModel((0, 0))
    model.begin(0, Receive(0))
    model.begin(1, Select((Receive(0), Send(1, 5))))
    model.begin(2, Send(1, 6))
    assert model.begin(3, Close(0)) == Done()
    assert model.allows(0, Received(None, False))
    assert model.allows(1, Received(None, False, 0))
    model.begin(3, Close(1))
    assert model.allows(2, Raised("send on closed channel"))


@pytest.mark.parametrize(
    ("log", "problem"),
    [
        ([Begin(0, 0), End(0, 0, Received(2, True))], "although the operation has to wait"),
        ([Begin(1, 0), Begin(0, 0), End(0, 0, Received(2, True))], "expected"),
        ([Begin(1, 0)], "coroutine 0 stopped at step 0"),
        ([Begin(1, 0), Begin(0, 0), Begin(1, 0)], "switched"),
    ],
)
def test_a_wrong_run_is_told(log: list[Begin | End], problem: str) -> None:
    """The judge itself is tested: lost wake-ups, wrong values, switches in the middle."""
    program = Program((0,), ((Receive(0),), (Send(0, 1),)))
    assert problem in (refines(program, log) or "")
