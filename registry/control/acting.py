"""What an operator may do to a running application: off unless it was started with a policy group.

An operator acts as the actor `operator` under the policies of that group, and everything that they
do not allow is refused, as is everything while the group is empty (SE3, fail closed). The action is
`process.<operation>`, the resource the PID; conditions also see `meta.id`, the id of its code.

Rules: section 8.1 of processes.md (process.cancel, process.terminate), SU41.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from trio_actors import Event, EventKind, Pid, Process, sys
from trio_actors.security import Actor, Scope

from ..app import App
from .protocol import ControlError

log = logging.getLogger("trio_actors.control")

OPERATOR: Final = "operator"
GRACE: Final = 10.0  # seconds that a cancelled process has


def _cancel(process: Process) -> None:
    process.node.cancel(process.pid, GRACE)


def _terminate(process: Process) -> None:
    process.node.terminate(process.pid)


def _suspend(process: Process) -> None:
    sys.suspend(process.node, process.pid)


def _resume(process: Process) -> None:
    sys.resume(process.node, process.pid)


def _upgrade(process: Process) -> None:
    node = process.node
    if not process.upgradable:
        raise ControlError("invalid", f"{process.pid} has not set the option upgradable")
    node.post(node.control, process, Event(EventKind.OUTDATED, node.control, node.wall_time()))


ACTS: Final[Mapping[str, Callable[[Process], None]]] = {
    "cancel": _cancel,
    "terminate": _terminate,
    "suspend": _suspend,
    "resume": _resume,
    "upgrade": _upgrade,
}


@attrs.frozen(slots=True)
class Operators:
    """Who may act: the policies of a group, as they are at that moment."""

    group: str

    def act(self, app: App, operation: str, pid: str) -> dict[str, Any]:
        """Do it. Raises: ControlError, ProcessError."""
        process = app.node.processes.get(Pid(pid))
        if process is None:
            raise ControlError("NotFound", f"{pid} is not a process")
        if not self.allows(app, operation, process):
            log.warning("control socket: %s of %s refused", operation, pid)
            raise ControlError("PermissionDenied", f"not allowed to {operation}: {pid}")
        log.info("control socket: %s of %s (%s)", operation, pid, process.id)
        ACTS[operation](process)
        return {"done": operation, "pid": pid}

    def allows(self, app: App, operation: str, process: Process) -> bool:
        """Whether the group's policies allow it; an error in one of them refuses."""
        scope = Scope(policy for policy in app.policies.values() if self.group in policy.groups)
        attributes = {"pid": app.node.control, "id": process.id}
        try:
            return app.node.guard.permits(
                Actor(OPERATOR), scope, f"process.{operation}", process.pid, attributes
            )
        except Exception:  # as for every check (A8)
            return False
