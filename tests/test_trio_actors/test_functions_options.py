"""Call options and function ids. Rules: F1, F20, IC4, IC7, GC6, GC7."""

import pytest

from trio_actors._core.errors import ProcessInvalid
from trio_actors.fields import FieldError
from trio_actors.functions.breaker import BreakerOptions
from trio_actors.functions.ids import check_function_id, split_id
from trio_actors.functions.options import NO_OPTIONS, CallOptions, LoggingOptions, parse_options
from trio_actors.functions.retry import RetryOptions


def test_a_full_set_of_options() -> None:
    """Every built-in option, with durations in ms and as text, and a key for custom ones."""
    raw = {
        "timeout": "1.5s",
        "retry": {"max_attempts": 2},
        "circuit_breaker": True,
        "logging": {"level": "debug"},
        "metrics": True,
        "tracing": False,
        "mine": [1],
    }
    assert parse_options(raw) == CallOptions(
        raw,
        1.5,
        RetryOptions(2),
        BreakerOptions(),
        LoggingOptions("debug", False),
        metrics=True,
        tracing=False,
    )


@pytest.mark.parametrize("value", [None, {}, []])
def test_nothing_is_no_options(value: object) -> None:
    """IC7: built-ins stay out of a call that does not name them."""
    assert parse_options(value) is NO_OPTIONS


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(5000, 5.0), (0, None), (-1, None), ("0", None), (0.5, 0.0005)]
)
def test_timeouts_of_zero_and_below_are_none(timeout: object, seconds: float | None) -> None:
    """F20."""
    assert parse_options({"timeout": timeout}).timeout == seconds


def test_a_call_replaces_whole_keys() -> None:
    """IC4: the call's retry takes the place of the entry's."""
    entry = parse_options({"retry": {"max_attempts": 5, "jitter": 0}, "timeout": 10})
    merged = entry.overlaid({"retry": {"max_attempts": 2}})
    assert merged.retry == RetryOptions(2)
    assert merged.timeout == 0.01
    assert entry.overlaid(None) is entry


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"timeout": "soon"}, "options.timeout"),
        ({"timeout": True}, "options.timeout"),
        ({"timeout": {}}, "options.timeout"),
        ({"retry": 3}, "options.retry"),
        ({"metrics": 1}, "options.metrics"),
        ({"logging": {"level": "loud"}}, "options.logging.level"),
        ({"logging": "yes"}, "options.logging"),
        ("x", "options"),
    ],
)
def test_a_malformed_option_names_its_field(options: object, path: str) -> None:
    """F20, IC7."""
    with pytest.raises(FieldError) as caught:
        parse_options(options)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("text", "parts"),
    [("a:b:c", ("a", "b:c")), ("x", ("", "x")), (":x", ("", "x")), ("", ("", ""))],
)
def test_ids_split_at_the_first_colon(text: str, parts: tuple[str, str]) -> None:
    """GC7."""
    assert split_id(text) == parts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "function ID required"),
        ("x", "namespace required in function ID"),
        (":x", "namespace required in function ID"),
        ("x:", "name required in function ID"),
    ],
)
def test_a_malformed_function_id_is_invalid(text: str, message: str) -> None:
    """F1: the texts."""
    with pytest.raises(ProcessInvalid) as caught:
        check_function_id(text)
    assert str(caught.value) == message
    assert caught.value.retryable is False


def test_a_function_id_must_be_text() -> None:
    """F1, GC3: a wrong type raises."""
    with pytest.raises(TypeError):
        check_function_id(3)
