"""Retry and circuit breaker as decisions. Rules: RT1-RT3, CB1-CB4, section 7.1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_actors._core.errors import ErrorKind
from trio_actors.fields import FieldError
from trio_actors.functions.breaker import (
    Breaker,
    BreakerOptions,
    BreakerState,
    Outcome,
    Ticket,
    parse_breaker,
)
from trio_actors.functions.retry import (
    HOPELESS,
    RetryOptions,
    parse_retry,
    pause,
    should_retry,
)

THREE = RetryOptions(max_attempts=3)


@pytest.mark.parametrize(
    ("options", "kind", "retryable", "expected"),
    [
        (THREE, ErrorKind.INTERNAL, None, True),
        (THREE, ErrorKind.INTERNAL, False, False),
        (THREE, ErrorKind.INVALID, True, True),
        *[(THREE, kind, None, False) for kind in sorted(HOPELESS)],
        (THREE, ErrorKind.TIMEOUT, None, True),
        (RetryOptions(3, skip_kinds=frozenset({"Timeout"})), ErrorKind.TIMEOUT, None, False),
        (RetryOptions(3, skip_kinds=frozenset({"Timeout"})), ErrorKind.TIMEOUT, True, True),
        # A list given replaces the built-in one.
        (RetryOptions(3, skip_kinds=frozenset({"Timeout"})), ErrorKind.INVALID, None, True),
        (RetryOptions(3, retry_kinds=frozenset({"Invalid"})), ErrorKind.INVALID, None, True),
        (RetryOptions(3, retry_kinds=frozenset({"Invalid"})), ErrorKind.INTERNAL, None, False),
        (RetryOptions(3, retry_kinds=frozenset({"Invalid"})), ErrorKind.INVALID, False, False),
        (
            RetryOptions(3, retry_kinds=frozenset({"Invalid"}), skip_kinds=frozenset({"Invalid"})),
            ErrorKind.INVALID,
            None,
            False,
        ),
        (RetryOptions(), ErrorKind.INTERNAL, True, False),
        (RetryOptions(1), ErrorKind.INTERNAL, True, False),
    ],
)
def test_the_first_matching_line_decides(
    options: RetryOptions, kind: ErrorKind, retryable: bool | None, expected: bool
) -> None:
    """RT1, line by line."""
    assert should_retry(options, 1, kind, retryable) is expected


def test_the_last_attempt_and_an_ended_call_are_final() -> None:
    """RT1: max_attempts counts the first attempt too."""
    assert should_retry(THREE, 2, ErrorKind.INTERNAL, None)
    assert not should_retry(THREE, 3, ErrorKind.INTERNAL, True)
    assert not should_retry(THREE, 1, ErrorKind.INTERNAL, True, ended=True)


def test_pauses_grow_to_the_cap_and_jitter_comes_after_it() -> None:
    """RT3: 100, 200, 400 ms; 10 s at most, and the jitter on top."""
    assert [pause(THREE, n) for n in (1, 2, 3)] == [0.1, 0.2, 0.4]
    assert pause(THREE, 50) == 10.0
    assert pause(THREE, 5000) == 10.0
    assert pause(THREE, 50, draw=1.0) == pytest.approx(11.0)
    assert pause(THREE, 50, draw=-1.0) == pytest.approx(9.0)


def test_options_have_the_defaults_of_the_table() -> None:
    """7.1: values of 0 or below mean the default; an empty Lua table is an empty mapping."""
    assert parse_retry({}) == RetryOptions(0, 0.1, 2.0, 10.0, 0.1, None, None) == parse_retry([])
    assert parse_retry(
        {"max_attempts": 3, "initial_delay": 0, "backoff_factor": -1, "max_delay": "0"}
    ) == RetryOptions(3)
    assert parse_retry(
        {"initial_delay": 250, "max_delay": "1m", "jitter": 0, "retry_kinds": "TIMEOUT"}
    ) == RetryOptions(0, 0.25, 2.0, 60.0, 0.0, frozenset({"Timeout"}), None)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"max_attempts": "3"}, "retry.max_attempts"),
        ({"attempts": 3}, "retry.attempts"),
        ({"initial_delay": "soon"}, "retry.initial_delay"),
        ({"jitter": 1.5}, "retry.jitter"),
        ({"backoff_factor": True}, "retry.backoff_factor"),
        ({"skip_kinds": ["Nope"]}, "retry.skip_kinds"),
        ({"retry_kinds": 3}, "retry.retry_kinds"),
        (3, "retry"),
    ],
)
def test_a_malformed_option_names_its_field(value: object, path: str) -> None:
    """IC7."""
    with pytest.raises(FieldError) as caught:
        parse_retry(value)
    assert caught.value.path == path


OPTIONS = BreakerOptions(failure_threshold=3, reset_timeout=10.0)


def settle(breaker: Breaker, outcome: Outcome, now: float = 0.0) -> None:
    ticket = breaker.admit(OPTIONS, now)
    assert isinstance(ticket, Ticket)
    breaker.settle(ticket, outcome, OPTIONS, now)


def test_consecutive_failures_open_it() -> None:
    """CB2: a success resets the count, a neutral end does nothing."""
    breaker = Breaker()
    for outcome in (Outcome.FAILURE, Outcome.FAILURE, Outcome.SUCCESS, Outcome.FAILURE):
        settle(breaker, outcome)
    settle(breaker, Outcome.NEUTRAL)
    settle(breaker, Outcome.FAILURE)
    assert breaker.state is BreakerState.CLOSED
    settle(breaker, Outcome.FAILURE)
    assert breaker.state is BreakerState.OPEN


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(3):
        settle(breaker, Outcome.FAILURE, now)
    return breaker


def test_open_refuses_with_the_time_left() -> None:
    """CB3."""
    breaker = opened(5.0)
    assert breaker.admit(OPTIONS, 8.0) == 7.0
    assert isinstance(breaker.admit(OPTIONS, 15.0), Ticket)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Outcome.SUCCESS, BreakerState.CLOSED),
        (Outcome.FAILURE, BreakerState.OPEN),
        (Outcome.NEUTRAL, BreakerState.HALF_OPEN),
    ],
)
def test_the_trial_call_decides(outcome: Outcome, state: BreakerState) -> None:
    """CB4: one place while half-open, which a cancelled call gives back."""
    breaker = opened()
    ticket = breaker.admit(OPTIONS, 10.0)
    assert isinstance(ticket, Ticket)
    assert breaker.admit(OPTIONS, 10.0) == 0.0
    breaker.settle(ticket, outcome, OPTIONS, 11.0)
    assert breaker.state is state
    assert isinstance(breaker.admit(OPTIONS, 21.0), Ticket)


def test_a_call_from_before_says_nothing_about_now() -> None:
    """The end of a call that began in an earlier era is not counted."""
    breaker = Breaker()
    old = breaker.admit(OPTIONS, 0.0)
    assert isinstance(old, Ticket)
    for _ in range(3):
        settle(breaker, Outcome.FAILURE)
    breaker.settle(old, Outcome.SUCCESS, OPTIONS, 1.0)
    assert breaker.state is BreakerState.OPEN


def test_breaker_options() -> None:
    """CB1: defaults, and fields that are wrong."""
    assert parse_breaker(True) == parse_breaker({}) == BreakerOptions(5, 30.0, 1)
    assert BreakerOptions().skip_kinds == {kind.value for kind in HOPELESS}
    with pytest.raises(FieldError, match=r"circuit_breaker\.failure_threshold"):
        parse_breaker({"failure_threshold": 0})
    with pytest.raises(FieldError, match=r"circuit_breaker\.threshold"):
        parse_breaker({"threshold": 1})


ACTS = [*4 * ["admit"], *3 * [Outcome.FAILURE], Outcome.SUCCESS, Outcome.NEUTRAL, "wait", "wait"]


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.lists(
        st.tuples(st.sampled_from(ACTS), st.integers(0, 9)),
        min_size=20,
        max_size=80,
    ),
)
def test_a_breaker_is_what_its_history_says(
    threshold: int, places: int, program: list[tuple[str, int]]
) -> None:
    """CB2-CB4: calls that overlap, end in any order and are cancelled; told from the log alone."""
    options = BreakerOptions(threshold, 10.0, places)
    breaker, now = Breaker(), 0.0
    # (ticket, state in which it was given, number of changes of state by then)
    running: list[tuple[Ticket, BreakerState, int]] = []
    state, changes, streak, since = BreakerState.CLOSED, 0, 0, 0.0
    for what, number in program:
        if what == "wait":
            now += 8 + number
        elif what == "admit":
            if state is BreakerState.OPEN and now - since >= 10:
                state, changes = BreakerState.HALF_OPEN, changes + 1
            on_trial = [one for one in running if one[2] == changes]
            ticket = breaker.admit(options, now)
            if state is BreakerState.OPEN:
                assert ticket == since + 10 - now
            elif state is BreakerState.HALF_OPEN and len(on_trial) >= places:
                assert ticket == 0.0
            else:
                assert isinstance(ticket, Ticket)
                running.append((ticket, state, changes))
        elif running:
            ticket, then, era = running.pop(number % len(running))
            breaker.settle(ticket, Outcome(what), options, now)
            if era == changes and what != Outcome.NEUTRAL:
                streak = streak + 1 if what == Outcome.FAILURE else 0
                closed = then is BreakerState.CLOSED
                if streak >= (threshold if closed else 1):
                    state, changes, streak, since = BreakerState.OPEN, changes + 1, 0, now
                elif not closed:
                    state, changes = BreakerState.CLOSED, changes + 1
        assert breaker.state is state
