"""Specifications: complete validation, defaults, both languages alike (SU1, SU2, Y20-Y30)."""

import math

import pytest

from supervision.backoff import Backoff
from supervision.fields import MILLISECONDS, Problem, SpecInvalid
from supervision.service_spec import ServiceSpec, read_service
from supervision.specs import (
    ChildSpec,
    Limit,
    SupervisorDefinition,
    SupervisorSpec,
    child,
    read_child,
    read_supervisor,
)
from supervision.terms import AutoShutdown, ChildType, RestartType, Strategy


async def worker(ctx: object) -> None:
    """A child that does nothing."""


def test_child_defaults_by_value() -> None:
    """SU1: the table of defaults, field by field."""
    assert read_child({"id": "a", "process": "app:a"}) == ChildSpec(
        id="a",
        target="app:a",
        args=(),
        host=None,
        restart=RestartType.PERMANENT,
        shutdown=5.0,
        start_timeout=10.0,
        type=ChildType.WORKER,
        significant=False,
        ready=False,
        backoff=None,
    )


def test_supervisor_defaults_by_value() -> None:
    """SU1."""
    assert read_supervisor({}) == SupervisorSpec(
        strategy=Strategy.ONE_FOR_ONE,
        intensity=1,
        period=5.0,
        auto_shutdown=AutoShutdown.NEVER,
        backoff=None,
        max_children=0,
        children=(),
    )


def test_nested_supervisor_gets_the_defaults_of_its_type() -> None:
    """SU1: supervisors stop without limit, and are started when their children are."""
    spec = read_child({"id": "sub", "supervisor": {"children": []}})
    assert (spec.type, spec.shutdown, spec.ready) == (
        ChildType.SUPERVISOR,
        Limit.INFINITY,
        True,
    )
    assert spec.target == SupervisorSpec()


def test_child_inherits_the_backoff_of_its_supervisor() -> None:
    """SU15: the child's own comes first."""
    spec = read_supervisor(
        {
            "backoff": {"initial_delay": "2s"},
            "children": [
                {"id": "a", "process": "x:a"},
                {"id": "b", "process": "x:b", "backoff": {"jitter": 0}},
                {"id": "c", "process": "x:c", "backoff": None},
            ],
        }
    )
    backoffs = [c.backoff for c in spec.children]
    assert backoffs == [Backoff(initial_delay=2.0), Backoff(jitter=0), None]


def test_python_and_yaml_give_the_same_spec() -> None:
    """SU2."""
    python = SupervisorDefinition(
        {
            "strategy": "rest_for_one",
            "intensity": 3,
            "children": [child("db", "app:db", "dsn", restart="transient", shutdown=0.5)],
        }
    )
    yaml = {
        "strategy": "rest_for_one",
        "intensity": 3,
        "children": [
            {
                "id": "db",
                "process": "app:db",
                "args": ["dsn"],
                "restart": "transient",
                "shutdown": 500,
            }
        ],
    }
    assert read_supervisor(python) == read_supervisor(yaml, number_unit=MILLISECONDS)


def test_every_wrong_field_is_reported_at_once() -> None:
    """SU1: path, what was expected, what was found, for the whole tree."""
    with pytest.raises(SpecInvalid) as raised:
        read_supervisor(
            {
                "strategy": "one_for_al",
                "intensity": -1,
                "perod": "5s",
                "children": [
                    {"id": "a", "process": "app:a", "restart": "sometimes", "shutdown": "soon"},
                    {"id": "a", "process": "app:a"},
                    {"id": "", "process": "nocolon", "args": "text"},
                    {"id": "c"},
                    {"id": "d", "process": "x:d", "supervisor": {}},
                    {"id": "e", "supervisor": {"period": 0, "children": [7]}},
                    "f",
                ],
            }
        )
    found = {str(problem) for problem in raised.value.problems}
    fields = "strategy, intensity, period, auto_shutdown, backoff, max_children or children"
    strategies = "one_for_one, one_for_all, rest_for_one or simple_one_for_one"
    duration = "a duration such as '5s', or a number of seconds, from 0"
    assert found == {
        f"perod: expected one of the fields {fields}, found 'perod' (did you mean 'period'?)",
        f"strategy: expected {strategies}, found 'one_for_al' (did you mean 'one_for_all'?)",
        "intensity: expected a whole number from 0, found -1",
        "children[0].restart: expected permanent, transient or temporary, found 'sometimes'",
        f"children[0].shutdown: expected {duration}, or brutal_kill or infinity, found 'soon'",
        "children[1].id: expected an id that is unique in the supervisor "
        "(children[0] has it too), found 'a'",
        "children[2].id: expected a text that is not empty, found ''",
        "children[2].process: expected a process id, namespace:name, found 'nocolon'",
        "children[2].args: expected a list, found 'text'",
        "children[3]: expected exactly one of process, target or supervisor, found none of them",
        "children[4]: expected exactly one of process, target or supervisor, "
        "found process or supervisor",
        "children[5].supervisor.period: expected a duration above 0, found 0",
        "children[5].supervisor.children[0]: expected a child: child(...) or a mapping, found 7",
        "children[6]: expected a child: child(...) or a mapping, found 'f'",
    }
    assert Problem(("intensity",), "a whole number from 0", "-1") in raised.value.problems


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"auto_shutdown": "never"}, "false while auto_shutdown is never"),
        ({"restart": "permanent"}, "false for a permanent child"),
    ],
)
def test_significant_where_it_is_not_allowed(fields: dict[str, str], problem: str) -> None:
    """SU1: not for permanent children, nor with auto_shutdown never."""
    restart = fields.get("restart", "transient")
    auto = fields.get("auto_shutdown", "any_significant")
    one = {"id": "a", "process": "x:a", "significant": True, "restart": restart}
    with pytest.raises(SpecInvalid, match=problem):
        read_supervisor({"auto_shutdown": auto, "children": [one]})


