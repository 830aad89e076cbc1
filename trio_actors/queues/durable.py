"""The SQLite driver: what it has acknowledged survives kill -9.

One task for each file writes: it collects what publishers, consumers and handlers ask for, and does
all of it in one transaction in a thread, so that many messages share one wait for the disk and the
Trio loop never waits. Steps that cannot be done yet (a claim of an empty queue, a message for a
full one) stay and are tried again with the next batch, at the latest after `POLL` seconds, because
another program may have written to the file.

Cancellation: a step that no transaction has begun is taken back; one that is being written is
waited for, so a cancelled `publish` has not published.

Rules: QU1-QU8; the file's own theory is in `store`.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Generator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import outcome
import trio

from trio_actors._core.errors import ErrorKind, ProcessError, fresh, make_error
from trio_actors.queues.letters import Delivery, Kept, Letter, QueueInfo, Terms, no_queue
from trio_actors.queues.memory import report_dropped
from trio_actors.queues.store import Ack, Back, Claim, Look, Nack, Put, Step, Store, Written, dump

if TYPE_CHECKING:
    from trio_actors._core.node import Node
    from trio_actors.queues.service import Queues

logger = logging.getLogger("trio_actors.queues")
POLL = 1.0  # seconds until steps that wait are tried again
VISIBILITY_TIMEOUT = 30.0  # seconds


@attrs.define(slots=True, eq=False)
class Job:
    """A step on its way into the file; awaiting it waits until it was done.

    Raises from awaiting: ProcessUnavailable when the file cannot be written or was closed.
    """

    step: Step
    answer: Any = None
    error: ProcessError | None = None
    # A transaction has begun it.
    begun: bool = False
    # Its waiter was cancelled meanwhile: what raises that.
    cancelled: Callable[[], Any] | None = None
    finished: bool = False
    _waiter: trio.lowlevel.Task | None = None
    _done: trio.Event = attrs.field(factory=trio.Event)

    def resolve(self, answer: Any = None, error: ProcessError | None = None) -> None:
        """It was done, or never will be."""
        self.answer, self.error, self.finished = answer, error, True
        self._done.set()
        if self._waiter is not None:
            undone = self.cancelled is not None and is_unmet(self.step, answer)
            result: outcome.Outcome[None] = outcome.Value(None)
            if undone and self.cancelled is not None:
                result = outcome.capture(self.cancelled)
            trio.lowlevel.reschedule(self._waiter, result)

    async def settled(self, take_back: Callable[[Job], bool]) -> Any:
        """Until it was done; cancelled means not done. Checkpoint: always.

        Args:
            take_back: takes the step back if it is not being written, and says whether it did.
        """

        def abort(raise_cancel: Callable[[], Any]) -> trio.lowlevel.Abort:
            if take_back(self):
                return trio.lowlevel.Abort.SUCCEEDED
            self.cancelled = raise_cancel
            return trio.lowlevel.Abort.FAILED

        if not self.finished:
            self._waiter = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(abort)
        return self._value()

    def __await__(self) -> Generator[Any, Any, None]:
        return self._wait().__await__()

    async def _wait(self) -> None:
        await self._done.wait()
        self._value()

    def _value(self) -> Any:
        if self.error is not None:
            raise fresh(self.error)
        return self.answer


# The order within a batch: what makes room, what fills it, what finds what the others left.
TURN: Mapping[type[Step], int] = {Ack: 0, Nack: 0, Back: 0, Put: 1, Claim: 2, Look: 3}


def is_unmet(step: Step, answer: Any) -> bool:
    """Whether a step has to be tried again: nothing there to claim, no room."""
    return (isinstance(step, Claim) and answer is None) or (isinstance(step, Put) and not answer)


def is_for(step: Step, queue: str) -> bool:
    """Whether a step waits for this queue."""
    return isinstance(step, Put | Claim) and step.queue == queue


class QueueFile:
    """One SQLite file with the queues kept in it; `run` writes until `close` was called."""

    def __init__(self, path: Path, node: Node) -> None:
        self.path = path
        self.queues: dict[str, DurableQueue] = {}
        self.infos: Mapping[str, QueueInfo] = {}
        self._node = node
        self._jobs: list[Job] = []
        self._news = trio.Event()
        self._closing = False
        self._thread = trio.CapacityLimiter(1)

    @staticmethod
    def _unavailable(why: str) -> ProcessError:
        return make_error(ErrorKind.UNAVAILABLE, f"the file of queues {why}", retryable=True)

    def submit(self, step: Step) -> Job:
        """Have a step done soon. Checkpoint: never."""
        job = Job(step)
        if self._closing:
            job.resolve(error=self._unavailable(f"{self.path.name} was closed"))
        else:
            self._jobs.append(job)
            self._news.set()
        return job

    async def do(self, step: Step) -> Any:
        """Have a step done and return its answer; cancelled means not done. Checkpoint: always."""
        await trio.lowlevel.checkpoint_if_cancelled()
        return await self.submit(step).settled(self._take_back)

    def _take_back(self, job: Job) -> bool:
        if job.begun:
            return False
        self._jobs.remove(job)
        return True

    async def add(self, queue: DurableQueue) -> None:
        """Keep a queue; its depth is known when this returns. Checkpoint: always."""
        self.queues[queue.id] = queue
        await self.do(Look())

    def resized(self) -> None:
        """The limit of a queue has changed: messages that wait for room are tried again."""
        self._news.set()

    def drop(self, id: str) -> None:
        """A queue is not there any more; its messages stay. Who waits for it gets NOT_FOUND."""
        del self.queues[id]
        waiting = [job for job in self._jobs if is_for(job.step, id)]
        self._jobs = [job for job in self._jobs if job not in waiting]
        for job in waiting:
            job.resolve(error=no_queue(id))

    def close(self) -> None:
        """Write what can be written, then end."""
        self._closing = True
        self._news.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write until `close`. Raises: ProcessInvalid for a file that is none of ours."""
        try:
            store = await self._in_thread(partial(Store, self.path))
        except sqlite3.Error as error:
            text = f"{self.path} cannot be used as a file of queues: {error}"
            raise make_error(ErrorKind.INVALID, text) from None
        try:
            await self._batch(store)
            task_status.started()
            while not self._closing:
                await self._wait_for_news()
                await self._batch(store)
        finally:
            self._closing = True
            with trio.CancelScope(shield=True):
                await self._batch(store)
                await self._in_thread(store.close)
            for job in self._jobs:
                job.resolve(error=self._unavailable(f"{self.path.name} was closed"))
            self._jobs = []

    async def _wait_for_news(self) -> None:
        with trio.move_on_after(POLL if self._jobs else float("inf")):
            await self._news.wait()

    async def _batch(self, store: Store) -> None:
        """One transaction with all that waits."""
        self._news = trio.Event()
        jobs = sorted(self._jobs, key=lambda job: TURN[type(job.step)])
        self._jobs = []
        for job in jobs:
            job.begun = True
        terms = {id: queue.terms for id, queue in self.queues.items()}
        steps = [self._limited(job.step) for job in jobs]
        try:
            written = await self._in_thread(
                partial(store.write, steps, terms, self._node.wall_time())
            )
        except (sqlite3.Error, ValueError) as error:  # the disk, or a row that is no message
            # What was not written comes again by itself: nothing was taken out of the file.
            logger.error("queues in %s: %s", self.path, error, extra={"file": str(self.path)})
            for job in jobs:
                job.resolve(error=self._unavailable(f"cannot be written: {error}"))
            return
        self._tell(jobs, written)

    def _limited(self, step: Step) -> Step:
        """A step with the limit that its queue has now."""
        if isinstance(step, Put) and step.limit is not None and step.queue in self.queues:
            return attrs.evolve(step, limit=self.queues[step.queue].max_length)
        return step

    def _tell(self, jobs: list[Job], written: Written) -> None:
        self.infos = written.infos
        for queue, letter, error in written.dropped:
            report_dropped(queue, letter, error)
        room = False
        waiting = []
        for job, answer in zip(jobs, written.answers, strict=True):
            job.begun = False
            if is_unmet(job.step, answer) and job.cancelled is None:
                if isinstance(job.step, Put | Claim) and job.step.queue not in self.queues:
                    job.resolve(error=no_queue(job.step.queue))  # it was removed meanwhile
                    continue
                waiting.append(job)
            else:
                room |= isinstance(job.step, Claim)
                job.resolve(answer)
        self._jobs = waiting + self._jobs
        if room and any(isinstance(job.step, Put) for job in waiting):
            self._news.set()

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        with trio.CancelScope(shield=True):  # a transaction is not left half way
            return await trio.to_thread.run_sync(work, limiter=self._thread)


