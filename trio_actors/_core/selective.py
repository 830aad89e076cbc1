"""Selective receive: the first item that somebody wants, past those that he does not.

Order: who waits for any item and waits longer comes first (PY4).
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any

import outcome
import trio
from trio.lowlevel import Abort, Task, current_task, disable_ki_protection

from trio_actors._core.message import unpacked
from trio_actors._core.reader import Owner, Reader, let_others_run, wake
from trio_actors._core.wake import IDLE, Given, sleep_at, wait

Wanted = Callable[[Any], bool]
Selection = tuple[Task | Reader, Wanted, set[Any]]  # who, for what, and who waits longer

CLOSED = object()  # handed to waiting readers in place of an item


class Selecting:
    """A channel, as far as one may choose what to read from it."""

    __slots__ = ("_first", "_mailbox", "_others", "closed", "on_take", "queue", "selective")

    closed: bool
    on_take: Callable[[], None] | None  # somebody waits for room (bounded.py)
    queue: deque[Any] | None  # never empty; to append to it, else `items` is asked
    selective: list[Selection] | None
    _mailbox: Owner
    _first: Task | Reader | None  # the longest waiting reader
    _others: deque[Task | Reader] | None  # those behind it

    @abstractmethod
    def _longest_waiting(self) -> Task | Reader | None:
        """Of those who take anything."""

    @abstractmethod
    def items(self) -> deque[Any] | None:
        """What is queued."""

    @abstractmethod
    def _delete(self, index: int) -> None:
        """Takes an item out of the queue."""

    @disable_ki_protection
    def _hand_over(self, item: Any) -> bool:
        """True if somebody who waits wants this very item."""
        for entry in list(self.selective or ()):
            reader, wanted, older = entry
            if self._longest_waiting() in older:  # it takes anything
                continue
            try:
                found = wanted(item)
            except Exception as exc:  # where the condition stands, not where somebody sends
                self._forget(entry)
                wake(reader, outcome.Error(exc))
                continue
            if found:
                self._forget(entry)
                wake(reader, Given(item))
                return True
        self._not_older(self._longest_waiting())  # it gets the item
        return False

    def _not_older(self, reader: Task | Reader | None) -> None:
        """It does not wait any more: next time it comes behind all who choose now."""
        for _, _, older in self.selective or ():
            older.discard(reader)

    def _forget(self, entry: Selection) -> None:
        assert self.selective is not None
        self.selective.remove(entry)
        self.selective = self.selective or None

    async def receive_where(self, wanted: Wanted) -> Any:
        """The first item for which `wanted` is true; the others stay in order. A checkpoint."""
        stepped = self._mailbox.stepped
        await let_others_run(stepped)
        abandoned = []  # requests whose callers do not wait any more
        for index, queued in enumerate(self.items() or ()):
            item = unpacked(queued)
            if not item.wanted:
                abandoned.append(index)
            elif wanted(item):
                self._delete_all([*abandoned, index])
                return item
        self._delete_all(abandoned)
        if self.closed:
            raise trio.EndOfChannel
        if stepped is not None and stepped.stays():
            stepped.custom_sleep_data = self
            self._select(stepped, wanted)
            item = await sleep_at(IDLE)
        else:
            task = current_task()
            self._select(task, wanted)
            item = await wait(self._leaving(task))
            del task  # it would be in a cycle with an error
        if item is CLOSED:
            raise trio.EndOfChannel
        return item

    def _delete_all(self, places: list[int]) -> None:
        for index in reversed(places):
            self._delete(index)
            self._skipped()

    def _skipped(self) -> None:
        """An item less is there."""
        if self.on_take is not None:
            self.on_take()

    def _select(self, reader: Task | Reader, wanted: Wanted) -> None:
        older = {self._first, *(self._others or ())} - {None}
        if self.selective is None:
            self.selective = []
        self.selective.append((reader, wanted, older))
        self._mailbox.close_route()

    def _leaving(self, task: Task) -> Callable[[Any], Abort]:
        """What is done at once when a task that chooses is cancelled."""

        def leave(_: Any) -> Abort:
            for entry in self.selective or ():
                if entry[0] is task:
                    self._forget(entry)
                    break
            return Abort.SUCCEEDED

        return leave

    def depart(self, reader: Reader) -> None:
        """A reader that waits here does not want anything any more."""
        reader.custom_sleep_data = None
        for entry in self.selective or ():
            if entry[0] is reader:
                self._forget(entry)
                return
        self._leave(reader)

    def _leave(self, reader: Task | Reader) -> None:
        """It was cancelled; who was to wake it may have removed it already."""
        self._not_older(reader)
        if self._first is reader:
            self._first = self._others.popleft() if self._others else None
        elif self._others is not None and reader in self._others:
            self._others.remove(reader)
