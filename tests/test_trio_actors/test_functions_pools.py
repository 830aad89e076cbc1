"""Running pools and what must not leak. Rules: section 6."""

import itertools
import random
from typing import Any

import pytest
import trio
import trio.testing
from callees import Gauge, opened

import trio_actors
from trio_actors import ErrorKind, ProcessError, funcs
from trio_actors.functions import PoolStatistics, PythonCallee, parse_binding, parse_definition

Clock = trio.testing.MockClock
RETRY = {"retry": {"max_attempts": 3, "initial_delay": 1, "retry_kinds": ["Timeout", "Internal"]}}


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
    """Aim: 100 callers, 1 ms each, 8 workers: 13 rounds of 1 ms."""
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
    """Aim: no task, slot or frame is left; calls nested, queued, async, retried, by contract."""
    rng = random.Random(7)

    async def leaf() -> None:
        await trio.sleep(rng.random() * 0.01)

    async def branch(depth: int) -> None:
        funcs.async_("app:leaf")
        await funcs.call("app:leaf")
        if depth:
            await funcs.call(rng.choice(["app:branch", "app:wide"]), depth - 1)

    async def one() -> None:
        id = rng.choice(["app:branch", "app:wide", "app:leaf"])
        options = {"timeout": rng.randint(1, 20)}
        match rng.randrange(4):
            case 0 | 1:
                with trio.move_on_after(rng.random() * 0.02):
                    await functions.new().with_options(options).call(id, 1)
            case 2:
                future = functions.new().with_options(options | RETRY).async_(id, 1)
                await trio.sleep(rng.random() * 0.02)
                future.cancel()
            case 3:
                future = contract.do_async(1)
                with trio.move_on_after(rng.random() * 0.02):
                    await future
                future.cancel()

    async with opened() as functions:
        functions.register("app:leaf", leaf, pool={"workers": 50})
        functions.register("app:branch", branch, pool={"max_size": 400})
        functions.register("app:wide", branch, pool={"type": "adaptive", "max_size": 400})
        functions.contracts.define(parse_definition("app:c", {"methods": [{"name": "do"}]}))
        part = {"contract": "app:c", "default": True, "methods": {"do": "app:branch"}}
        functions.contracts.bind(parse_binding("app:b", {"contracts": [part]}))
        contract = functions.contracts.get("app:c")
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