def test_simple_one_for_one_has_one_template() -> None:
    """SU1, SU23."""
    with pytest.raises(SpecInvalid, match="exactly one child, the template"):
        read_supervisor({"strategy": "simple_one_for_one"})
    with pytest.raises(SpecInvalid, match="max_children: expected no limit"):
        read_supervisor({"max_children": 5})


def test_nested_python_supervisor_reports_with_its_path() -> None:
    """SU1: the mistakes of an inner definition appear in the report of the outermost."""
    inner = SupervisorDefinition({"strategy": "one", "children": [child("x", 5)]})
    outer = SupervisorDefinition({"intensity": "lots", "children": [child("sub", inner)]})
    with pytest.raises(SpecInvalid) as raised:
        read_supervisor(outer)
    assert [problem.path for problem in raised.value.problems] == [
        ("intensity",),
        ("children", 0, "target", "strategy"),
        ("children", 0, "target", "children", 0, "target"),
    ]


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("5s", 5.0), ("1h30m", 5400.0), (2, 2.0), (0, 0.0), ("infinity", None), ("brutal_kill", 0.0)],
)
def test_shutdown_values(given: object, seconds: float | None) -> None:
    """SU1: a duration, infinity or brutal_kill."""
    assert read_child({"id": "a", "target": worker, "shutdown": given}).stop_limit == seconds


@pytest.mark.parametrize("given", [True, -1, math.inf, math.nan, "5", "", "1d", None, [5]])
def test_what_is_no_duration(given: object) -> None:
    """SU1: no booleans, no bare numbers in texts, nothing negative or endless."""
    with pytest.raises(SpecInvalid, match="start_timeout: expected a duration"):
        read_child({"id": "a", "target": worker, "start_timeout": given})


def test_service_defaults_by_value() -> None:
    """Y20-Y29."""
    assert read_service("app:s", {"process": "app:p", "host": "app:h"}) == ServiceSpec(
        id="app:s",
        process="app:p",
        host="app:h",
        input=(),
        auto_start=False,
        start_timeout=10.0,
        stop_timeout=10.0,
        depends_on=(),
        backoff=Backoff(
            initial_delay=1.0, max_delay=90.0, backoff_factor=2.0, jitter=0.1, reset_after=5.0
        ),
        max_attempts=0,
        security=None,
    )


def test_zero_and_empty_mean_the_default_but_for_jitter() -> None:
    """Y30: a number is milliseconds."""
    spec = read_service(
        "app:s",
        {
            "process": "app:p",
            "host": "app:h",
            "lifecycle": {
                "start_timeout": 0,
                "stop_timeout": "",
                "stable_threshold": 250,
                "restart": {"initial_delay": "0s", "backoff_factor": 0, "jitter": 0},
            },
        },
    )
    assert (spec.start_timeout, spec.stop_timeout) == (10.0, 10.0)
    assert spec.backoff == Backoff(jitter=0, reset_after=0.25)


def test_requires_is_another_name_for_depends_on() -> None:
    """Y25: giving both is an error."""
    base = {"process": "app:p", "host": "app:h"}
    spec = read_service("app:s", {**base, "lifecycle": {"requires": ["app:db"]}})
    assert spec.depends_on == ("app:db",)
    both = {"requires": ["app:db"], "depends_on": ["app:db"]}
    with pytest.raises(SpecInvalid, match="they mean the same"):
        read_service("app:s", {**base, "lifecycle": both})


def test_every_wrong_service_field_is_reported() -> None:
    """SU1 for services."""
    with pytest.raises(SpecInvalid) as raised:
        read_service(
            "app:s",
            {
                "process": "app:p",
                "input": "x",
                "lifecycle": {
                    "auto_start": "yes",
                    "depends_on": "app:db",
                    "restart": {"max_attempts": "ten", "jitter": 2},
                    "stop_timout": "1s",
                },
            },
        )
    assert {problem.path for problem in raised.value.problems} == {
        ("host",),
        ("input",),
        ("lifecycle", "auto_start"),
        ("lifecycle", "depends_on"),
        ("lifecycle", "restart", "max_attempts"),
        ("lifecycle", "restart", "jitter"),
        ("lifecycle", "stop_timout"),
    }
