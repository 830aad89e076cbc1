"""What a supervisor knows, what can happen to it, and what it may want done.

Everything here is data for ``decide``. Times are seconds of Trio's clock, passed in.

The life of a child record::

    STOPPED -> STARTING -> RUNNING -> STOPPING -> STOPPED      asked for
                  |           |
                  |           +-> EXITED -> RESTARTING -> STARTING      by itself
                  +-> RESTARTING | STOPPED | dropped           failed start

EXITED is short: the end has been noticed, and what follows from it is decided when the work in
progress is finished (a supervisor does one thing at a time, in the order of what it learnt).
"""

import random
from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final

from attrs import Factory, define, field, frozen

from supervision.intensity import IntensityWindow
from supervision.specs import ChildSpec, SupervisorSpec
from supervision.terms import ExitClass, Strategy


class ChildState(StrEnum):
    """The states of a child record."""

    __hash__ = str.__hash__  # Enum's own is Python code

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    EXITED = "exited"
    RESTARTING = "restarting"


# By short names, for what each restart comes by: `ChildState.RUNNING` goes through Enum's metaclass
# (3.11) and costs as much as an object.
STOPPED, STARTING, RUNNING = ChildState.STOPPED, ChildState.STARTING, ChildState.RUNNING
STOPPING, EXITED, RESTARTING = ChildState.STOPPING, ChildState.EXITED, ChildState.RESTARTING

ALIVE: Final = frozenset({STARTING, RUNNING, STOPPING})

CHILD_MOVES: Final[dict[ChildState, frozenset[ChildState]]] = {
    ChildState.STOPPED: frozenset({ChildState.STARTING, ChildState.RESTARTING}),
    ChildState.STARTING: frozenset(
        {ChildState.RUNNING, ChildState.STOPPING, ChildState.STOPPED, ChildState.RESTARTING}
    ),
    ChildState.RUNNING: frozenset({ChildState.STOPPING, ChildState.EXITED, ChildState.STOPPED}),
    ChildState.STOPPING: frozenset({ChildState.STOPPED}),
    ChildState.EXITED: frozenset({ChildState.RESTARTING, ChildState.STOPPED}),
    ChildState.RESTARTING: frozenset({ChildState.STARTING, ChildState.STOPPED}),
}


@define(eq=False)
class ChildRecord:
    """One child of the running supervisor."""

    key: int  # unique during the supervisor's life
    spec: ChildSpec
    args: tuple[Any, ...] = ()  # simple_one_for_one: appended to the template's
    state: ChildState = ChildState.STOPPED
    pid: str | None = None  # the current process, or while restarting the last one
    restarts: int = 0
    failures: int = 0  # n of SU15
    since: float = 0.0  # when it was started
    due: float | None = None  # when its own restart may begin; None: it waits with its group
    removed: bool = False  # left out by update(): not restarted any more
    exit: "Ended | None" = None  # while EXITED: the end that is to be handled

    def move(self, state: ChildState) -> None:
        """Raises: RuntimeError for a move that the table does not know."""
        if state not in CHILD_MOVES[self.state]:
            raise RuntimeError(f"child {self.spec.id!r}: {self.state} -> {state}")
        self.state = state

    def run_ends(self, now: float) -> None:
        """However it ends: after a long run the next failure is the first one again (SU15)."""
        backoff = self.spec.backoff
        if backoff is not None and now - self.since >= backoff.reset_after:
            self.failures = 0


class Phase(StrEnum):
    """The life of the supervisor itself."""

    __hash__ = str.__hash__  # Enum's own is Python code

    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    ENDED = "ended"


class JobKind(StrEnum):
    """What a supervisor can be busy with."""

    __hash__ = str.__hash__  # Enum's own is Python code

    BOOT = "boot"
    RESTART = "restart"
    ADD = "add"  # start_child
    REVIVE = "revive"  # restart_child
    TERMINATE = "terminate"
    SHUTDOWN = "shutdown"


@define(eq=False)
class Job:
    """The work in progress: first the stops, one after another, then the starts.

    ``waiting`` holds the keys whose end or start is awaited; ``started`` those that are up.
    """

    kind: JobKind
    stop: deque[int] = Factory(deque)
    start: deque[int] = Factory(deque)
    due: float = 0.0  # the starts wait for this time
    group: bool = False  # a restart of several whose members are being stopped
    together: bool = False  # a restart of several, from the first stop to the last start
    waiting: set[int] = Factory(set)
    started: list[int] = Factory(list)
    token: Any = None  # whom to answer
    because: str | None = None  # the PID of whose end led to it


