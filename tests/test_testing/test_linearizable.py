"""The linearizability checker, against brute force and on known histories (TS18)."""

from __future__ import annotations

import itertools
import random
import time
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trio_actors import ProcessContext
from trio_actors.testing import (
    History,
    NotLinearizable,
    Operation,
    Sim,
    explore,
    linearizable,
)


class Register:
    """A cell: `read` gives what was written last."""

    def initial(self) -> int:
        return 0

    def steps(self, state: int, name: str, args: tuple[Any, ...]) -> Any:
        if name == "read":
            yield state, state
        elif name == "write":
            yield None, args[0]
        else:  # a coin may change the value or not
            yield None, state
            yield None, state + 1


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    """Up to five operations of three clients, each client one at a time."""
    count = draw(st.integers(1, 5))
    moments = draw(st.permutations(range(2 * count)))
    operations: list[Operation] = []
    free = [0, 0, 0]
    pairs = sorted(tuple(sorted(moments[2 * i : 2 * i + 2])) for i in range(count))
    for began, ended in pairs:
        client = next((c for c in range(3) if free[c] <= began), None)
        if client is None:
            continue
        free[client] = ended
        name = draw(st.sampled_from(["read", "write", "coin"]))
        args = (draw(st.integers(0, 2)),) if name == "write" else ()
        result = draw(st.integers(0, 2)) if name == "read" else None
        pending = draw(st.integers(0, 9)) == 0
        if pending:
            free[client] = 10**6
        operations.append(
            Operation(f"c{client}", name, args, began, None if pending else ended, result)
        )
    return operations


def by_brute_force(operations: list[Operation]) -> bool:
    """Tries every order of every subset that leaves out pending operations only."""
    model = Register()
    pending = [op for op in operations if op.ended is None]
    for size in range(len(pending) + 1):
        for left_out in itertools.combinations(pending, size):
            used = [op for op in operations if not any(op is left for left in left_out)]
            for order in itertools.permutations(used):
                if any(
                    b.ended is not None and b.ended < a.began
                    for i, a in enumerate(order)
                    for b in order[i + 1 :]
                ):
                    continue
                states = {0}
                for op in order:
                    states = {
                        after
                        for state in states
                        for result, after in model.steps(state, op.name, op.args)
                        if op.ended is None or result == op.result
                    }
                if states:
                    return True
    return False


@given(histories())
def test_the_checker_agrees_with_brute_force(operations: list[Operation]) -> None:
    """With pending operations and a model that is not deterministic."""
    try:
        linearizable(operations, Register())
        found = True
    except NotLinearizable:
        found = False
    assert found == by_brute_force(operations)


def test_a_stale_read_is_refused_with_the_longest_prefix_and_lanes() -> None:
    """The message shows how far one gets."""
    history = [
        Operation("a", "write", (1,), 1, 2),
        Operation("b", "read", (), 3, 5, 0),
        Operation("a", "read", (), 4, 6, 1),
    ]
    with pytest.raises(NotLinearizable) as caught:
        linearizable(history, Register())
    text = str(caught.value)
    assert "longest order that works, 2 of 3" in text
    assert "b: read() -> 0" in text
    assert "|" in text.splitlines()[-1]


def test_a_thousand_operations_of_ten_clients_take_less_than_a_second() -> None:
    """TS18: memoisation and partitioning."""
    rng = random.Random(1)
    events: list[Operation] = []
    values = dict.fromkeys(range(5), 0)
    clock = 0
    running: list[Operation] = []
    while len(events) < 1000 or running:
        clock += 1
        if len(events) < 1000 and len(running) < 10 and rng.random() < 0.6:
            key = rng.randrange(5)
            name = rng.choice(["read", "write"])
            args = (key, rng.randrange(100)) if name == "write" else (key,)
            busy = {op.client for op in running}
            client = next(f"c{i}" for i in range(10) if f"c{i}" not in busy)
            operation = Operation(client, name, args, clock)
            events.append(operation)
            running.append(operation)
            continue
        if running:
            operation = running.pop(rng.randrange(len(running)))
            key = operation.args[0]
            if operation.name == "write":
                values[key] = operation.args[1]
            else:
                operation.result = values[key]
            operation.ended = clock

    class Keyed(Register):
        def steps(self, state: int, name: str, args: tuple[Any, ...]) -> Any:
            return super().steps(state, name, args[1:])

    began = time.process_time()
    linearizable(events, Keyed(), partition=lambda op: op.args[0])
    assert time.process_time() - began < 1


@explore(schedules=60)
async def test_a_history_recorded_in_a_simulated_run(sim: Sim) -> None:
    """`sim.history.record` notes operations; one of a killed client stays pending."""

    async def cell(ctx: ProcessContext) -> None:
        value = 0
        async for message in ctx.inbox:
            if message.topic == "write":
                value, client = message.payload
                ctx.send(client, "done")
            else:
                ctx.send(message.payload, "value", value)

    async def client(ctx: ProcessContext, number: int) -> None:
        async def write(value: int) -> None:
            ctx.send("cell", "write", value, ctx.pid)
            await ctx.receive("done")

        async def read() -> int:
            ctx.send("cell", "read", ctx.pid)
            return int((await ctx.receive("value")).payload)

        await sim.history.record(f"c{number}", "write", write, number)
        await sim.history.record(f"c{number}", "read", read)

    await sim.spawn(cell, name="cell")
    await sim.spawn(client, 1, name="c1")
    await sim.spawn(client, 2, name="c2")
    await sim.settle()
    assert len(sim.history) == 4
    linearizable(sim.history, Register())


async def test_a_cancelled_operation_is_pending() -> None:
    """Nobody knows whether it took effect."""
    history = History()
    with trio.CancelScope() as scope:
        scope.cancel()
        await history.record("a", "write", trio.sleep_forever)
    assert history.operations[0].ended is None
    assert str(history.operations[0]) == "a: write() -> pending"
