"""Reference model of channels and select: what every operation must give (H1-H8, X1-X8, G3).

The model is told which coroutine *begins* which operation, in the order in which they begin. It
says what the operation gives at once, or that it blocks; later operations of others complete
blocked ones. Nothing here schedules: the order comes from the run that is judged.

It is written from the rules, not from the code: waiting operations stand in one list per channel
and direction, oldest first, and a waiting select stands in several lists under one token.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import attrs

SEND_ON_CLOSED = "send on closed channel"


@attrs.frozen
class Send:
    """Send `value` on channel number `channel`."""

    channel: int
    value: Any


@attrs.frozen
class Receive:
    """Receive from channel number `channel`."""

    channel: int


@attrs.frozen
class Close:
    """Close channel number `channel`."""

    channel: int


@attrs.frozen
class Select:
    """The first ready case; with `default` it never blocks."""

    cases: tuple[Send | Receive, ...]
    default: bool = False


@attrs.frozen
class Yield:
    """Give way, nothing else."""


Operation = Send | Receive | Close | Select | Yield


@attrs.frozen
class Raised:
    """The operation raised this text."""

    text: str


@attrs.frozen
class Sent:
    """A send, or the send case `case` of a select, is done."""

    case: int | None = None


@attrs.frozen
class Received:
    """A receive, or the receive case `case` of a select: value and ok."""

    value: Any
    ok: bool
    case: int | None = None


@attrs.frozen
class Done:
    """A close or a yield is done; a select took its default."""


Outcome = Raised | Sent | Received | Done
CLOSED = Raised(SEND_ON_CLOSED)


@attrs.define(eq=False)
class Waiter:
    """One coroutine in one queue; the cases of a select share the token."""

    coroutine: int
    token: object
    value: Any
    case: int | None


@attrs.define
class Channel:
    capacity: int
    buffer: deque[Any] = attrs.field(factory=deque)
    senders: list[Waiter] = attrs.field(factory=list)
    receivers: list[Waiter] = attrs.field(factory=list)
    closed: bool = False


class ChannelModel:
    """Channels of one process. `outcomes[c]` is what the current operation of `c` gives."""

    def __init__(self, capacities: tuple[int, ...]) -> None:
        self.channels = [Channel(max(0, capacity)) for capacity in capacities]
        self.outcomes: dict[int, Outcome | None] = {}
        self.alternatives: dict[int, tuple[Outcome, ...]] = {}

    def begin(self, coroutine: int, operation: Operation) -> Outcome | None:
        """Start an operation: its outcome, or None if the coroutine blocks now."""
        assert self.outcomes.get(coroutine, Done()) is not None, "a blocked coroutine went on"
        self.alternatives.pop(coroutine, None)
        self.outcomes[coroutine] = self._attempt(coroutine, operation)
        return self.outcomes[coroutine]

    def allows(self, coroutine: int, outcome: Outcome) -> bool:
        """Whether the coroutine's operation may have ended so."""
        found = self.outcomes.get(coroutine)
        return outcome == found or outcome in self.alternatives.get(coroutine, ())

    def blocked(self) -> set[int]:
        """The coroutines that wait for others."""
        return {c for c, outcome in self.outcomes.items() if outcome is None}

    # ------------------------------------------------------------------------------ operations
    def _attempt(self, coroutine: int, operation: Operation) -> Outcome | None:
        match operation:
            case Yield():
                return Done()
            case Close(channel):
                self._close(self.channels[channel])
                return Done()
            case Send() | Receive():
                return self._try(operation, None) or self._wait(coroutine, (operation,), False)
            case Select(cases, default):
                for index, case in enumerate(cases):
                    if outcome := self._try(case, index):
                        return outcome
                return Done() if default else self._wait(coroutine, cases, True)

    def _try(self, operation: Send | Receive, case: int | None) -> Outcome | None:
        channel = self.channels[operation.channel]
        if isinstance(operation, Send):
            if channel.closed:
                return CLOSED
            if channel.receivers:
                self._complete_receiver(channel.receivers[0], operation.value, True)
            elif len(channel.buffer) < channel.capacity:
                channel.buffer.append(operation.value)
            else:
                return None
            return Sent(case)
        if channel.buffer:
            value = channel.buffer.popleft()
            if channel.senders:
                channel.buffer.append(self._take_sender(channel))
            return Received(value, True, case)
        if channel.senders:
            return Received(self._take_sender(channel), True, case)
        return Received(None, False, case) if channel.closed else None

    def _wait(self, coroutine: int, cases: tuple[Send | Receive, ...], is_select: bool) -> None:
        token = object()
        for index, case in enumerate(cases):
            channel = self.channels[case.channel]
            number = index if is_select else None
            if isinstance(case, Send):
                channel.senders.append(Waiter(coroutine, token, case.value, number))
            else:
                channel.receivers.append(Waiter(coroutine, token, None, number))

    def _close(self, channel: Channel) -> None:
        if channel.closed:
            return
        channel.closed = True
        woken: dict[int, tuple[Outcome, ...]] = {}
        for waiter in channel.receivers:
            outcome = Received(None, False, waiter.case)
            woken[waiter.coroutine] = (*woken.get(waiter.coroutine, ()), outcome)
        for waiter in channel.senders:
            woken[waiter.coroutine] = (*woken.get(waiter.coroutine, ()), CLOSED)
        for waiter in [*channel.receivers, *channel.senders]:
            self._finish(waiter, woken[waiter.coroutine][0])
        # A select may wait on one channel in both directions, or twice: any of them may be told.
        self.alternatives.update(woken)

    # ---------------------------------------------------------------------------- completing
    def _take_sender(self, channel: Channel) -> Any:
        waiter = channel.senders[0]
        self._finish(waiter, Sent(waiter.case))
        return waiter.value

    def _complete_receiver(self, waiter: Waiter, value: Any, ok: bool) -> None:
        self._finish(waiter, Received(value, ok, waiter.case))

    def _finish(self, waiter: Waiter, outcome: Outcome) -> None:
        self.outcomes[waiter.coroutine] = outcome
        for channel in self.channels:
            channel.senders = [w for w in channel.senders if w.token is not waiter.token]
            channel.receivers = [w for w in channel.receivers if w.token is not waiter.token]


