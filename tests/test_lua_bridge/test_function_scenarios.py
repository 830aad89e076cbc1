"""The scenarios of functions, with callers and callees of both languages. Rules: GC1, FZ1-FZ22.

`caller` makes the call, `callee` is what is called; every pair has to show the same. What a
scenario is about in one language only stands with that language's tests.
"""

import itertools
from typing import Any

import pytest
import trio
import trio.testing
from bilingual import LUA, PYTHON, Outcome, opened

import trio_actors
from lua_bridge import handles
from trio_actors import ProcessContext, ProcessError, funcs
from trio_actors.functions import Call, Next
from trio_actors.functions.breaker import BreakerState
from trio_actors.security import Actor, Scope, parse_policy

Clock = trio.testing.MockClock


async def test_fz1_a_sum(caller: str, callee: str) -> None:
    """FZ1, GC1: 3, whoever asks whom."""
    async with opened() as bench:
        bench.install(callee, "add")
        assert await bench.ask(caller, "app:add", 1, 2) == Outcome(3)


async def test_fz2_a_changed_argument(caller: str) -> None:
    """FZ2, GC5: a Lua callee works on a copy of its table, of whatever caller."""
    async with opened() as bench:
        bench.lua("app:change", "return function(t) t.x = 2 return t.x end")
        if caller == "python":
            table = {"x": 1}
            assert (await bench.functions.call("app:change", table), table) == (2, {"x": 1})
        else:
            source = 'local t = {x = 1} return {funcs.call("app:change", t), t.x}'
            assert await bench.run(source) == [2, 1]


@pytest.mark.parametrize("body", ['return nil, "x"', 'error("x")'])
async def test_fz3_two_ways_to_fail(caller: str, body: str) -> None:
    """FZ3: INTERNAL, and unknown whether it is worth another try."""
    async with opened() as bench:
        bench.lua("app:f", f"return function() {body} end")
        outcome = await bench.ask(caller, "app:f")
        assert (outcome.kind, outcome.retryable, "x" in outcome.text) == ("Internal", None, True)


async def test_fz3_a_structured_error_keeps_its_fields(caller: str, callee: str) -> None:
    """FZ3, F5, F6: kind, text and retryability; the first value is discarded."""
    async with opened() as bench:
        bench.install(callee, "fail")
        outcome = await bench.ask(caller, "app:fail", "error")
        assert outcome == Outcome(None, "Conflict", "x", True)


async def test_fz4_the_end_of_the_outermost(
    caller: str, callee: str, autojump_clock: Clock
) -> None:
    """FZ4, F11: process, two functions of the callee's language, and the innermost stops."""
    async with opened() as bench:
        bench.install(callee, "outer", "noisy")
        pid = await bench.start(caller, "app:outer", "app:noisy", "in", 5)
        await trio.sleep(1)
        assert bench.functions.statistics("app:noisy").busy == 1
        bench.functions.node.terminate(pid)
        await trio.sleep(10)
        assert bench.noted() == ["in>"]
        assert bench.functions.statistics("app:noisy").busy == 0
        assert bench.functions.statistics("app:outer").busy == 0


@pytest.mark.parametrize("how", ["terminate", "cancel", "timeout", "future", "scope", "finished"])
async def test_every_way_in_which_a_caller_ends(
    how: str, callee: str, autojump_clock: Clock
) -> None:
    """F12: terminated, cancelled, timed out, future cancelled, scope cancelled, finished."""
    async with opened() as bench:
        bench.install(callee, "outer", "noisy")
        args = ("app:outer", "app:noisy", "in", 5)
        node = bench.functions.node

        async def finishes(ctx: ProcessContext) -> None:
            funcs.async_(*args)
            await trio.sleep(1)

        if how in ("terminate", "cancel"):
            pid = await bench.start("lua", *args)
            await trio.sleep(1)
            if how == "terminate":
                node.terminate(pid)
            else:
                node.cancel(pid, 0.5)
        elif how == "timeout":
            with pytest.raises(trio_actors.ProcessTimeout):
                await funcs.new().with_options({"timeout": 1000}).call(*args)
        elif how == "future":
            future = funcs.async_(*args)
            await trio.sleep(1)
            future.cancel()
        elif how == "scope":
            with trio.move_on_after(1):
                await funcs.call(*args)
        else:
            await bench.host.spawn(finishes)
        await trio.sleep(10)
        assert bench.noted() == ["in>"]
        for id in ("app:outer", "app:noisy"):
            stats = bench.functions.statistics(id)
            assert (stats.busy, stats.failed) == (0, 1)


