"""How tasks wait (wake.py): as `wait_task_rescheduled` does, with traps that are shared."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import outcome
import pytest
import trio
from trio.lowlevel import Abort, Task, current_task, reschedule, wait_task_rescheduled
from trio.testing import wait_all_tasks_blocked

from trio_actors import Ask, Host, Message, Node, ProcessContext, Server, handles
from trio_actors._core import dispatch, wake
from trio_actors._core.mailbox import PythonMailbox
from trio_actors._core.wake import GO, Given

Wait = Callable[[Callable[[Any], Abort]], Awaitable[Any]]


def test_traps_of_one_abort_function_are_equal() -> None:
    """Design §5: the reason why they can be shared; if this fails, waits take twice as long."""

    def abort(_: Any) -> Abort:
        return Abort.SUCCEEDED

    assert wake.trap_of(abort) == wake.trap_of(abort)
    assert wake.trap_of(abort) != wake.trap_of(lambda _: Abort.SUCCEEDED)
    assert wake.SHARED


@pytest.mark.parametrize("wait", [wake.wait, wait_task_rescheduled])
async def test_a_wait_ends_with_what_it_was_woken_with(wait: Wait) -> None:
    """PY4: a value, an error, or nothing."""
    seen: list[object] = []
    tasks: list[Task] = []

    async def sleeper() -> None:
        tasks.append(current_task())
        for _ in range(3):
            try:
                seen.append(await wait(lambda _: Abort.SUCCEEDED))
            except ValueError as error:
                seen.append(str(error))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sleeper)
        for result in (GO, Given(7), outcome.Error(ValueError("no"))):
            await wait_all_tasks_blocked()
            reschedule(tasks[0], result)
    assert seen == [None, 7, "no"]


@pytest.mark.parametrize("wait", [wake.wait, wait_task_rescheduled])
async def test_each_wait_has_its_own_abort_function(wait: Wait) -> None:
    """PY4: of many tasks the one that is cancelled is asked to leave, once."""
    asked: list[int] = []
    scopes: dict[int, trio.CancelScope] = {}

    async def sleeper(number: int) -> None:
        def abort(_: Any) -> Abort:
            asked.append(number)
            return Abort.SUCCEEDED

        with trio.CancelScope() as scopes[number]:
            await wait(abort)

    async with trio.open_nursery() as nursery:
        for turn in (0, 300):
            for number in range(turn, turn + 300):
                nursery.start_soon(sleeper, number)
            await wait_all_tasks_blocked()
            for number in (turn + 5, turn + 2, turn + 299, turn):
                scopes[number].cancel()
            await wait_all_tasks_blocked()
        assert asked == [5, 2, 299, 0, 305, 302, 599, 300]
        nursery.cancel_scope.cancel()
    assert sorted(asked) == list(range(600))


@pytest.mark.parametrize("wait", [wake.wait, wait_task_rescheduled])
async def test_a_wait_that_cannot_be_left_goes_on(wait: Wait) -> None:
    """PY9: an abort function may say that the wait has to end by itself."""
    tasks: list[Task] = []

    async def sleeper() -> None:
        tasks.append(current_task())
        assert await wait(lambda _: Abort.FAILED) == 7

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sleeper)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        await trio.lowlevel.cancel_shielded_checkpoint()
        reschedule(tasks[0], Given(7))


@pytest.mark.parametrize("sleep", [wake.sleep, wake.sleep_by_trio])
async def test_a_sleeper_leaves_at_once(sleep: Callable[[], Awaitable[Any]]) -> None:
    """PY4: who is to wake it sees that it does not sleep any more, before it has run."""
    tasks: list[Task] = []
    woken: list[object] = []

    async def sleeper() -> None:
        tasks.append(current_task())
        current_task().custom_sleep_data = woken
        woken.append(await sleep())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sleeper)
        nursery.start_soon(sleeper)
        await wait_all_tasks_blocked()
        reschedule(tasks[0], Given(7))
        nursery.cancel_scope.cancel()
        assert [task.custom_sleep_data for task in tasks] == [None, None]
    assert woken == [7]


class Get(Ask[int]):
    """Answered with 7."""


class Seven(Server):
    """Its dispatcher sleeps between two requests."""

    @handles(Get)
    async def get(self, request: Get) -> int:
        return 7


async def test_a_dispatcher_sleeps_by_itself_or_as_trio_does(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TM2: with a version of Trio whose traps cannot be shared, too."""
    for shared in (True, False):
        monkeypatch.setattr(dispatch, "SHARED", shared)
        async with node.open_host(f"app:{shared}", drain=0) as host:
            pid = await host.spawn(Seven, ready=True)
            for _ in range(2):
                assert await node.ask(pid, Get()) == 7
                await wait_all_tasks_blocked()
    # and the host has ended, which has cancelled the one that slept


