"""``decide`` by its rules: single cases that a reader can follow (SU3-SU25, SU30).

The generated histories are in property_tests/test_supervisor_decisions.py.
"""

from typing import Any

import pytest
from decided import ABNORMAL, NORMAL, SHUTDOWN, SIMPLE, Case, spec

from supervision.backoff import Backoff
from supervision.specs import SupervisorSpec
from supervision.state import (
    Again,
    Boot,
    DeleteChild,
    End,
    Ended,
    Halt,
    Launch,
    Lost,
    Ready,
    Refuse,
    Reply,
    Report,
    ReportKind,
    RestartChild,
    StartChild,
    Started,
    StartFailed,
    Stop,
    TerminateChild,
    Update,
    Wake,
)
from supervision.terms import AutoShutdown, Strategy


def test_children_start_one_after_another_in_list_order() -> None:
    """SU3."""
    case = Case(spec("a"), spec("b"))
    assert case(Boot()) == [Launch(1)]
    assert case(Started(1, "{h|1}")) == [Launch(2)]
    assert case(Started(2, "{h|2}")) == [Ready()]


def test_failed_start_stops_the_started_ones_and_fails_the_supervisor() -> None:
    """SU4: reverse order, the error names the child and carries its error."""
    case = Case(spec("a"), spec("b"), spec("c"))
    case(Boot())
    case(Started(1, "{h|1}"))
    case(Started(2, "{h|2}"))
    assert case(StartFailed(3, "boom")) == [Halt(2)]
    assert case(Ended(2, SHUTDOWN)) == [Halt(1)]
    assert case(Ended(1, SHUTDOWN)) == [End("child 'c' failed to start", "boom", "c")]


def test_child_that_ends_before_it_is_ready_is_a_failed_start() -> None:
    """SU3."""
    case = Case(spec("a", ready=True))
    case(Boot())
    assert case(Ended(1, NORMAL, "early")) == [End("child 'a' failed to start", "early", "a")]


def test_children_stop_in_reverse_order_whatever_dies_meanwhile() -> None:
    """SU5, SU6."""
    case = Case(spec("a"), spec("b"), spec("c")).boot()
    assert case(Stop()) == [Halt(3)]
    assert case(Ended(1, ABNORMAL)) == []
    assert case(Ended(3, SHUTDOWN)) == [Halt(2)]
    assert case(Ended(2, SHUTDOWN)) == [End("asked to stop")]


def test_dynamic_children_stop_all_at_once() -> None:
    """SU5."""
    case = Case(spec("t"), strategy=SIMPLE).boot()
    for key in (1, 2, 3):
        case(StartChild(key, None))
        case(Started(key, f"{{h|{key}}}"))
    assert case(Stop()) == [Halt(3), Halt(2), Halt(1)]
    case(Ended(2, SHUTDOWN))
    case(Ended(3, SHUTDOWN))
    assert case(Ended(1, SHUTDOWN)) == [End("asked to stop")]


@pytest.mark.parametrize(
    ("strategy", "stopped", "started"),
    [("one_for_one", [], [2]), ("one_for_all", [3, 1], [1, 2, 3]), ("rest_for_one", [3], [2, 3])],
)
def test_strategies(strategy: str, stopped: list[int], started: list[int]) -> None:
    """SU11: who is stopped, in which order, and who is started, in which order."""
    case = Case(spec("a"), spec("b"), spec("c"), strategy=Strategy(strategy)).boot()
    plan = case(Ended(2, ABNORMAL))
    halted, launched = [], []
    while plan:
        (action,) = plan
        if isinstance(action, Halt):
            halted.append(action.key)
            plan = case(Ended(action.key, SHUTDOWN))
        else:
            launched.append(action.key)
            plan = case(Started(action.key, "{h|9}"))
    assert (halted, launched) == (stopped, started)


def test_group_restart_drops_temporary_and_revives_ended_transient_siblings() -> None:
    """SU11."""
    case = Case(
        spec("a", "temporary"), spec("b", "transient"), spec("c"), strategy=Strategy.ONE_FOR_ALL
    ).boot()
    case(Ended(2, NORMAL))
    assert case.shown() == {"a": "running", "b": "stopped", "c": "running"}
    case(Ended(3, ABNORMAL))
    assert case(Ended(1, SHUTDOWN)) == [Launch(2)]
    case(Started(2, "{h|8}"))
    case(Started(3, "{h|9}"))
    assert case.shown() == {"b": "running", "c": "running"}


