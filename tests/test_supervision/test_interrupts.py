"""Ctrl-C and cancellation at every single step of a small tree's life (SU7, SU9).

The life: a tree of three levels starts, a child crashes and is restarted with its group, one is
terminated, all stop. It is run again and again; in the n-th run the interrupt comes at the n-th
task step, until a run gets through without.
"""

from typing import Any

import pytest
import trio
from interruption import ctrl_c, run_interrupted

from supervision import Supervisor, SupervisorRef, child
from trio_actors import Node, ProcessContext, ProcessError, open_node


class Life:
    """One run; ``alive`` and ``faults`` are what is checked."""

    def __init__(self) -> None:
        self.alive: list[str] = []  # the names are in the order of the tree
        self.faults: list[str] = []
        self.crashes = 1
        self.group_stops = False  # b and d stop because c has crashed
        self.outer = trio.CancelScope()
        self.node: Node | None = None

    def leaf(self, name: str) -> Any:
        return child(name, self.serve, name, ready=True, shutdown=1)

    async def serve(self, ctx: ProcessContext, name: str) -> None:
        self.alive.append(name)
        ordered = False
        try:
            ctx.started()
            self.group_stops = False
            if name == "c" and self.crashes:
                self.crashes -= 1
                await trio.sleep(1)
                self.group_stops = True
                raise ProcessError("crash")
            await ctx.events.receive()
            ordered = ctx.host.state != "running" and not self.group_stops
            await trio.sleep(0.1)
        finally:
            if ordered and max(self.alive) != name:
                self.faults.append(f"{name} stopped before {self.alive}")
            self.alive.remove(name)

    async def main(self) -> None:
        deepest = Supervisor(
            strategy="one_for_all", children=[self.leaf("b"), self.leaf("c"), self.leaf("d")]
        )
        inner = Supervisor(children=[child("deepest", deepest)])
        tree = Supervisor(children=[self.leaf("a"), child("inner", inner), self.leaf("e")])
        with self.outer:
            async with open_node() as self.node, self.node.open_host("app:h") as host:
                pid = await host.spawn(tree, ready=True)
                await trio.sleep(2)
                await SupervisorRef(self.node, pid).terminate_child("e")


@pytest.mark.parametrize("how", ["ctrl-c", "cancel"])
def test_interrupted_at_every_step(how: str) -> None:
    """SU7: whenever it comes, all children end, in reverse order, and the right thing goes on."""
    steps = 0
    while True:
        steps += 1
        life = Life()
        sigint = how == "ctrl-c"
        what = ctrl_c if sigint else life.outer.cancel
        reached, interrupted = run_interrupted(life.main, steps, what, "Life.main")
        assert not life.alive, (steps, life.alive)
        assert not life.faults, (steps, life.faults)
        assert life.node is None or not life.node.processes
        if not reached:
            break
        assert interrupted is sigint, steps
    assert steps > 60
