"""Looking at a running system: trees, ps, top, explain (SU41, SU42)."""

import pytest
import trio
from trio.testing import MockClock

from supervision import Supervisor, SupervisorRef, child, explain, format_tree, ps, top, tree
from trio_actors import (
    Node,
    ProcessContext,
    ProcessError,
    ProcessInvalid,
    ProcessNotFound,
    open_node,
)


async def serve(ctx: ProcessContext) -> None:
    ctx.started()
    async for message in ctx.listen("go"):
        raise ProcessError(str(message))


async def test_snapshot_of_a_tree(autojump_clock: MockClock) -> None:
    """SU41: id, pid, state, restarts, uptime, mailbox depth."""
    inner = Supervisor(children=[child("b", serve, ready=True)])
    definition = Supervisor(children=[child("a", serve, ready=True), child("inner", inner)])
    async with open_node() as node, node.open_host("app:h") as host:
        pid = await host.spawn(definition, ready=True)
        b = SupervisorRef(node, tree(node, pid).children[1].pid or "").get_child("b").pid
        assert b is not None
        node.send(b, "go", "boom")
        await trio.sleep(3)
        ref = SupervisorRef(node, pid)
        node.send(str(ref.get_child("a").pid), "unread")
        seen = tree(node, pid)
        assert [(c.id, c.state, c.mailbox) for c in seen.children] == [
            ("a", "running", 1),
            ("inner", "running", 0),
        ]
        (below,) = seen.children[1].children
        assert (below.id, below.restarts, below.uptime) == ("b", 1, 3.0)
        assert format_tree(seen).splitlines()[1:] == [
            f"├─ a  {seen.children[0].pid}  running, up 3s, mailbox 1",
            f"└─ inner  {seen.children[1].pid}  running, up 3s",
            f"   └─ b  {below.pid}  running, up 3s, restarts 1",
        ]
        rows = {row.pid: row for row in ps(node)}
        assert rows[below.pid or ""].restarts == 1
        assert rows[below.pid or ""].supervisor == seen.children[1].pid
        assert rows[pid].supervisor is None
        assert top(node, by="restarts", count=1)[0].pid == below.pid
        with pytest.raises(ProcessInvalid, match="not 'size'"):
            top(node, by="size")
        with pytest.raises(ProcessInvalid, match="is not a supervisor"):
            tree(node, below.pid or "")


async def test_explain_follows_links_to_the_root(autojump_clock: MockClock) -> None:
    """SU42: which link, who failed first; as data and as text."""

    async def fails(ctx: ProcessContext, *peers: str) -> None:
        for peer in peers:
            ctx.link(peer)
        await trio.sleep(1)
        raise ProcessError("disk full")

    async def linked(ctx: ProcessContext, *peers: str) -> None:
        for peer in peers:
            ctx.link(peer)
        await trio.sleep_forever()

    async with open_node() as node, node.open_host("app:h") as host:
        last = await host.spawn(linked)
        middle = await host.spawn(linked, last)
        first = await host.spawn(fails, middle)
        await node.wait(last)
        why = explain(node, last)
        assert [(step.pid, step.how) for step in why.chain] == [
            (last, "linked process failed"),
            (middle, "linked process failed"),
            (first, "raised"),
        ]
        assert str(why).endswith("raised: disk full")
        assert len(str(why).splitlines()) == 3


async def test_explain_names_who_ended_it(autojump_clock: MockClock) -> None:
    """SU42: a supervisor that stopped a child, and why it stopped itself."""
    definition = Supervisor(intensity=0, children=[child("b", serve), child("a", serve)])
    async with open_node() as node, node.open_host("app:h") as host:
        pid = await host.spawn(definition, ready=True)
        ref = SupervisorRef(node, pid)
        a, b = (str(ref.get_child(name).pid) for name in "ab")
        with pytest.raises(ProcessNotFound, match="no end of"):
            explain(node, a)
        node.send(a, "go", "boom")
        await node.wait(pid)
        assert str(explain(node, a)).endswith("raised: boom")
        stopped, its_supervisor, crashed = explain(node, b).chain
        assert (stopped.how, stopped.by) == ("cancel deadline passed", pid)
        assert (its_supervisor.how, its_supervisor.pid) == ("shutdown", pid)
        assert "reached maximum restart intensity" in its_supervisor.error
        assert (crashed.how, crashed.pid) == ("raised", a)


