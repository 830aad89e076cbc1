"""How a process ended, as a value (§1.5), and why, as a chain that can be followed (SU42)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import StrEnum
from typing import Any

import attrs

from trio_actors._core.errors import ErrorKind, ProcessError, fresh, make_error
from trio_actors._core.message import Result, copy_value
from trio_actors._core.pid import Pid


class CauseKind(StrEnum):
    """Who brought an end about."""

    RETURNED = "returned"
    RAISED = "raised"
    ASKED = "asked to end"
    TERMINATED = "terminated"
    DEADLINE = "cancel deadline passed"
    LINK = "linked process failed"
    OUTSIDE = "cancelled from outside"
    UPGRADE = "upgrade failed"
    ABANDONED = "could not be stopped"
    INTENSITY = "too many restarts"
    SIGNIFICANT = "significant child ended"
    CHILD = "child did not start"


# Decided by a supervisor because of the end of a child: that of `Cause.by`.
OF_CHILDREN = frozenset({CauseKind.INTENSITY, CauseKind.SIGNIFICANT, CauseKind.CHILD})


@attrs.define(slots=True)
class Cause:
    """What brought an end about, and the process that did it, if one did.

    `because` is the process whose end made the other one do it.
    """

    kind: CauseKind
    by: Pid | None = None
    because: Pid | None = None


_RETURNED = Cause(CauseKind.RETURNED)
_RAISED = Cause(CauseKind.RAISED)


class Foreign(ABC):
    """A result in the form of another language, which may not be possible in Python (M21, M27)."""

    __slots__ = ()

    @abstractmethod
    def value(self) -> Any:
        """The same in Python. Raises: ProcessInvalid for what cannot cross."""


class Exit:
    """The end of a process: a value (normal) or an error (abnormal, E20-E37), and its cause.

    `shutdown` is true for an end that was asked for (SU10): it is neither failure nor surprise.
    `logged` is true if the failure is in the log, with its traceback (SU40: once).
    """

    __slots__ = ("_error", "cause", "logged", "shutdown", "value")

    def __init__(
        self,
        value: Any = None,
        error: ProcessError | Forced | None = None,
        cause: Cause = _RETURNED,
        *,
        shutdown: bool = False,
    ) -> None:
        self.value = value
        self._error = error
        self.cause = cause
        self.shutdown = shutdown
        self.logged = False

    @classmethod
    def failed(cls, error: ProcessError | Forced, cause: Cause = _RAISED) -> Exit:
        """An abnormal end."""
        return cls(None, error, cause)

    @property
    def error(self) -> ProcessError | None:
        """The error of an abnormal end, else None."""
        error = self._error
        return error.error if isinstance(error, Forced) else error

    @property
    def abnormal(self) -> bool:
        """True if links are told (K13): the end was an error."""
        return self._error is not None

    def copied(self) -> Exit:
        """With a deep copy of the value; an error if it cannot be copied (M24, M26)."""
        try:
            return Exit(copy_value(self.value, "exit value"), None, self.cause)
        except ProcessError as error:
            return Exit.failed(fresh(error))

    def result(self) -> Result:
        """What one watcher is told: its own copy of the error (V3, PY12)."""
        error = self.error
        return Result(self.value) if error is None else Result.failed(error)

    def unwrap(self) -> Any:
        """The value; or raises a fresh copy of the error, or of why it cannot cross to Python."""
        if self.error is not None:
            raise fresh(self.error)
        value = self.value
        return value.value() if isinstance(value, Foreign) else value

    def __repr__(self) -> str:
        if self.error is not None:
            return f"Exit(error={self.error!r}, cause={self.cause.kind.value!r})"
        return f"Exit(value={self.value!r})"


class Forced:
    """An end decided from outside the code: what it will be, whatever the code does now (E40).

    The error object is made when somebody looks at it: in a cascade of 10,000 nobody does.
    """

    __slots__ = ("_error", "cause", "kind", "message")

    def __init__(self, message: str, kind: ErrorKind, cause: Cause) -> None:
        self.message = message
        self.kind = kind
        self.cause = cause
        self._error: ProcessError | None = None

    def use(self, error: ProcessError) -> None:
        """The end is this very error."""
        self._error = error

    @property
    def error(self) -> ProcessError:
        """The exit's error."""
        if self._error is None:
            self._error = make_error(self.kind, self.message, retryable=None)
        return self._error

    def exit(self) -> Exit:
        """The end that was decided."""
        return Exit(None, self, self.cause)


def explained(exit: Exit, reason: Cause) -> None:
    """Adds to an end what its process knew of the reason (SU42)."""
    cause = exit.cause
    own = reason.kind is not CauseKind.ASKED and cause.kind is CauseKind.RAISED
    if own or cause.kind is CauseKind.RETURNED:
        exit.cause = reason
    elif reason.because is not None and cause.by == reason.by:
        exit.cause = Cause(cause.kind, cause.by, reason.because)


def terminated(by: Pid | None) -> Forced:
    """E32."""
    return Forced("process terminated", ErrorKind.CANCELED, Cause(CauseKind.TERMINATED, by))


def deadline_exceeded(by: Pid | None) -> Forced:
    """E33."""
    return Forced("cancel deadline exceeded", ErrorKind.CANCELED, Cause(CauseKind.DEADLINE, by))


def link_failed(by: Pid) -> Forced:
    """E34."""
    return Forced("linked process failed", ErrorKind.INTERNAL, Cause(CauseKind.LINK, by))


def cancelled_outside() -> Forced:
    """E37."""
    return Forced("process cancelled", ErrorKind.CANCELED, Cause(CauseKind.OUTSIDE))


def upgrade_failed(reason: ProcessError) -> Exit:
    """E35: the kind of the reason, else INTERNAL; retryable unknown."""
    error = make_error(
        reason.kind or ErrorKind.INTERNAL,
        f"upgrade failed: {reason.message}",
        retryable=None,
        details=reason.details,
    )
    return Exit.failed(error, Cause(CauseKind.UPGRADE))