@define(eq=False)
class SupervisorState:
    """All that ``decide`` knows. Only ``decide`` changes it."""

    spec: SupervisorSpec
    rng: random.Random
    window: IntensityWindow = field(init=False)
    phase: Phase = Phase.NEW
    children: dict[int, ChildRecord] = Factory(dict)  # in start order
    by_id: dict[str, int] = Factory(dict)
    by_pid: dict[str, int] = Factory(dict)  # simple_one_for_one only
    job: Job | None = None
    backlog: deque["Event"] = Factory(deque)
    group_due: float | None = None  # when the waiting group may begin
    end: "End | None" = None  # how the supervisor will end
    gave_up: bool = False  # because of too many restarts
    keys: int = 0
    restarts: int = 0
    unheard: frozenset["ReportKind"] = frozenset()  # nobody is interested in such reports

    def __attrs_post_init__(self) -> None:
        self.window = IntensityWindow(self.spec.intensity, self.spec.period)

    @property
    def simple(self) -> bool:
        return self.spec.strategy is Strategy.SIMPLE_ONE_FOR_ONE

    def add(self, spec: ChildSpec, args: tuple[Any, ...] = ()) -> ChildRecord:
        """A new record at the end of the list."""
        self.keys += 1
        record = ChildRecord(self.keys, spec, args)
        self.children[record.key] = record
        if not self.simple:
            self.by_id[spec.id] = record.key
        return record

    def drop(self, record: ChildRecord) -> None:
        """Forget a child."""
        self.children.pop(record.key, None)
        if self.by_id.get(record.spec.id) == record.key:
            del self.by_id[record.spec.id]
        if record.pid is not None:
            self.by_pid.pop(record.pid, None)

    def let_go(self) -> None:
        """Of a group that waits for its restart somebody has been taken out."""
        if self.group_due is not None and not self.group():
            self.group_due = None  # it was the last one

    def group(self) -> deque[int]:
        """The children that are to be restarted together, not those that wait by themselves."""
        waiting = self.in_state(ChildState.RESTARTING)
        return deque(record.key for record in waiting if record.due is None)

    def in_state(self, *states: ChildState) -> Iterator[ChildRecord]:
        """Records in start order."""
        return (record for record in self.children.values() if record.state in states)


# ---- what can happen ----------------------------------------------------------------------------


@frozen
class Boot:
    """The supervisor is to start its children."""


@define  # once per restart: see Report
class Started:
    """A child runs, or has signalled that it is ready."""

    key: int
    pid: str


@frozen
class StartFailed:
    """A child could not be started, or ended before it was ready; ``final`` as in Ended."""

    key: int
    error: Any
    final: bool = False
    pid: str | None = None


@define  # once per restart: see Report
class Ended:
    """A process of a child has ended; ``final`` if its program or host is ending (SU9)."""

    key: int
    exit_class: ExitClass
    error: Any = None
    final: bool = False
    pid: str | None = None


@frozen
class Lost:
    """A child could not be stopped within its limit: a zombie (SU8); ``stack`` is where it is."""

    key: int
    stack: str = ""


@define  # once per restart: see Report
class Again:
    """A wait for a restart may be over."""

    key: int | None  # None: the group


@frozen
class Stop:
    """The supervisor is asked to stop."""

    reason: str = "asked to stop"


@frozen
class StartChild:
    """start_child: a checked spec, or for simple_one_for_one the arguments."""

    token: Any
    spec: ChildSpec | None
    args: tuple[Any, ...] = ()


@frozen
class TerminateChild:
    token: Any
    id: str


@frozen
class RestartChild:
    token: Any
    id: str


@frozen
class DeleteChild:
    token: Any
    id: str


@frozen
class Update:
    """update: flags and child specs, checked."""

    token: Any
    spec: SupervisorSpec


Request = StartChild | TerminateChild | RestartChild | DeleteChild | Update
Event = Boot | Started | StartFailed | Ended | Lost | Again | Stop | Request


# ---- what is to be done --------------------------------------------------------------------------


@define  # once per restart: see Report
class Launch:
    """Start the child's process; answer with Started or StartFailed."""

    key: int


@frozen
class Halt:
    """Stop the child's process within its limit; answer with Ended or Lost.

    ``because`` is the PID of the sibling whose end led to it (SU42).
    """

    key: int
    because: str | None = field(default=None, eq=False)


@frozen
class Wake:
    """Send ``Again(key)`` at this time."""

    at: float
    key: int | None


@frozen
class Reply:
    """Answer a request."""

    token: Any
    value: Any = None


@frozen
class Refuse:
    """Answer a request with an error."""

    token: Any
    error: Any


class ReportKind(StrEnum):
    """The events that people see (SU40)."""

    __hash__ = str.__hash__  # Enum's own is Python code

    STARTED = "started"
    START_FAILED = "start failed"
    EXITED = "exited"
    FAILED = "failed"
    RESTARTING = "restarting"
    GAVE_UP = "gave up"
    STOPPED = "stopped"
    ZOMBIE = "zombie"


@define  # not frozen: three of them per restart, and a frozen one costs three times as much
class Report:
    """One event of a child, as data (SU40).

    Units: ``delay`` in seconds.
    """

    kind: ReportKind
    key: int
    child: str
    pid: str | None
    reason: Any = None
    restarts: int = 0
    delay: float = 0.0


@frozen
class Ready:
    """All children are started."""


@frozen
class End:
    """The supervisor ends: by ``shutdown`` with a reason, or with the error of a failed start."""

    reason: str
    error: Any = None
    child: str | None = None  # the child whose start failed
    pid: str | None = field(default=None, eq=False)  # whose end led to it (SU42)


Action = Launch | Halt | Wake | Reply | Refuse | Report | Ready | End
Plan = tuple[Action, ...]