class DurableQueue:
    """One queue of a file; the same interface as the memory driver's."""

    def __init__(
        self,
        queues: Queues,
        id: str,
        file: QueueFile,
        *,
        max_length: int = 1000,
        max_attempts: int = 5,
        dead_letter: str | None = None,
        visibility_timeout: float = VISIBILITY_TIMEOUT,
    ) -> None:
        self.queues = queues
        self.id = id
        self.file = file
        self.max_length = max_length
        self.terms = Terms(max_attempts, dead_letter)
        self.visibility_timeout: float | None = visibility_timeout

    def resize(self, max_length: int) -> None:
        """Another limit from now on; publishers for whom there is room go on."""
        self.max_length = max_length
        self.file.resized()

    def close(self) -> None:
        """It is not there any more; its messages stay in the file."""
        self.file.drop(self.id)

    def info(self) -> QueueInfo:
        """What it held when the file was last written."""
        return self.file.infos.get(self.id, QueueInfo(0, 0, 0))

    async def publish(self, body: Any, headers: Mapping[str, Any]) -> None:
        """Add a message; waits while the queue is full and until it is on the disk.

        Raises: ProcessInvalid for a body that cannot be kept; ProcessUnavailable.
        """
        put = Put(self.id, self.queues.node.uuid(), dump(body), dump(headers), self.max_length)
        await self.file.do(put)

    def put(self, letter: Letter) -> None:
        """At the tail, even if the queue is full (QU5)."""
        try:
            put = Put(self.id, letter.id, dump(letter.body), dump(letter.headers))
        except ProcessError as error:  # a message of another driver that no file can keep
            report_dropped(self.id, letter, str(error))
        else:
            self.file.submit(put)

    async def take(self) -> Delivery:
        """The next message; waits for one. Checkpoint: always. Raises: ProcessUnavailable."""
        timeout = self.visibility_timeout or VISIBILITY_TIMEOUT
        claim = Claim(self.id, self.queues.node.uuid(), timeout)
        return Delivery(self, await self.file.do(claim))

    def acknowledge(self, letter: Letter) -> Kept:
        """The message is gone; awaiting the answer waits for the disk."""
        return self.file.submit(Ack(letter.receipt))

    def refuse(self, letter: Letter, error: str) -> Kept:
        """To the tail, or after the last attempt to the dead letters (QU5)."""
        return self.file.submit(Nack(letter.receipt, error))

    def put_back(self, letter: Letter) -> Kept:
        """In front again: it was not handled (QU8)."""
        return self.file.submit(Back(letter.receipt))