# --------------------------------------------------------------------------- judging a run
@attrs.frozen
class Begin:
    """In the log of a run: the coroutine starts its operation number `step`."""

    coroutine: int
    step: int


@attrs.frozen
class End:
    """In the log of a run: that operation gave `outcome`."""

    coroutine: int
    step: int
    outcome: Outcome


@attrs.frozen
class Program:
    """Channels by capacity, and for each coroutine its operations in order."""

    capacities: tuple[int, ...]
    coroutines: tuple[tuple[Operation, ...], ...]


def refines(program: Program, log: list[Begin | End]) -> str | None:
    """None if the log is a run that the model allows; otherwise what is wrong with it."""
    model = ChannelModel(program.capacities)
    at = dict.fromkeys(range(len(program.coroutines)), 0)
    pending: tuple[int, int] | None = None  # an operation that must end before anything else
    for number, event in enumerate(log):
        if pending and (not isinstance(event, End) or (event.coroutine, event.step) != pending):
            return f"event {number}: switched to another coroutine inside {pending} (G3)"
        pending = None
        if event.step != at[event.coroutine]:
            return f"event {number}: step {event.step} of {event.coroutine} is out of order"
        if isinstance(event, Begin):
            operation = program.coroutines[event.coroutine][event.step]
            if model.begin(event.coroutine, operation) and not isinstance(operation, Yield):
                pending = (event.coroutine, event.step)
            continue
        if model.outcomes.get(event.coroutine) is None:
            return f"event {number}: {event} although the operation has to wait"
        if not model.allows(event.coroutine, event.outcome):
            return f"event {number}: {event}, expected {model.outcomes[event.coroutine]}"
        at[event.coroutine] += 1
    for coroutine, operations in enumerate(program.coroutines):
        if at[coroutine] < len(operations) and coroutine not in model.blocked():
            return f"coroutine {coroutine} stopped at step {at[coroutine]} and nothing holds it"
    return None
