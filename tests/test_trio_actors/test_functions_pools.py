"""Running pools, futures, interceptors and what must not leak. Rules: sections 4, 6 and 7."""

import itertools
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

import trio_actors
from trio_actors import ErrorKind, ProcessContext, ProcessError, funcs, make_error, open_node
from trio_actors.functions import Functions, PoolStatistics, PythonCallee, Span, open_functions

Clock = trio.testing.MockClock


@asynccontextmanager
async def opened() -> AsyncIterator[Functions]:
    async with open_node() as node, open_functions(node) as functions:
        yield functions


class Gauge:
    """A callee that sleeps and knows how many of it run."""

    def __init__(self) -> None:
        self.running = self.most = self.runs = 0
        self.order: list[Any] = []

    async def __call__(self, seconds: float = 1.0, value: Any = None) -> Any:
        self.running += 1
        self.runs += 1
        self.order.append(value)
        self.most = max(self.most, self.running)
        try:
            await trio.sleep(seconds)
            return value
        finally:
            self.running -= 1


# -- pools


@pytest.mark.parametrize(
    ("pool", "most"),
    [({"type": "inline"}, 1), ({"workers": 3}, 3), ({"max_size": 4}, 4)],
)
async def test_a_pool_bounds_what_runs_at_once(
    pool: dict[str, Any], most: int, autojump_clock: Clock
) -> None:
    """PL4, PL5, PL20: ten callers, in arrival order."""
    gauge = Gauge()
    async with opened() as functions:
        functions.register("app:f", gauge, pool=pool)
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            for n in range(10):
                nursery.start_soon(functions.call, "app:f", 1 + n / 100, n)
                await trio.testing.wait_all_tasks_blocked()
        assert gauge.most == most
        assert trio.current_time() - start == pytest.approx(-(-10 // most), rel=0.06)
        assert gauge.order == list(range(10))
        stats = functions.statistics("app:f")
        assert (stats.completed, stats.failed, stats.busy, stats.queued) == (10, 0, 0, 0)


async def test_a_static_pool_of_eight_keeps_the_ideal_schedule(autojump_clock: Clock) -> None:
    """Issue aim: 100 callers, 1 ms each, 8 workers: 13 rounds of 1 ms."""
    gauge = Gauge()
    async with opened() as functions:
        functions.register("app:f", gauge, pool={"workers": 8})
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(functions.call, "app:f", 0.001)
        assert trio.current_time() - start == pytest.approx(0.013, rel=0.05)


async def test_fz14_an_inline_function_may_call_itself() -> None:
    """FZ14, PL11: five levels deep, the extra workers are gone afterwards."""

    async def down(n: int) -> int:
        return 0 if n == 0 else 1 + await funcs.call("app:down", n - 1)

    async with opened() as functions:
        functions.register("app:down", down, pool={"type": "inline"})
        assert await functions.call("app:down", 5) == 5
        stats = functions.statistics("app:down")
        assert (stats.workers, stats.busy, stats.completed) == (1, 0, 6)


async def test_inline_recursion_covers_others_and_async_children() -> None:
    """PL11: mutual recursion, and a child started with async."""

    async def ping(n: int) -> int:
        return n if n == 0 else await funcs.call("app:pong", n - 1)

    async def pong(n: int) -> int:
        return n if n == 0 else await funcs.async_("app:ping", n - 1)

    async with opened() as functions:
        functions.register("app:ping", ping, pool={"type": "inline"})
        functions.register("app:pong", pong, pool={"type": "inline"})
        with trio.fail_after(5):
            assert await functions.call("app:ping", 6) == 0


async def test_fz15_a_full_line_rejects_with_a_retryable_error(autojump_clock: Clock) -> None:
    """FZ15, PL7: the third of three."""
    gauge = Gauge()
    async with opened() as functions:
        functions.register("app:f", gauge, pool={"workers": 1, "buffer": 1, "overflow": "reject"})
        first, second = functions.async_("app:f"), functions.async_("app:f")
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio_actors.ProcessUnavailable) as caught:
            await functions.call("app:f")
        assert (str(caught.value), caught.value.retryable) == ("pool queue is full", True)
        await first
        await second
        assert gauge.runs == 2


async def test_fz16_an_idle_lazy_pool_is_empty_and_works_again(autojump_clock: Clock) -> None:
    """FZ16, PL9."""
    gauge = Gauge()
    async with opened() as functions:
        functions.register("app:f", gauge)
        await functions.call("app:f")
        assert functions.statistics("app:f").workers == 1
        await trio.sleep(29)
        assert functions.statistics("app:f").workers == 1
        await trio.sleep(2)
        assert functions.statistics("app:f").workers == 0
        await functions.call("app:f")
        assert functions.statistics("app:f").completed == 2


async def test_fz17_a_cancelled_waiter_never_runs_and_never_counts(
    autojump_clock: Clock,
) -> None:
    """FZ17, FU9, PL8, PL19."""
    gauge = Gauge()
    async with opened() as functions:
        functions.register("app:f", gauge, pool={"workers": 1})
        running, waiting = functions.async_("app:f"), functions.async_("app:f")
        await trio.testing.wait_all_tasks_blocked()
        assert functions.statistics("app:f").queued == 1
        waiting.cancel()
        await running
        await trio.testing.wait_all_tasks_blocked()
        assert functions.statistics("app:f") == PoolStatistics("static", 1, 0, 0, 1, 0)
        assert gauge.runs == 1


async def test_a_worker_that_cannot_be_made_fails_its_caller_only(
    autojump_clock: Clock,
) -> None:
    """PL10: INTERNAL, and the next waiter is tried."""

    class Fragile(PythonCallee):
        made = 0

        def make_worker(self) -> None:
            Fragile.made += 1
            if Fragile.made == 1:
                raise OSError("no room")

    async with opened() as functions:
        functions.install("app:f", Fragile(Gauge()), pool={"workers": 1})
        first, second = functions.async_("app:f", 1, "a"), functions.async_("app:f", 1, "b")
        await first.wait()
        error = first.error()
        assert error is not None
        assert (error.kind, str(error)) == (
            ErrorKind.INTERNAL,
            "failed to make a worker: no room",
        )
        assert await second == "b"
        assert functions.statistics("app:f").workers == 1


async def test_an_update_lets_accepted_calls_finish_on_the_old_code(
    autojump_clock: Clock,
) -> None:
    """PL16, PL18: running, waiting and async calls; new ones run the new code."""

    async def old() -> str:
        await trio.sleep(1)
        return "old"

    async with opened() as functions:
        functions.register("app:f", old, pool={"workers": 1})
        accepted = [functions.async_("app:f") for _ in range(3)]
        await trio.testing.wait_all_tasks_blocked()
        functions.install("app:f", PythonCallee(lambda: "new"))
        assert await functions.call("app:f") == "new"
        assert [await future for future in accepted] == ["old"] * 3
        functions.remove("app:f")
        with pytest.raises(trio_actors.ProcessNotFound):
            await functions.call("app:f")


async def test_a_closed_service_says_so() -> None:
    """PL18."""
    async with opened() as functions:
        functions.register("app:f", lambda: 1)
        await functions.aclose()
        with pytest.raises(trio_actors.ProcessUnavailable, match="pool is closed"):
            await functions.call("app:f")


async def test_fz18_the_adaptive_pool_grows_under_load_and_shrinks_to_one(
    autojump_clock: Clock,
) -> None:
    """FZ18 with the running pool: 60 s of backlog, then rest."""
    gauge = Gauge()
    async with opened() as functions:
        functions.node.rng.seed(1)
        functions.register("app:f", gauge, pool={"type": "adaptive", "max_size": 4})
        sizes = []

        async def client() -> None:
            while trio.current_time() < end:
                await functions.call("app:f", 0.2)

        async def watch() -> None:
            for _ in range(200):
                stats = functions.statistics("app:f")
                assert 0 <= stats.busy <= stats.workers <= 4
                sizes.append(stats.workers)
                await trio.sleep(0.5)

        end = trio.current_time() + 60
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            for _ in range(12):
                nursery.start_soon(client)
        assert max(sizes) == gauge.most == 4
        assert sizes[-1] == 1
        tail = sizes[125:]
        assert all(a - b in (0, 1) for a, b in itertools.pairwise(tail))
        # After a rest the pool still works, and its controller has not been confused by it.
        await trio.sleep(3600)
        await functions.call("app:f", 0.1)
        assert functions.statistics("app:f").workers == 1


async def test_ten_thousand_random_cancellations_leak_nothing(autojump_clock: Clock) -> None:
    """Issue aim: no task, no slot, no frame is left; nested, queued and async calls."""
    rng = random.Random(7)

    async def leaf() -> None:
        await trio.sleep(rng.random() * 0.01)

    async def branch(depth: int) -> None:
        funcs.async_("app:leaf")
        await funcs.call("app:leaf")
        if depth:
            await funcs.call(rng.choice(["app:branch", "app:wide"]), depth - 1)

    async def one() -> None:
        with trio.move_on_after(rng.random() * 0.02):
            await (
                functions.new()
                .with_options({"timeout": rng.randint(1, 20)})
                .call(rng.choice(["app:branch", "app:wide", "app:leaf"]), 1)
            )

    async with opened() as functions:
        functions.register("app:leaf", leaf, pool={"workers": 50})
        functions.register("app:branch", branch, pool={"max_size": 400})
        functions.register("app:wide", branch, pool={"type": "adaptive", "max_size": 400})
        await trio.testing.wait_all_tasks_blocked()
        functions.node.clock.at(functions.node.now(), lambda: None)
        await trio.sleep(0.001)
        tasks = trio.lowlevel.current_statistics().tasks_living
        for _ in range(50):
            async with trio.open_nursery() as nursery:
                for _ in range(200):
                    nursery.start_soon(_quietly, one)
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        assert functions.node.processes == {}
        for id in ("app:leaf", "app:branch", "app:wide"):
            stats = functions.statistics(id)
            assert (stats.busy, stats.queued) == (0, 0)
            assert stats.failed > 0


async def _quietly(one: Any) -> None:
    try:
        await one()
    except ProcessError:
        pass


# -- futures


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


# -- interceptors


async def test_fz21_interceptors_are_an_onion() -> None:
    """FZ21, IC2, IC3: order, then name; one that does not call next stops the call."""
    log: list[str] = []

    def layer(name: str) -> Any:
        async def interceptor(call: Any, next: Any) -> Any:
            log.append(f"{name}>")
            try:
                return await next(call)
            finally:
                log.append(f"<{name}")

        return interceptor

    async def stop(call: Any, next: Any) -> str:
        return "stopped"

    async with opened() as functions:
        functions.register("app:f", lambda: log.append("run"))
        functions.add_interceptor("two", layer("2"), order=2)
        functions.add_interceptor("one", layer("1"), order=1)
        functions.add_interceptor("b", layer("b"), order=3)
        functions.add_interceptor("a", layer("a"), order=3)
        await functions.call("app:f")
        assert " ".join(log) == "1> 2> a> b> run <b <a <2 <1"
        log.clear()
        functions.add_interceptor("stop", stop, order=2, match=["app:?", "other"])
        assert await functions.call("app:f") == "stopped"
        assert log == ["1>", "<1"]
        functions.remove_interceptor("stop")
        with pytest.raises(trio_actors.ProcessAlreadyExists):
            functions.add_interceptor("one", stop)
        for name in ("gone", "retry"):
            with pytest.raises(trio_actors.ProcessNotFound):
                functions.remove_interceptor(name)


async def test_an_interceptor_may_change_the_call_and_the_result() -> None:
    """IC9, IC10: arguments, context, id; next twice gives fresh frames; errors are wrapped."""
    frames = []

    def f(x: int) -> Any:
        ctx = trio_actors.current()
        frames.append(ctx.pid)
        return x, ctx.context.get("a"), ctx.id

    async def change(call: Any, next: Any) -> Any:
        assert (call.id, call.args, call.attempt, call.caller) == ("app:f", (1,), 1, None)
        changed = call.replace(args=[2], context={"a": 5})
        await next(changed)
        return await next(changed.replace(id="app:g"))

    async with opened() as functions:
        functions.register("app:f", f)
        functions.register("app:g", f)
        functions.add_interceptor("change", change, match="app:f")
        assert await functions.call("app:f", 1) == (2, 5, "app:g")
        assert len(set(frames)) == 2

        async def astray(call: Any, next: Any) -> Any:
            return await next(call.replace(id="app:gone"))

        async def broken(call: Any, next: Any) -> Any:
            raise ValueError("interceptor")

        functions.add_interceptor("astray", astray, order=60, match="app:f")
        with pytest.raises(trio_actors.ProcessNotFound):
            await functions.call("app:f", 1)
        functions.add_interceptor("broken", broken, order=0, match="app:f")
        with pytest.raises(trio_actors.ProcessInternal, match="ValueError: interceptor"):
            await functions.call("app:f", 1)


async def test_fz20_retries_pause_and_give_up(autojump_clock: Clock) -> None:
    """FZ20, RT1, RT3, RT5: three runs with 100 and 200 ms between; INVALID runs once."""
    starts: list[float] = []

    def fail(kind: ErrorKind | None = None) -> None:
        starts.append(trio.current_time())
        if kind is not None:
            raise make_error(kind, "no", retryable=None)
        raise ValueError(f"run {len(starts)}")

    async with opened() as functions:
        options = {"retry": {"max_attempts": 3, "jitter": 0}}
        functions.register("app:fail", fail, meta={"options": options})
        with pytest.raises(trio_actors.ProcessInternal, match="run 3"):
            await functions.call("app:fail")
        pauses = [b - a for a, b in itertools.pairwise(starts)]
        assert pauses == pytest.approx([0.1, 0.2], abs=0.005)
        starts.clear()
        with pytest.raises(trio_actors.ProcessInvalid):
            await functions.call("app:fail", ErrorKind.INVALID)
        assert len(starts) == 1


async def test_fz7_a_deadline_ends_the_pauses_too(autojump_clock: Clock) -> None:
    """FZ7, F21, RT6."""
    runs = []

    def fail() -> None:
        runs.append(1)
        raise ValueError("no")

    async with opened() as functions:
        functions.register("app:fail", fail)
        start = trio.current_time()
        with pytest.raises(trio_actors.ProcessTimeout):
            await (
                functions.new()
                .with_options({"timeout": 250, "retry": {"max_attempts": 9, "jitter": 0}})
                .call("app:fail")
            )
        assert trio.current_time() - start == pytest.approx(0.25, abs=0.005)
        assert len(runs) == 2


async def test_fz22_the_breaker_opens_and_tries_again(autojump_clock: Clock) -> None:
    """FZ22, CB2-CB4."""
    runs: list[int] = []
    healthy = False

    def f() -> str:
        runs.append(1)
        if not healthy:
            raise ValueError("down")
        return "up"

    async with opened() as functions:
        functions.register("app:f", f, meta={"options": {"circuit_breaker": {}}})
        for _ in range(5):
            with pytest.raises(trio_actors.ProcessInternal):
                await functions.call("app:f")
        with pytest.raises(trio_actors.ProcessUnavailable) as caught:
            await functions.call("app:f")
        assert (str(caught.value), caught.value.retryable) == ("circuit open", True)
        details = caught.value.details
        assert details is not None
        assert 29_000 < details["retry_after"] <= 30_000
        assert len(runs) == 5
        await trio.sleep(30)
        healthy = True
        assert await functions.call("app:f") == "up"
        assert await functions.call("app:f") == "up"


async def test_a_cancelled_call_is_no_failure_but_its_own_deadline_is(
    autojump_clock: Clock,
) -> None:
    """CB2, CB4, F22."""
    async with opened() as functions:
        options = {"circuit_breaker": {"failure_threshold": 1}}
        functions.register("app:f", Gauge(), meta={"options": options})
        with trio.move_on_after(0.1):
            await functions.call("app:f")
        assert await functions.call("app:f", 0.1, "still closed") == "still closed"
        with pytest.raises(trio_actors.ProcessTimeout):
            await functions.new().with_options({"timeout": 100}).call("app:f")
        with pytest.raises(trio_actors.ProcessUnavailable):
            await functions.call("app:f")


async def test_logging_metrics_and_tracing_see_every_outcome(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Section 7, F16: attempts, kinds, durations, spans with their parents."""
    spans: list[Span] = []
    gauge = Gauge()

    async def f(what: str) -> Any:
        if what == "nested":
            return await funcs.call("app:f", "ok")
        if what == "fail":
            raise make_error(ErrorKind.TIMEOUT, "no", retryable=None)
        return await gauge(1.0, what)

    async with opened() as functions:
        functions.span_sink = spans.append
        options = {
            "logging": {"level": "warning", "args": True},
            "metrics": True,
            "tracing": True,
            "retry": {"max_attempts": 2, "jitter": 0},
        }
        functions.register("app:f", f, meta={"options": options})
        with caplog.at_level(logging.INFO, "trio_actors.functions.calls"):
            await functions.call("app:f", "nested")
            with pytest.raises(trio_actors.ProcessTimeout):
                await functions.call("app:f", "fail")
            with trio.move_on_after(0.5):
                await functions.call("app:f", "slow")
        records = [
            (r.outcome, r.attempts, round(r.duration, 1), r.arguments, r.levelname)  # type: ignore[attr-defined]
            for r in caplog.records
        ]
        assert records == [
            ("ok", 1, 1.0, ("ok",), "WARNING"),
            ("ok", 1, 1.0, ("nested",), "WARNING"),
            ("Timeout", 2, 0.1, ("fail",), "WARNING"),
            ("Canceled", 1, 0.5, ("slow",), "WARNING"),
        ]
        metrics = functions.metrics()["app:f"]
        assert (metrics.count, metrics.failures) == (4, {"Timeout": 1, "Canceled": 1})
        assert sum(metrics.histogram) == 4
        assert [s.kind for s in spans] == ["ok", "ok", "Timeout", "Timeout", "Canceled"]
        assert spans[0].parent == spans[1].id
        assert spans[1].parent is None


async def test_a_process_and_the_root_pass_the_chain_too() -> None:
    """IC1, IC6: whoever calls; a later change affects later calls only."""
    callers = []

    async def spy(call: Any, next: Any) -> Any:
        callers.append(call.caller)
        return await next(call)

    async def process(ctx: ProcessContext) -> None:
        await ctx.call_function("app:f")
        callers.append(ctx.pid)

    async with opened() as functions, functions.node.open_host("app:host") as host:
        functions.register("app:f", lambda: None)
        functions.add_interceptor("spy", spy)
        await functions.call("app:f")
        await host.spawn(process)
        await host.join()
        assert callers[0] is None
        assert callers[1] == callers[2]
