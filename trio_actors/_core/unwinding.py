"""Whether code can tell by what it is unwound: by Trio's cancellation, or by closing it.

The theory: what is raised where a coroutine waits is seen by handlers only (`except`, `finally`,
`with`), and the compiler begins each of them with one instruction. Code without that instruction,
which waits in one of the functions here, is unwound in the same way by whatever is raised. To close
it costs a fifth of cancelling a task.
"""

from __future__ import annotations

import dis
from types import CodeType, CoroutineType
from typing import Any

from trio_actors._core.context import ProcessContext, receive_from
from trio_actors._core.subscription import Subscription
from trio_actors._core.wake import sleep_at

_HANDLER = "PUSH_EXC_INFO"

_RECEIVING = (  # these have handlers, of cancellation and of time-outs: closing them is the same
    Subscription.receive.__code__,
    Subscription.__anext__.__code__,
    ProcessContext.receive.__code__,
    receive_from.__code__,
)
_SLEEPING = sleep_at.__code__


def quiet(code: CodeType | None) -> bool:
    """True if it has no handlers; False if that is not known."""
    if code is None or _HANDLER not in dis.opmap:
        return False
    return all(instruction.opname != _HANDLER for instruction in dis.get_instructions(code))


def waits_in_a_channel(code: CoroutineType[Any, Any, Any]) -> bool:
    """True if what it awaits is nothing but a receive: no generator, and no object of its own."""
    inner: Any = code.cr_await
    while isinstance(inner, CoroutineType):
        if not any(inner.cr_code is known for known in _RECEIVING):
            return False
        inner = inner.cr_await
    return getattr(inner, "gi_code", None) is _SLEEPING
