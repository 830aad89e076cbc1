"""One picture of a running system as plain data (SU14, SU41, SU42, PL19)."""

import json
from typing import Any

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

import trio_actors.sys
from supervision import ServiceSpec, Supervisor, Taking, child, open_services, ps, snapshot, tree
from trio_actors import Host, Node, ProcessContext, ProcessError, open_node
from trio_actors.functions import open_functions


async def serve(ctx: ProcessContext) -> None:
    """Runs until it is asked to end; fails when it is told to."""
    ctx.started()
    async with trio.open_nursery() as nursery:

        async def fail() -> None:
            await ctx.receive("go")
            raise ProcessError("boom")

        nursery.start_soon(fail)
        await ctx.events.receive()
        nursery.cancel_scope.cancel()


def shown(node: Node, services: Any = None) -> list[tuple[Any, ...]]:
    """The tree of a snapshot, without PIDs."""
    rows = snapshot(node, services).rows
    return [(r.depth, r.kind, r.name, r.state, r.restarts) for r in rows]


BACKOFF = {"initial_delay": 5, "max_delay": 5, "jitter": 0}


async def test_a_tree_is_rows_in_order(host: Host, node: Node) -> None:
    """SU41: three levels, each below its supervisor, with restarts, uptimes, mailboxes, ages."""
    inner = Supervisor(children=[child("b", serve, ready=True)])
    tree = Supervisor(children=[child("a", serve, ready=True), child("inner", inner)])
    root = await host.spawn(Supervisor(children=[child("tree", tree)]), ready=True, name="root")
    rows = {row.name: row for row in snapshot(node).rows}
    b = rows["b"].pid
    assert b is not None
    node.send(b, "go")
    await trio.sleep(1)
    node.send(rows["a"].pid or "", "unread")
    await trio.sleep(2)
    assert shown(node) == [
        (0, "supervisor", "root", "running", 0),
        (1, "supervisor", "tree", "running", 0),
        (2, "worker", "a", "idle", 0),
        (2, "supervisor", "inner", "running", 0),
        (3, "worker", "b", "idle", 1),
    ]
    seen = snapshot(node)
    assert [row.uptime for row in seen.rows] == [3.0] * 5
    assert [row.mailbox for row in seen.rows] == [0, 0, 1, 0, 0]
    assert [row.unread for row in seen.rows] == [0.0, 0.0, 2.0, 0.0, 0.0]
    assert seen.rows[0].pid == root
    assert seen.rows[0].names == ("root",)
    keys = {row.key: row for row in seen.rows}
    assert len(keys) == 5
    assert [keys[row.parent].name for row in seen.rows if row.parent] == [
        "root", "tree", "tree", "inner",
    ]  # fmt: skip


async def test_the_key_of_a_child_outlives_its_process(host: Host, node: Node) -> None:
    """SU14: a child that waits for its restart is listed, without a PID, under the same key."""
    await host.spawn(
        Supervisor(children=[child("a", serve, ready=True, backoff=BACKOFF)]), ready=True
    )
    before = snapshot(node).rows[1]
    node.send(before.pid or "", "go")
    await trio.sleep(1)
    waiting = snapshot(node).rows[1]
    assert (waiting.key, waiting.pid, waiting.state) == (before.key, None, "restarting")
    await trio.sleep(5)
    after = snapshot(node).rows[1]
    assert (after.key, after.state, after.restarts) == (before.key, "idle", 1)
    assert after.pid not in (None, before.pid)


async def test_ends_come_with_their_causes(host: Host, node: Node) -> None:
    """SU42: the newest first, each with the chain that `explain` tells; no more than asked for."""

    async def leader(ctx: ProcessContext) -> None:
        pid = await ctx.spawn(serve, link=True)
        await trio.sleep(1)
        ctx.send(pid, "go")
        await trio.sleep_forever()

    pid = await host.spawn(leader)
    await trio.sleep(3)
    first, second = snapshot(node).exits
    assert (first.pid, first.how, first.ago) == (pid, "linked process failed", 2.0)
    assert [line.split(",")[-1] for line in first.chain][-1] == f" raised: {second.error}"
    assert first.chain[1].startswith(f"because {second.pid}")
    assert snapshot(node, exits=1).exits == (first,)
    assert snapshot(node, exits=0).exits == ()
    assert snapshot(node).ended == 2


async def test_who_was_started_by_a_process_stands_below_it(host: Host, node: Node) -> None:
    """Processes without a supervisor: below who started them, at the top when that one has gone."""

    async def parent(ctx: ProcessContext) -> None:
        await ctx.spawn(serve, name="below")
        await ctx.receive("end")

    pid = await host.spawn(parent, name="above")
    await trio.sleep(1)
    assert [(depth, name) for depth, _, name, *_ in shown(node)] == [(0, "above"), (1, "below")]
    node.send(pid, "end")
    await trio.sleep(1)
    assert [(depth, name) for depth, _, name, *_ in shown(node)] == [(0, "below")]


async def test_a_chain_of_a_thousand_is_no_deeper_in_json(host: Host, node: Node) -> None:
    """Whoever starts whom, the data is flat."""

    async def link(ctx: ProcessContext, left: int) -> None:
        if left:
            await ctx.spawn(link, left - 1)
        await ctx.receive("end")

    await host.spawn(link, 1_999)
    await trio.sleep(1)
    data = json.loads(json.dumps(snapshot(node).as_data()))
    assert [row["depth"] for row in data["rows"]] == list(range(2_000))


