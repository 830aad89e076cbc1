"""Notices that a stop hangs because a process never gives the Trio thread back.

Rule: SU8. A process that does not await cannot be stopped and holds up every timer of the program,
so the one who notices has to be another thread. It says where the Trio thread is, with the stack;
if the thread is still there PATIENCE seconds later the program is ended with status 1.

The thread is a daemon, shared by all supervisors, started by the first expectation and gone when
nothing was expected for a while. It is not used under a mock clock.
"""

import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Hashable
from typing import Final

import trio
from attrs import define, field

logger = logging.getLogger("supervision")

PATIENCE: Final = 5.0  # seconds from the report to the end of the program
LATE: Final = 1.0  # seconds that the loop itself has to notice, before the thread does
IDLE: Final = 2.0  # seconds without expectations after which the thread ends


@define(eq=False)
class _Expected:
    thread: int  # the one that is to do it
    due: float
    what: str
    reported: bool = False


@define(eq=False)
class Watchdog:
    """Expects things to happen in time, and reports those that do not."""

    _lock: threading.Condition = field(factory=threading.Condition)
    _expected: dict[Hashable, _Expected] = field(factory=dict)
    _thread: threading.Thread | None = None
    _wakes: float = 0.0

    def expect(self, token: Hashable, seconds: float, what: str) -> None:
        """``met(token)`` is going to be called by this thread within ``seconds``."""
        if not isinstance(trio.lowlevel.current_clock(), _SYSTEM_CLOCK):
            return
        due = time.monotonic() + seconds + LATE
        with self._lock:
            self._expected[token] = _Expected(threading.get_ident(), due, what)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
                self._thread.start()
            elif due < self._wakes:
                self._lock.notify()

    def met(self, token: Hashable) -> None:
        """It happened, or is not expected any more."""
        if token in self._expected:
            with self._lock:
                self._expected.pop(token, None)

    def _watch(self) -> None:
        with self._lock:
            while True:
                now = time.monotonic()
                for late in [e for e in self._expected.values() if e.due <= now]:
                    if late.reported:
                        _give_up(late)
                    _report(late)
                    late.reported, late.due = True, now + PATIENCE
                self._wakes = min((e.due for e in self._expected.values()), default=now + IDLE)
                notified = self._lock.wait(self._wakes - now)
                if not self._expected and not notified:
                    self._thread = None
                    return


def _report(late: _Expected) -> None:
    frame = sys._current_frames().get(late.thread)
    stack = "".join(traceback.format_stack(frame)) if frame is not None else "(unknown)\n"
    logger.critical("zombie: %s; the Trio thread is at:\n%s", late.what, stack)


def _give_up(late: _Expected) -> None:
    logger.critical("zombie: %s; the program ends with status 1", late.what)
    for handler in logging.getLogger().handlers:
        handler.flush()
    sys.stderr.flush()
    os._exit(1)


_SYSTEM_CLOCK: Final = trio._core._run.SystemClock
WATCHDOG: Final = Watchdog()
