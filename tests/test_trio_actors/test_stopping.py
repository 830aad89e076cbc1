"""How a host that stops is waited for: loops that end when asked, what is said, Ctrl-C."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_actors import Host, Pid, ProcessContext, Server, open_node

Ends = list[object]


def record_end(host: Host, pid: Pid, ends: Ends) -> None:
    """Notes its value, or the text of its error."""

    def note(end: object) -> None:
        ends.append(getattr(end, "error", None) or getattr(end, "value", None))

    host.node.processes[pid].on_exit(note)


async def with_a_task(ctx: ProcessContext, seconds: float) -> list[object]:
    """Reads its messages until it is asked to end; takes so long for each."""
    await trio.lowlevel.checkpoint()
    return await stepped(ctx, seconds)


async def stepped(ctx: ProcessContext, seconds: float) -> list[object]:
    """The same, and has no task unless it takes time."""
    seen = []
    async for message in ctx.messages():
        if seconds:
            await trio.sleep(seconds)
        seen.append(message.payload)
    return seen


@pytest.mark.parametrize("seconds", [0, 1])
@pytest.mark.parametrize("body", [stepped, with_a_task])
async def test_a_loop_over_messages_ends_when_its_process_is_asked_to(
    autojump_clock: MockClock, body: Callable[..., object], seconds: float
) -> None:
    """K1, Z3: at once if nothing is unread, else after what is."""
    ends: Ends = []
    async with open_node() as node:
        async with node.open_host("app:h") as host:
            idle, busy = await host.spawn(body, seconds), await host.spawn(body, seconds)
            record_end(host, idle, ends)
            record_end(host, busy, ends)
            await wait_all_tasks_blocked()
            for number in range(3):
                node.send(busy, "n", number)
            if not seconds:
                await wait_all_tasks_blocked()
        assert sorted(ends, key=str) == [[0, 1, 2], []]
        assert trio.current_time() == 3 * seconds


async def test_a_loop_that_begins_after_the_cancel_ends_at_once(
    host: Host, autojump_clock: MockClock
) -> None:
    """K1: with the messages that are unread, whether events were looked at or not."""

    async def late(ctx: ProcessContext, looks: bool) -> list[object]:
        assert not looks or len(ctx.events) == 0
        await trio.sleep(2)
        return [message.payload async for message in ctx.messages()]

    for looks in (False, True):
        pid = await host.spawn(late, looks)
        host.node.send(pid, "n", 1)
        await trio.sleep(1)
        host.node.cancel(pid, 60)
        assert (await host.node.wait(pid)).value == [1]


async def test_a_loop_over_the_inbox_goes_on_until_its_time_is_up(
    host: Host, autojump_clock: MockClock
) -> None:
    """K6: a CANCEL is an event, and no end of the inbox itself."""

    async def reads(ctx: ProcessContext) -> None:
        async for _ in ctx.inbox:
            pass

    pid = await host.spawn(reads)
    start = trio.current_time()
    host.node.cancel(pid, 5)
    assert str((await host.node.wait(pid)).error) == "cancel deadline exceeded"
    assert trio.current_time() - start == 5


class Deaf(Server):
    """Has a handler for CANCEL that does not stop."""

    async def init(self) -> None:  # type: ignore[override]
        await trio.sleep_forever()


async def deaf(ctx: ProcessContext) -> None:
    """Does not look at its events."""
    await trio.sleep_forever()


@pytest.mark.parametrize(("drain", "said"), [(10, 1), (1, 0), (0.5, 0), (0, 0)])
async def test_who_is_waited_for_is_said_after_a_second(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, drain: float, said: int
) -> None:
    """Z3: each stop that takes longer says once whom it waits for, and where they are."""
    with caplog.at_level(logging.WARNING, "trio_actors.host"):
        async with open_node() as node, node.open_host("app:h", drain=drain) as host:
            first = await host.spawn(deaf)
            await host.spawn(Deaf)
            for _ in range(5):
                await host.spawn(deaf)
            await wait_all_tasks_blocked()
        messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == said
    if said:
        beginning = "host app:h waits for 7 processes to end, 9 s more at most (asked by a CANCEL"
        assert messages[0].startswith(beginning)
        assert f"{first} ({__name__}:deaf): {__file__}:" in messages[0]
        assert f"({__name__}:Deaf)" in messages[0]
        assert messages[0].endswith("; 2 more")


async def test_a_quick_stop_says_nothing(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Z3: also if it takes most of a second."""

    async def polite(ctx: ProcessContext) -> None:
        await ctx.events.receive()
        await trio.sleep(0.9)

    async with open_node() as node, node.open_host("app:h") as host:
        await host.spawn(polite)
        await wait_all_tasks_blocked()
    assert caplog.records == []
    assert trio.current_time() == 0.9


@pytest.mark.parametrize("first", ["leaving", "ctrl-c"])
def test_ctrl_c_while_a_host_stops_ends_its_processes_at_once(first: str) -> None:
    """I11, E37: it comes out alone, after all have unwound."""
    ends: Ends = []
    unwound: list[float] = []

    async def stubborn(ctx: ProcessContext) -> None:
        try:
            await trio.sleep_forever()
        finally:
            unwound.append(trio.current_time())

    @trio.lowlevel.enable_ki_protection  # so that it is the main task which sees it
    async def press(at: float) -> None:
        await trio.sleep(at)
        signal.raise_signal(signal.SIGINT)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(press, 1)
            nursery.start_soon(press, 4)
            async with open_node() as node, node.open_host("app:h", drain=100) as host:
                record_end(host, await host.spawn(stubborn), ends)
                await trio.sleep(2 if first == "ctrl-c" else 0.5)

    with pytest.raises(BaseException) as caught:
        trio.run(main, clock=MockClock(autojump_threshold=0))
    found = caught.value
    while isinstance(found, BaseExceptionGroup):
        (found,) = found.exceptions
    assert isinstance(found, KeyboardInterrupt)
    assert unwound == [4 if first == "ctrl-c" else 1]
    assert [str(end) for end in ends] == ["process cancelled"]
