"""The service state machine, without Trio: states, budget, delays (Y1-Y12, Y31-Y39)."""

import random

import pytest

from supervision.backoff import Backoff
from supervision.service_machine import (
    NOTHING,
    TRANSITIONS,
    Hold,
    IllegalEvent,
    Next,
    ServiceEvent,
    ServiceMachine,
    ServiceState,
    hold,
)
from supervision.service_spec import ServiceSpec

S, E = ServiceState, ServiceEvent
RNG = random.Random(0)


def machine(max_attempts: int = 0, id: str = "app:s") -> ServiceMachine:
    backoff = Backoff(initial_delay=1, jitter=0, reset_after=5)
    return ServiceMachine(
        ServiceSpec(id, "app:p", "app:h", backoff=backoff, max_attempts=max_attempts)
    )


def run(m: ServiceMachine, *events: tuple[ServiceEvent, float]) -> list[Next]:
    return [m.handle(event, at, RNG) for event, at in events]


def test_every_state_answers_every_event_or_refuses_it() -> None:
    """Y31-Y39: an event that the table does not have changes nothing."""
    for state in S:
        for event in E:
            m = machine()
            m.state = state
            if (state, event) in TRANSITIONS:
                m.handle(event, 1.0, RNG)
            else:
                with pytest.raises(IllegalEvent, match=f"{event} in state {state}"):
                    m.handle(event, 1.0, RNG)
                assert m == machine(max_attempts=0) or m.state is state


def test_normal_end_is_exited_and_not_restarted() -> None:
    """Y32, Y33."""
    m = machine()
    assert run(m, (E.START, 0), (E.STARTED, 0), (E.ENDED, 1)) == [
        Next(start=True),
        NOTHING,
        NOTHING,
    ]
    assert m.state is S.EXITED


def test_max_attempts_is_the_number_of_runs() -> None:
    """Y1, Y38, SC29: three runs that fail at once, then it stays Failed."""
    m = machine(max_attempts=3)
    steps = run(
        m,
        (E.START, 0),
        (E.STARTED, 0),
        (E.FAILED, 0),
        (E.RETRY, 1),
        (E.STARTED, 1),
        (E.FAILED, 1),
        (E.RETRY, 3),
        (E.STARTED, 3),
        (E.FAILED, 3),
    )
    assert [step.delay for step in steps if step.delay is not None] == [1, 2]
    assert (m.runs, m.state, m.gave_up) == (3, S.FAILED, True)


def test_failed_starts_count_too() -> None:
    """Y1, Y35."""
    m = machine(max_attempts=2)
    run(m, (E.START, 0), (E.FAILED, 0), (E.RETRY, 1), (E.FAILED, 1))
    assert (m.runs, m.gave_up) == (2, True)


def test_stable_run_gives_the_full_budget_back() -> None:
    """Y11: it is not counted itself, is always retried, and with n = 1."""
    m = machine(max_attempts=2)
    run(m, (E.START, 0), (E.STARTED, 0), (E.FAILED, 0), (E.RETRY, 1), (E.STARTED, 1))
    assert m.handle(E.FAILED, 6.0, RNG) == Next(delay=1)
    assert m.count == 0
    later = run(m, (E.RETRY, 7), (E.STARTED, 7), (E.FAILED, 7))
    assert later[-1] == Next(delay=2)  # n = 2 since the stable run
    run(m, (E.RETRY, 9), (E.FAILED, 9))
    assert m.gave_up


def test_run_just_below_the_threshold_is_not_stable() -> None:
    """Y11: at least stable_threshold."""
    m = machine(max_attempts=1)
    run(m, (E.START, 0), (E.STARTED, 0))
    assert m.handle(E.FAILED, 4.999, RNG) == NOTHING


def test_stop_during_the_delay_ends_the_wait() -> None:
    """Y5."""
    m = machine()
    run(m, (E.START, 0), (E.FAILED, 0))
    assert m.handle(E.STOP, 0.5, RNG) == NOTHING
    assert (m.state, m.retry_due) == (S.STOPPED, False)


def test_failed_for_good_stays_failed_when_stopped() -> None:
    """Y38."""
    m = machine(max_attempts=1)
    run(m, (E.START, 0), (E.FAILED, 0), (E.STOP, 1))
    assert m.state is S.FAILED


@pytest.mark.parametrize("end", [E.ENDED, E.FAILED])
def test_any_end_in_time_after_a_stop_is_stopped(end: ServiceEvent) -> None:
    """Y36."""
    m = machine()
    run(m, (E.START, 0), (E.STARTED, 0), (E.STOP, 1), (end, 2))
    assert m.state is S.STOPPED


def test_stop_timeout_is_failed_for_good() -> None:
    """Y37."""
    m = machine()
    run(m, (E.START, 0), (E.STARTED, 0), (E.STOP, 1))
    assert m.handle(E.STOP_TIMEOUT, 11, RNG, "stop timeout") == NOTHING
    assert (m.state, m.reason, m.gave_up) == (S.FAILED, "stop timeout", True)


@pytest.mark.parametrize("state", [S.STARTING, S.RUNNING, S.FAILED, S.STOPPING])
def test_cancelled_host_means_stopped(state: ServiceState) -> None:
    """Y39."""
    m = machine()
    m.state = state
    m.handle(E.CANCELLED, 1, RNG)
    assert m.state is S.STOPPED


def test_started_again_on_request_begins_a_new_budget() -> None:
    """Y2: retries count since the service was started."""
    m = machine(max_attempts=1)
    run(m, (E.START, 0), (E.FAILED, 0), (E.START, 5))
    assert (m.state, m.count, m.retry) == (S.STARTING, 0, 0)


def test_dependents_wait_while_a_dependency_retries() -> None:
    """Y6, Y12."""
    db = machine(id="app:db")
    machines = {"app:db": db}
    run(db, (E.START, 0), (E.FAILED, 0))
    assert hold(("app:db",), machines, {}) == Hold("app:db", "is Failed", False)
    run(db, (E.RETRY, 1), (E.STARTED, 1))
    assert hold(("app:db",), machines, {}) is None


def test_failed_dependency_holds_back_and_says_why() -> None:
    """Y7: which requirement, and why; also over several steps."""
    db, web = machine(1, "app:db"), machine(id="app:web")
    machines = {"app:db": db, "app:web": web}
    db.handle(E.START, 0, RNG)
    db.handle(E.FAILED, 0, RNG, "no route to host")
    held = hold(("app:db",), machines, {})
    assert held is not None
    assert str(held) == "requires app:db, which failed: no route to host"
    further = hold(("app:web",), machines, {"app:web": held})
    assert str(further) == (
        "requires app:web, which is held back (requires app:db, which failed: no route to host)"
    )
    assert hold(("app:gone",), machines, {}) == Hold("app:gone", "is not there", True)


def test_service_that_did_its_work_serves_its_dependents() -> None:
    """Y6: a one-shot service that returned a value does not hold anybody back, an error does."""
    once, refused = machine(id="app:once"), machine(id="app:refused")
    machines = {"app:once": once, "app:refused": refused}
    for m, clean in ((once, True), (refused, False)):
        run(m, (E.START, 0), (E.STARTED, 0))
        m.handle(E.ENDED, 1, RNG, "" if clean else "bad dsn", clean=clean)
    assert hold(("app:once",), machines, {}) is None
    assert hold(("app:refused",), machines, {}) == Hold("app:refused", "ended: bad dsn", True)