async def test_services_come_first_with_the_reason_of_their_state(
    autojump_clock: MockClock,
) -> None:
    """Y7: a service that is held back says by which one and why; Y38: one that gave up, why."""

    async def broken(ctx: ProcessContext) -> None:
        raise ProcessError("no disk", retryable=False)

    async with open_node() as node, node.open_host("app:h"), open_services(node) as services:
        services.add(ServiceSpec("app:db", broken, "app:h", ready=True))
        services.add(ServiceSpec("app:web", serve, "app:h", depends_on=("app:db",)))
        services.add(ServiceSpec("app:log", serve, "app:h"))
        services.add(ServiceSpec("app:later", serve, "app:h"))
        await services.start(["app:web", "app:log"])
        await trio.sleep(2)
        rows = snapshot(node, services).rows
        assert [(r.name, r.state, r.note, r.kind) for r in rows] == [
            ("app:db", "exited", "no disk", "service"),
            ("app:web", "inactive", "requires app:db, which ended: no disk", "service"),
            ("app:log", "idle", "", "service"),
            ("app:later", "inactive", "", "service"),
        ]
        assert [r.uptime for r in rows] == [0, 0, 2, 0]


async def test_pools_are_listed_by_function(autojump_clock: MockClock) -> None:
    """PL19: workers, busy, queued, completed and failed of each function."""
    async with open_node() as node, open_functions(node) as functions:

        async def double(n: int) -> int:
            return 2 * n

        functions.register("app:double", double, pool={"type": "static", "workers": 3})
        assert await functions.call("app:double", 4) == 8
        (pool,) = snapshot(node).pools
        assert (pool.function, pool.type) == ("app:double", "static")
        assert (pool.workers, pool.busy, pool.queued, pool.completed, pool.failed) == (
            3,
            0,
            0,
            1,
            0,
        )


async def test_a_supervisor_that_has_not_begun_has_no_children(node: Node, host: Host) -> None:
    """A look at the very first moment finds a process like any other."""
    host.spawn_soon(Supervisor(children=[child("a", serve)]))
    assert [depth for depth, *_ in shown(node)] == [0]


async def test_a_limit_counts_what_it_does_not_show(host: Host, node: Node) -> None:
    """At most so many rows below each row and at the top; `below` says how many there are."""
    children = [child(str(n), serve) for n in range(5)]
    tree = Supervisor(children=[child("inner", Supervisor(children=children)), child("x", serve)])
    await host.spawn(tree, ready=True, name="tree")
    await host.spawn(serve, name="second")
    await host.spawn(serve, name="third")
    rows = snapshot(node, limit=2).rows
    assert [(row.name, row.below) for row in rows] == [
        ("tree", 2),
        ("inner", 5),
        ("0", 0),
        ("1", 0),
        ("x", 0),
        ("second", 0),
    ]
    assert snapshot(node, limit=2).processes == 10
    assert len(snapshot(node).rows) == 10


@given(acts=st.lists(st.tuples(st.sampled_from("kx+"), st.integers(0, 30)), max_size=12))
async def test_a_picture_in_pieces_is_a_tree_whatever_happens_meanwhile(
    acts: list[tuple[str, int]],
) -> None:
    """SU41: ends, restarts and beginnings between the pieces: no row twice, none without its own.

    Without them it is the picture that is taken at once.
    """
    async with open_node() as node, node.open_host("app:main", drain=0) as host:
        inner = Supervisor(children=[child(f"b{n}", serve) for n in range(3)])
        children = [child("inner", inner), *(child(f"a{n}", serve) for n in range(3))]
        await host.spawn(Supervisor(children=children, intensity=100), ready=True)

        async def parent(ctx: ProcessContext) -> None:
            for _ in range(3):
                await ctx.spawn(serve)
            await ctx.events.receive()

        for _ in range(2):
            await host.spawn(parent)
        await wait_all_tasks_blocked()
        meanwhile = list(acts)
        rows: list[dict[str, Any]] = []
        taking = Taking(node)
        for name, pieces in taking.sections():
            for piece in pieces:
                if name == "rows" and piece is not None:
                    rows.append(piece)
                if meanwhile:
                    act, number = meanwhile.pop()
                    pids = list(node.processes)
                    if act == "+":
                        await host.spawn(serve)
                    elif pids and act == "k":
                        node.terminate(pids[number % len(pids)])
                    elif pids:
                        node.send(pids[number % len(pids)], "go")
                    await wait_all_tasks_blocked()
        keys = {row["key"] for row in rows}
        assert len(keys) == len(rows)
        pids = [row["pid"] for row in rows if row["pid"]]
        assert len(set(pids)) == len(pids)
        above: list[str] = []
        for row in rows:  # each below the one that was drawn last at the depth above it
            assert row["parent"] == (above[row["depth"] - 1] if row["depth"] else None)
            above[row["depth"] :] = [row["key"]]
        if not acts:
            seen = snapshot(node).as_data()["rows"]
            steady = [{**row, "uptime": 0} for row in seen]
            assert [{**row, "uptime": 0} for row in rows] == steady


async def test_uptimes_of_real_time() -> None:
    """PH8, SU41: by whichever clock processes were stamped; a virtual one would not tell."""
    async with open_node() as node, node.open_host("app:h", drain=0) as host:
        pid = await host.spawn(Supervisor(children=[child("a", serve)]), ready=True)
        for _ in range(100):
            await trio.lowlevel.checkpoint()
        uptimes = [row.uptime for row in snapshot(node).rows]
        uptimes += [row.uptime for row in ps(node)]
        uptimes += [tree(node, pid).uptime, trio_actors.sys.view(node, pid).uptime]
        assert len(uptimes) == 6
        assert all(0 < uptime < 60 for uptime in uptimes)
