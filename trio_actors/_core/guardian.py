"""What a process that guards others (`Process.guardian`) says of itself to who checks it.

Supervisors are above this package. A test harness that is to see whether they keep their promises
reads them here, from the definition, and compares them with what it has seen itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import attrs

if TYPE_CHECKING:
    from trio_actors._core.message import Message
    from trio_actors._core.pid import Pid


@attrs.frozen(slots=True)
class Promise:
    """How often children are restarted, and how they are stopped (SU5, SU11, SU13)."""

    intensity: int
    period: float  # seconds
    together: bool  # a restart may take siblings along
    at_once: bool  # children are stopped in parallel


@attrs.frozen(slots=True)
class Place:
    """Which child a process is."""

    id: str
    number: int | None  # in start order, by the definition; None: added later
    after_any_end: bool  # restarted whatever its end was (permanent)


@runtime_checkable
class Guardian(Protocol):
    """The body of a process that guards others."""

    def promise(self) -> Promise:
        """What its definition says now."""
        ...

    def place_of(self, pid: Pid) -> Place | None:
        """Which child this process is; None for a stranger."""
        ...

    def is_request(self, message: Message) -> bool:
        """Whether somebody asks it to change its children: then order and number are theirs."""
        ...
