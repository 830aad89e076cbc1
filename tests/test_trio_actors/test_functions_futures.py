"""Futures of async calls. Rules: section 4."""

import pytest
import trio
import trio.testing
from callees import Gauge, opened

import trio_actors
from trio_actors import ErrorKind, make_error

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
