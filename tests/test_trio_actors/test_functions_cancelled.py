"""Calls that were cancelled, before they began and while they ended; async calls in their order.

Both languages: tests/test_lua_bridge/test_function_cancelled.py.
"""

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing
from callees import opened

import trio_actors
from trio_actors import ErrorKind, ProcessError, funcs, make_error
from trio_actors.functions import (
    Functions,
    Future,
    Span,
    parse_binding,
    parse_definition,
)

Clock = trio.testing.MockClock
CHAIN = {"options": {"metrics": True}}


def offer(functions: Functions, meta: Any, function: Any, pool: Any) -> Callable[..., Future]:
    """The function as an async call by id; by contract, if `meta` says so."""
    by_contract = meta == "contract"
    functions.register("app:f", function, pool=pool, meta=None if by_contract else meta)
    if not by_contract:
        return lambda *args: functions.async_("app:f", *args)
    functions.contracts.define(parse_definition("app:c", {"methods": [{"name": "do"}]}))
    part = {"contract": "app:c", "default": True, "methods": {"do": "app:f"}}
    functions.contracts.bind(parse_binding("app:b", {"contracts": [part]}))
    start: Callable[..., Future] = functions.contracts.get("app:c").do_async
    return start


WAYS = pytest.mark.parametrize(
    "meta", [None, CHAIN, "contract"], ids=["plain", "through a chain", "by contract"]
)


@WAYS
async def test_pl5_async_calls_start_in_the_order_in_which_they_were_made(
    meta: Any, autojump_clock: Clock
) -> None:
    """PL5: also through a chain and by contract; ten times, since Trio's order is chance."""
    order: list[int] = []

    async def f(n: int) -> None:
        order.append(n)
        await trio.sleep(0.1)

    async with opened() as functions:
        start = offer(functions, meta, f, {"workers": 1})
        for _ in range(10):
            order.clear()
            for future in [start(n) for n in range(6)]:
                await future
            assert order == list(range(6))


@WAYS
@pytest.mark.parametrize("pool", [{"type": "inline"}, {"workers": 1}, {"max_size": 1}])
async def test_fu9_a_call_cancelled_before_it_began_never_runs(meta: Any, pool: Any) -> None:
    """FU8, FU9, PL19: a plain `def` too, though it would never notice a cancellation."""
    runs: list[int] = []
    async with opened() as functions:
        start = offer(functions, meta, runs.append, pool)
        futures = [start(n) for n in range(4)]
        for future in futures[:3]:
            future.cancel()
        await futures[3]
        stats = functions.statistics("app:f")
        assert (runs, stats.completed, stats.failed, stats.busy) == ([3], 1, 0, 0)


async def test_each_async_call_has_the_context_variables_of_its_caller() -> None:
    """IC5: calls that start in turn, one after the other, are still calls of their own callers."""
    spans: list[Span] = []

    async def caller(n: int) -> None:
        await funcs.async_("app:inner", n)

    async with opened() as functions:
        functions.span_sink = spans.append
        for id, function in (("app:caller", caller), ("app:inner", lambda n: n)):
            functions.register(id, function, meta={"options": {"tracing": True}})
        async with trio.open_nursery() as nursery:
            for n in range(5):
                nursery.start_soon(functions.call, "app:caller", n)
        outer = {span.id for span in spans if span.function == "app:caller"}
        assert {span.parent for span in spans if span.function == "app:inner"} == outer


async def late_value() -> str:
    with trio.CancelScope(shield=True):
        await trio.sleep(2)
    return "late"


async def late_error() -> None:
    try:
        await trio.sleep(10)
    finally:
        raise ValueError("on the way out")


async def late_error_of_a_group() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        await late_error()


@pytest.mark.parametrize("callee", [late_value, late_error, late_error_of_a_group])
@pytest.mark.parametrize("options", [None, {"retry": {"max_attempts": 3}}, {"metrics": True}])
async def test_f16_a_cancelled_caller_sees_neither_value_nor_error(
    callee: Any, options: Any, autojump_clock: Clock
) -> None:
    """F14, F16: Cancelled and nothing else; one run, which is no result."""
    seen: list[object] = []
    async with opened() as functions:
        functions.register("app:f", callee, meta={"options": options} if options else None)
        with trio.move_on_after(1) as scope:
            try:
                seen.append(await functions.call("app:f"))
            except Exception as error:
                seen.append(error)
        assert (seen, scope.cancelled_caught) == ([], True)
        stats = functions.statistics("app:f")
        assert (stats.completed, stats.failed, stats.busy) == (0, 1, 0)
        if options == {"metrics": True}:
            assert functions.metrics()["app:f"].failures == {"Canceled": 1}


@pytest.mark.parametrize("callee", [late_error, late_error_of_a_group])
async def test_cb4_a_cancelled_probe_is_no_failure_whatever_it_raises(
    callee: Any, autojump_clock: Clock
) -> None:
    """CB2, CB4: not even if it answers its cancellation with an error, or several tasks end."""
    options = {"circuit_breaker": {"failure_threshold": 1, "reset_timeout": 1}}
    async with opened() as functions:
        functions.register("app:f", callee, meta={"options": options})
        for _ in range(3):
            with trio.move_on_after(1) as scope:
                await functions.call("app:f")
            assert scope.cancelled_caught


