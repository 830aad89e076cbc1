"""What processes do without until they need it: context, cancel scope, a place among the exits."""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from trio_actors import (
    Ask,
    Event,
    EventKind,
    Exit,
    Host,
    Message,
    Node,
    Process,
    ProcessContext,
    Server,
    handles,
)
from trio_actors._core import exits
from trio_actors._core.current import current_or_none
from trio_actors._core.exit import LinkFailed
from trio_actors._core.exits import ExitMemory
from trio_actors._core.lifecycle import AFTER, LIFE
from trio_actors._core.pid import Pid, format_pid


class Where(Ask[str]):
    """Asks a server which PID it sees as its own."""


class Lean(Server):
    """Has no `init`, so nothing of it runs before its first message."""

    ends: ClassVar[list[str]] = []

    @handles("topic")
    def topic(self, message: Message) -> None:
        """Ends with what it sees."""
        self.stop(self.seen())

    @handles(Where)
    def where(self, request: Where) -> str:
        """Answers with what it sees."""
        return self.seen()

    @handles(EventKind.CANCEL)
    def cancelled(self, event: Event) -> None:
        """Ends with what it sees."""
        self.stop(self.seen())

    def seen(self) -> str:
        """Its own PID, which must also be that of `current()`."""
        context = current_or_none()
        return self.ctx.pid if context is self.ctx else "not its own"

    def terminate(self, exit: Exit) -> None:
        """Notes whose end it was."""
        Lean.ends.append(self.ctx.pid)


@pytest.mark.parametrize("first", ["message", "event", "ask", "ask before it began", "terminate"])
async def test_the_first_code_of_a_server_has_its_context(host: Host, first: str) -> None:
    """TM2: `ctx` is there whatever comes first, also an answer in the caller's turn."""
    Lean.ends.clear()
    node = host.node
    pid = host.spawn_soon(Lean)
    if first != "ask before it began":
        await trio.testing.wait_all_tasks_blocked()
    assert pid in node.processes
    match first:
        case "message":
            node.send(pid, "topic")
            assert (await node.wait(pid)).value == pid
        case "event":
            node.cancel(pid)
            assert (await node.wait(pid)).value == pid
        case "terminate":
            node.terminate(pid)
            await node.wait(pid)
        case _:
            assert await node.ask(pid, Where()) == pid
            node.terminate(pid)
            await node.wait(pid)
    assert Lean.ends == [pid]


async def test_a_context_asked_for_after_the_end_is_that_of_nobody(host: Host) -> None:
    """PY14: also if there was none during the life of the process."""
    process: Process = host.node.processes[host.spawn_soon(Lean)]
    host.node.terminate(process.pid)
    await host.join()
    assert process.context.pid == process.pid
    with pytest.raises(Exception, match=r"^no process context$"):
        process.context.send(process.pid, "topic")


@pytest.mark.parametrize("kind", ["task", "plain"])
async def test_a_deadline_from_before_the_first_step_is_kept(host: Host, kind: str) -> None:
    """K6, K7: the deadline comes before there is a cancel scope, or a timer, to hold it."""

    async def task(ctx: ProcessContext) -> None:
        await trio.sleep_forever()

    class Plain(Server):
        @handles(EventKind.CANCEL)
        def cancelled(self, event: Event) -> None:
            """Stays."""

    node = host.node
    pid = host.spawn_soon(task if kind == "task" else Plain)
    node.cancel(pid, 10)
    node.cancel(pid, 2)
    node.cancel(pid, 5)
    end = await node.wait(pid)
    assert (str(end.error), trio.current_time()) == ("cancel deadline exceeded", 2)


async def test_pids_count_on_across_hosts_and_widths(node: Node) -> None:
    """P2: one counter for all hosts; a PID is what `format_pid` makes of it, at every width."""
    for start in (0, 0xFE, 0x1FF, 0xFFFFE, 0xFFFFFF, 0xFFFFFFFE):
        node._count = start
        node._heads.clear()  # as when the counter came there by itself
        hosts = ["a:a", "b:b"] * 300
        made = [node.new_pid(host) for host in hosts]
        assert made == [format_pid("local", host, start + 1 + i) for i, host in enumerate(hosts)]


@given(
    remembered=st.integers(1, 12),
    part=st.integers(1, 5),
    count=st.integers(0, 40),
    latest=st.integers(0, 40),
)
def test_the_memory_of_exits_holds_the_last_ones_exactly(
    remembered: int, part: int, count: int, latest: int
) -> None:
    """PH6: however ends are kept, as many are remembered as promised, no more and no fewer."""
    model: OrderedDict[Pid, float] = OrderedDict()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exits, "REMEMBERED", remembered)
        patch.setattr(exits, "PART", part)
        memory = ExitMemory(0.0)
        pids = [format_pid("local", "a:a", number) for number in range(count)]
        for at, pid in enumerate(pids):
            memory.add(pid, "id", Exit(at), at)
            model[pid] = at
            if len(model) > remembered:
                model.popitem(last=False)
        found = {pid: record.at for pid in pids if (record := memory.get(pid)) is not None}
        assert (found, memory.total) == (dict(model), count)
        expected = list(reversed(model.items()))[:latest]
        assert [(record.pid, record.at) for record in memory.latest(latest)] == expected


def test_both_forms_of_the_life_table_say_the_same() -> None:
    """§1.4: the table by steps is that of states and steps."""
    flat = {(before, step): after for step, row in AFTER.items() for before, after in row.items()}
    assert flat == LIFE


def test_the_end_by_a_link_is_an_abnormal_exit_by_its_peer() -> None:
    """E34: said once for all processes, save who the peer was."""
    end = LinkFailed(Pid("{a:a|0x00001}"))
    assert (str(end.error), end.abnormal, end.shutdown, end.value) == (
        "linked process failed",
        True,
        False,
        None,
    )
    assert (end.cause.kind, end.cause.by) == ("linked process failed", "{a:a|0x00001}")
    assert end.error is end.error
    assert (end.result().error is end.error, str(end.result().error)) == (False, str(end.error))