async def polite(ctx: ProcessContext) -> None:
    ctx.started()
    await ctx.events.receive()


def ends(node: Node, pid: str) -> list[tuple[str, str, str | None]]:
    return [(why.pid, why.how, why.by) for why in explain(node, pid).chain]


async def test_explain_names_the_sibling_whose_crash_stopped_it(autojump_clock: MockClock) -> None:
    """SU42: asked to end by its supervisor, because of a group restart; also if it did not obey."""
    stubborn = child("stubborn", serve, shutdown="brutal_kill")
    definition = Supervisor(
        strategy="one_for_all", children=[child("a", serve), child("polite", polite), stubborn]
    )
    async with open_node() as node, node.open_host("app:h") as host:
        pid = await host.spawn(definition, ready=True)
        ref = SupervisorRef(node, pid)
        a, one, other = (str(ref.get_child(name).pid) for name in ("a", "polite", "stubborn"))
        node.send(a, "go", "boom")
        await trio.testing.wait_all_tasks_blocked()
        assert ends(node, one) == [(one, "asked to end", pid), (a, "raised", None)]
        assert ends(node, other) == [(other, "terminated", pid), (a, "raised", None)]
        assert str(explain(node, one)).splitlines()[1].endswith("raised: boom")


async def test_explain_names_the_child_that_ended_its_supervisor(
    autojump_clock: MockClock,
) -> None:
    """SU42: the intensity window, a significant child, a failed start, through levels."""

    async def fails(ctx: ProcessContext) -> None:
        raise ProcessError("no disk")

    significant = Supervisor(
        auto_shutdown="any_significant",
        children=[
            child("p", polite),
            child("s", serve, restart="temporary", significant=True),
        ],
    )
    async with open_node() as node, node.open_host("app:h") as host:
        pid = await host.spawn(significant, ready=True)
        ref = SupervisorRef(node, pid)
        p, s = (str(ref.get_child(name).pid) for name in "ps")
        node.send(s, "go", "boom")
        await node.wait(pid)
        assert ends(node, p) == [
            (p, "asked to end", pid),
            (pid, "shutdown", None),
            (s, "raised", None),
        ]
        inner = Supervisor(intensity=0, children=[child("x", serve, ready=True)])
        outer = Supervisor(intensity=0, children=[child("p", polite), child("inner", inner)])
        pid = await host.spawn(outer, ready=True)
        ref = SupervisorRef(node, pid)
        p, i = (str(ref.get_child(name).pid) for name in ("p", "inner"))
        x = str(SupervisorRef(node, i).get_child("x").pid)
        node.send(x, "go", "boom")
        await node.wait(pid)
        assert [why[0] for why in ends(node, p)] == [p, pid, i, x]
        assert [record.pid for record in node.exits.chain(p)] == [p, pid, i, x]
        tree_that_fails = Supervisor(children=[child("p", polite), child("f", fails, ready=True)])
        pid = host.spawn_soon(tree_that_fails)
        await node.wait(pid)
        _, (_, how, _) = ends(node, pid)
        assert how == "raised"
        assert str(explain(node, pid)).endswith("raised: no disk")


async def test_explain_names_who_cancelled(autojump_clock: MockClock) -> None:
    """SU42: the end is normal, and yet it was asked for."""

    async def asks(ctx: ProcessContext, pid: str) -> None:
        ctx.cancel(pid)

    async with open_node() as node, node.open_host("app:h") as host:
        pid = await host.spawn(polite)
        by = await host.spawn(asks, pid)
        await node.wait(pid)
        assert ends(node, pid) == [(pid, "asked to end", by)]
