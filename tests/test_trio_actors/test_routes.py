"""Routes: senders append to the queue of a receiver that will soon look (mailbox.py)."""

from __future__ import annotations

import gc
from collections.abc import Callable

import outcome
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

import trio_actors
from trio_actors import (
    Bounded,
    Host,
    Message,
    Node,
    ProcessContext,
    ProcessNotFound,
    Server,
    handles,
    open_node,
)
from trio_actors._core.copying import CopyingMailbox
from trio_actors._core.mailbox import PythonMailbox
from trio_actors._core.message import Parcel, Sent, unpacked


def route_of(node: Node, pid: str) -> object:
    """The route of a process, None while it has none."""
    return node.processes[pid].mailbox.route


async def reader(ctx: ProcessContext, count: int, seen: list[object]) -> None:
    """Reads `count` messages of its inbox."""
    for _ in range(count):
        seen.append((await ctx.inbox.receive()).payload)


async def reader_with_a_task(ctx: ProcessContext, count: int, seen: list[object]) -> None:
    """The same in a task of its own."""
    await trio.lowlevel.checkpoint()
    await reader(ctx, count, seen)


class Plain(Server):
    """Keeps what it gets."""

    def init(self, seen: list[object]) -> None:
        self.seen = seen

    @handles("n")
    def take(self, message: Message) -> None:
        self.seen.append(message.payload)


async def test_a_reader_that_was_woken_has_a_route_until_it_runs(host: Host) -> None:
    """M12: the first message is handed over, those behind it are appended, in order."""
    node, seen = host.node, list[object]()
    pid = await host.spawn(reader, 40, seen)
    await wait_all_tasks_blocked()
    assert route_of(node, pid) is None
    for number in range(40):
        node.send(pid, "n", number)
    assert route_of(node, pid) is not None
    assert node.count_delivered() == 40
    await wait_all_tasks_blocked()
    assert seen == list(range(40))
    assert node.statistics().delivered == 40


async def test_a_reader_at_a_checkpoint_of_its_budget_has_a_route(host: Host) -> None:
    """Design §5: after 32 messages others run, and what they send is appended."""
    node, seen = host.node, list[object]()
    pid = await host.spawn(reader_with_a_task, 200, seen)
    await wait_all_tasks_blocked()
    for number in range(100):
        node.send(pid, "n", number)
    while len(seen) < 32:
        await trio.lowlevel.checkpoint()
    assert route_of(node, pid) is not None
    for number in range(100, 200):
        node.send(pid, "n", number)
    assert node.count_delivered() == 200
    await wait_all_tasks_blocked()
    assert seen == list(range(200))
    assert node.count_delivered() == 200


async def test_a_runnable_plain_server_has_a_route_until_its_turn(host: Host) -> None:
    """M12: what is appended behind the first message is handled behind it."""
    node, seen = host.node, list[object]()
    pid = await host.spawn(Plain, seen)
    await wait_all_tasks_blocked()
    for number in range(300):
        node.send(pid, "n", number)
    assert route_of(node, pid) is not None
    assert node.count_delivered() == 300
    await wait_all_tasks_blocked()
    assert seen == list(range(300))
    assert (route_of(node, pid), node.count_delivered()) == (None, 300)


async def test_a_name_leads_to_the_route_too(host: Host) -> None:
    """M4, M12, R8: by name and by PID in one order, to whoever holds the name now."""
    node = host.node
    first, second = list[object](), list[object]()
    one = await host.spawn(Plain, first, name="it")
    two = await host.spawn(Plain, second)
    ctx = node.processes[await host.spawn(Plain, [])].context
    await wait_all_tasks_blocked()
    for number in range(40):
        ctx.send("it" if number % 3 else one, "n", number)
    assert route_of(node, one) is not None
    await wait_all_tasks_blocked()
    assert (first, node.count_delivered()) == (list(range(40)), 40)
    node.names.release(one)
    with pytest.raises(ProcessNotFound):
        ctx.send("it", "n", 40)
    ctx.register("it", two)
    ctx.send("it", "n", 41)
    await wait_all_tasks_blocked()
    assert second == [41]


async def test_a_name_that_looks_like_a_pid_is_none(host: Host) -> None:
    """P3: what has the form of a PID is one, whoever has registered it as a name."""
    node, seen = host.node, list[object]()
    await host.spawn(Plain, seen, name="{nowhere|0x00001}")
    ctx = node.processes[await host.spawn(Plain, [])].context
    for send in (ctx.send, node.send):
        with pytest.raises(ProcessNotFound):
            send("{nowhere|0x00001}", "n", 1)
    await wait_all_tasks_blocked()
    assert seen == []


async def test_what_came_by_a_route_is_a_message_for_whoever_looks(host: Host) -> None:
    """L15: whether it was appended or put makes no difference to a handler."""
    node, seen = host.node, list[Message]()

    class Keeper(Server):
        @handles("n")
        def take(self, message: Message) -> None:
            seen.append(message)

    pid = await host.spawn(Keeper)
    await wait_all_tasks_blocked()
    for number in range(3):
        node.send(pid, "n", number)
    await wait_all_tasks_blocked()
    assert seen == [Message("n", None, number) for number in range(3)]
    assert all(isinstance(message, Message) for message in seen)