async def test_fz5_a_child_that_nobody_awaits(
    caller: str, callee: str, autojump_clock: Clock
) -> None:
    """FZ5, F13: `caller` is the language of the function that starts it and returns at once."""
    async with opened() as bench:
        bench.install(callee, "noisy")
        if caller == "python":

            async def parent() -> str:
                funcs.async_("app:noisy", "in", 1)
                await trio.sleep(0.01)
                return "done"

            bench.py("app:parent", parent)
        else:
            bench.lua(
                "app:parent",
                """return function()
                  funcs.async("app:noisy", "in", 1)
                  time.sleep("10ms")
                  return "done"
                end""",
            )
        assert await bench.functions.call("app:parent") == "done"
        assert bench.functions.statistics("app:noisy").busy == 0
        await trio.sleep(5)
        assert bench.noted() == ["in>"]


async def test_fz6_a_timeout_in_the_waiting_line(
    caller: str, callee: str, autojump_clock: Clock
) -> None:
    """FZ6, F21, PL8: TIMEOUT after 50 ms, and the callee never ran."""
    async with opened() as bench:
        bench.install(callee, "noisy", pool={"workers": 1})
        holder = funcs.async_("app:noisy", "first", 5)
        await trio.sleep(1)
        start = trio.current_time()
        outcome = await bench.ask(caller, "app:noisy", "second", 1, options={"timeout": 50})
        assert outcome == Outcome(None, "Timeout", "call timed out after 50ms", None)
        assert trio.current_time() - start == pytest.approx(0.05, abs=0.005)
        assert await holder == "first"
        assert bench.noted() == ["first>", "<first"]


async def test_fz7_a_timeout_over_attempts_and_pauses(
    caller: str, callee: str, autojump_clock: Clock
) -> None:
    """FZ7, F21, RT6: TIMEOUT at 250 ms after two attempts."""
    async with opened() as bench:
        bench.install(callee, "moody")
        retry = {"max_attempts": 5, "initial_delay": 100, "backoff_factor": 2.0, "jitter": 0}
        start = trio.current_time()
        outcome = await bench.ask(
            caller, "app:moody", "error", options={"timeout": 250, "retry": retry}
        )
        assert (outcome.kind, len(bench.marks)) == ("Timeout", 2)
        assert trio.current_time() - start == pytest.approx(0.25, abs=0.005)


async def test_fz8_fz9_fz10_futures_of_python(callee: str, autojump_clock: Clock) -> None:
    """FZ8, FZ9, FZ10, FU2, FU3, FU8: the channel in Python; that of Lua: test_function_modules."""
    async with opened() as bench:
        bench.install(callee, "add", "fail", "noisy")
        future = funcs.async_("app:add", 3, 4)
        channel = future.response()
        assert await channel.receive() == 7
        with pytest.raises(trio.EndOfChannel):
            await channel.receive()
        assert (future.result(), future.is_complete()) == (7, True)
        failed = funcs.async_("app:fail", "error")
        error = await failed.response().receive()
        again = failed.error()
        assert again is not None
        assert error.kind == again.kind == trio_actors.ErrorKind.CONFLICT
        cancelled = funcs.async_("app:noisy", "in", 5)
        await trio.sleep(1)
        cancelled.cancel()
        with pytest.raises(trio.EndOfChannel):
            await cancelled.response().receive()
        await trio.sleep(10)
        assert (bench.noted(), cancelled.is_canceled()) == (["in>"], True)


async def test_fz11_context_values_go_down(caller: str, callee: str) -> None:
    """FZ11, CX4, CX5: the inner callee sees both keys, the caller lacks the second."""
    async with opened() as bench:
        bench.install(callee, "ctx")
        if caller == "python":

            async def middle() -> dict[str, Any]:
                inner = await funcs.new().with_context({"b": 2}).call("app:ctx")
                return {"inner": inner, "own": dict(trio_actors.current().context)}

            bench.py("app:middle", middle)
        else:
            bench.lua(
                "app:middle",
                """return function()
                  local inner = funcs.new():with_context{b = 2}:call("app:ctx")
                  return {inner = inner, own = ctx.all()}
                end""",
            )
        found = await bench.functions.new().with_context({"a": 1}).call("app:middle")
        assert found["own"] == {"a": 1}
        assert {key: found["inner"][key] for key in ("a", "b")} == {"a": 1, "b": 2}


