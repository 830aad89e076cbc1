"""The pump: holds everything that is delivered and lets one thing happen at a time (TS1).

The theory: whenever all tasks are blocked, the pump makes one step: it delivers the head of one
pair's queue, or lets time pass to the next deadline. A policy chooses which. Within a pair order
is kept (M12); everything else is free. So each run is a sequence of choices, and nothing that
happens between two choices depends on chance.

Rejected: permuting Trio's batches of runnable tasks (nobody gets more than one step ahead, and
none of the planted races was found); an autojump clock (time may pass only when the policy says).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from math import inf
from typing import Protocol

import trio

from trio_actors._core.bounded import limit_of
from trio_actors._core.errors import ProcessError
from trio_actors._core.message import Message
from trio_actors._core.node import Node
from trio_actors._core.pid import Pid, place_of
from trio_actors._core.process import Cancel, Item, Process, Start
from trio_actors.testing.clock import SimClock
from trio_actors.testing.delivery import Delivery, Pair, Step, what
from trio_actors.testing.footprint import COUNT, EVERY, READ, TICK, TIMED, WRITE, Footprint
from trio_actors.testing.gate import NodeGate
from trio_actors.testing.labels import Labels
from trio_actors.testing.schedule import MessageId
from trio_actors.testing.waiting import Waiting

EARLY_TICKS = 200  # so often may time overtake messages in one run
MOST_TRANSIT = 30.0  # virtual seconds that a message may be overtaken by time, without a fault
BUSY_WAIT = 0.0005  # real seconds between two looks at a working thread
SHORT = 1e-6
PATIENCE = 100  # looks, before deliveries go on beside a thread that will not end


class Policy(Protocol):
    """Chooses the next step."""

    wants_enabled: bool  # note in each step what else could have been chosen

    def choose(self, pump: Pump, heads: list[Delivery]) -> Delivery | None:
        """One of `heads` (oldest first), or None to let time pass (only if `pump.can_tick()`)."""
        ...


class Watcher(Protocol):
    """Is told what happens in a run: invariants, faults, reports."""

    def posted(self, delivery: Delivery) -> None:
        """Something was sent."""
        ...

    def delivering(self, delivery: Delivery) -> bool:
        """It is about to arrive; False: it is swallowed by a fault."""
        ...

    def stepped(self, step: Step) -> None:
        """All tasks are blocked again after a step."""
        ...


class Pump:
    """Holds deliveries and makes steps; one per run."""

    def __init__(
        self,
        clock: SimClock,
        policy: Policy,
        watcher: Watcher,
        max_steps: int,
        *,
        footprints: bool,
    ) -> None:
        self.clock = clock
        self.policy = policy
        self.watcher = watcher
        self.max_steps = max_steps
        self.footprint = Footprint(taken=footprints, more=lambda: bool(self._pairs))
        self.labels = Labels(self.footprint)
        self.waiting = Waiting(self.footprint)
        self.nodes: list[Node] = []
        self.steps: list[Step] = []
        self.exploring = True
        self.sent = 0
        self.delivered = 0
        self.swallowed = 0
        self.early_ticks = 0
        self.never: dict[MessageId, int] = {}  # lateness of what was not delivered in the end
        self.held_pairs: dict[Pair, None] = {}
        self.separated: dict[str, int] = {}  # host -> its side of a partition
        self.paused = False  # no step is made, and nobody sleeps: between rules of a machine
        self.scripted = False  # only `deliver_now` delivers
        self._pairs: dict[Pair, deque[Delivery]] = {}  # none of the queues is empty
        self._behind: dict[Pair, int] = {}  # signals that wait behind something else of their pair
        self._numbers: dict[Pair, int] = {}
        self._delayed = False  # something was, so that `due` has to be looked at
        self._open: Step | None = None  # the step whose consequences are under way
        self._limiter: trio.CapacityLimiter | None = None
        self._resting: list[tuple[bool, trio.Event]] = []
        self._looks = 0
        self._idle_looks = 0
        self._deadline = inf

    # -- what is posted

    def gate(self, node: Node) -> NodeGate:
        """The gate for one node's `post`."""
        self.nodes.append(node)
        return NodeGate(self, node)

    def post(self, node: Node, source: Pid | None, target: Process, item: Item) -> None:
        """Keeps an item until the policy chooses it."""
        labels = self.labels
        pair = (labels.of(source), labels.add(node, target))
        if not isinstance(item, Message):
            self.footprint.touch(TICK, COUNT)
        if isinstance(item, Start):
            number = 0
        else:
            limit = limit_of(target)
            if isinstance(item, Message):
                self.footprint.touch(("sent", EVERY), COUNT)
                if limit is not None:
                    self.footprint.touch(("run", pair[1]), WRITE)  # it has less room
                    limit.expect(item)
            number = self._numbers[pair] = self._numbers.get(pair, 0) + 1
            if isinstance(item, Cancel):  # K6: the deadline is in force at once, not the event
                target.limit(item.deadline, item.event.sender)
        steps, now = len(self.steps), self.clock.time
        self._enqueue(
            Delivery(pair, number, what(item), self.sent, steps, now, source, target, item)
        )

    def post_action(self, src: str, dst: str, text: str, action: Callable[[], object]) -> None:
        """Keeps something else that one party does to another: a reply, a task's step."""
        pair = (src, dst)
        number = self._numbers[pair] = self._numbers.get(pair, 0) + 1
        steps, now = len(self.steps), self.clock.time
        self._enqueue(Delivery(pair, number, text, self.sent, steps, now, action=action))

    def _enqueue(self, delivery: Delivery) -> None:
        self.sent += 1
        self.footprint.touch(("queue", delivery.pair), WRITE)
        queue = self._pairs.get(delivery.pair)
        if queue is None:
            self._pairs[delivery.pair] = deque((delivery,))
            delivery.head_since = delivery.posted_in
        else:
            queue.append(delivery)
            if delivery.signal:
                self._behind[delivery.pair] = self._behind.get(delivery.pair, 0) + 1
        self.watcher.posted(delivery)

    def again(self, delivery: Delivery) -> None:
        """Puts a delivery into its queue a second time (fault `dup`)."""
        pair = delivery.pair
        number = self._numbers[pair] = self._numbers.get(pair, 0) + 1
        twin = Delivery(
            pair,
            number,
            delivery.what,
            self.sent,
            len(self.steps),
            self.clock.time,
            delivery.source,
            delivery.target,
            delivery.item,
            delivery.action,
        )
        self._enqueue(twin)

    def delay(self, delivery: Delivery, due: float) -> None:
        """It is not delivered before this time."""
        delivery.due = due
        self._delayed = True

    def drop_where(self, condition: Callable[[Delivery], bool]) -> None:
        """Swallows everything in transit for which the condition holds."""
        for pair, queue in list(self._pairs.items()):
            self.note_lateness(d for d in queue if condition(d))
            kept = deque(d for d in queue if not condition(d))
            self.swallowed += len(queue) - len(kept)
            self._behind.pop(pair, None)
            if not kept:
                del self._pairs[pair]
                continue
            self._pairs[pair] = kept
            behind = sum(d.signal for d in kept) - kept[0].signal
            if behind:
                self._behind[pair] = behind

    def note_lateness(self, deliveries: Iterable[Delivery]) -> None:
        """Of what will never be delivered: that it was overtaken is part of the schedule too."""
        for delivery in deliveries:
            if delivery.overtaken:
                self.never[delivery.id] = len(self.steps) - delivery.head_since

    # -- what is pending

    def pending(self) -> list[Delivery]:
        """Everything in transit, oldest first."""
        found = [delivery for queue in self._pairs.values() for delivery in queue]
        return sorted(found, key=lambda d: d.seq)

    def heads(self) -> list[Delivery]:
        """What could be delivered now: the first of each pair, oldest first."""
        if self.scripted:
            return []
        found = [queue[0] for queue in self._pairs.values()]
        if self._delayed:
            now = self.clock.time
            found = [head for head in found if head.due <= now or self._urgent(head, now)]
        if self.held_pairs:
            found = [head for head in found if head.pair not in self.held_pairs]
        if self.separated:
            found = [head for head in found if not self._apart(head)]
        if len(found) > 1:
            found.sort(key=_seq)
        return found

    def _urgent(self, head: Delivery, now: float) -> bool:
        """Delayed, but a signal waits behind it, or it starts a process that is to end."""
        if head.pair in self._behind:
            return True
        target = head.target
        return (
            head.id.n == 0
            and target is not None
            and (target.forced is not None or target.deadline <= now)
        )

    def _apart(self, head: Delivery) -> bool:
        if head.source is None or head.target is None:
            return False
        sides = self.separated
        a, b = place_of(head.source)[1], head.target.host.id
        return a in sides and b in sides and sides[a] != sides[b]

    def can_tick(self) -> bool:
        """Whether time may pass although messages wait: none is in transit for ever."""
        if self._deadline == inf or self.early_ticks >= EARLY_TICKS:
            return False
        if self._behind:
            return False
        if any(not with_time for with_time, _ in self._resting):
            return False  # the test waits for what is in transit, not for time
        heads = [queue[0] for queue in self._pairs.values() if queue[0].due <= self.clock.time]
        if any(head.signal for head in heads):
            return False  # starts, exits and cancels are immediate in a node: messages are not
        oldest = min((head.posted_at for head in heads), default=inf)
        return self._deadline <= oldest + MOST_TRANSIT

    # -- steps

    def idle(self, deadline: float) -> float:
        """All tasks are blocked, and Trio's next deadline is this: makes the next step.

        Returns:
            How long Trio may really sleep: 0 after a step.
        """
        if self.paused:
            return 0.0
        for node in self.nodes:
            if node.clock.refresh():
                return 0.0
        if self._open is not None:
            self.footprint.touch(TICK, READ)
            if deadline > self._deadline:
                self.footprint.touch(TICK, COUNT)
            if deadline < inf:
                self.footprint.touch(TIMED, READ)
            self._end_step(self._open)
        if self._threads_busy() and self._looks < PATIENCE:
            self._looks += 1
            return BUSY_WAIT
        self._looks = 0
        self._deadline = min(deadline, self._next_due()) if self._delayed else deadline
        return self._step()

    def _threads_busy(self) -> bool:
        if self._limiter is None:
            self._limiter = trio.to_thread.current_default_thread_limiter()
        return self._limiter.borrowed_tokens > 0

    def _next_due(self) -> float:
        now = self.clock.time
        return min((q[0].due for q in self._pairs.values() if q[0].due > now), default=inf)

    def _step(self) -> float:
        heads = self.heads()
        if not heads and self._rest(with_time=False):
            return 0.0
        if heads:
            choice = self.policy.choose(self, heads) if self.exploring else heads[0]
            if choice is not None:
                self._deliver(choice, heads)
                return 0.0
            self.early_ticks += 1
        if self._threads_busy():
            return BUSY_WAIT
        if self._deadline < inf:
            self._tick(self._deadline, heads)
        elif not self._rest(with_time=True):
            self._idle_looks += 1
            if self._idle_looks > 2:
                raise Stuck(
                    "nothing is in transit, no deadline is pending, and the test still waits"
                )
            return SHORT  # whoever waits for all tasks to be blocked gets a chance
        self._idle_looks = 0
        return 0.0

    def _begin_step(self, step: Step, heads: list[Delivery]) -> None:
        if len(self.steps) >= self.max_steps:
            raise Restless(f"the system did not come to rest within {self.max_steps} steps")
        if self.policy.wants_enabled:
            step.enabled = [d.id for d in heads]
            if not heads or self.can_tick():
                step.enabled.append(None)
        self.steps.append(step)
        self._open = step

    def _deliver(self, delivery: Delivery, heads: list[Delivery]) -> None:
        for head in heads:
            if head is delivery:
                break
            head.overtaken = True
        late = len(self.steps) - delivery.head_since if delivery.overtaken else 0
        step = Step(delivery, self.clock.time, late)
        self._begin_step(step, heads)
        self._take(delivery)
        self.footprint.begin(("run", delivery.pair[1]))
        if self.watcher.delivering(delivery):
            self.delivered += 1
            try:
                delivery.fire()
            except ProcessError:  # a duplicate that a full mailbox refuses: nobody is told
                pass
        else:
            self.swallowed += 1

    def _take(self, delivery: Delivery) -> None:
        queue = self._pairs[delivery.pair]
        if len(queue) > 1:
            queue.popleft()
            queue[0].head_since = len(self.steps)
            if queue[0].signal:
                self._first_now(delivery.pair)
        else:
            del self._pairs[delivery.pair]

    def _first_now(self, pair: Pair) -> None:
        left = self._behind.pop(pair, 0) - 1
        if left > 0:
            self._behind[pair] = left

    def deliver_now(self, id: MessageId) -> None:
        """Delivers one thing at once, out of turn (a scripted order)."""
        queue = self._pairs.get(id[:2])
        if not queue or queue[0].id != id:
            waiting = ", ".join(str(d.id) for d in self.heads()) or "nothing"
            raise LookupError(f"{id} cannot be delivered now; first in their pairs: {waiting}")
        self._deliver(queue[0], self.heads())

    def _tick(self, due: float, heads: list[Delivery]) -> None:
        for head in heads:
            head.overtaken = True
        self._begin_step(Step(None, due, 0), heads)
        self.footprint.begin(("time", ""))
        self.clock.time = due

    def _end_step(self, step: Step) -> None:
        self._open = None
        step.footprint = self.footprint.end()
        self.watcher.stepped(step)

    # -- coming to rest

    async def rest(self, *, with_time: bool) -> None:
        """Returns when nothing is in transit, and with `with_time` no deadline is pending either.

        Checkpoint: always.
        """
        event = trio.Event()
        self._resting.append((with_time, event))
        await event.wait()

    def _rest(self, *, with_time: bool) -> bool:
        woken = [entry for entry in self._resting if entry[0] <= with_time]
        for entry in woken:
            self._resting.remove(entry)
            entry[1].set()
        return bool(woken)


class Stuck(AssertionError):
    """Nothing can ever happen any more, and somebody waits."""


class Restless(AssertionError):
    """The system went on and on."""


def _seq(delivery: Delivery) -> int:
    return delivery.seq


__all__ = ["Delivery", "NodeGate", "Policy", "Pump", "Restless", "Step", "Stuck", "Watcher"]