async def test_what_is_appended_ages_too(host: Host) -> None:
    """PH8: stamped with the time when the route was opened, which is now."""
    node = host.node
    pid = await host.spawn(Plain, [])
    trio_actors.sys.suspend(node, pid)
    trio_actors.sys.resume(node, pid)
    await trio.sleep(3)
    for number in range(3):
        node.send(pid, "n", number)
    oldest = node.processes[pid].mailbox.oldest()
    assert oldest is not None
    assert oldest.payload == 0
    trio_actors.sys.suspend(node, pid)
    assert route_of(node, pid) is None
    await trio.sleep(4)
    node.send(pid, "n", 3)
    queue = list(node.processes[pid].mailbox._queue)  # type: ignore[attr-defined]
    ages = [node.stamp() - unpacked(item).at for item in queue[1:]]
    assert ages == [4.0, 4.0, 0.0]


async def test_nobody_who_sends_to_himself_outruns_his_receivers(host: Host) -> None:
    """Design §5: a turn handles what was there when it began, so queues stay short."""
    depths: list[int] = []

    class Hasty(Server):
        def init(self, peer: str) -> None:
            self.peer = peer

        @handles("go")
        def go(self, message: Message) -> None:
            for _ in range(10):
                self.ctx.send(self.peer, "n")
            depths.append(self.ctx.node.processes[self.peer].mailbox.depth())  # type: ignore[index]
            if message.payload:
                self.ctx.send(self.ctx.pid, "go", message.payload - 1)

    peer = await host.spawn(Plain, [])
    host.node.send(await host.spawn(Hasty, peer), "go", 50)
    await wait_all_tasks_blocked()
    assert len(depths) == 51
    assert max(depths) <= 20  # a turn may be cut short, for a checkpoint


@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize("kind", ["task", "plain"])
async def test_messages_that_are_put_meanwhile_are_counted_once(
    host: Host, kind: str, limited: bool
) -> None:
    """PH8: by name, a message passes `put`; it stands among the appended ones, in order."""
    node, seen = host.node, list[object]()
    bounds = Bounded(500) if limited else None
    target = (reader, 90, seen) if kind == "task" else (Plain, seen)
    pid = await host.spawn(*target, name="it", mailbox=bounds)  # type: ignore[arg-type]
    await wait_all_tasks_blocked()
    for number in range(90):
        node.send("it" if number % 3 else pid, "n", number)
    assert node.count_delivered() == 90
    await wait_all_tasks_blocked()
    assert seen == list(range(90))
    assert node.count_delivered() == 90


@pytest.mark.parametrize("read", ["receive", "receive_where"])
async def test_another_task_of_the_process_closes_the_route_before_it_takes(
    host: Host, read: str
) -> None:
    """PY4: a task was woken and has not run yet; its sibling reads first, or waits for a 7."""
    mailbox = PythonMailbox(host.node.hand)
    inbox = mailbox.inbox()
    mailbox.renew()
    mailbox.put(Message("n", None, 1))
    mailbox.open_route()
    assert mailbox.route is not None
    mailbox.route.append(("n", None, 2, 0.0))
    reading = inbox.receive() if read == "receive" else inbox.receive_where(lambda m: False)
    reading.send(None)  # it passes a checkpoint first
    if read == "receive":
        with pytest.raises(StopIteration) as got:
            reading.send(outcome.Value(None))
        assert got.value.value.payload == 1
    else:
        reading.send(outcome.Value(None))
        reading.close()
    assert (mailbox.route, host.node.hand.appended) == (None, 1)


# -- every order of sends and reads

Step = tuple[str, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["send", "name", "receive", "nowait", "where", "look", "pause", "listen"]),
        st.integers(1, 40),
    ),
    min_size=1,
    max_size=12,
)


class Log:
    """What two tasks of one process read, and how many were sent to it."""

    def __init__(self) -> None:
        self.sent = 0
        self.read: list[int] = []


async def read(ctx: ProcessContext, step: Step, log: Log, mine: list[int]) -> None:
    """One step of a reading task; `mine` are the numbers it read in turn."""
    what, count = step
    inbox = ctx.inbox
    if what == "receive":
        with trio.move_on_after(0.01):
            for _ in range(count):
                mine.append((await inbox.receive()).payload)
                log.read.append(mine[-1])
    elif what == "nowait":
        while count and len(inbox):
            mine.append(inbox.receive_nowait().payload)
            log.read.append(mine[-1])
            count -= 1
    elif what == "where":
        with trio.move_on_after(0.01):
            message = await inbox.receive_where(lambda m: bool(m.payload % 7 == 0))
            log.read.append(message.payload)
    elif what == "look":
        oldest = ctx.process.mailbox.oldest()
        assert oldest is None or oldest is ctx.process.mailbox.oldest()
    elif what == "listen":
        ctx.listen("other")
    else:
        await trio.lowlevel.checkpoint()