async def test_an_interceptor_with_tasks_of_its_own_is_cancelled_whole(
    autojump_clock: Clock,
) -> None:
    """IC10, F16: what its nursery raises while the caller is cancelled is no error of the call."""

    async def twice(call: Any, next: Any) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(next, call)
            nursery.start_soon(next, call)

    async with opened() as functions:
        functions.register("app:f", late_error)
        functions.add_interceptor("twice", twice)
        with trio.move_on_after(1) as scope:
            await functions.call("app:f")
        assert scope.cancelled_caught


async def test_nobody_can_swallow_a_cancellation_on_its_way(autojump_clock: Clock) -> None:
    """F14, F16, IC10: neither an interceptor nor a callee that answers it with a value."""

    async def swallows(call: Any, next: Any) -> Any:
        try:
            return await next(call)
        except BaseException:
            return "swallowed"

    async def callee() -> Any:
        try:
            return await trio.sleep(5)
        except BaseException:
            return "swallowed"

    async with opened() as functions:
        for name in ("app:callee", "app:chain"):
            functions.register(name, callee)
        functions.add_interceptor("swallows", swallows, match="app:chain")
        for name in ("app:callee", "app:chain"):
            got: list[Any] = []
            with trio.move_on_after(1) as scope:
                got.append(await functions.call(name))
            assert (got, scope.cancelled_caught) == ([], True)
            assert functions.statistics(name).failed == 1


async def test_a_fatal_exception_is_not_replaced_by_the_cancellation(
    autojump_clock: Clock,
) -> None:
    """E38: also while the caller is cancelled."""

    async def fatal() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise KeyboardInterrupt

    async with opened() as functions:
        functions.register("app:f", fatal)
        with pytest.raises(KeyboardInterrupt), trio.move_on_after(1):
            await functions.call("app:f")


async def test_terminated_frames_still_end_with_their_error(autojump_clock: Clock) -> None:
    """F14: the end of a frame by force is no cancellation of its caller."""

    async def f() -> None:
        trio_actors.current().node.terminate(trio_actors.current().pid)
        await late_error()

    async with opened() as functions:
        functions.register("app:f", f)
        with pytest.raises(ProcessError) as caught:
            await functions.call("app:f")
        assert caught.value.kind is not ErrorKind.INTERNAL


async def test_a_nested_timeout_is_one_at_its_own_call(autojump_clock: Clock) -> None:
    """F23: an inner deadline is an error inside; the outer one is a cancellation there."""
    seen: list[str] = []

    async def middle() -> str:
        inner = funcs.new().with_options({"timeout": 1000})
        try:
            await inner.call("app:leaf")
        except trio_actors.ProcessTimeout as error:
            seen.append(str(error))
        await inner.call("app:leaf")
        return "never"

    async def leaf() -> None:
        await trio.sleep(5)

    async with opened() as functions:
        functions.register("app:leaf", leaf)
        functions.register("app:middle", middle)
        outer = functions.new().with_options({"timeout": 1500})
        start = trio.current_time()
        with pytest.raises(trio_actors.ProcessTimeout, match=r"after 1\.5s"):
            await outer.call("app:middle")
        assert trio.current_time() - start == 1.5
        assert seen == ["call timed out after 1s"]


async def test_equal_deadlines_are_the_outer_calls(autojump_clock: Clock) -> None:
    """F22, F23: both expire at one moment; the caller of the outer one gets its TIMEOUT."""

    async def middle() -> None:
        await funcs.new().with_options({"timeout": 1000, "retry": {"max_attempts": 5}}).call("a:x")

    async def leaf() -> None:
        await trio.sleep(5)

    async with opened() as functions:
        functions.register("a:x", leaf)
        functions.register("a:m", middle, meta={"options": {"timeout": 1000}})
        with pytest.raises(trio_actors.ProcessTimeout):
            await functions.call("a:m")
        assert functions.statistics("a:x").failed == 1


async def test_a_retry_whose_deadline_falls_into_an_attempt_ends_there(
    autojump_clock: Clock,
) -> None:
    """F21, RT1, RT6: no attempt begins after the deadline, and none goes on."""
    starts: list[float] = []

    async def f() -> None:
        starts.append(trio.current_time() - begin)
        await trio.sleep(0.3)
        raise make_error(ErrorKind.UNAVAILABLE, "no", retryable=True)

    async with opened() as functions:
        options = {"timeout": 1000, "retry": {"max_attempts": 9, "jitter": 0}}
        functions.register("app:f", f, meta={"options": options})
        begin = trio.current_time()
        with pytest.raises(trio_actors.ProcessTimeout):
            await functions.call("app:f")
        assert trio.current_time() - begin == 1
        assert starts == pytest.approx([0, 0.4, 0.9])
