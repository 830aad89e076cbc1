"""How a process ended, as a value (§1.5), and why, as a chain that can be followed (SU42)."""

from __future__ import annotations

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
    TERMINATED = "terminated"
    DEADLINE = "cancel deadline passed"
    LINK = "linked process failed"
    OUTSIDE = "cancelled from outside"
    UPGRADE = "upgrade failed"


@attrs.frozen(slots=True)
class Cause:
    """What brought an end about, and the process that did it, if one did."""

    kind: CauseKind
    by: Pid | None = None


_RETURNED = Cause(CauseKind.RETURNED)
_RAISED = Cause(CauseKind.RAISED)


class Exit:
    """The end of a process: a value (normal) or an error (abnormal, E20-E37), and its cause.

    `shutdown` is true for an end that was asked for (SU10): it is neither failure nor surprise.
    `logged` is true if the failure is in the log, with its traceback (SU40: once).
    """

    __slots__ = ("cause", "error", "logged", "shutdown", "value")

    def __init__(
        self,
        value: Any = None,
        error: ProcessError | None = None,
        cause: Cause = _RETURNED,
        *,
        shutdown: bool = False,
    ) -> None:
        self.value = value
        self.error = error
        self.cause = cause
        self.shutdown = shutdown
        self.logged = False

    @classmethod
    def failed(cls, error: ProcessError, cause: Cause = _RAISED) -> Exit:
        """An abnormal end."""
        return cls(None, error, cause)

    @property
    def abnormal(self) -> bool:
        """True if links are told (K13): the end was an error."""
        return self.error is not None

    def copied(self) -> Exit:
        """With a deep copy of the value; an error if it cannot be copied (M24, M26)."""
        try:
            return Exit(copy_value(self.value, "exit value"), None, self.cause)
        except ProcessError as error:
            return Exit.failed(fresh(error))

    def result(self) -> Result:
        """What one watcher is told: its own copy of the error (V3, PY12)."""
        if self.error is None:
            return Result(self.value)
        return Result(None, fresh(self.error))

    def unwrap(self) -> Any:
        """The value; or raises a fresh copy of the error."""
        if self.error is not None:
            raise fresh(self.error)
        return self.value

    def __repr__(self) -> str:
        if self.error is not None:
            return f"Exit(error={self.error!r}, cause={self.cause.kind.value!r})"
        return f"Exit(value={self.value!r})"


class Forced:
    """An end decided from outside the code: what it will be, whatever the code does now (E40)."""

    __slots__ = ("cause", "error")

    def __init__(self, error: ProcessError, cause: Cause) -> None:
        self.error = error
        self.cause = cause


def _forced(message: str, kind: ErrorKind, cause: CauseKind, by: Pid | None) -> Forced:
    return Forced(make_error(kind, message, retryable=None), Cause(cause, by))


def terminated(by: Pid | None) -> Forced:
    """E32."""
    return _forced("process terminated", ErrorKind.CANCELED, CauseKind.TERMINATED, by)


def deadline_exceeded(by: Pid | None) -> Forced:
    """E33."""
    return _forced("cancel deadline exceeded", ErrorKind.CANCELED, CauseKind.DEADLINE, by)


def link_failed(by: Pid) -> Forced:
    """E34."""
    return _forced("linked process failed", ErrorKind.INTERNAL, CauseKind.LINK, by)


def cancelled_outside() -> Forced:
    """E37."""
    return _forced("process cancelled", ErrorKind.CANCELED, CauseKind.OUTSIDE, None)


def upgrade_failed(reason: ProcessError) -> Exit:
    """E35: the kind of the reason, else INTERNAL; retryable unknown."""
    error = make_error(
        reason.kind or ErrorKind.INTERNAL,
        f"upgrade failed: {reason.message}",
        retryable=None,
        details=reason.details,
    )
    return Exit.failed(error, Cause(CauseKind.UPGRADE))
