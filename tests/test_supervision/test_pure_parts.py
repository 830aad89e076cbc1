"""Restart types, backoff, intensity window and dependency order: the parts without awaits."""

import doctest
import random

import pytest

from supervision import order, terms
from supervision.backoff import Backoff
from supervision.intensity import IntensityWindow


def test_decision_table_as_documented() -> None:
    """SU10, SU11: the table in the docstring is the one in force."""
    assert doctest.testmod(terms).failed == 0


def test_backoff_grows_to_its_cap() -> None:
    """Y2, SU15: min(initial * factor^(n-1), max)."""
    backoff = Backoff(initial_delay=1, max_delay=10, backoff_factor=2, jitter=0)
    rng = random.Random(0)
    assert [backoff.delay(n, rng) for n in range(1, 7)] == [1, 2, 4, 8, 10, 10]


def test_jitter_is_applied_to_the_capped_delay() -> None:
    """Y2: 90 s with a jitter of 0.1 gives 81 s to 99 s, and uses that range."""
    backoff, rng = Backoff(), random.Random(1)
    delays = [backoff.delay(50, rng) for _ in range(1000)]
    assert 81 <= min(delays) < 82
    assert 98 < max(delays) <= 99


def test_backoff_survives_any_number_of_retries() -> None:
    """Y2: the power does not overflow."""
    assert Backoff(jitter=0).delay(100_000, random.Random(0)) == 90


@pytest.mark.parametrize("wrong", [{"initial_delay": 0}, {"max_delay": -1}, {"jitter": 1.5}])
def test_impossible_backoff_cannot_be_made(wrong: dict[str, float]) -> None:
    """SU1: values that make no sense are refused."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Backoff(**wrong)


def test_intensity_allows_exactly_that_many_restarts() -> None:
    """SU13: more than ``intensity`` within ``period``, both ends included."""
    window = IntensityWindow(2, 5.0)
    assert [window.add(at) for at in (0.0, 5.0, 5.0)] == [True, True, False]
    window = IntensityWindow(2, 5.0)
    assert [window.add(at) for at in (0.0, 5.0, 5.1)] == [True, True, True]


def test_intensity_zero_allows_none() -> None:
    """SU13: intensity 0 = the first restart is one too many."""
    assert IntensityWindow(0, 5.0).add(100.0) is False


def test_old_restarts_are_dropped() -> None:
    """SU13: the window holds no more than intensity + 1 times."""
    window = IntensityWindow(3, 1.0)
    for at in range(1000):
        window.add(float(at))
    assert len(window.times) <= 4


GRAPH = {"web": ["db", "cache"], "cache": ["db"], "db": [], "log": [], "job": ["web", "log"]}


def test_layers_start_dependencies_first_and_independent_ones_together() -> None:
    """Y6."""
    assert order.layers(GRAPH) == [["db", "log"], ["cache"], ["web"], ["job"]]


def test_stop_order_is_the_exact_reverse() -> None:
    """Y6."""
    assert order.stop_layers(GRAPH) == [["job"], ["web"], ["cache"], ["log", "db"]]


def test_closure_adds_what_is_depended_on() -> None:
    """Y8: a service without auto_start starts if something depends on it."""
    assert order.closure(GRAPH, ["web"]) == ["web", "cache", "db"]
    assert order.closure(GRAPH, ["web", "nowhere"]) == ["web", "cache", "db"]


def test_cycle_is_named() -> None:
    """Y7: the error shows the way round."""
    graph = {"x": ["a"], "a": ["b"], "b": ["c"], "c": ["a"], "d": []}
    with pytest.raises(order.DependencyCycle, match="a -> b -> c -> a") as raised:
        order.layers(graph)
    assert raised.value.cycle == ("a", "b", "c")


def test_service_that_needs_itself_is_a_cycle() -> None:
    """Y7."""
    with pytest.raises(order.DependencyCycle, match="a -> a"):
        order.layers({"a": ["a"]})


def test_deep_graphs_do_not_exhaust_the_stack() -> None:
    """Y6: 3,000 services in a row."""
    graph = {str(i): [str(i + 1)] for i in range(3000)} | {"3000": []}
    assert order.find_cycle(graph) is None
    graph["3000"] = ["0"]
    assert len(order.find_cycle(graph) or ()) == 3001
