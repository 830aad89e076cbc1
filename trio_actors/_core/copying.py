"""Mailboxes of hosts with `copy_messages`: nothing that is sent is shared (M26)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trio_actors._core.drive import DECLINED
from trio_actors._core.errors import ProcessError
from trio_actors._core.mailbox import PythonMailbox
from trio_actors._core.message import Message, copy_value
from trio_actors._core.stepped import Stepped

if TYPE_CHECKING:
    from trio_actors._core.pace import Pace
    from trio_actors._core.process import Process


class Copying:
    """Before a mailbox class: copies each payload, to find state shared by mistake (M26)."""

    __slots__ = ()

    def open_route(self) -> None:
        """Never: each message comes through `put`."""

    def put(self, message: Message) -> bool:
        """As ever, with a copy of the payload; what cannot be copied is refused."""
        try:
            message.payload = copy_value(message.payload, f"payload of topic {message.topic!r}")
        except ProcessError as error:
            error.undelivered = message
            raise
        # The message itself is kept: it may be a request, or a timer's.
        taken: bool = super().put(message)  # type: ignore[misc]  # of the class behind
        return taken


class CopyingMailbox(Copying, PythonMailbox):
    """The mailbox of Python code on a host that copies."""

    __slots__ = ()


class CopyingStepped(Copying, Stepped):
    """On a host that copies: every request goes through the mailbox, with a copy of itself."""

    __slots__ = ()

    def make_mailbox(self, process: Process) -> Stepped:
        """Itself."""
        self.typed = {}
        return super().make_mailbox(process)

    def answer_now(self, request: Any, caller: Process | None, due: float, turns: Pace) -> Any:
        """Never."""
        return DECLINED
