"""The one error tree: a root, one class per kind, and how any exception becomes one of them.

Rules: processes.md §10 (kinds), §15.1 (classes), E29-E31 (what an exception means as an exit),
Q11 (what survives a boundary), PY3 (what the framework delivers has the class of its kind).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

import trio

if TYPE_CHECKING:
    from trio_actors._core.message import Message


class ErrorKind(StrEnum):
    """What went wrong, as a text that Lua and Python share (processes.md §10)."""

    NOT_FOUND = "NotFound"
    ALREADY_EXISTS = "AlreadyExists"
    INVALID = "Invalid"
    PERMISSION_DENIED = "PermissionDenied"
    UNAVAILABLE = "Unavailable"
    INTERNAL = "Internal"
    CANCELED = "Canceled"
    CONFLICT = "Conflict"
    TIMEOUT = "Timeout"
    RATE_LIMITED = "RateLimited"
    UNKNOWN = ""

    __hash__ = str.__hash__  # Enum's own is Python code


class ProcessError(Exception):
    """Root of every error that this framework raises or delivers; `str(e)` is the message.

    Args:
        message: text for people.
        kind: what went wrong; default is the kind of the class.
        retryable: True, False, or None for unknown.
        details: string-keyed data for programs; an empty mapping counts as None.
        stack: script stack as text, when a Lua script made the error; stays on this side (Q11).
    """

    default_kind: ClassVar[ErrorKind] = ErrorKind.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        kind: ErrorKind | str | None = None,
        retryable: bool | None = None,
        details: Mapping[str, Any] | None = None,
        stack: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind: ErrorKind = self.default_kind
        if kind is not None:
            self.kind = kind if isinstance(kind, ErrorKind) else ErrorKind(kind)
        self.retryable = retryable
        self.details: dict[str, Any] | None = dict(details) if details else None
        self.stack = stack
        self.undelivered: Message | None = None  # set by a failed send: the message, given back

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, kind={self.kind.name})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.kind, self.retryable, self.details))


def _rebuild(
    cls: type[ProcessError],
    message: str,
    kind: ErrorKind,
    retryable: bool | None,
    details: dict[str, Any] | None,
) -> ProcessError:
    return cls(message, kind=kind, retryable=retryable, details=details)


class ProcessNotFound(ProcessError):
    """No such process, name, host, entry or key."""

    default_kind = ErrorKind.NOT_FOUND


class ProcessAlreadyExists(ProcessError):
    """The name, id or monitor exists already."""

    default_kind = ErrorKind.ALREADY_EXISTS


class ProcessInvalid(ProcessError):
    """An argument value that can never be right, or a call outside its context."""

    default_kind = ErrorKind.INVALID


class ProcessPermissionDenied(ProcessError):
    """The security context of the caller does not allow this."""

    default_kind = ErrorKind.PERMISSION_DENIED


class ProcessUnavailable(ProcessError):
    """Not now: the host is full, not running or shutting down, a queue is full."""

    default_kind = ErrorKind.UNAVAILABLE


class ProcessInternal(ProcessError):
    """Code failed without saying more."""

    default_kind = ErrorKind.INTERNAL


class ProcessCanceled(ProcessError):
    """The work was ended by somebody else."""

    default_kind = ErrorKind.CANCELED


class ProcessConflict(ProcessError):
    """The state of the thing forbids this now."""

    default_kind = ErrorKind.CONFLICT


class ProcessTimeout(ProcessError):
    """A deadline of the call itself passed."""

    default_kind = ErrorKind.TIMEOUT


class ProcessRateLimited(ProcessError):
    """A limit (instructions, memory, size) was reached."""

    default_kind = ErrorKind.RATE_LIMITED


CLASS_OF_KIND: Mapping[ErrorKind, type[ProcessError]] = {
    cls.default_kind: cls
    for cls in (
        ProcessError,
        ProcessNotFound,
        ProcessAlreadyExists,
        ProcessInvalid,
        ProcessPermissionDenied,
        ProcessUnavailable,
        ProcessInternal,
        ProcessCanceled,
        ProcessConflict,
        ProcessTimeout,
        ProcessRateLimited,
    )
}


class Shutdown(Exception):
    """Raised by a process to end with the reason `shutdown`: asked for, and no failure (SU10).

    A supervisor restarts a permanent child after it, a transient or temporary one not.
    """

    kind: ClassVar[ErrorKind] = ErrorKind.CANCELED  # of the error that links are told

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail


def make_error(
    kind: ErrorKind,
    message: str,
    *,
    retryable: bool | None = False,
    details: Mapping[str, Any] | None = None,
    stack: str | None = None,
) -> ProcessError:
    """An error of the class of its kind (PY3); not retryable unless told otherwise (Q10)."""
    cls = CLASS_OF_KIND[kind]
    return cls(message, kind=kind, retryable=retryable, details=details, stack=stack)


def fresh(error: ProcessError) -> ProcessError:
    """What arrives on the other side of a boundary: a new object with the four fields of Q11.

    UNKNOWN becomes INTERNAL; stack, identity and the author's own subclass stay behind.
    """
    kind = error.kind or ErrorKind.INTERNAL
    return make_error(kind, error.message, retryable=error.retryable, details=error.details)


# E38: these end the program, never just a process.
FATAL: tuple[type[BaseException], ...] = (
    KeyboardInterrupt,
    SystemExit,
    GeneratorExit,
    trio.TrioInternalError,
)


def leaves(exc: BaseException) -> list[BaseException]:
    """The exceptions of a group in order, groups inside it opened; of another one, itself."""
    if isinstance(exc, BaseExceptionGroup):
        return [leaf for part in exc.exceptions for leaf in leaves(part)]
    return [exc]


def as_process_error(exc: BaseException) -> ProcessError:
    """The error that an uncaught exception means (E29, E30; for a group its first leaf, E31)."""
    first, *others = leaves(exc)
    if isinstance(first, ProcessError):
        error = first
    else:
        kind = getattr(first, "kind", None)
        known = isinstance(kind, ErrorKind) and bool(kind)
        error = make_error(
            kind if known and isinstance(kind, ErrorKind) else ErrorKind.INTERNAL,
            f"{type(first).__name__}: {first}",
            retryable=None,
        )
    if others:
        texts = [str(as_process_error(other)) for other in others]
        error = fresh(error)
        error.details = {**(error.details or {}), "errors": texts}
    return error