async def test_fz12_a_process_started_by_a_function(callee: str, autojump_clock: Clock) -> None:
    """FZ12, CX7, F19: it sees actor and values, and lives on after the function."""
    seen: list[Any] = []

    async def child(ctx: ProcessContext) -> None:
        await trio.sleep(1)
        seen.append((ctx.actor.id, dict(ctx.context)))

    class Source:
        def find(self, id: str) -> Any:
            from trio_actors._core.function import function_target

            return function_target(child, id=id) if id == "t:child" else None

    async with opened() as bench:
        bench.functions.node.add_source(Source())
        if callee == "python":

            async def starts() -> None:
                await trio_actors.current().spawn("t:child", host="t:lua")

            bench.py("app:starts", starts)
        else:
            bench.lua("app:starts", 'return function() process.spawn("t:child", "t:lua") end')
        executor = funcs.new().with_actor(Actor("ann")).with_context({"a": 1})
        await executor.call("app:starts")
        await trio.sleep(5)
        assert seen == [("ann", {"a": 1})]


async def test_fz14_recursion_through_an_inline_pool(caller: str, callee: str) -> None:
    """FZ14, PL11: five levels deep, from the root as well as from a process."""
    async with opened() as bench:

        async def down(n: int) -> int:
            return 0 if n == 0 else 1 + await funcs.call("app:down", n - 1)

        if callee == "python":
            bench.py("app:down", down, {"type": "inline"})
        else:
            bench.lua(
                "app:down",
                """return function(n)
                  if n == 0 then return 0 end
                  return 1 + funcs.call("app:down", n - 1)
                end""",
                pool={"type": "inline"},
            )
        with trio.fail_after(5):
            assert await bench.ask(caller, "app:down", 5) == Outcome(5)
        assert bench.functions.statistics("app:down").workers == 1


async def test_fz15_a_full_line_rejects(caller: str, callee: str, autojump_clock: Clock) -> None:
    """FZ15, PL7: the third of three gets UNAVAILABLE, retryable, and does not run."""
    async with opened() as bench:
        pool = {"workers": 1, "buffer": 1, "overflow": "reject"}
        bench.install(callee, "noisy", pool=pool)
        futures = [funcs.async_("app:noisy", name, 1) for name in ("a", "b")]
        await trio.sleep(0.5)
        outcome = await bench.ask(caller, "app:noisy", "c", 1)
        assert outcome == Outcome(None, "Unavailable", "pool queue is full", True)
        assert [await future for future in futures] == ["a", "b"]
        assert "c>" not in bench.noted()


async def test_fz16_an_idle_lazy_pool(caller: str, callee: str, autojump_clock: Clock) -> None:
    """FZ16, PL9: no workers after 30 s, and the next call succeeds."""
    async with opened() as bench:
        bench.install(callee, "add", pool={"type": "lazy"})
        assert await bench.ask(caller, "app:add", 1, 2) == Outcome(3)
        assert bench.functions.statistics("app:add").workers == 1
        await trio.sleep(30.1)
        assert bench.functions.statistics("app:add").workers == 0
        assert await bench.ask(caller, "app:add", 1, 2) == Outcome(3)


async def test_fz17_a_waiter_whose_future_is_cancelled(
    caller: str, callee: str, autojump_clock: Clock
) -> None:
    """FZ17, FU9, PL19: it never runs and counts nowhere."""
    async with opened() as bench:
        bench.install(callee, "noisy", pool={"workers": 1})
        first = funcs.async_("app:noisy", "a", 2)
        await trio.sleep(0.1)
        if caller == "python":
            future = funcs.async_("app:noisy", "b", 1)
            await trio.sleep(0.5)
            assert bench.functions.statistics("app:noisy").queued == 1
            future.cancel()
        else:
            await bench.run(
                """local f = funcs.async("app:noisy", "b", 1)
                time.sleep("500ms")
                f:cancel()
                time.sleep("10ms")"""
            )
        await trio.sleep(0.1)
        stats = bench.functions.statistics("app:noisy")
        assert (stats.queued, stats.completed, stats.failed) == (0, 0, 0)
        assert await first == "a"
        assert bench.noted() == ["a>", "<a"]


