"""The pool machine. Rules: PL4-PL9, PL11, PL19, PL20."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_actors.functions.pool_config import parse_pool
from trio_actors.functions.pool_core import Full, PoolCore, PoolStatistics, Worker


def core(**block: object) -> PoolCore:
    return PoolCore(parse_pool(block))


def take(pool: PoolCore, request: str) -> Worker:
    worker = pool.submit(request)
    assert worker is not None
    return worker


def test_requests_start_in_arrival_order() -> None:
    """PL5: a newcomer never overtakes a waiter."""
    pool = core(workers=1)
    worker = take(pool, "a")
    assert [pool.submit(x) for x in "bcd"] == [None, None, None]
    order = []
    for _ in range(3):
        pool.finish(worker, 1.0, ok=True)
        [(request, worker)] = pool.assign()
        order.append(request)
    assert order == ["b", "c", "d"]


def test_a_withdrawn_request_never_starts() -> None:
    """PL8, PL19: and it counts in neither figure."""
    pool = core(workers=1)
    worker = take(pool, "a")
    pool.submit("b")
    assert pool.withdraw("b")
    assert not pool.withdraw("b")
    pool.finish(worker, 1.0, ok=True)
    assert list(pool.assign()) == []
    assert pool.statistics() == PoolStatistics("static", 1, 0, 0, 1, 0)


def test_a_full_line_rejects_only_where_that_was_asked_for() -> None:
    """PL6, PL7: buffer 0 rejects as soon as no worker is free; block takes all."""
    pool = core(workers=1, buffer=0, overflow="reject")
    take(pool, "a")
    with pytest.raises(Full):
        pool.submit("b")
    pool = core(workers=1, buffer=1)
    take(pool, "a")
    assert [pool.submit(n) for n in range(9)] == [None] * 9


def test_the_newest_idle_worker_is_reused_and_old_ones_expire() -> None:
    """PL9: lazy."""
    pool = core(max_size=3, idle_timeout="1s")
    a, b = take(pool, "a"), take(pool, "b")
    pool.finish(a, 0.0, ok=True)
    pool.finish(b, 0.5, ok=False)
    assert take(pool, "c") is b
    assert pool.next_expiry() == 1.0
    assert pool.expire(1.0) == [a]
    assert pool.statistics() == PoolStatistics("lazy", 1, 1, 0, 1, 1)


@given(st.floats(0, 1e6), st.floats(1e-3, 1e4))
def test_what_is_due_is_removed_when_it_is_due(since: float, timeout: float) -> None:
    """PL9: a timer set for `next_expiry` always finds its worker, however the sums round."""
    pool = core(max_size=1, idle_timeout=timeout)
    pool.finish(take(pool, "a"), since, ok=True)
    due = pool.next_expiry()
    assert due is not None
    assert len(pool.expire(due)) == 1


def test_a_busy_worker_retires_when_it_has_finished() -> None:
    """PL20: it finishes its call, takes no other, and counts until it is gone."""
    pool = core(workers=2)
    a, b = take(pool, "a"), take(pool, "b")
    pool.submit("c")
    assert pool.shrink(1) == []
    assert len(pool.workers) == 2
    pool.finish(a, 0.0, ok=True)
    assert list(pool.assign()) == []
    assert len(pool.workers) == 1
    pool.finish(b, 0.0, ok=True)
    assert [request for request, _ in pool.assign()] == ["c"]


def test_an_extra_worker_goes_after_its_call() -> None:
    """PL11."""
    pool = core(type="inline")
    take(pool, "outer")
    extra = pool.extra_worker()
    assert (pool.statistics().workers, pool.statistics().busy) == (2, 2)
    pool.finish(extra, 0.0, ok=True)
    assert (pool.statistics().workers, pool.statistics().busy) == (1, 1)


ACTS = ["submit", "finish", "withdraw", "grow", "shrink", "expire"]
ACTS += ["give back", "discard", "close"]


@given(
    st.sampled_from(
        [
            {"workers": 3},
            {"max_size": 3, "idle_timeout": 10},
            {"type": "adaptive", "max_size": 4},
            {"workers": 2, "buffer": 2, "overflow": "reject"},
            {"type": "inline"},
        ]
    ),
    st.lists(
        st.tuples(
            st.sampled_from(ACTS),
            st.integers(0, 9),
        ),
        max_size=60,
    ),
)
def test_busy_workers_and_limits_hold_for_every_program(
    block: dict[str, object], program: list[tuple[str, int]]
) -> None:
    """PL20: 0 <= busy <= workers <= limit, and nobody waits while a worker is idle."""
    pool = PoolCore(parse_pool(block))
    running: list[Worker] = []
    waiting: list[int] = []
    submitted = started = 0
    for now, (what, n) in enumerate(program):
        match what:
            case "submit":
                submitted += 1
                try:
                    worker = pool.submit(now)
                except Full:
                    submitted -= 1
                else:
                    if worker is None:
                        waiting.append(now)
                    else:
                        running.append(worker)
                        started += 1
            case "finish" if running:
                pool.finish(running.pop(n % len(running)), now, ok=bool(n % 2))
            case "withdraw" if waiting:
                assert pool.withdraw(waiting.pop(n % len(waiting)))
                submitted -= 1
            case "grow" if pool.config.type == "adaptive":
                pool.grow(min(n, pool.config.limit - len(pool.workers)), now)
            case "shrink" if pool.config.type == "adaptive" and len(pool.workers) - pool.debt > 1:
                pool.shrink(1)
            case "expire":
                pool.expire(now)
            case "give back" if running:
                pool.give_back(running.pop(n % len(running)), now)
                started -= 1
                submitted -= 1
            case "discard" if running:
                pool.discard(running.pop(n % len(running)), now)
                started -= 1
                submitted -= 1
            case "close":
                pool.close()
                pool.shrink(len(pool.idle))
        for request, worker in pool.assign():
            assert request == waiting.pop(0)
            running.append(worker)
            started += 1
        stats = pool.statistics()
        assert 0 <= stats.busy == len(running) <= stats.workers <= pool.config.limit
        assert stats.queued == len(waiting) == submitted - started
        assert not (pool.line and pool.idle)
        assert stats.completed + stats.failed + len(running) == started
        assert running or not waiting  # whoever waits will be served
