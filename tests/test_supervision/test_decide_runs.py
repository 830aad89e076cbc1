"""``decide``: how long a run was, ends noticed late, waits nobody waits for (SU14, SU15)."""

from decided import ABNORMAL, NORMAL, SHUTDOWN, Case, spec

from supervision.backoff import Backoff
from supervision.state import (
    Again,
    Ended,
    Halt,
    Launch,
    RestartChild,
    StartChild,
    Started,
    StartFailed,
    TerminateChild,
    Wake,
)
from supervision.terms import Strategy

BACKOFF = Backoff(initial_delay=1, jitter=0, reset_after=5)


def failed_three_times() -> Case:
    """A child that runs again; its next delay is 8 s."""
    case = Case(spec("a", backoff=BACKOFF), spec("b")).boot()
    for _ in range(3):
        (wake,) = case(Ended(1, ABNORMAL))
        case.now = wake.at
        case(Again(1))
        case(Started(1, "{h|9}"))
    return case


def delay_of_the_next_failure(case: Case) -> float:
    (wake,) = case(Ended(1, ABNORMAL))
    assert isinstance(wake, Wake)
    return wake.at - case.now


def test_a_long_run_that_was_stopped_resets_the_delays_too() -> None:
    """SU15: a run of at least reset_after, whatever ended it."""
    for ran, expected in ((4.5, 8.0), (5.0, 1.0)):
        case = failed_three_times()
        case.now += ran
        case(TerminateChild("x", "a"))
        case(Ended(1, SHUTDOWN))
        case(RestartChild("y", "a"))
        case(Started(1, "{h|10}"))
        assert delay_of_the_next_failure(case) == expected


def test_a_long_start_is_no_long_run() -> None:
    """SU15: a child that is stopped before it was ready has not run."""
    case = failed_three_times()
    (wake,) = case(Ended(1, ABNORMAL))
    case.now = wake.at
    case(Again(1))
    case.now += 60
    case(StartFailed(1, "start timeout"))
    case.now += 60
    case(Again(1))
    case(Started(1, "{h|10}"))
    assert delay_of_the_next_failure(case) == 32.0


def test_a_run_lasts_until_its_end_not_until_the_end_is_handled() -> None:
    """SU14, SU15: the supervisor was busy with a slow start meanwhile."""
    case = failed_three_times()
    case(StartChild("x", spec("c", ready=True)))
    case.now += 1
    assert case(Ended(1, ABNORMAL)) == []
    case.now += 9
    plan = case(Started(3, "{h|11}"))
    (wake,) = [action for action in plan if isinstance(action, Wake)]
    assert wake.at - case.now == 8.0


def test_an_end_that_a_group_restart_has_dealt_with_is_used_up() -> None:
    """SU10, SU14: the end of the next run is judged by itself, not by the one before."""
    case = Case(
        spec("a", "transient"), spec("b"), spec("c"), strategy=Strategy.ONE_FOR_ALL, intensity=1
    ).boot()
    case(StartChild("x", spec("d", ready=True)))
    assert case(Ended(2, ABNORMAL)) == []
    assert case(Ended(1, ABNORMAL)) == []
    case(Started(4, "{h|4}"))
    case(Ended(4, SHUTDOWN))
    assert case(Ended(3, SHUTDOWN)) == [Launch(1)]
    assert case(Started(1, "{h|5}")) == [Launch(2)]
    assert case(Ended(1, NORMAL)) == []  # a transient child, done with its work
    assert case(Started(2, "{h|6}")) == [Launch(3)]
    assert case(Started(3, "{h|7}")) == [Launch(4)]
    assert case(Started(4, "{h|8}")) == []
    assert case.shown() == {"a": "stopped", "b": "running", "c": "running", "d": "running"}


def test_a_wait_that_nobody_waits_for_is_over() -> None:
    """SU15, SU22: terminated while the group waited, started by hand: its next delay is its own."""
    slow = Backoff(initial_delay=60, jitter=0)
    case = Case(spec("a", backoff=slow), spec("b"), strategy=Strategy.ONE_FOR_ALL).boot()
    assert case(Ended(1, ABNORMAL)) == [Halt(2)]
    assert case(Ended(2, SHUTDOWN)) == [Wake(60.0, None)]
    case(TerminateChild("w", "a"))
    case(TerminateChild("x", "b"))
    for key, id in ((1, "a"), (2, "b")):
        assert case(RestartChild("y", id)) == [Launch(key)]
        case(Started(key, f"{{h|{key + 2}}}"))
    case.now = 1.0
    assert case(Ended(2, ABNORMAL)) == [Halt(1)]  # b has no delay
    assert case(Ended(1, SHUTDOWN)) == [Launch(1)]
