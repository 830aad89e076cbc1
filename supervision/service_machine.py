"""One service as a state machine: what its state is, whether and when it runs again.

Rules: Y1, Y2, Y4, Y5, Y11, Y31-Y39 of the process specification; ``hold`` adds Y6, Y7, Y12.

Nothing here awaits. Events go in with the time they happened, the answer says what to do next.
``TRANSITIONS`` is the whole lifecycle; an event that is not in it for the current state is
refused with ``IllegalEvent`` and changes nothing. Two counters are kept apart on purpose: ``count``
is the budget of Y1 (unstable runs and failed starts), ``retry`` the exponent of Y2 (retries since
the start or the last stable run). They differ after a stable run: it sets the first to 0 and the
second to 1.
"""

import random
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from attrs import define, frozen

from supervision.service_spec import ServiceSpec


class ServiceState(StrEnum):
    """The states of section 11.2."""

    INACTIVE = "Inactive"
    STARTING = "Starting"
    RUNNING = "Running"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    EXITED = "Exited"
    FAILED = "Failed"


class ServiceEvent(StrEnum):
    """What can happen to a service."""

    START = "start"  # asked for, and its dependencies run
    STARTED = "started"  # the process runs, or has signalled that it is ready
    ENDED = "ended"  # ended normally, or with an error that is not to be retried
    FAILED = "failed"  # ended with any other error, or its start failed
    RETRY = "retry"  # the delay is over
    STOP = "stop"  # asked to stop
    STOP_TIMEOUT = "stop timeout"  # still alive at stop_timeout
    CANCELLED = "cancelled"  # its host or the application stops


_S, _E = ServiceState, ServiceEvent

TRANSITIONS: Final[dict[tuple[ServiceState, ServiceEvent], ServiceState]] = {
    (_S.INACTIVE, _E.START): _S.STARTING,
    (_S.INACTIVE, _E.STOP): _S.INACTIVE,
    (_S.STARTING, _E.STARTED): _S.RUNNING,
    (_S.STARTING, _E.ENDED): _S.EXITED,
    (_S.STARTING, _E.FAILED): _S.FAILED,
    (_S.STARTING, _E.STOP): _S.STOPPING,
    (_S.STARTING, _E.CANCELLED): _S.STOPPED,
    (_S.RUNNING, _E.ENDED): _S.EXITED,
    (_S.RUNNING, _E.FAILED): _S.FAILED,
    (_S.RUNNING, _E.STOP): _S.STOPPING,
    (_S.RUNNING, _E.CANCELLED): _S.STOPPED,
    (_S.FAILED, _E.RETRY): _S.STARTING,
    (_S.FAILED, _E.START): _S.STARTING,
    (_S.FAILED, _E.STOP): _S.STOPPED,  # only while a retry is due; else it stays Failed
    (_S.FAILED, _E.CANCELLED): _S.STOPPED,
    (_S.STOPPING, _E.STARTED): _S.STOPPING,
    (_S.STOPPING, _E.ENDED): _S.STOPPED,
    (_S.STOPPING, _E.FAILED): _S.STOPPED,
    (_S.STOPPING, _E.STOP): _S.STOPPING,
    (_S.STOPPING, _E.STOP_TIMEOUT): _S.FAILED,
    (_S.STOPPING, _E.CANCELLED): _S.STOPPED,
    (_S.STOPPED, _E.START): _S.STARTING,
    (_S.STOPPED, _E.STOP): _S.STOPPED,
    (_S.EXITED, _E.START): _S.STARTING,
    (_S.EXITED, _E.STOP): _S.EXITED,
}


class IllegalEvent(RuntimeError):
    """An event that the state does not know: a fault of the caller."""


@frozen
class Next:
    """What to do after an event: start the process, wait for ``delay`` seconds, or nothing."""

    start: bool = False
    delay: float | None = None


NOTHING: Final = Next()


@define
class ServiceMachine:
    """The life of one service.

    Order: ``at`` never goes back. Units: seconds.
    """

    spec: ServiceSpec
    state: ServiceState = ServiceState.INACTIVE
    reason: str = ""  # why it is in this state; empty for the ordinary ways
    count: int = 0  # Y1
    retry: int = 0  # Y2
    runs: int = 0
    since: float = 0.0  # when the state began
    retry_due: bool = False
    clean: bool = False  # Exited with a value, not with an error
    running_since: float | None = None

    def handle(
        self,
        event: ServiceEvent,
        at: float,
        rng: random.Random,
        reason: str = "",
        *,
        clean: bool = False,
    ) -> Next:
        """Take one event; the answer says what to do.

        Raises: IllegalEvent; nothing has changed then.
        """
        state = TRANSITIONS.get((self.state, event))
        if state is None:
            raise IllegalEvent(f"{self.spec.id}: {event} in state {self.state}")
        if event is _E.STOP and self.state is _S.FAILED and not self.retry_due:
            return NOTHING  # Y38
        ran = at - self.running_since if self.running_since is not None else None
        if state is not self.state:
            self.state, self.since, self.reason = state, at, reason
        match state:
            case _S.STARTING:
                return self._start(event)
            case _S.RUNNING:
                self.running_since = at
            case _S.FAILED if event is _E.FAILED:
                return self._failed(ran, rng)
            case _S.EXITED if event is _E.ENDED:
                self.clean = clean
        if state not in (_S.RUNNING, _S.STOPPING):
            self.running_since = None
            self.retry_due = False
        return NOTHING

    def _start(self, event: ServiceEvent) -> Next:
        if event is _E.START:
            self.count = self.retry = 0
        self.retry_due = False
        self.running_since = None
        self.runs += 1
        return Next(start=True)

    def _failed(self, ran: float | None, rng: random.Random) -> Next:
        self.running_since = None
        if ran is not None and ran >= self.spec.backoff.reset_after:
            self.count, self.retry = 0, 1  # Y11
        else:
            self.count += 1
            self.retry += 1
            limit = self.spec.max_attempts
            if limit and self.count >= limit:
                self.retry_due = False
                return NOTHING  # Y38
        self.retry_due = True
        return Next(delay=self.spec.backoff.delay(self.retry, rng))

    @property
    def gave_up(self) -> bool:
        """Failed for good: no retry is due."""
        return self.state is _S.FAILED and not self.retry_due

    @property
    def serves(self) -> bool:
        """Whether dependents may start: it runs, or it did its work and returned a value.

        The second is our reading of Y6 for services that run once: their dependents must not
        depend on whether the short life of the process was still seen.
        """
        return self.state is _S.RUNNING or (self.state is _S.EXITED and self.clean)


@frozen
class Hold:
    """Why a service does not start yet (``final`` false) or is held back (true, Y7)."""

    dependency: str
    why: str
    final: bool

    def __str__(self) -> str:
        return f"requires {self.dependency}, which {self.why}"


def hold(
    needs: tuple[str, ...], machines: Mapping[str, ServiceMachine], held: Mapping[str, Hold]
) -> Hold | None:
    """The first dependency that a service has to wait for, final ones first; None: it may start."""
    waiting: Hold | None = None
    for need in needs:
        machine = machines.get(need)
        if machine is None:
            return Hold(need, "is not there", True)
        if machine.serves:
            continue
        if need in held and held[need].final:
            return Hold(need, f"is held back ({held[need]})", True)
        if machine.gave_up or machine.state is _S.EXITED:
            why = "failed" if machine.gave_up else "ended"
            return Hold(need, f"{why}: {machine.reason}" if machine.reason else why, True)
        waiting = waiting or Hold(need, f"is {machine.state}", False)
    return waiting
