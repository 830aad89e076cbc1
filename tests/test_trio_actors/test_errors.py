"""The error tree and what survives a boundary (processes.md §10, §15.1; PY2, PY3)."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import trio_actors
from trio_actors import (
    ErrorKind,
    ProcessError,
    ProcessNotFound,
    as_process_error,
    fresh,
    make_error,
)

KINDS = {
    "NOT_FOUND": ("NotFound", "ProcessNotFound"),
    "ALREADY_EXISTS": ("AlreadyExists", "ProcessAlreadyExists"),
    "INVALID": ("Invalid", "ProcessInvalid"),
    "PERMISSION_DENIED": ("PermissionDenied", "ProcessPermissionDenied"),
    "UNAVAILABLE": ("Unavailable", "ProcessUnavailable"),
    "INTERNAL": ("Internal", "ProcessInternal"),
    "CANCELED": ("Canceled", "ProcessCanceled"),
    "CONFLICT": ("Conflict", "ProcessConflict"),
    "TIMEOUT": ("Timeout", "ProcessTimeout"),
    "RATE_LIMITED": ("RateLimited", "ProcessRateLimited"),
    "UNKNOWN": ("", "ProcessError"),
}


def test_kinds_are_those_of_the_contract() -> None:
    """§10: constants and their texts."""
    assert {kind.name: str(kind) for kind in ErrorKind} == {k: v[0] for k, v in KINDS.items()}


@pytest.mark.parametrize("kind", list(ErrorKind), ids=lambda kind: kind.name)
def test_one_class_per_kind(kind: ErrorKind) -> None:
    """§15.1, PY3, Q10: the framework's errors have the class of their kind, not retryable."""
    error = make_error(kind, "text")
    assert type(error) is getattr(trio_actors, KINDS[kind.name][1])
    assert isinstance(error, ProcessError)
    assert (str(error), error.kind, error.retryable, error.details) == ("text", kind, False, None)


def test_error_made_by_a_user() -> None:
    """Q1-Q3: kind of its class, retryable unknown, empty details are None."""
    plain, found = ProcessError("m"), ProcessNotFound("m", retryable=True, details={})
    assert (plain.kind, plain.retryable, plain.details) == (ErrorKind.UNKNOWN, None, None)
    assert (found.kind, found.retryable, found.details) == (ErrorKind.NOT_FOUND, True, None)


def test_kind_may_be_its_text() -> None:
    """Q2: the text of a kind is as good as the constant; any other raises ValueError."""
    assert ProcessError("m", kind="Timeout").kind is ErrorKind.TIMEOUT
    with pytest.raises(ValueError, match="nope"):
        ProcessError("m", kind="nope")


def test_message_is_the_text() -> None:
    """Q7, §15.1: `str(e)` is the message only."""
    error = ProcessError("the message", kind=ErrorKind.INVALID, details={"a": 1})
    assert (str(error), repr(error)) == (
        "the message",
        "ProcessError('the message', kind=INVALID)",
    )


class Own(ProcessNotFound):
    """A user's own subclass."""


def test_boundary_keeps_four_fields() -> None:
    """Q11, PY3: message, kind, retryable, details; not stack, identity or the own subclass."""
    error = Own("m", retryable=False, details={"a": [1]}, stack="here")
    passed = fresh(error)
    assert type(passed) is ProcessNotFound
    assert (passed.message, passed.kind, passed.retryable, passed.details, passed.stack) == (
        "m",
        ErrorKind.NOT_FOUND,
        False,
        {"a": [1]},
        None,
    )
    assert passed is not error
    assert fresh(ProcessError("m")).kind is ErrorKind.INTERNAL


def test_user_error_with_a_kind_arrives_as_its_class() -> None:
    """PY3: `ProcessError("x", kind=NOT_FOUND)` arrives elsewhere as ProcessNotFound."""
    assert type(fresh(ProcessError("x", kind=ErrorKind.NOT_FOUND))) is ProcessNotFound


@pytest.mark.parametrize(
    ("exc", "text", "kind"),
    [
        (ValueError("v"), "ValueError: v", "Internal"),
        (ValueError(), "ValueError: ", "Internal"),
        (ProcessError("p"), "p", ""),
        (ExceptionGroup("g", [ValueError("v")]), "ValueError: v", "Internal"),
    ],
)
def test_any_exception_as_an_error(exc: Exception, text: str, kind: str) -> None:
    """E29-E31: the error that an uncaught exception means."""
    error = as_process_error(exc)
    assert (error.message, str(error.kind)) == (text, kind)


@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
def test_errors_can_be_copied(clone: Any) -> None:
    """M22: an error as a payload keeps its fields when it is copied."""
    error = ProcessNotFound("m", retryable=True, details={"a": 1})
    other = clone(error)
    assert type(other) is ProcessNotFound
    assert (other.message, other.kind, other.retryable, other.details) == (
        "m",
        ErrorKind.NOT_FOUND,
        True,
        {"a": 1},
    )