async def test_fz18_an_adaptive_pool(callee: str, autojump_clock: Clock) -> None:
    """FZ18, AP11: backlog for 60 s never passes max_size; then one by one down to 1."""
    async with opened() as bench:
        bench.install(callee, "sleeper", pool={"type": "adaptive", "max_size": 8})
        sizes: list[int] = []
        async with trio.open_nursery() as nursery:
            for _ in range(20):

                async def client() -> None:
                    while trio.current_time() < 60:
                        await funcs.call("app:sleeper", 0.1)

                nursery.start_soon(client)
            while trio.current_time() < 60:
                await trio.sleep(0.25)
                sizes.append(bench.functions.statistics("app:sleeper").workers)
        # Lua callees all run in the runner's turns, so that more of them may bring nothing.
        assert 1 < max(sizes) <= 8
        rest: list[int] = []
        for _ in range(200):
            await trio.sleep(0.25)
            rest.append(bench.functions.statistics("app:sleeper").workers)
        steps = [a - b for a, b in itertools.pairwise(rest)]
        assert set(steps) <= {0, 1}
        assert rest[-1] == 1


@pytest.mark.parametrize(("kind", "times"), [("error", [0, 0.1, 0.3]), ("Invalid", [0])])
async def test_fz20_retries(
    kind: str, times: list[float], caller: str, callee: str, autojump_clock: Clock
) -> None:
    """FZ20, RT1, RT3, RT5: three runs with pauses of 100 and 200 ms; INVALID runs once."""
    async with opened() as bench:
        retry = {"max_attempts": 3, "initial_delay": 100, "jitter": 0}
        bench.install(callee, "moody", meta={"options": {"retry": retry}})
        outcome = await bench.ask(caller, "app:moody", kind)
        assert outcome.kind == ("Internal" if kind == "error" else kind)
        assert [at for at, _ in bench.marks] == pytest.approx(times, abs=0.005)


async def test_fz21_interceptors(caller: str, callee: str) -> None:
    """FZ21, IC2, IC3: an onion; one that does not call `next` keeps the callee from running."""
    log: list[str] = []

    def noting(name: str) -> Any:
        async def interceptor(call: Call, next: Next) -> Any:
            log.append(f"{name}>")
            value = await next(call)
            log.append(f"<{name}")
            return value

        return interceptor

    async def stops(call: Call, next: Next) -> Any:
        return "stopped"

    async with opened() as bench:
        bench.install(callee, "noisy")
        bench.functions.add_interceptor("b", noting("2"), order=2, match="app:noisy")
        bench.functions.add_interceptor("a", noting("1"), order=1, match="app:noisy")
        assert await bench.ask(caller, "app:noisy", "in", 0) == Outcome("in")
        assert log == ["1>", "2>", "<2", "<1"]
        bench.functions.add_interceptor("c", stops, order=3, match="app:noisy")
        assert await bench.ask(caller, "app:noisy", "again", 0) == Outcome("stopped")
        assert bench.noted() == ["in>", "<in"]


async def test_fz22_the_circuit_breaker(caller: str, callee: str, autojump_clock: Clock) -> None:
    """FZ22, CB2-CB4: the sixth call is refused without a run; later one may try."""
    async with opened() as bench:
        bench.install(callee, "moody", meta={"options": {"circuit_breaker": {}}})
        for _ in range(5):
            assert (await bench.ask(caller, "app:moody", "error")).kind == "Internal"
        outcome = await bench.ask(caller, "app:moody", "error")
        assert outcome == Outcome(None, "Unavailable", "circuit open", True)
        assert len(bench.marks) == 5
        await trio.sleep(30)
        assert (await bench.ask(caller, "app:moody", "error")).kind == "Internal"
        assert len(bench.marks) == 6
        breaker = bench.functions._built_in.breakers["app:moody"]
        assert breaker.state is BreakerState.OPEN


