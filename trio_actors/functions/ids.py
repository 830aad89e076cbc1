"""Ids of the form `namespace:name`. Rules: GC7, F1."""

from __future__ import annotations

from .._core.errors import ErrorKind, make_error

__all__ = ["check_function_id", "split_id"]


def split_id(text: str) -> tuple[str, str]:
    """Namespace and name, split at the first colon; both may be empty. Rule: GC7.

    >>> split_id("a:b:c"), split_id("x"), split_id(":x"), split_id("")
    (('a', 'b:c'), ('', 'x'), ('', 'x'), ('', ''))
    """
    namespace, colon, name = text.partition(":")
    return (namespace, name) if colon else ("", text)


def check_function_id(text: object) -> None:
    """Refuse what cannot be a function id. Rule: F1.

    Raises: TypeError for a value that is no text, ProcessInvalid for a malformed text.
    """
    if not isinstance(text, str):
        raise TypeError(f"function ID must be a string, not {type(text).__name__}")
    if not text:
        raise make_error(ErrorKind.INVALID, "function ID required")
    namespace, name = split_id(text)
    if not namespace:
        raise make_error(ErrorKind.INVALID, "namespace required in function ID")
    if not name:
        raise make_error(ErrorKind.INVALID, "name required in function ID")
