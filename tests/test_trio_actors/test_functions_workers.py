"""Workers that come and go: given back, impossible to make, of a pool that was replaced.

The property over all orders is `every_worker_is_kept_or_dropped` of guarantee 56.
"""

from typing import Any

import pytest
import trio
import trio.testing
from callees import opened
from unwinding import slow_to_end

import trio_actors
from trio_actors import ErrorKind
from trio_actors.functions import PoolStatistics, PythonCallee, entries
from trio_actors.functions.pool_config import parse_pool
from trio_actors.functions.pool_core import PoolCore

Clock = trio.testing.MockClock
RETRY = {"options": {"retry": {"max_attempts": 3, "initial_delay": "1s", "jitter": 0}}}
POOLS: list[dict[str, Any]] = [
    {"type": "inline"},
    {"workers": 2},
    {"max_size": 2},
    {"type": "adaptive", "max_size": 4},
]


class Counted(PythonCallee):
    """A callee whose workers are counted; the first `broken` of them cannot be made."""

    __slots__ = ("alive", "broken")

    def __init__(self, function: Any, broken: int = 0) -> None:
        super().__init__(function)
        self.alive = 0
        self.broken = broken

    def make_worker(self) -> None:
        if self.broken:
            self.broken -= 1
            raise OSError("no room")
        self.alive += 1

    def drop_worker(self, payload: Any) -> None:
        self.alive -= 1


async def after(seconds: float, value: Any = None) -> Any:
    await trio.sleep(seconds)
    return value


@pytest.mark.parametrize("pool", POOLS, ids=lambda pool: next(iter(pool.values())))
async def test_pl10_a_pool_keeps_its_size_when_workers_cannot_be_made(
    pool: dict[str, Any], autojump_clock: Clock
) -> None:
    """PL10: also the only worker of an adaptive pool; its controller goes on."""
    async with opened() as functions:
        functions.install("app:f", Counted(after, broken=3), pool=pool)
        before = functions.statistics("app:f").workers
        for _ in range(3):
            with pytest.raises(trio_actors.ProcessInternal, match="failed to make a worker"):
                await functions.call("app:f", 1)
        await trio.sleep(5)
        assert functions.statistics("app:f").workers == before
        with trio.fail_after(10):
            assert await functions.call("app:f", 1, "well") == "well"
        assert functions.statistics("app:f").completed == 1


def test_pl10_a_worker_that_was_to_go_is_not_replaced() -> None:
    """PL10, PL20: it pays for one that the controller wanted to remove."""
    core = PoolCore(parse_pool({"type": "adaptive", "max_size": 4}))
    core.grow(1, 0.0)
    workers = [core.submit(n) for n in range(2)]
    assert core.shrink(1) == []
    assert workers[0] is not None
    core.discard(workers[0], 0.0)
    assert (len(core.workers), core.debt) == (1, 0)


async def test_pl9_a_lazy_worker_that_was_given_back_expires(autojump_clock: Clock) -> None:
    """PL9, FU9: the call that it was made for was cancelled before it began."""
    async with opened() as functions:
        functions.register("app:f", after, pool={"max_size": 4})
        for _ in range(3):
            functions.async_("app:f", 1).cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert functions.statistics("app:f").workers > 0
        await trio.sleep(31)
        assert functions.statistics("app:f") == PoolStatistics("lazy", 0, 0, 0, 0, 0)


@pytest.mark.parametrize("pool", POOLS, ids=lambda pool: next(iter(pool.values())))
@pytest.mark.parametrize("how", ["update", "removal"])
async def test_pl16_a_retry_finishes_on_the_old_code(
    how: str, pool: dict[str, Any], autojump_clock: Clock
) -> None:
    """PL16, PL18: accepted calls in a pause between attempts; all of them, at the old size."""
    fails = {"first": True}

    async def old(n: int) -> str:
        await trio.sleep(1)
        if fails["first"]:
            raise ValueError("not yet")
        return f"old {n}"

    callee = Counted(old)
    async with opened() as functions:
        functions.install("app:f", callee, pool=pool, meta=RETRY)
        futures = [functions.async_("app:f", n) for n in range(2)]
        await trio.sleep(1.5 if pool.get("type") is None else 2.5)
        fails["first"] = False
        if how == "update":
            functions.install("app:f", PythonCallee(lambda n: f"new {n}"))
            assert await functions.call("app:f", 7) == "new 7"
        else:
            functions.remove("app:f")
        assert [await future for future in futures] == ["old 0", "old 1"]
        assert callee.alive == 0


