"""Interceptors: the chain, and what the built-in ones do. Rules: section 7."""

import itertools
import logging
from typing import Any

import pytest
import trio
import trio.testing
from callees import Gauge, opened

import trio_actors
from trio_actors import ErrorKind, ProcessContext, funcs, make_error
from trio_actors.functions import PythonCallee, Span

Clock = trio.testing.MockClock


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


async def test_ic9_changed_options_are_those_of_the_built_ins_further_in(
    autojump_clock: Clock,
) -> None:
    """IC9, IC7: the chain stays, what it reads is new; malformed ones are INVALID; none is none."""
    given: list[Any] = [{"retry": {"max_attempts": 4, "jitter": 0}, "mine": 1}]
    runs: list[Any] = []

    async def change(call: Any, next: Any) -> Any:
        changed = call.replace(options=given[0])
        assert changed.options == given[0]
        assert call.options == OPTIONS
        return await next(changed)

    async def fail() -> None:
        runs.append(trio.current_time())
        await trio.sleep(1)
        raise ValueError("x")

    OPTIONS = {
        "logging": True,
        "metrics": True,
        "timeout": "10s",
        "retry": {"max_attempts": 2, "jitter": 0},
        "circuit_breaker": True,
        "tracing": True,
    }
    async with opened() as functions:
        functions.register("app:f", fail, meta={"options": OPTIONS})
        functions.add_interceptor("change", change, order=-1)
        with pytest.raises(trio_actors.ProcessInternal, match="ValueError: x"):
            await functions.call("app:f")
        assert len(runs) == 4
        given[0] = {"timeout": "100ms"}
        with pytest.raises(trio_actors.ProcessTimeout, match="after 100ms"):
            await functions.call("app:f")
        given[0] = {"retry": {"max_attempts": "many"}}
        with pytest.raises(trio_actors.ProcessInvalid, match=r"options\.retry\.max_attempts"):
            await functions.call("app:f")
        assert len(runs) == 5
        given[0] = {}
        with pytest.raises(trio_actors.ProcessInternal, match="ValueError: x"):
            await functions.call("app:f")
        assert len(runs) == 6
        assert functions.metrics() == {}


async def test_ic11_what_cannot_be_an_interceptor_is_refused_at_once() -> None:
    """IC11, GC3: wrong types raise, wrong values are INVALID; nothing is added."""

    async def interceptor(call: Any, next: Any) -> Any:
        return await next(call)

    async with opened() as functions:
        functions.register("app:f", lambda: 1)
        for wrong in ({"function": 5}, {"order": "first"}, {"order": True}):
            with pytest.raises(TypeError):
                functions.add_interceptor(**({"name": "i", "function": interceptor} | wrong))
        for match in ([], 5, [""]):
            with pytest.raises(trio_actors.ProcessInvalid, match="match"):
                functions.add_interceptor("i", interceptor, match=match)  # type: ignore[arg-type]
        functions.add_interceptor("i", interceptor, match=("app:*", "other"))
        assert await functions.call("app:f") == 1


async def test_half_open_lets_so_many_pass_and_no_more(autojump_clock: Clock) -> None:
    """CB3, CB4: at one moment, and again when a cancelled one has left its place."""
    gauge = Gauge()
    failing = [True]

    async def f(seconds: float) -> None:
        await gauge(seconds)
        if failing[0]:
            raise ValueError("x")

    breaker = {"failure_threshold": 1, "reset_timeout": "1s", "half_open_max": 2}
    async with opened() as functions:
        functions.register("app:f", f, meta={"options": {"circuit_breaker": breaker}})
        with pytest.raises(trio_actors.ProcessInternal):
            await functions.call("app:f", 0.1)
        failing[0] = False
        await trio.sleep(1)
        gauge.runs = 0
        futures = [functions.async_("app:f", 5.0) for _ in range(5)]
        await trio.testing.wait_all_tasks_blocked()
        assert (gauge.runs, gauge.running) == (2, 2)
        errors = [future.error() for future in futures]
        refused = [error for error in errors if error is not None]
        assert len(refused) == 3
        assert all(
            (e.kind, str(e), e.retryable, e.details)
            == (ErrorKind.UNAVAILABLE, "circuit open", True, {"retry_after": 0})
            for e in refused
        )
        next(f for f in futures if not f.is_complete()).cancel()
        await trio.testing.wait_all_tasks_blocked()
        again = [functions.async_("app:f", 5.0) for _ in range(2)]
        await trio.testing.wait_all_tasks_blocked()
        assert [future.is_complete() for future in again].count(False) == 1
        assert gauge.running == 2
        await trio.sleep(5)
        await functions.call("app:f", 0.1)  # closed again


async def test_cb1_a_breaker_is_of_an_id_as_long_as_there_is_a_function() -> None:
    """CB1: an update keeps it open, a function made anew under the id begins closed."""

    def fail() -> None:
        raise ValueError("x")

    meta = {"options": {"circuit_breaker": {"failure_threshold": 1}}}
    async with opened() as functions:
        functions.register("app:f", fail, meta=meta)
        with pytest.raises(trio_actors.ProcessInternal):
            await functions.call("app:f")
        functions.install("app:f", PythonCallee(lambda: 1), meta=meta)
        with pytest.raises(trio_actors.ProcessUnavailable, match="circuit open"):
            await functions.call("app:f")
        functions.remove("app:f")
        functions.register("app:f", lambda: 2, meta=meta)
        assert await functions.call("app:f") == 2
