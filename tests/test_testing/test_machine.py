"""State machines with async rules in one Trio run (TS17)."""

from __future__ import annotations

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st

from trio_actors import ProcessContext
from trio_actors.testing import Stuck
from trio_actors.testing.machine import (
    Bundle,
    StateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

FAST = settings(max_examples=20, stateful_step_count=10, deadline=None, database=None)


async def store(ctx: ProcessContext, wrong: bool) -> None:
    """A key-value store; the wrong one forgets when a key is written again."""
    data: dict[str, int] = {}
    writes: dict[str, int] = {}
    async for message in ctx.inbox:
        match message.topic:
            case "put":
                key, value = message.payload
                writes[key] = writes.get(key, 0) + 1
                if not (wrong and writes[key] == 2):
                    data[key] = value
            case "get":
                key, box = message.payload
                box.append(data.get(key))


def machine(wrong: bool) -> type[StateMachine]:
    """A machine that compares the store with a dict."""

    class StoreMachine(StateMachine):
        keys = Bundle("keys")

        async def setup(self) -> None:
            await self.sim.spawn(store, wrong, name="store")

        @initialize()
        def empty(self) -> None:
            self.model: dict[str, int] = {}

        @rule(target=keys, key=st.sampled_from("ab"))
        def name_key(self, key: str) -> str:
            return key

        @rule(key=keys, value=st.integers(0, 9))
        async def put(self, key: str, value: int) -> None:
            self.sim.send("store", "put", key, value)
            self.model[key] = value

        @precondition(lambda self: bool(self.model))
        @rule(key=keys)
        async def get(self, key: str) -> None:
            box: list[int | None] = []
            self.sim.send("store", "get", key, box)
            await self.sim.settle()
            assert box == [self.model.get(key)]

        @invariant()
        async def lives(self) -> None:
            if "store" in self.sim.node.names.by_name:
                assert len(self.sim.node.processes) == 1

    return StoreMachine


def test_a_right_system_passes() -> None:
    """TS17: sync and async rules, initializers, invariants, bundles, preconditions together."""
    run_state_machine_as_test(machine(wrong=False), settings=FAST)


def test_a_wrong_system_fails() -> None:
    """A second write of a key and a read of it are found."""
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            machine(wrong=True),
            settings=settings(FAST, max_examples=300, derandomize=True, phases=[Phase.generate]),
        )


def test_between_rules_the_system_stands_still() -> None:
    """A message sent by a sync rule is not handled before the next async part."""

    class Machine(StateMachine):
        settles = False

        async def setup(self) -> None:
            await self.sim.spawn(store, False, name="store")

        @initialize()
        async def start(self) -> None:
            await self.sim.settle()

        @rule()
        def send(self) -> None:
            before = self.sim.pending()
            self.sim.send("store", "put", "a", 1)
            assert len(self.sim.pending()) == len(before) + 1

    run_state_machine_as_test(Machine, settings=FAST)


def test_a_rule_that_waits_for_ever_is_stuck() -> None:
    """It fails at once, in virtual time."""

    class Machine(StateMachine):
        @rule()
        async def wait(self) -> None:
            pid = await self.sim.spawn(store, False)
            await self.sim.node.wait(pid)

    with pytest.raises(Stuck):
        run_state_machine_as_test(Machine, settings=FAST)
