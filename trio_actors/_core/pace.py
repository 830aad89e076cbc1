"""How much may be done between two checkpoints: a number of messages, and a time (design.md §4).

A look at the clock costs as much as taking a message, so one look serves for several messages: for
one at first, for twice as many as before while they are quick, at most for EVERY, or EVERY_TINY.
Once messages are slow each of them is looked at, so the time is overstepped by one message, or by
as many as that if quick ones are followed by slow ones.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

SECONDS = 0.0008  # between two checkpoints: 1 ms is promised, with what comes between two looks
EVERY = 8  # messages for one look
LONG = 32  # to take more than so many is to be a dispatcher, whose messages are mostly tiny
EVERY_TINY = 32  # messages for one look of a dispatcher
_QUICK = SECONDS / 8  # a step that took no longer may be followed by one twice as long
_TINY = SECONDS / 32  # and one of EVERY that took no longer, by one of EVERY_TINY


class Hand:
    """The hand of a node's clock: the time when somebody last looked at the clock.

    Reading a clock takes as long as sending half a message. So a message that its receiver will see
    in this turn of Trio's loop or in the next one is stamped with what the hand shows.
    """

    __slots__ = ("appended", "at", "stamp")

    def __init__(self, stamp: Callable[[], float]) -> None:
        self.appended = 0  # messages that came by routes, without those of open routes
        self.stamp = stamp  # `Node.stamp`
        self.at = stamp()

    def look(self) -> None:
        """Moves on to now."""
        self.at = self.stamp()


UNREAD = Hand(perf_counter)  # of whoever has no node to tell


class Pace:
    """What is left until a checkpoint is due. Hot loops count `left` down by themselves.

    `pace.left -= 1`, then `pace.left >= 0 or pace.look()` says whether a message may be taken.
    """

    __slots__ = ("_every", "_looked", "_more", "_most", "_step", "hand", "left", "until")

    def __init__(self, most: int, hand: Hand = UNREAD) -> None:
        self.hand = hand  # moves with each look
        self.left = 0  # messages before the next look
        self._most = most
        self._every = EVERY_TINY if most > LONG else EVERY
        self._more = 0  # messages after that look, at most; set by the first look
        self._step = 1
        self.until = -1.0  # when a checkpoint is due; 0: the time begins with the next look
        self._looked = 0.0

    def take(self) -> bool:
        """Uses one; False if a checkpoint is due."""
        self.left -= 1
        return self.left >= 0 or self.look()

    def look(self) -> bool:
        """The step is used up: True if a message more may be taken, and begins the next step."""
        until = self.until
        more = self._most - 1 if until == 0.0 else self._more
        if more <= 0:
            self.left = -1
            return False
        now = perf_counter()
        hand = self.hand
        hand.at = now if hand.stamp is perf_counter else hand.stamp()
        took = now - self._looked
        if now < until and took <= _QUICK:  # the usual case comes first
            step = self._step
            if step < self._every and (step < EVERY or took <= _TINY):
                self._step = step = step + step
        elif now < until:
            self._step = step = 1
        elif until == 0.0:
            self.until = now + SECONDS
            self._step = step = 1
        else:
            self.left = -1
            return False
        self._looked = now
        if step > more:
            step = more
        self._more = more - step
        self.left = step - 1
        return True

    def renew(self) -> None:
        """A checkpoint has passed, and its caller takes the first message."""
        self.left = 0
        self.until = 0.0

    def go_on(self) -> None:
        """As `renew`, when more messages are there: they are taken to be as quick as the last."""
        step = self._step
        if step == 1:
            self.renew()
            return
        self._looked = now = perf_counter()
        self.until = now + SECONDS
        self.left = step - 1
        self._more = self._most - step

    def take_many(self, wanted: int) -> int:
        """Uses up to `wanted` at once, without a look between them; says how many."""
        if self.until == 0.0 and self.look():  # its time begins now
            self.left += 1
        rest = max(self.left, 0) + max(self._more, 0)
        count = min(wanted, rest)
        self.left = 0
        self._more = rest - count
        return count

    def share(self, other: Pace, most: int) -> bool:
        """Takes up to `most` messages out of what another one has left.

        True if one may be taken now; `give_back` is to be called then.
        """
        if other.until == 0.0:  # its time begins now
            other.look()
        self.until = other.until
        self._every = other._every
        self._looked = other._looked
        self._more = min(most, max(0, other.left + other._more))
        if self.look():
            return True
        self.exhaust()  # what the other one has left is not to be taken by `take_many`
        return False

    def give_back(self, other: Pace, most: int) -> None:
        """Tells the other one how many were taken since then; a checkpoint is due."""
        taken = min(most, max(0, other.left + other._more)) - max(0, self._more + self.left)
        other.left -= taken
        if other.left < -1:
            other._more += other.left + 1
            other.left = -1
        self.exhaust()

    def exhaust(self) -> None:
        """A checkpoint is due, whatever is left."""
        self.left = -1
        self.until = -1.0
        self._more = 0

    def stop(self) -> None:
        """A checkpoint is due from now on before each message."""
        self._most = 0
        self._step = 1
        self.exhaust()
