"""What every queue driver has in common: messages, what becomes of them, deliveries. No I/O.

A driver keeps letters and hands them out as deliveries. What happens to a letter that was not
acknowledged is decided here, once for all drivers (`verdict`); the drivers only carry it out.

Rules: QU5 (retries, dead letters), QU7 (one settle for each delivery), QU8 (give back).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, Protocol

import attrs

from trio_actors._core.errors import ErrorKind, ProcessError, make_error

__all__ = ["Again", "Dead", "Delivery", "Done", "Dropped", "Kept", "Letter", "QueueDriver"]


@attrs.frozen(slots=True)
class QueueInfo:
    """How many messages a queue holds: waiting, and given to consumers."""

    message_count: int
    ready: int
    in_flight: int


@attrs.define(slots=True, eq=False)
class Letter:
    """One message as a queue keeps it."""

    id: str
    body: Any
    headers: Mapping[str, Any]
    attempts: int = 0
    # Which delivery it is in the hands of, for drivers that have to know.
    receipt: str = ""


def no_queue(id: str) -> ProcessError:
    """There is no queue of this id, or none any more."""
    return make_error(ErrorKind.NOT_FOUND, f"queue not found: {id}")


# -- what becomes of a letter that was not acknowledged


@attrs.frozen(slots=True)
class Again:
    """It goes to the tail and is delivered again."""


@attrs.frozen(slots=True)
class Dead:
    """It goes to the dead letters, with these headers."""

    queue: str
    headers: Mapping[str, Any]


@attrs.frozen(slots=True)
class Dropped:
    """It was given up and nobody wants it."""


Verdict = Again | Dead | Dropped


@attrs.frozen(slots=True)
class Terms:
    """What a queue grants a message."""

    max_attempts: int = 5
    dead_letter: str | None = None


def verdict(queue: str, terms: Terms, letter: Letter, error: str) -> Verdict:
    """What becomes of a letter whose delivery number `letter.attempts` failed. Rule: QU5.

    >>> verdict("a:q", Terms(max_attempts=2), Letter("1", "x", {}, attempts=1), "no")
    Again()
    >>> verdict("a:q", Terms(2, "a:dead"), Letter("1", "x", {"h": 1}, attempts=2), "no")
    Dead(queue='a:dead', headers={'h': 1, 'x-error': 'no', 'x-attempts': 2, 'x-queue': 'a:q'})
    """
    if letter.attempts < terms.max_attempts:
        return Again()
    if terms.dead_letter is None:
        return Dropped()
    marks = {"x-error": error, "x-attempts": letter.attempts, "x-queue": queue}
    return Dead(terms.dead_letter, {**letter.headers, **marks})


MARKS = ("x-error", "x-attempts", "x-queue")


# -- deliveries


class Kept(Protocol):
    """What settling gives: waiting for it returns when the decision cannot be lost any more."""

    def __await__(self) -> Generator[Any, Any, None]: ...


class Done:
    """Kept already, as far as it ever is. Checkpoint: never."""

    def __await__(self) -> Generator[Any, Any, None]:
        return
        yield


DONE = Done()


class QueueDriver(Protocol):
    """One queue of any driver, as publishers and consumers see it."""

    id: str
    visibility_timeout: float | None

    def info(self) -> QueueInfo:
        """What it holds now."""

    async def publish(self, body: Any, headers: Mapping[str, Any]) -> None:
        """Add a message; waits while the queue is full, and until it is kept.

        Nobody changes `headers` afterwards; a driver that keeps objects copies the body.
        """

    def put(self, letter: Letter) -> None:
        """At the tail, even if the queue is full (QU5)."""

    async def take(self) -> Delivery:
        """The next message; waits for one."""

    def acknowledge(self, letter: Letter) -> Kept:
        """The message is gone."""

    def refuse(self, letter: Letter, error: str) -> Kept:
        """To the tail, or after the last attempt to the dead letters (QU5)."""

    def put_back(self, letter: Letter) -> Kept:
        """In front again, and the attempt does not count (QU8)."""


class Delivery:
    """A message in the hands of a consumer (QU7)."""

    __slots__ = ("_letter", "_queue", "over", "settled")

    def __init__(self, queue: QueueDriver, letter: Letter) -> None:
        self._queue = queue
        self._letter = letter
        self.settled = False
        self.over = False

    @property
    def body(self) -> Any:
        """The content."""
        return self._letter.body

    def id(self) -> str:
        """The message's own id."""
        return self._usable()._letter.id

    def headers(self) -> dict[str, Any]:
        """All headers, a copy."""
        return dict(self._usable()._letter.headers)

    def header(self, key: str) -> Any:
        """One header, None without it."""
        return self._usable()._letter.headers.get(key)

    def attempt(self) -> int:
        """Which delivery this is, from 1."""
        return self._usable()._letter.attempts

    def ack(self) -> Kept:
        """Done: the message is gone. `await` it to go on when that cannot be lost any more.

        Raises: ProcessInvalid when settled already.
        """
        self._settle()
        return self._queue.acknowledge(self._letter)

    def nack(self, error: str = "") -> Kept:
        """Not done: it comes again, or goes to the dead letters (QU5). Awaitable as `ack`."""
        self._settle()
        return self._queue.refuse(self._letter, error)

    def give_back(self) -> None:
        """The consumer stops: it comes again and this attempt did not count (QU8)."""
        if not self.settled:
            self.settled = True
            self._queue.put_back(self._letter)

    def _usable(self) -> Delivery:
        if self.over:
            raise make_error(ErrorKind.INVALID, "queue.Message used after its handler's end")
        return self

    def _settle(self) -> None:
        self._usable()
        if self.settled:
            raise make_error(ErrorKind.INVALID, "queue.Message already settled")
        self.settled = True