async def test_pl16_an_interceptor_that_waits_is_of_an_accepted_call(
    autojump_clock: Clock,
) -> None:
    """PL16: the call was accepted when it came, not when its worker was taken."""

    async def slow(call: Any, next: Any) -> Any:
        await trio.sleep(1)
        return await next(call)

    async with opened() as functions:
        functions.add_interceptor("slow", slow)
        functions.register("app:f", lambda: "old", pool={"workers": 1})
        future = functions.async_("app:f")
        await trio.sleep(0.5)
        functions.install("app:f", PythonCallee(lambda: "new"))
        assert (await future, await functions.call("app:f")) == ("old", "new")


async def test_pl18_a_closed_pool_lets_go_of_a_worker_that_was_given_back(
    autojump_clock: Clock,
) -> None:
    """PL18, FU9: granted, replaced and cancelled in one turn."""
    callee = Counted(after)
    async with opened() as functions:
        functions.install("app:f", callee, pool={"workers": 1})
        await functions.call("app:f", 1)
        assert callee.alive == 1
        future = functions.async_("app:f", 1)
        functions.install("app:f", PythonCallee(after))
        future.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert callee.alive == 0


async def test_pl18_async_calls_after_the_end_are_refused_like_others() -> None:
    """PL18: from the root, through the future."""
    async with opened() as functions:
        functions.register("app:f", lambda: 1)
        await functions.aclose()
        error = functions.async_("app:f").error()
        assert error is not None
        assert (error.kind, str(error), error.retryable) == (
            ErrorKind.UNAVAILABLE,
            "pool is closed",
            False,
        )


async def test_pl18_two_ends_of_a_service_wait_for_the_same_calls(autojump_clock: Clock) -> None:
    """PL18, F17: `aclose` from two tasks at once returns in both."""

    async def shielded() -> None:
        await slow_to_end(1)

    async with opened() as functions:
        functions.register("app:f", shielded)
        functions.async_("app:f")
        await trio.testing.wait_all_tasks_blocked()
        start = trio.current_time()
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(functions.aclose)
                nursery.start_soon(functions.aclose)
        assert trio.current_time() - start == 1


async def test_pl18_removed_functions_are_remembered_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """PL18, M5, M6: their metrics and the place of their PIDs; one that came back counts on."""
    monkeypatch.setattr(entries, "REMEMBERED", 2)

    async def pid() -> str:
        return trio_actors.current().pid

    async with opened() as functions:
        node = functions.node
        pids: dict[str, str] = {}

        async def use(id: str) -> None:
            functions.register(id, pid, meta={"options": {"metrics": True}})
            pids[id] = await functions.call(id)

        def known() -> list[str]:
            return [id for id in pids if id in functions.metrics()]

        def missing(id: str) -> str:
            with pytest.raises(trio_actors.ProcessNotFound) as caught:
                node.send(pids[id], "topic")
            return str(caught.value)

        for id in ("a:1", "a:2", "a:3"):
            await use(id)
        functions.remove("a:1")
        functions.remove("a:2")
        assert (known(), missing("a:1")) == (["a:1", "a:2", "a:3"], "process not found")
        await use("a:1")  # it is in use again: no longer the oldest that was removed
        functions.remove("a:3")
        functions.remove("a:1")
        assert (known(), missing("a:2")) == (["a:1", "a:3"], "host not found")
        assert functions.metrics()["a:1"].count == 2
        assert missing("a:3") == "process not found"
        for n in range(20):
            await use(f"b:{n}")
            functions.remove(f"b:{n}")
        assert known() == ["b:18", "b:19"]
        assert [id for id in node.known_hosts if id[0] in "ab"] == ["b:18", "b:19"]
