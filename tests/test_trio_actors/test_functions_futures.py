"""Futures of async calls. Rules: section 4."""

from typing import Any

import pytest
import trio
import trio.testing
from callees import Gauge, opened

import trio_actors
from trio_actors import ErrorKind, ProcessError, funcs, make_error

Clock = trio.testing.MockClock


async def test_fz8_the_channel_gives_the_plain_value_once() -> None:
    """FZ8, FU1, FU2, FU4."""
    async with opened() as functions:
        functions.register("app:seven", lambda: 7)
        functions.register("app:none", lambda: None)
        future = functions.async_("app:seven")
        assert (future.is_complete(), future.result(), future.error()) == (False, None, None)
        channel = future.response()
        assert future.channel() is channel
        assert await channel.receive() == 7
        with pytest.raises(trio.EndOfChannel):
            await channel.receive()
        assert future.result() == 7
        assert await future == 7
        nothing = functions.async_("app:none").response()
        assert await nothing.receive() is None
        with pytest.raises(trio.EndOfChannel):
            nothing.receive_nowait()


async def test_fz9_the_channel_gives_the_error_as_a_value() -> None:
    """FZ9, FU3."""

    def fail() -> None:
        raise make_error(ErrorKind.CONFLICT, "no", retryable=True)

    async with opened() as functions:
        functions.register("app:fail", fail)
        future = functions.async_("app:fail")
        got = await future.response().receive()
        error = future.error()
        assert error is not None
        assert (got.kind, str(got), got.retryable) == (error.kind, "no", True)
        assert got.kind is ErrorKind.CONFLICT
        with pytest.raises(trio_actors.ProcessConflict):
            future.result()
        with pytest.raises(trio_actors.ProcessConflict):
            await future


async def test_fz10_cancel_unwinds_the_callee_and_closes_the_channel() -> None:
    """FZ10, FU8, F15: the finally block runs; nothing changes afterwards."""
    log = []

    async def slow() -> None:
        try:
            await trio.sleep_forever()
        finally:
            log.append("finally")

    async with opened() as functions:
        functions.register("app:slow", slow)
        future = functions.async_("app:slow")
        await trio.testing.wait_all_tasks_blocked()
        future.cancel()
        future.cancel()
        with pytest.raises(trio.EndOfChannel):
            await future.response().receive()
        await trio.testing.wait_all_tasks_blocked()
        assert log == ["finally"]
        assert (future.is_canceled(), future.is_complete(), future.error()) == (True, False, None)
        with pytest.raises(trio_actors.ProcessCanceled, match="canceled"):
            future.result()


async def test_async_calls_overlap(autojump_clock: Clock) -> None:
    """FU7."""
    async with opened() as functions:
        functions.register("app:f", Gauge())
        start = trio.current_time()
        futures = [functions.async_("app:f", 0.1, n) for n in range(5)]
        assert [await f for f in futures] == list(range(5))
        assert trio.current_time() - start == pytest.approx(0.1, abs=0.01)


async def test_f13_a_task_that_outlives_its_frame_starts_nothing_in_its_name(
    autojump_clock: Clock,
) -> None:
    """F13, FU10: INVALID, whether or not the frame ever had async children."""
    started: list[object] = []

    async def later() -> None:
        await trio.sleep(1)
        try:
            started.append(funcs.async_("app:leaf"))
        except trio_actors.ProcessInvalid as error:
            started.append(str(error))

    async def f(children: bool) -> None:
        if children:
            await funcs.async_("app:leaf")
        nursery.start_soon(later)

    async with opened() as functions, trio.open_nursery() as nursery:
        functions.register("app:leaf", lambda: 1)
        functions.register("app:f", f)
        for children in (False, True):
            await functions.call("app:f", children)
        await trio.sleep(2)
    assert started == ["no process context"] * 2


async def test_fu10_a_future_that_outlived_its_frame_is_cancelled(autojump_clock: Clock) -> None:
    """FU10, F13, F16: whoever got hold of it is not left waiting."""

    async def leaf() -> None:
        await trio.sleep(100)

    async def f() -> None:
        kept.append(funcs.async_("app:leaf"))

    kept: list[Any] = []
    async with opened() as functions:
        functions.register("app:leaf", leaf)
        functions.register("app:f", f)
        await functions.call("app:f")
        for read in (lambda: kept[0], kept[0].response().receive):
            with trio.fail_after(1):
                try:
                    error: Any = await read()
                except ProcessError as caught:
                    error = caught
            assert error.kind is ErrorKind.CANCELED
        kept[0].cancel()
        assert (kept[0].is_complete(), kept[0].is_canceled()) == (True, True)
