"""A reference model of a pool: who runs, who waits, who is refused (PL4-PL8, PL20).

Calls are numbers. The model is told who asks, ends or gives up, in the order in which that happens.
"""


class Pool:
    """`buffer` None is a waiting line without an end; so is one whose callers `block`."""

    def __init__(self, limit: int, buffer: int | None, *, block: bool) -> None:
        self.limit = limit
        self.buffer = None if block else buffer
        self.running: set[int] = set()
        self.waiting: list[int] = []
        self.started: list[int] = []
        self.refused: set[int] = set()

    def ask(self, call: int) -> None:
        """It runs if a worker is free, else it waits, else it is refused."""
        if len(self.running) < self.limit:
            self._start(call)
        elif self.buffer is None or len(self.waiting) < self.buffer:
            self.waiting.append(call)
        else:
            self.refused.add(call)

    def leave(self, call: int) -> None:
        """It has ended, or was given up: the longest waiting one runs."""
        if call in self.waiting:
            self.waiting.remove(call)
        elif call in self.running:
            self.running.remove(call)
            if self.waiting:
                self._start(self.waiting.pop(0))

    def _start(self, call: int) -> None:
        self.running.add(call)
        self.started.append(call)