@pytest.mark.parametrize("readers", [1, 2, 3])
@pytest.mark.parametrize("leaving", [0, 1, 2])
async def test_what_comes_while_a_reader_leaves_is_for_the_next(
    host: Host, readers: int, leaving: int
) -> None:
    """PY4, M13: a message that comes in the turn in which a reader is cancelled is not lost."""
    mailbox = PythonMailbox(host.node.hand)
    inbox = mailbox.inbox()
    scopes = [trio.CancelScope() for _ in range(readers)]
    seen: dict[int, object] = {}

    async def reader(number: int) -> None:
        with scopes[number]:
            seen[number] = (await inbox.receive()).payload

    async with trio.open_nursery() as nursery:
        for number in range(readers):
            nursery.start_soon(reader, number)
            await wait_all_tasks_blocked()
        leaving = min(leaving, readers - 1)
        scopes[leaving].cancel()
        assert mailbox.idle() is (readers > 1)
        for number in range(readers):
            assert mailbox.put(Message("n", None, number)) is (number == readers - 1)
        await wait_all_tasks_blocked()
        assert len(inbox) == 1
        assert not mailbox.idle()
    staying = [number for number in range(readers) if number != leaving]
    assert seen == {reader: number for number, reader in enumerate(staying)}
    assert inbox.receive_nowait().payload == readers - 1


async def test_a_channel_closes_while_a_reader_leaves(host: Host) -> None:
    """L13: who was cancelled ends cancelled, the others with EndOfChannel."""
    ends: list[str] = []
    scope = trio.CancelScope()

    async def process(ctx: ProcessContext) -> None:
        topic = ctx.listen("n")

        async def reader() -> None:
            try:
                await topic.receive()
            except BaseException as error:
                ends.append(type(error).__name__)
                if isinstance(error, trio.Cancelled):
                    raise

        async def first() -> None:
            with scope:
                await reader()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(first)
            await wait_all_tasks_blocked()
            nursery.start_soon(reader)
            await wait_all_tasks_blocked()
            scope.cancel()
            topic.close()

    await host.node.call(process, host=host)
    assert sorted(ends) == ["Cancelled", "EndOfChannel"]


async def test_one_that_waits_for_something_passes_one_that_leaves(host: Host) -> None:
    """PY4: who takes anything comes first if it came first, but not after it was cancelled."""
    mailbox = PythonMailbox(host.node.hand)
    inbox = mailbox.inbox()
    scope = trio.CancelScope()
    seen: list[object] = []

    async def anything() -> None:
        with scope:
            await inbox.receive()

    async def sevens() -> None:
        seen.append((await inbox.receive_where(lambda message: message.payload == 7)).payload)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(anything)
        await wait_all_tasks_blocked()
        nursery.start_soon(sevens)
        await wait_all_tasks_blocked()
        scope.cancel()
        mailbox.put(Message("n", None, 7))
        await wait_all_tasks_blocked()
        assert (seen, len(inbox)) == ([7], 0)
