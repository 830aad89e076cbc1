"""The life of a process and of a host as tables (processes.md §1.4, §12). Nobody else sets states.

Blocked and idle are not stored: they change with every message, and whether a running process
waits for messages or for something else can be asked of it at any time (`Process.doing`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

StateT = TypeVar("StateT", bound=StrEnum)
StepT = TypeVar("StepT", bound=StrEnum)


class State(StrEnum):
    """Where in its life a process is."""

    __hash__ = str.__hash__  # Enum's own is Python code

    READY = "ready"  # has PID, mailbox, links; its code has not begun
    RUNNING = "running"
    UPGRADING = "upgrading"  # the old code unwinds, the new has not begun
    ENDED = "ended"  # V20 is done


class Step(StrEnum):
    """What happens to a process."""

    __hash__ = str.__hash__

    BEGIN = "begin"
    UPGRADE = "upgrade"
    END = "end"


LIFE: dict[tuple[State, Step], State] = {
    (State.READY, Step.BEGIN): State.RUNNING,
    (State.READY, Step.END): State.ENDED,
    (State.RUNNING, Step.UPGRADE): State.UPGRADING,
    (State.RUNNING, Step.END): State.ENDED,
    (State.UPGRADING, Step.BEGIN): State.RUNNING,
    (State.UPGRADING, Step.END): State.ENDED,
}


# The same by step: two look-ups without a tuple take half the time of one with.
AFTER: dict[Step, dict[State, State]] = {
    step: {before: LIFE[before, step] for before in State if (before, step) in LIFE}
    for step in Step
}

# The members by short names, for paths that every process takes: `State.ENDED` is Python code in
# Enum's metaclass (3.11) and costs as much as an object.
READY, RUNNING, UPGRADING, ENDED = State.READY, State.RUNNING, State.UPGRADING, State.ENDED
BEGIN, END = Step.BEGIN, Step.END


class HostState(StrEnum):
    """Where in its life a host is (Z2, Z3)."""

    NEW = "not running"
    OPEN = "running"
    STOPPING = "shutting down"
    CLOSED = "stopped"


class HostStep(StrEnum):
    """What happens to a host."""

    OPEN = "open"
    STOP = "stop"
    CLOSE = "close"


OPEN = HostState.OPEN

HOST_LIFE: dict[tuple[HostState, HostStep], HostState] = {
    (HostState.NEW, HostStep.OPEN): HostState.OPEN,
    (HostState.NEW, HostStep.CLOSE): HostState.CLOSED,  # cancelled before it opened
    (HostState.OPEN, HostStep.STOP): HostState.STOPPING,
    (HostState.STOPPING, HostStep.CLOSE): HostState.CLOSED,
    (HostState.OPEN, HostStep.CLOSE): HostState.CLOSED,  # the program itself was cancelled
}


class IllegalStep(RuntimeError):
    """A step that the life table does not have; nothing was changed. A bug of the framework."""

    def __init__(self, state: StrEnum, step: StrEnum) -> None:
        super().__init__(f"no step {step.value!r} from state {state.value!r}")
        self.state = state
        self.step = step


def advance(table: dict[tuple[StateT, StepT], StateT], state: StateT, step: StepT) -> StateT:
    """The state after `step`; raises IllegalStep, changing nothing, if there is none."""
    try:
        return table[state, step]
    except KeyError:
        raise IllegalStep(state, step) from None
