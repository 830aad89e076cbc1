"""What runs a body, and what stands in its place when a process has ended (design.md §5)."""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from trio_actors._core.exit import deadline_exceeded
from trio_actors._core.mailbox import Untyped

if TYPE_CHECKING:
    from trio_actors._core.clock import Timer
    from trio_actors._core.message import Event, Message
    from trio_actors._core.pace import Pace
    from trio_actors._core.process import Process


class Drive(Protocol):
    """What runs a body."""

    def answer_now(self, request: Any, caller: Process | None, due: float, turns: Pace) -> Any:
        """The reply to a request in the caller's own turn, DECLINED, LATER, or a Waiter.

        `due` is when the ask's timeout ends, on Trio's clock; an answer takes one of the `turns`.
        """
        ...

    def start(self) -> None:
        """The process exists with links, names and first messages: its code may begin."""
        ...

    def interrupt(self) -> None:
        """A forced end or an upgrade was decided: stop the code and report its end."""
        ...

    def limit(self, deadline: float) -> None:
        """Nothing may run beyond this time of Trio's clock (K6)."""
        ...

    def doing(self) -> str:
        """What the code is doing now, in a few words for people."""
        ...

    def line(self) -> str | None:
        """Where code waits that runs in no Trio task, for people."""
        ...

    def frames(self) -> Iterator[tuple[FrameType, int]]:
        """Where its main function waits, as frames and lines, outermost first."""
        ...


DECLINED = object()  # a drive that cannot answer in the caller's turn: ask through the mailbox
LATER = object()  # it can, but the caller has to take a checkpoint first


class MailboxOnly:
    """Base of drives that answer no request in the caller's turn."""

    __slots__ = ()

    def answer_now(self, request: Any, caller: Process | None, due: float, turns: Pace) -> Any:
        """Never."""
        return DECLINED

    def line(self) -> str | None:
        """Its code runs in Trio tasks, or in none."""
        return None

    def frames(self) -> Iterator[tuple[FrameType, int]]:
        """None."""
        return iter(())


class Limited:
    """What has no cancel scope, at times at least: its deadline is kept by a timer (K6)."""

    __slots__ = ()

    process: Process
    _timer: Timer | None

    def limit(self, deadline: float) -> None:
        """Arms the timer."""
        if self._timer is not None:
            self._timer.cancel()
        at = self.process.node.clock.at
        self._timer = at(deadline, self._expired)  # type: ignore[misc]  # a slot of who is limited

    def _expired(self) -> None:
        self.process.force(deadline_exceeded(self.process.deadline_by))


class Ended(MailboxOnly, Untyped):
    """Drive and mailbox of a process that has ended: it lets go of those it had, and its code."""

    __slots__ = ()
    route = None

    def start(self) -> None:
        """Nothing."""

    def interrupt(self) -> None:
        """Nothing."""

    def limit(self, deadline: float) -> None:
        """Nothing."""

    def doing(self) -> str:
        """Nothing any more."""
        return "ended"

    def put(self, message: Message) -> None:
        """Discards it (M7)."""

    def put_event(self, event: Event) -> None:
        """Discards it."""

    def drain(self) -> list[Message | Event]:
        """Nothing."""
        return []

    def depth(self) -> int:
        """Nothing."""
        return 0

    def unread_since(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


ENDED = Ended()