def test_group_restart_is_undone_and_tried_again_when_a_child_does_not_start() -> None:
    """SU12: each try counts."""
    case = Case(spec("a"), spec("b"), strategy=Strategy.ONE_FOR_ALL, intensity=2).boot()
    assert case(Ended(2, ABNORMAL)) == [Halt(1)]
    assert case(Ended(1, SHUTDOWN)) == [Launch(1)]
    assert case(Started(1, "{h|3}")) == [Launch(2)]
    assert case(StartFailed(2, "no")) == [Halt(1)]
    assert case(Ended(1, SHUTDOWN)) == [Launch(1)]
    case(Started(1, "{h|4}"))
    assert case(StartFailed(2, "no")) == [Halt(1)]  # the third is one too many
    (end,) = case(Ended(1, SHUTDOWN))
    assert end.reason.startswith("reached maximum restart intensity")


def test_too_many_restarts_stop_everything() -> None:
    """SU13."""
    case = Case(spec("a"), spec("b"), intensity=1).boot()
    assert case(Ended(2, ABNORMAL)) == [Launch(2)]
    case(Started(2, "{h|3}"))
    case.now = 5.0
    assert case(Ended(2, ABNORMAL)) == [Halt(1)]
    assert isinstance(case(Ended(1, SHUTDOWN))[0], End)
    assert case.reports[-2].kind is ReportKind.GAVE_UP


def test_during_backoff_everything_else_goes_on() -> None:
    """SU14, SU15: the child is listed as restarting, others restart, a stop is prompt."""
    slow = Backoff(initial_delay=10, jitter=0)
    case = Case(spec("a", backoff=slow), spec("b")).boot()
    assert case(Ended(1, ABNORMAL)) == [Wake(10.0, 1)]
    assert case.shown() == {"a": "restarting", "b": "running"}
    assert case(Ended(2, ABNORMAL)) == [Launch(2)]
    case(Started(2, "{h|3}"))
    assert case(Again(1)) == []  # too early
    assert case(Stop()) == [Halt(2)]


def test_delays_grow_and_a_long_run_resets_them() -> None:
    """SU15."""
    backoff = Backoff(initial_delay=1, jitter=0, reset_after=5)
    case = Case(spec("a", backoff=backoff)).boot()
    delays = []
    for ran in (0, 0, 0, 5, 0):
        case.now += ran
        (wake,) = case(Ended(1, ABNORMAL))
        delays.append(wake.at - case.now)
        case.now = wake.at
        assert case(Again(1)) == [Launch(1)]
        case(Started(1, "{h|2}"))
    assert delays == [1, 2, 4, 1, 2]


def test_group_waits_for_the_delay_after_its_members_are_stopped() -> None:
    """SU11, SU15."""
    backoff = Backoff(initial_delay=2, jitter=0)
    case = Case(spec("a", backoff=backoff), spec("b"), strategy=Strategy.ONE_FOR_ALL).boot()
    assert case(Ended(1, ABNORMAL)) == [Halt(2)]
    assert case(Ended(2, SHUTDOWN)) == [Wake(2.0, None)]
    assert case.shown() == {"a": "restarting", "b": "restarting"}
    case.now = 2.0
    assert case(Again(None)) == [Launch(1)]


def test_what_happens_while_busy_is_handled_in_order_of_arrival() -> None:
    """SU14: a crash and a request during a slow start."""
    case = Case(spec("a"), spec("b")).boot()
    case(StartChild("x", spec("c", ready=True)))
    assert case(Ended(1, ABNORMAL)) == []
    assert case(TerminateChild("y", "b")) == []
    assert case(Started(3, "{h|3}")) == [Reply("x", "{h|3}"), Halt(2)]
    assert case(Ended(2, SHUTDOWN)) == [Reply("y"), Launch(1)]


def test_start_child_answers() -> None:
    """SU21."""
    case = Case(spec("a"), spec("b", "transient")).boot()
    (refused,) = case(StartChild("x", spec("a")))
    assert refused.error.kind.name == "ALREADY_EXISTS"
    assert refused.error.details == {"pid": "{h|1}"}
    case(Ended(2, NORMAL))
    (refused,) = case(StartChild("x", spec("b")))
    assert "already present" in refused.error.message
    assert case(StartChild("x", spec("c"))) == [Launch(3)]
    assert case(StartFailed(3, "boom")) == [Refuse("x", "boom")]
    assert "c" not in case.shown()


