"""Services running on a node, in virtual time (Y1-Y12, Y31-Y39, SC29, SC30)."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from supervision import (
    Backoff,
    ServiceManager,
    ServiceSpec,
    ServiceState,
    Supervisor,
    child,
    open_services,
)
from trio_actors import ProcessContext, ProcessError, ProcessInvalid, open_node

S = ServiceState


def spec(id: str, process: Any, **fields: Any) -> ServiceSpec:
    restart = {"initial_delay": 1.0, "jitter": 0.0, **fields.pop("restart", {})}
    return ServiceSpec(f"app:{id}", process, "app:h", backoff=Backoff(**restart), **fields)


@asynccontextmanager
async def running(*specs: ServiceSpec) -> AsyncIterator[ServiceManager]:
    async with open_node() as node, node.open_host("app:h"), open_services(node) as services:
        for one in specs:
            services.add(one)
        yield services


def states(services: ServiceManager) -> dict[str, str]:
    return {status.id.removeprefix("app:"): str(status.state) for status in services.statuses()}


class Log:
    """Processes that write down when they run and stop."""

    def __init__(self) -> None:
        self.lines: list[Any] = []

    def server(self, name: str, *, ready_after: float | None = None) -> Any:
        async def serve(ctx: ProcessContext) -> None:
            if ready_after is not None:
                await trio.sleep(ready_after)
                ctx.started()
            self.lines.append(f"+{name}")
            await ctx.events.receive()
            self.lines.append(f"-{name}")

        return serve

    def crasher(self, after: float = 0.0, error: Exception | None = None) -> Any:
        async def crash(ctx: ProcessContext) -> None:
            self.lines.append(trio.current_time())
            await trio.sleep(after)
            raise error or ProcessError("boom")

        return crash


async def test_services_start_in_dependency_order_and_stop_in_reverse(
    autojump_clock: MockClock,
) -> None:
    """Y6, SC30: every dependency is Running first; dependents stop first."""
    log = Log()
    async with running(
        spec("web", log.server("web"), depends_on=("app:cache", "app:db")),
        spec("cache", log.server("cache", ready_after=2), depends_on=("app:db",), ready=True),
        spec("db", log.server("db", ready_after=3), ready=True),
    ) as services:
        await services.start(["app:web"])
        assert states(services) == {"web": "Running", "cache": "Running", "db": "Running"}
        await trio.sleep(1)
        assert log.lines == ["+db", "+cache", "+web"]
    assert log.lines == ["+db", "+cache", "+web", "-web", "-cache", "-db"]


async def test_independent_services_start_in_parallel(autojump_clock: MockClock) -> None:
    """Y6."""
    log = Log()
    slow = [spec(n, log.server(n, ready_after=5), ready=True) for n in ("a", "b", "c")]
    async with running(*slow) as services:
        begin = trio.current_time()
        await services.start(["app:a", "app:b", "app:c"])
        assert trio.current_time() - begin == 5


async def test_only_auto_start_services_and_what_they_need_start(autojump_clock: MockClock) -> None:
    """Y8, Y31."""
    log = Log()
    async with running(
        spec("web", log.server("web"), depends_on=("app:db",), auto_start=True),
        spec("db", log.server("db")),
        spec("extra", log.server("extra")),
    ) as services:
        await services.start()
        assert states(services) == {"web": "Running", "db": "Running", "extra": "Inactive"}


async def test_cycle_starts_nothing(autojump_clock: MockClock) -> None:
    """Y7: the error names the cycle."""
    log = Log()
    async with running(
        spec("a", log.server("a"), depends_on=("app:b",)),
        spec("b", log.server("b"), depends_on=("app:a",)),
    ) as services:
        with pytest.raises(ProcessInvalid, match="app:a -> app:b -> app:a"):
            await services.start(["app:a"])
        assert states(services) == {"a": "Inactive", "b": "Inactive"}


async def test_crashing_service_is_retried_with_growing_delays(autojump_clock: MockClock) -> None:
    """Y1, Y2, Y38, SC29: exactly three runs with max_attempts 3, after 1 and 2 seconds."""
    log = Log()
    async with running(spec("s", log.crasher(), max_attempts=3)) as services:
        await services.start(["app:s"])
        await trio.sleep(60)
        begin = log.lines[0]
        assert [at - begin for at in log.lines] == [0, 1, 3]
        status = services.status("app:s")
        assert (status.state, status.reason, status.runs) == (S.FAILED, "boom", 3)


async def test_every_run_is_a_new_process_with_the_same_input(autojump_clock: MockClock) -> None:
    """Y4."""
    runs: list[tuple[str, int]] = []

    async def fails(ctx: ProcessContext, number: int) -> None:
        runs.append((ctx.pid, number))
        raise ProcessError("no")

    async with running(spec("s", fails, input=(7,), max_attempts=2)) as services:
        await services.start(["app:s"])
        await trio.sleep(10)
    assert [number for _, number in runs] == [7, 7]
    assert len({pid for pid, _ in runs}) == 2


@pytest.mark.parametrize("error", [None, ProcessError("fatal", retryable=False)])
async def test_normal_end_and_final_errors_are_not_retried(
    autojump_clock: MockClock, error: ProcessError | None
) -> None:
    """Y32, Y33, SC29: one run, Exited."""
    runs = []

    async def once(ctx: ProcessContext) -> int:
        runs.append(1)
        if error is not None:
            raise error
        return 3

    async with running(spec("s", once)) as services:
        await services.start(["app:s"])
        await trio.sleep(100)
        assert services.status("app:s").state is S.EXITED
    assert runs == [1]


async def test_stable_run_resets_the_budget(autojump_clock: MockClock) -> None:
    """Y11, SC29."""
    log = Log()
    async with running(spec("s", log.crasher(after=6), max_attempts=1)) as services:
        await services.start(["app:s"])
        await trio.sleep(30)
        begin = log.lines[0]
        assert [at - begin for at in log.lines] == [0, 7, 14, 21, 28]


async def test_terminated_service_comes_back(autojump_clock: MockClock) -> None:
    """Y34: ended by somebody else counts as a failure."""
    log = Log()
    async with running(spec("s", log.server("s"))) as services:
        await services.start(["app:s"])
        first = services.status("app:s").pid
        assert first is not None
        services.node.terminate(first)
        await trio.sleep(2)
        second = services.status("app:s").pid
        assert second is not None
        assert second != first


async def test_missing_code_is_a_failed_start(autojump_clock: MockClock) -> None:
    """Y35."""
    async with running(spec("s", "app:nowhere", max_attempts=2)) as services:
        await services.start(["app:s"])
        await trio.sleep(5)
        status = services.status("app:s")
        assert (status.state, status.reason, status.runs) == (S.FAILED, "factory not found", 2)


async def test_start_that_takes_too_long_is_ended_and_retried(autojump_clock: MockClock) -> None:
    """Y35: reason ``start timeout``, and no process is left behind."""

    async def never(ctx: ProcessContext) -> None:
        await trio.sleep_forever()

    async with running(spec("s", never, ready=True, start_timeout=2.0, max_attempts=2)) as services:
        await services.start(["app:s"])
        await trio.sleep(10)
        status = services.status("app:s")
        assert (status.state, status.reason, status.runs) == (S.FAILED, "start timeout", 2)
        assert not services.node.processes


async def test_a_process_that_ends_long_after_its_start_timed_out_is_no_event(
    autojump_clock: MockClock,
) -> None:
    """Y35: its service waits for the next attempt, or for what it depends on, and goes on."""
    runs: list[float] = []

    async def slow_to_leave(ctx: ProcessContext) -> None:
        runs.append(trio.current_time())
        if len(runs) == 1:
            with trio.CancelScope(shield=True):
                await trio.sleep(5)
        ctx.started()
        await ctx.events.receive()

    restart = {"initial_delay": 10.0}
    async with running(
        spec("s", slow_to_leave, ready=True, start_timeout=2.0, restart=restart)
    ) as services:
        begin = trio.current_time()
        await services.start(["app:s"])
        assert states(services) == {"s": S.FAILED}  # at 3 s: its process ends at 5 s
        await trio.sleep(20)
        assert states(services) == {"s": S.RUNNING}
    assert [round(at - begin) for at in runs] == [0, 13]


async def test_a_process_that_ends_long_after_its_stop_timed_out_is_no_event(
    autojump_clock: MockClock,
) -> None:
    """Y37: also if the service was asked to start again and still waits for another one."""
    runs: list[float] = []

    async def slow_to_leave(ctx: ProcessContext) -> None:
        runs.append(trio.current_time())
        with trio.CancelScope(shield=len(runs) == 1):
            await ctx.events.receive()
            await trio.sleep(5 if len(runs) == 1 else 0)

    async def late(ctx: ProcessContext) -> None:
        await trio.sleep(8)
        ctx.started()
        await ctx.events.receive()

    async with running(
        spec("s", slow_to_leave, stop_timeout=1.0, depends_on=("app:late",)),
        spec("late", late, ready=True),
    ) as services:
        await services.start(["app:s"])
        await services.stop()
        assert states(services)["s"] == S.FAILED
        begin = trio.current_time()
        await services.start(["app:s"])
        assert states(services) == {"s": S.RUNNING, "late": S.RUNNING}
    assert round(runs[1] - begin) == 8


async def test_stop_during_the_delay_is_prompt(autojump_clock: MockClock) -> None:
    """Y5."""
    log = Log()
    async with running(spec("s", log.crasher(), restart={"initial_delay": 50.0})) as services:
        await services.start(["app:s"])
        await trio.sleep(1)
        begin = trio.current_time()
        await services.stop(["app:s"])
        assert trio.current_time() == begin
        assert services.status("app:s").state is S.STOPPED
        await trio.sleep(200)
    assert len(log.lines) == 1


async def test_service_that_ignores_cancel_is_gone_at_stop_timeout(
    autojump_clock: MockClock,
) -> None:
    """Y9, Y37, SC30: terminated, Failed with ``stop timeout``, not restarted."""

    async def stubborn(ctx: ProcessContext) -> None:
        await trio.sleep_forever()

    async with running(spec("s", stubborn, stop_timeout=4.0)) as services:
        await services.start(["app:s"])
        begin = trio.current_time()
        await services.stop()
        assert trio.current_time() - begin == 4
        status = services.status("app:s")
        assert (status.state, status.reason, status.pid) == (S.FAILED, "stop timeout", None)
        assert not services.node.processes


async def test_stop_sends_one_cancel_from_a_control_pid(autojump_clock: MockClock) -> None:
    """Y9, P4, Y36: whatever it returns then, it is Stopped."""
    events = []

    async def serve(ctx: ProcessContext) -> None:
        events.append(await ctx.events.receive())
        await trio.sleep(1)
        raise ProcessError("failed while stopping")

    async with running(spec("s", serve)) as services:
        await services.start(["app:s"])
        await services.stop()
        assert services.status("app:s").state is S.STOPPED
    (event,) = events
    assert event.sender.startswith("{node:control|")
    assert event.deadline is not None


async def test_failed_requirement_holds_dependents_back_and_says_which_and_why(
    autojump_clock: MockClock,
) -> None:
    """Y7: the rest starts."""
    log = Log()
    async with running(
        spec("db", log.crasher(error=ProcessError("no disk", retryable=False)), ready=True),
        spec("web", log.server("web"), depends_on=("app:db",)),
        spec("ui", log.server("ui"), depends_on=("app:web",)),
        spec("other", log.server("other")),
    ) as services:
        await services.start(["app:ui", "app:other"])
        assert states(services) == {
            "db": "Exited",
            "web": "Inactive",
            "ui": "Inactive",
            "other": "Running",
        }
        why = "requires app:db, which ended: no disk"
        assert services.status("app:web").waits_for == why
        assert services.status("app:ui").waits_for == (
            f"requires app:web, which is held back ({why})"
        )


async def test_dependents_wait_until_a_retried_dependency_runs(autojump_clock: MockClock) -> None:
    """Y12."""
    log = Log()
    failures = [ProcessError("not yet"), ProcessError("not yet")]

    async def late(ctx: ProcessContext) -> None:
        if failures:
            raise failures.pop()
        ctx.started()
        log.lines.append("+db")
        await ctx.events.receive()

    async with running(
        spec("db", late, ready=True), spec("web", log.server("web"), depends_on=("app:db",))
    ) as services:
        await services.start(["app:web"])
        assert states(services)["web"] == "Inactive"
        await trio.sleep(10)
        assert log.lines == ["+db", "+web"]


async def test_dependents_are_not_stopped_when_a_service_gives_up(
    autojump_clock: MockClock,
) -> None:
    """Y38."""
    log = Log()
    async with running(
        spec("db", log.crasher(after=1), max_attempts=1),
        spec("web", log.server("web"), depends_on=("app:db",)),
    ) as services:
        await services.start(["app:web"])
        await trio.sleep(20)
        assert states(services) == {"db": "Failed", "web": "Running"}


async def test_stopping_host_stops_the_service_without_a_retry(autojump_clock: MockClock) -> None:
    """Y39."""
    log = Log()
    async with open_node() as node, open_services(node) as services:
        async with node.open_host("app:h"):
            services.add(spec("s", log.server("s")))
            await services.start(["app:s"])
            await trio.sleep(1)
        await trio.sleep(100)
        assert services.status("app:s").state is S.STOPPED
    assert log.lines == ["+s", "-s"]


async def test_cancellation_from_outside_still_stops_in_order(autojump_clock: MockClock) -> None:
    """Y6, PH4: then the cancellation goes on."""
    log = Log()
    with trio.move_on_after(5) as scope:
        async with running(
            spec("a", log.server("a")), spec("b", log.server("b"), depends_on=("app:a",))
        ) as services:
            await services.start(["app:b"])
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert log.lines[2:] == ["-b", "-a"]


async def test_stopping_one_service_stops_its_dependents_first(autojump_clock: MockClock) -> None:
    """Y6: and it can be started again, with a fresh budget."""
    log = Log()
    async with running(
        spec("a", log.server("a")),
        spec("b", log.server("b"), depends_on=("app:a",)),
        spec("c", log.server("c")),
    ) as services:
        await services.start(["app:b", "app:c"])
        await trio.sleep(1)
        log.lines.clear()
        await services.stop(["app:a"])
        assert log.lines == ["-b", "-a"]
        assert states(services) == {"a": "Stopped", "b": "Stopped", "c": "Running"}
        await services.start(["app:b"])
        assert states(services) == {"a": "Running", "b": "Running", "c": "Running"}


async def test_service_runs_as_its_actor(autojump_clock: MockClock) -> None:
    """Y10: actor and scope reach the process."""
    seen = []

    async def show(ctx: ProcessContext) -> None:
        seen.append((ctx.actor, ctx.scope))

    async with running(spec("s", show, actor="who", scope="what")) as services:
        await services.start(["app:s"])
        await trio.sleep(1)
    assert seen == [("who", "what")]


async def test_supervisor_as_a_service_is_running_when_its_children_are(
    autojump_clock: MockClock,
) -> None:
    """SU3, Y6: dependents wait for the whole tree."""
    log = Log()
    tree = Supervisor(children=[child("slow", log.server("slow", ready_after=3), ready=True)])
    async with running(
        spec("tree", tree), spec("web", log.server("web"), depends_on=("app:tree",))
    ) as services:
        await services.start(["app:web"])
        await trio.sleep(1)
        assert log.lines == ["+slow", "+web"]
    assert log.lines == ["+slow", "+web", "-web", "-slow"]


async def test_supervisor_that_gave_up_is_retried_by_its_service(autojump_clock: MockClock) -> None:
    """SU13, Y34: too many restarts are a failure of the service; auto-shutdown is its end."""

    async def fails(ctx: ProcessContext) -> None:
        await trio.sleep(1)
        raise ProcessError("no")

    async def works(ctx: ProcessContext) -> None:
        await trio.sleep(1)

    broken = Supervisor(intensity=0, children=[child("a", fails)])
    once = Supervisor(
        auto_shutdown="any_significant",
        children=[child("b", works, restart="transient", significant=True)],
    )
    async with running(spec("broken", broken, max_attempts=2), spec("once", once)) as services:
        await services.start(["app:broken", "app:once"])
        await trio.sleep(30)
        gave_up = services.status("app:broken")
        assert (gave_up.state, gave_up.runs) == (S.FAILED, 2)
        assert "reached maximum restart intensity" in gave_up.reason
        assert services.status("app:once").state is S.EXITED


async def test_adding_twice_and_removing_what_runs_is_refused(autojump_clock: MockClock) -> None:
    """Services are told apart by id."""
    log = Log()
    async with running(spec("s", log.server("s"))) as services:
        with pytest.raises(ProcessError, match="exists already"):
            services.add(spec("s", log.server("s")))
        await services.start(["app:s"])
        with pytest.raises(ProcessError, match="is Running"):
            services.remove("app:s")
        await services.stop()
        services.remove("app:s")
        assert services.statuses() == []
        with pytest.raises(ProcessError, match="no service app:s"):
            services.status("app:s")


async def test_events_are_records_with_data(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """SU40: started, failed, restarting in n s, gave up; a crash is one error record."""
    caplog.set_level(logging.DEBUG)
    async with running(spec("s", Log().crasher(), max_attempts=2)) as services:
        await services.start(["app:s"])
        await trio.sleep(5)
    rows = [
        (r.event, r.child, r.reason, r.restarts, r.delay, r.levelname)  # type: ignore[attr-defined]
        for r in caplog.records
        if r.name == "supervision"
    ]
    assert rows == [
        ("started", "app:s", "", 0, 0.0, "DEBUG"),
        ("failed", "app:s", "boom", 0, 0.0, "ERROR"),
        ("restarting", "app:s", "boom", 1, 1.0, "WARNING"),
        ("started", "app:s", "", 1, 0.0, "DEBUG"),
        ("failed", "app:s", "boom", 1, 0.0, "ERROR"),
        ("gave up", "app:s", "boom", 1, 0.0, "ERROR"),
    ]
