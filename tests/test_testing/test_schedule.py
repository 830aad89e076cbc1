"""Schedules as tokens: what is written is what is read (TS14)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_actors.testing import Fault, MessageId, Schedule
from trio_actors.testing.schedule import plain_label, safe_label

labels = st.text(min_size=1, max_size=8).map(safe_label)
ids = st.builds(MessageId, labels, labels, st.integers(0, 99))
seconds = st.integers(0, 10**9).map(lambda thousandths: thousandths / 1000)  # as they are drawn
faults = st.one_of(
    st.sampled_from([Fault("kill"), Fault("crash"), Fault("drop"), Fault("on")]),
    st.builds(Fault, st.sampled_from(["delay", "slow", "jump"]), seconds),
)
schedules = st.builds(
    Schedule,
    st.dictionaries(ids, st.integers(1, 500), max_size=5),
    st.dictionaries(ids, faults, max_size=3),
)


@given(schedules)
def test_the_token_of_a_schedule_reads_as_that_schedule(schedule: Schedule) -> None:
    """TS14: `Schedule.parse(str(s)) == s`, whatever the processes are called."""
    assert Schedule.parse(str(schedule)) == schedule


@given(st.text(min_size=1))
def test_a_label_may_be_any_text(text: str) -> None:
    """Reserved characters are escaped and come back."""
    assert plain_label(safe_label(text)) == text


def test_the_documented_token() -> None:
    """The example of the reference."""
    schedule = Schedule.parse("w>registry.1+2;!echo<c0.1=kill")
    assert schedule.late == {MessageId("w", "registry", 1): 2}
    assert schedule.faults == {MessageId("c0", "echo", 1): Fault("kill")}
    assert str(Schedule.FIFO) == "FIFO"
    assert Schedule.parse("FIFO") == Schedule.FIFO == Schedule.parse("")


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        ("w>registry", "cannot read 'w>registry' in a schedule"),
        ("w>registry.1+x", "expected sender>receiver.number+lateness"),
        ("!echo<c0.1=explode", "unknown fault 'explode'"),
        ("a>b.1+1;nonsense", "cannot read 'nonsense'"),
    ],
)
def test_a_wrong_token_names_the_part_that_is_wrong(token: str, problem: str) -> None:
    """The message quotes the annotation and shows the form that is expected."""
    with pytest.raises(ValueError, match=re.escape(problem)):
        Schedule.parse(token)
