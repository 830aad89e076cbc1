"""Permission checks of everything that is called. Rules: F2, GC4, SE5, SE7, A10."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_actors._core.errors import ErrorKind, make_error
from trio_actors._core.inherited import NOTHING_INHERITED, Inherited, permitted

if TYPE_CHECKING:
    from trio_actors._core.context import ProcessContext
    from trio_actors._core.node import Node

__all__ = ["inherited_of", "require"]


def inherited_of(caller: ProcessContext | None) -> Inherited:
    """Context values, actor and scope of a frame or process; none for the root (GC11)."""
    return NOTHING_INHERITED if caller is None else caller.inherited


def require(
    node: Node,
    caller: ProcessContext | None,
    action: str,
    resource: str,
    inherited: Inherited | None = None,
) -> None:
    """Refuses what the caller's security context does not permit; the root may do all (A10).

    `inherited` is the security context of a caller that is no frame: an endpoint, a consumer.

    Raises: ProcessPermissionDenied `not allowed: <resource>`, not retryable (GC4).
    """
    if inherited is None:
        if caller is None:
            return
        inherited = caller.inherited
    if (inherited.actor is None or inherited.scope is None) and not node.strict:
        return  # `guarded`, written out: every call comes here
    pid = node.control if caller is None else caller.pid
    if not permitted(node.guard, node.strict, inherited, pid, action, resource):
        raise make_error(ErrorKind.PERMISSION_DENIED, f"not allowed: {resource}")