def test_terminate_restart_delete() -> None:
    """SU22."""
    case = Case(spec("a"), spec("b", "temporary")).boot()
    for request in (RestartChild, DeleteChild):
        (refused,) = case(request("x", "a"))
        assert (refused.error.kind.name, refused.error.message) == (
            "CONFLICT",
            "child 'a' is running",
        )
        (refused,) = case(request("x", "nobody"))
        assert refused.error.kind.name == "NOT_FOUND"
    assert case(TerminateChild("x", "a")) == [Halt(1)]
    assert case(Ended(1, SHUTDOWN)) == [Reply("x")]
    assert case(TerminateChild("x", "a")) == [Reply("x")]  # idempotent
    case(TerminateChild("x", "b"))
    case(Ended(2, SHUTDOWN))
    assert case.shown() == {"a": "stopped"}
    assert case(RestartChild("x", "a")) == [Launch(1)]
    assert case(Started(1, "{h|3}")) == [Reply("x", "{h|3}")]
    case(TerminateChild("x", "a"))
    case(Ended(1, SHUTDOWN))
    assert case(DeleteChild("x", "a")) == [Reply("x")]
    assert case.shown() == {}


def test_restarting_child_cannot_be_restarted_but_terminated() -> None:
    """SU22."""
    case = Case(spec("a", backoff=Backoff(jitter=0))).boot()
    case(Ended(1, ABNORMAL))
    (refused,) = case(RestartChild("x", "a"))
    assert refused.error.message == "child 'a' is restarting"
    assert case(TerminateChild("x", "a")) == [Reply("x")]
    case.now = 10.0
    assert case(Again(1)) == []
    assert case.shown() == {"a": "stopped"}


def test_dynamic_children_are_addressed_by_pid() -> None:
    """SU23."""
    case = Case(spec("t", "temporary"), strategy=SIMPLE, max_children=2).boot()
    for key in (1, 2):
        assert case(StartChild(key, None, (key,))) == [Launch(key)]
        assert case.state.children[key].args == (key,)
        case(Started(key, f"{{h|{key}}}"))
        assert case.state.children[key].args == ()  # not kept for temporary children
    (refused,) = case(StartChild(3, None))
    assert refused.error.message == "too many children (max_children=2)"
    for request, id, kind in (
        (TerminateChild, "t", "INVALID"),
        (TerminateChild, "{h|77}", "NOT_FOUND"),
        (RestartChild, "{h|1}", "INVALID"),
        (DeleteChild, "{h|1}", "INVALID"),
    ):
        (refused,) = case(request("x", id))
        assert refused.error.kind.name == kind
    assert case(TerminateChild("x", "{h|1}")) == [Halt(1)]
    assert case(Ended(1, SHUTDOWN)) == [Reply("x")]
    assert list(case.state.children) == [2]


def test_restarted_dynamic_child_keeps_its_arguments_and_is_found_by_its_new_pid() -> None:
    """SU23."""
    case = Case(spec("t"), strategy=SIMPLE).boot()
    case(StartChild("x", None, ("arg",)))
    case(Started(1, "{h|1}"))
    assert case(Ended(1, ABNORMAL)) == [Launch(1)]
    case(Started(1, "{h|2}"))
    assert case.state.children[1].args == ("arg",)
    assert case.state.by_pid == {"{h|2}": 1}


def test_update() -> None:
    """SU25: flags at once, specs at the next restart, new ones listed, removed ones run on."""
    case = Case(spec("a"), spec("b")).boot()
    changed = spec("b", "transient")
    new = SupervisorSpec(intensity=0, children=(spec("c"), changed))
    assert case(Update("x", new)) == [Reply("x")]
    assert case.shown() == {"c": "stopped", "b": "running", "a": "running"}
    assert case(Ended(1, ABNORMAL)) == []  # removed: it is not restarted
    assert case.shown() == {"c": "stopped", "b": "running"}
    assert case(Ended(2, NORMAL)) == []  # transient now
    case(RestartChild("x", "b"))
    case(Started(2, "{h|3}"))
    (end,) = case(Ended(2, ABNORMAL))  # intensity 0 now
    assert isinstance(end, End)


