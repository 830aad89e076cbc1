"""A reference model of a supervisor, written without looking at ``supervision.decide``.

It is a supervisor the way OTP writes one: a mailbox, a loop that handles one thing completely
before the next, and starting and stopping of children as plain calls that return when it is done.
``decide`` must show the same behaviour although it is never allowed to wait.

The world is a script: ``world.start(child)`` says whether a start works, and before every start or
stop ``world.meanwhile(operation number)`` names children that die just then, or what is asked of
the supervisor just then, or says by STOP that it is asked to stop: it finishes that start or stop
and does nothing else.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from supervision.backoff import Backoff

Spec = dict[str, Any]  # id, restart, significant, delay (of the first restart; 0 = none)
FACTOR, CAP = 2.0, 3.0  # delays grow by the one, up to so many times the first
RESET = 1.5  # a run of so many seconds makes the next delay the first one again (SU15)
STOP = ("", "stop")  # in the script: no child dies, the supervisor is asked to stop
REQUESTS = ("terminate_child", "restart_child", "delete_child")


def backoff_of(delay: float) -> Backoff | None:
    """What a supervisor is to be given for such a delay."""
    return Backoff(delay, delay * CAP, FACTOR, 0.0, RESET) if delay else None


@dataclass
class Child:
    spec: Spec
    alive: bool = False
    waiting: bool = False  # for a restart
    incarnation: int = 0
    restarts: int = 0
    failures: int = 0  # restarts with a delay since the last long run
    since: float = 0.0
    removed: bool = False
    dynamic: bool = False  # of simple_one_for_one
    alone: bool = False  # it waits by itself, not with a group
    due: float | None = None
    turn: int = 0  # of those that are due together the one that began to wait first is the first

    @property
    def id(self) -> str:
        return str(self.spec["id"])

    @property
    def goes(self) -> bool:
        return self.removed or self.dynamic or self.spec["restart"] == "temporary"

    @property
    def delay(self) -> float:
        """Of the restart that has just been counted (SU15)."""
        first = float(self.spec["delay"])
        return min(first * FACTOR ** (self.failures - 1), first * CAP)

    def runs_no_more(self, now: float) -> None:
        """Whatever ended the run: after a long one the next failure is the first."""
        if self.spec["delay"] and now - self.since >= RESET:
            self.failures = 0


class Over(Exception):
    """The supervisor has decided to end."""


@dataclass
class Supervisor:
    strategy: str
    intensity: int
    period: float
    auto: str
    specs: list[Spec]
    world: Any
    now: float = 0.0
    children: list[Child] = field(default_factory=list)
    mailbox: deque[tuple[Any, ...]] = field(default_factory=deque)
    log: list[tuple[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    operations: int = 0
    ended: str | None = None
    asked: bool = False  # to stop, while busy
    ending: bool = False
    group_due: float | None = None
    group_turn: int = 0
    turns: int = 0
    asked_meanwhile: list[list[str]] = field(default_factory=list)  # the answers, or still none

    # ---- the world -------------------------------------------------------------------------------

    def operation(self, what: str, child: Child) -> None:
        self.log.append((what, child.id))
        self.operations += 1
        for id, how in self.world.meanwhile(self.operations):
            self.asked = self.asked or (id, how) == STOP
            if how in REQUESTS:
                self.asked_meanwhile.append([])
                self.mailbox.append(("ask", how, id, self.asked_meanwhile[-1]))
                continue
            for other in self.children:
                if other.id == id and other.alive and other is not child:
                    other.alive = False
                    self.mailbox.append(("exit", other, other.incarnation, how))

    def start(self, child: Child) -> bool:
        child.waiting, child.due = False, None
        child.incarnation += 1
        self.operation("start", child)
        child.alive = bool(self.world.start(child.id))
        child.since = self.now if child.alive else child.since
        self.stop_if_asked()
        return child.alive

    def stop(self, child: Child) -> None:
        """Stop it, or notice that it is down already: then its exit message is used up."""
        if child.alive or self.has_exit(child):
            child.runs_no_more(self.now)
        if child.alive:
            self.operation("stop", child)
            child.alive = False
        self.forget_exit(child)
        self.stop_if_asked()

    def stop_if_asked(self) -> None:
        if self.asked and not self.ending:
            raise Over("asked to stop")

    def forget_exit(self, child: Child) -> None:
        self.mailbox = deque(m for m in self.mailbox if m[:2] != ("exit", child))

    def by_id(self, id: str) -> Child | None:
        return next((child for child in self.children if child.id == id), None)

    # ---- its life --------------------------------------------------------------------------------

    def boot(self) -> None:
        self.children = [Child(spec) for spec in self.specs]
        try:
            for child in self.children:
                if not self.start(child):
                    self.end("failed start of " + child.id)
                    return
        except Over as over:
            self.end(str(over))
        self.run()

    def run(self) -> None:
        """Handle all there is in the mailbox."""
        while self.mailbox and self.ended is None:
            what, *rest = self.mailbox.popleft()
            try:
                getattr(self, "on_" + what)(*rest)
            except Over as over:
                self.end(str(over))

    def end(self, why: str) -> None:
        self.ending = True
        for child in reversed(list(self.children)):
            child.waiting = False
            self.stop(child)
        self.children = [child for child in self.children if not child.goes]
        self.ended = why

    def next_due(self) -> tuple[float, Child | None] | None:
        """What this supervisor waits for first: when, and for which child (None: the group)."""
        dues: list[tuple[float, Child | None]] = [
            (child.due, child) for child in self.children if child.waiting and child.due is not None
        ]
        if self.group_due is not None:
            dues.append((self.group_due, None))
        turn = self.group_turn
        return min(dues, key=lambda due: (due[0], due[1].turn if due[1] else turn), default=None)

    def wait(self, child: Child, delay: float) -> None:
        """It will be started again in so many seconds."""
        self.turns += 1
        child.due, child.turn = self.now + delay, self.turns

    def group_waits(self, due: float) -> None:
        """The same for a group; it may have been waiting for that time before."""
        if due != self.group_due:
            self.turns += 1
            self.group_due, self.group_turn = due, self.turns

    def fire(self, child: Child | None) -> None:
        """That time has come."""
        if child is None:
            self.group_due = None
        else:
            child.due = None
        self.mailbox.append(("again", child))
        self.run()

    def advance(self, seconds: float) -> None:
        """Let time pass; what becomes due on the way is handled at its time."""
        target = self.now + seconds
        while self.ended is None:
            due = self.next_due()
            if due is None or due[0] > target:
                break
            self.now = max(self.now, due[0])
            self.fire(due[1])
        self.now = target

    # ---- exits -----------------------------------------------------------------------------------

    def on_exit(self, child: Child, incarnation: int, how: str) -> None:
        if child not in self.children or child.incarnation != incarnation:
            return
        child.runs_no_more(self.now)
        restart = child.spec["restart"]
        wanted = restart == "permanent" or (restart == "transient" and how == "abnormal")
        if child.removed or not wanted:
            if child.goes:
                self.children.remove(child)
            self.auto_shutdown(child)
        else:
            self.count(child)
            self.restart(child)

    def auto_shutdown(self, child: Child) -> None:
        if not child.spec["significant"] or self.auto == "never":
            return
        others = [c for c in self.children if c.spec["significant"] and c is not child]
        busy = any(c.alive or c.waiting or self.has_exit(c) for c in others)
        if self.auto == "any_significant" or not busy:
            raise Over("auto-shutdown")

    def has_exit(self, child: Child) -> bool:
        return any(message[:2] == ("exit", child) for message in self.mailbox)

    def count(self, child: Child) -> None:
        child.restarts += 1
        child.failures += bool(child.spec["delay"])
        child.waiting = True
        self.times = [t for t in [*self.times, self.now] if t >= self.now - self.period]
        if len(self.times) > self.intensity:
            raise Over("intensity")

    def restart(self, child: Child) -> None:
        """Stop those that share its fate; start at once, or later after the delay."""
        delay = child.delay
        if self.strategy == "one_for_one":
            child.alone = True
            if delay:
                self.wait(child, delay)
            else:
                self.mailbox.append(("again", child))
            return
        first = 0 if self.strategy == "one_for_all" else self.children.index(child)
        for other in reversed(self.children[first:]):
            self.stop(other)
            if other.goes:
                self.children.remove(other)
            else:
                other.waiting, other.alone, other.due = True, False, None
        self.start_group_after(delay)

    def start_group_after(self, delay: float) -> None:
        due = max(self.now + delay, self.group_due or 0.0)
        if due > self.now:
            self.group_waits(due)
        else:
            self.group_due = None
            self.start_group()

    def start_group(self) -> None:
        up: list[Child] = []
        for child in [child for child in self.children if child.waiting and not child.alone]:
            if self.start(child):
                up.append(child)
                continue
            self.count(child)
            for other in reversed(up):
                self.stop(other)
                if other.goes:
                    self.children.remove(other)
                else:
                    other.waiting, other.alone = True, False
            child.alone = False
            due = max(self.now + child.delay, self.group_due or 0.0)
            if due > self.now:
                self.group_waits(due)
            else:
                self.mailbox.append(("again", None))
            return

    def on_again(self, child: Child | None) -> None:
        if child is None:
            if self.group_due is None:
                self.start_group()
            return
        if child not in self.children or not child.waiting or child.due is not None:
            return
        if not child.alone:
            return  # it waits with a group meanwhile
        if not self.start(child):
            self.count(child)
            if child.delay:
                self.wait(child, child.delay)
            else:
                self.mailbox.append(("again", child))

    # ---- requests --------------------------------------------------------------------------------

    def on_ask(self, what: str, argument: Any, answer: list[str]) -> None:
        answer.append(getattr(self, what)(argument))

    def start_child(self, spec: Spec) -> str:
        old = self.by_id(spec["id"])
        if old is not None:
            return "already exists"
        child = Child(spec)
        self.children.append(child)
        if self.start(child):
            return "ok"
        self.children.remove(child)
        return "failed"

    def terminate_child(self, id: str) -> str:
        child = self.by_id(id)
        if child is None:
            return "not found"
        self.stop(child)
        child.waiting, child.due = False, None
        if child.goes:
            self.children.remove(child)
        self.nobody_waits()
        return "ok"

    def nobody_waits(self) -> None:
        """Then the group does not wait either."""
        if not any(child.waiting and not child.alone for child in self.children):
            self.group_due = None

    def restart_child(self, id: str) -> str:
        child = self.by_id(id)
        if child is None:
            return "not found"
        if child.alive or child.waiting or self.has_exit(child):
            return "conflict"
        return "ok" if self.start(child) else "failed"

    def delete_child(self, id: str) -> str:
        child = self.by_id(id)
        if child is None:
            return "not found"
        if child.alive or child.waiting or self.has_exit(child):
            return "conflict"
        self.children.remove(child)
        return "ok"

    def update(self, given: dict[str, Any]) -> str:
        """SU25: flags now, specs at the next restart, new ones listed, others until they end."""
        for flag in ("strategy", "auto", "intensity", "period"):
            setattr(self, flag, given[flag])
        old = {child.id: child for child in self.children}
        self.children = []
        for spec in given["specs"]:
            child = old.pop(spec["id"], None) or Child(spec)
            child.spec, child.removed = spec, False
            self.children.append(child)
        for child in old.values():
            if child.alive or self.has_exit(child):
                child.removed = True
                self.children.append(child)
        self.nobody_waits()
        return "ok"

    # ---- simple_one_for_one ----------------------------------------------------------------------

    def start_dynamic(self, spec: Spec) -> str:
        """SU23: always a new child; it is gone when it ends without a restart."""
        child = Child(spec, dynamic=True)
        self.children.append(child)
        if self.start(child):
            return "ok"
        self.children.remove(child)
        return "failed"

    def update_template(self, given: dict[str, Any]) -> str:
        """SU25 for simple_one_for_one: children follow it; temporary ones stay temporary (SU23)."""
        for flag in ("auto", "intensity", "period"):
            setattr(self, flag, given[flag])
        for child in self.children:
            stays = {"restart": "temporary"} if child.spec["restart"] == "temporary" else {}
            child.spec = {**given["template"], "id": child.id, **stays}
        return "ok"

    # ---- what can be compared --------------------------------------------------------------------

    def picture(self) -> list[tuple[str, str, int]]:
        return [
            (
                child.id,
                "running" if child.alive else "restarting" if child.waiting else "stopped",
                child.restarts,
            )
            for child in self.children
        ]