async def test_f2_the_permission_is_that_of_the_caller(caller: str, callee: str) -> None:
    """F2, F3: denied whatever the executor carries; unknown ids are told to whoever may call."""
    allowed = {"actions": ["funcs.*"], "resources": "app:*", "effect": "allow"}
    scope = Scope([parse_policy("t:p", {"policy": allowed})])
    async with opened() as bench:
        bench.install(callee, "add")
        ann = Actor("ann")
        assert await bench.ask(caller, "app:add", 1, 2, actor=ann, scope=scope) == Outcome(3)
        denied = await bench.ask(caller, "app:add", 1, 2, actor=ann, scope=Scope())
        assert denied == Outcome(None, "PermissionDenied", "not allowed: app:add", False)
        gone = await bench.ask(caller, "app:gone", actor=ann, scope=scope)
        assert gone == Outcome(None, "NotFound", "no handler registered for target", False)


async def test_logging_metrics_and_tracing_of_every_pair(
    caller: str, callee: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The table of section 7: one record per call, figures per function, a span per attempt."""
    options = {"logging": True, "metrics": True, "tracing": True, "retry": {"max_attempts": 2}}
    async with opened() as bench:
        spans: list[Any] = []
        bench.functions.span_sink = spans.append
        bench.install(callee, "add", "fail", meta={"options": options})
        with caplog.at_level("INFO", logger="trio_actors.functions.calls"):
            await bench.ask(caller, "app:add", 1, 2)
            await bench.ask(caller, "app:fail", "error", options={"retry": {"max_attempts": 1}})
        records = [r for r in caplog.records if r.name == "trio_actors.functions.calls"]
        assert [r.__dict__["outcome"] for r in records] == ["ok", "Conflict"]
        metrics = bench.functions.metrics()
        assert (metrics["app:add"].count, metrics["app:add"].failures) == (1, {})
        assert metrics["app:fail"].failures == {"Conflict": 1}
        assert [(span.function, span.kind) for span in spans] == [
            ("app:add", "ok"),
            ("app:fail", "Conflict"),
        ]


async def test_random_cancellations_leak_nothing(autojump_clock: Clock) -> None:
    """Aim, for Lua among Python: 10,000 calls, and no task, slot, process or object is left."""
    async with opened() as bench:
        rng = bench.functions.node.rng
        bench.install("lua", "sleeper", pool={"workers": 20})
        bench.py("app:leaf", _leaf, {"workers": 20})
        for language, id in (("lua", "app:lua"), ("python", "app:py")):
            if language == "lua":
                bench.lua(
                    id,
                    """return function(depth)
                      funcs.async("app:leaf", 0.003)
                      funcs.call("app:sleeper", 0.005)
                      if depth > 0 then funcs.call("app:py", depth - 1) end
                    end""",
                    pool={"max_size": 200},
                )
            else:

                async def branch(depth: int) -> None:
                    funcs.async_("app:sleeper", 0.003)
                    await funcs.call("app:leaf", 0.005)
                    if depth:
                        await funcs.call("app:lua", depth - 1)

                bench.py(id, branch, {"type": "adaptive", "max_size": 200})

        async def one() -> None:
            executor = bench.functions.new().with_options({"timeout": rng.randint(1, 30)})
            id = rng.choice(["app:lua", "app:py", "app:sleeper"])
            if rng.randrange(3) == 0:
                future = executor.async_(id, 1)
                await trio.sleep(rng.random() * 0.03)
                future.cancel()
                return
            with trio.move_on_after(rng.random() * 0.03):
                try:
                    await executor.call(id, 1)
                except ProcessError:
                    pass

        await bench.functions.call("app:lua", 1)  # the runner and the clock have started
        await trio.testing.wait_all_tasks_blocked()
        tasks = trio.lowlevel.current_statistics().tasks_living
        for _ in range(50):
            async with trio.open_nursery() as nursery:
                for _ in range(200):
                    nursery.start_soon(one)
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        assert bench.functions.node.processes == {}
        assert handles._tables == {}
        for id in ("app:lua", "app:py", "app:sleeper", "app:leaf"):
            stats = bench.functions.statistics(id)
            assert (stats.busy, stats.queued) == (0, 0)
            assert stats.failed > 0


async def _leaf(seconds: float) -> None:
    await trio.sleep(seconds)


def test_a_bench_knows_both_languages() -> None:
    """Every callee of the stage is there in Python and in Lua."""
    assert set(LUA) == set(PYTHON)