def test_update_of_a_template_leaves_temporary_children_temporary() -> None:
    """SU23, SU25: their arguments are not kept, so they cannot be started again."""
    case = Case(spec("t", "temporary"), strategy=SIMPLE).boot()
    case(StartChild("x", None, ("arg",)))
    case(Started(1, "{h|1}"))
    new = SupervisorSpec(strategy=SIMPLE, intensity=5, children=(spec("t"),))
    assert case(Update("x", new)) == [Reply("x")]
    assert case(Ended(1, ABNORMAL)) == []
    assert case.shown() == {}
    case(StartChild("x", None, ("other",)))
    case(Started(2, "{h|2}"))
    assert case(Ended(2, ABNORMAL)) == [Launch(2)]  # permanent, as the template is now


def test_update_cannot_change_to_simple_one_for_one() -> None:
    """SU25: an invalid update changes nothing."""
    case = Case(spec("a")).boot()
    (refused,) = case(Update("x", SupervisorSpec(strategy=SIMPLE, children=(spec("t"),))))
    assert refused.error.kind.name == "INVALID"
    assert case.shown() == {"a": "running"}


def significant(auto: AutoShutdown) -> Case:
    return Case(
        spec("a", "transient", significant=True),
        spec("b", "temporary", significant=True),
        spec("c"),
        auto_shutdown=auto,
    ).boot()


def test_any_significant_child_ends_the_supervisor() -> None:
    """SU30."""
    case = significant(AutoShutdown.ANY_SIGNIFICANT)
    assert case(Ended(1, NORMAL)) == [Halt(3)]


def test_all_significant_children_end_the_supervisor() -> None:
    """SU30: a restarted one does not count."""
    case = significant(AutoShutdown.ALL_SIGNIFICANT)
    assert case(Ended(1, ABNORMAL)) == [Launch(1)]
    case(Started(1, "{h|9}"))
    assert case(Ended(2, ABNORMAL)) == []
    assert case(Ended(1, NORMAL)) == [Halt(3)]


def test_terminated_child_does_not_trigger_auto_shutdown() -> None:
    """SU22, SU30."""
    case = significant(AutoShutdown.ANY_SIGNIFICANT)
    case(TerminateChild("x", "a"))
    assert case(Ended(1, SHUTDOWN)) == [Reply("x")]


def test_zombie_does_not_hold_up_its_siblings() -> None:
    """SU8: it is reported, and the stop goes on."""
    case = Case(spec("a"), spec("b")).boot()
    case(Stop())
    assert case(Lost(2)) == [Halt(1)]
    assert case.reports[-1].kind is ReportKind.ZOMBIE


def test_stopping_supervisor_refuses_requests() -> None:
    """SU14: also those that were waiting."""
    case = Case(spec("a")).boot()
    case(StartChild("x", spec("b", ready=True)))
    case(TerminateChild("y", "a"))
    plan = case(Stop())
    assert [a.token for a in plan if isinstance(a, Refuse)] == ["x", "y"]
    assert plan[-1] == Halt(2)
    (refused,) = case(DeleteChild("z", "a"))
    assert refused.error.kind.name == "UNAVAILABLE"


@pytest.mark.parametrize("outcome", [StartFailed(2, "no"), Ended(2, ABNORMAL), Started(2, "{h|9}")])
def test_start_in_progress_when_the_stop_begins(outcome: Any) -> None:
    """SU6, SU14: its outcome may come before its turn to be stopped, and does not matter."""
    case = Case(spec("a"), spec("b"), spec("c")).boot()
    case(Ended(2, ABNORMAL))  # b is being started again
    assert case(Stop()) == [Halt(3)]
    assert case(outcome) == []
    plan = case(Ended(3, SHUTDOWN))
    if isinstance(outcome, Started):
        assert plan == [Halt(2)]
        plan = case(Ended(2, SHUTDOWN))
    assert plan == [Halt(1)]
    assert case(Ended(1, SHUTDOWN)) == [End("asked to stop")]


def test_reports_are_data() -> None:
    """SU40: child, pid, reason, restart count, delay."""
    case = Case(spec("a", backoff=Backoff(jitter=0))).boot()
    case(Ended(1, ABNORMAL, "boom"))
    assert case.reports == [
        Report(ReportKind.STARTED, 1, "a", "{h|1}"),
        Report(ReportKind.FAILED, 1, "a", "{h|1}", "boom"),
        Report(ReportKind.RESTARTING, 1, "a", "{h|1}", "boom", restarts=1, delay=1.0),
    ]