@given(sender=STEPS, one=STEPS, two=STEPS)
def test_nothing_is_lost_or_read_twice_in_any_order(
    sender: list[Step], one: list[Step], two: list[Step]
) -> None:
    """M12, M13, PY4: whether messages are handed over, put or appended, and whoever reads."""
    log = Log()

    async def process(ctx: ProcessContext) -> None:
        async def task(steps: list[Step], mine: list[int]) -> None:
            for step in steps:
                await read(ctx, step, log, mine)
            assert mine == sorted(mine)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(task, one, [])
            nursery.start_soon(task, two, [])
        ctx.process.mailbox.close_route()  # type: ignore[attr-defined]
        await trio.sleep_forever()

    async def main() -> None:
        async with open_node() as node, node.open_host("app:h", drain=0) as host:
            pid = await host.spawn(process, name="it")
            for what, count in sender:
                for _ in range(count if what in ("send", "name") else 0):
                    node.send(pid if what == "send" else "it", "n", log.sent)
                    log.sent += 1
                assert node.count_delivered() == log.sent
                await trio.lowlevel.checkpoint()
            await trio.sleep(1)
            assert node.count_delivered() == log.sent
            left = [item.payload for item in node.processes[pid].mailbox.drain()]  # type: ignore[union-attr]
            assert left == sorted(left)
            assert sorted(log.read + left) == list(range(log.sent))

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@given(steps=st.lists(st.sampled_from(["send", "name", "suspend", "resume", "look", "pause"])))
def test_a_plain_server_handles_all_in_order_whatever_happens(steps: list[str]) -> None:
    """M12, TM2: suspended or not, by its name or its PID, with somebody looking at its queue."""
    seen: list[object] = []
    sent = 0

    async def main() -> None:
        nonlocal sent
        async with open_node() as node, node.open_host("app:h", drain=0) as host:
            pid = await host.spawn(Plain, seen, name="it")
            look: dict[str, Callable[[], object]] = {
                "suspend": lambda: trio_actors.sys.suspend(node, pid),
                "resume": lambda: trio_actors.sys.resume(node, pid),
                "look": node.statistics,
            }
            for step in steps:
                if step == "pause":
                    await trio.lowlevel.checkpoint()
                elif step in look:
                    look[step]()
                else:
                    for _ in range(5):
                        node.send(pid if step == "send" else "it", "n", sent)
                        sent += 1
                assert node.count_delivered() == sent
            trio_actors.sys.resume(node, pid)
            await wait_all_tasks_blocked()
            assert node.count_delivered() == sent

    trio.run(main)
    assert seen == list(range(sent))


def test_a_parcel_is_what_the_collector_forgets() -> None:
    """Design §5: the reason for parcels: a tuple of texts and numbers is not tracked for long."""
    parcels: list[Parcel] = [("n", None, number, 0.5 + number) for number in range(10)]
    messages = [Sent() for _ in range(10)]
    gc.collect()
    assert not any(map(gc.is_tracked, parcels))
    assert all(map(gc.is_tracked, messages))


async def test_a_copying_mailbox_has_no_route(host: Host) -> None:
    """M26: each payload is copied, so nobody appends by himself."""
    mailbox = CopyingMailbox(host.node.hand)
    inbox = mailbox.inbox()
    mailbox.put(Message("n", None, 1))
    mailbox.open_route()
    assert (mailbox.route, len(inbox)) == (None, 1)


class Keeper(Server):
    """Keeps every third message itself, in one of several ways."""

    def init(self, kept: list[tuple[int, Callable[[], Message]]]) -> None:
        self.kept = kept

    @handles("n", "m")
    def take(self, message: Message) -> None:
        number = message.payload
        if number % 3 == 0:
            self.kept.append((number, lambda: message))
        elif number % 3 == 1:
            self.kept.append((number, [message].pop if number % 2 else iter([message]).__next__))

    def unhandled(self, item: object) -> None:
        """Keeps it."""
        assert isinstance(item, Message)
        self.kept.append((item.payload, lambda: item))


@given(st.lists(st.sampled_from("nmu"), min_size=2, max_size=400))
def test_a_message_that_was_kept_is_not_changed_by_those_behind_it(topics: list[str]) -> None:
    """L15: topic, sender and payload of a message stay what they are, however it is kept."""

    async def main() -> None:
        kept: list[tuple[int, Callable[[], Message]]] = []
        async with open_node() as node, node.open_host("app:test", drain=0) as host:
            pid = host.spawn_soon(Keeper, kept)
            for number, topic in enumerate(topics):
                node.send(pid, topic, number)
            await wait_all_tasks_blocked()
        due = [n for n, topic in enumerate(topics) if topic == "u" or n % 3 < 2]
        assert [number for number, _ in kept] == due
        for number, message in kept:
            assert message() == Message(topics[number], None, number)

    trio.run(main)
