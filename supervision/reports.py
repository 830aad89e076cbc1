"""What people are told: one structured record per event, through one function.

Rule: SU40. Data first: ``supervisor, child, pid, reason, restarts, delay`` are attributes of the
log record (``extra``), the text is made from them. A crash is an error record exactly once: by
whoever ran the code, with the traceback or the script's stack; else, if the code raised a
ProcessError on purpose, here. Ends that were asked for are no errors.
"""

import logging
from typing import Any, Final

from attrs import asdict, frozen

from supervision.state import ReportKind

logger = logging.getLogger("supervision")

LEVELS: Final[dict[ReportKind, int]] = {
    ReportKind.STARTED: logging.DEBUG,
    ReportKind.START_FAILED: logging.WARNING,
    ReportKind.EXITED: logging.INFO,
    ReportKind.FAILED: logging.ERROR,  # INFO if the crash was logged where it happened
    ReportKind.RESTARTING: logging.WARNING,
    ReportKind.GAVE_UP: logging.ERROR,
    ReportKind.STOPPED: logging.DEBUG,
    ReportKind.ZOMBIE: logging.CRITICAL,
}


@frozen
class Record:
    """One event of a supervised process.

    Units: ``delay`` in seconds.
    """

    event: ReportKind
    supervisor: str
    child: str
    pid: str | None = None
    reason: str = ""
    restarts: int = 0
    delay: float = 0.0

    def __str__(self) -> str:
        pid = f" {self.pid}" if self.pid else ""
        wait = f" in {self.delay:.3g} s (restart {self.restarts})" if self.delay else ""
        if self.event is ReportKind.RESTARTING and not self.delay:
            wait = f" (restart {self.restarts})"
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.supervisor}: {self.child}{pid} {self.event}{wait}{reason}"


def reason_text(reason: Any) -> str:
    """An exit reason as text: the note of an error, which says more than its message, if any."""
    notes = getattr(reason, "__notes__", None)
    return notes[-1] if notes else "" if reason is None else str(reason)


_UNHEARD: Final[dict[int, frozenset[ReportKind]]] = {}  # by the lowest level that is seen


def unheard() -> frozenset[ReportKind]:
    """The events that nobody would see: no records are made of them."""
    level = max(logger.getEffectiveLevel(), logger.manager.disable + 1)
    kinds = _UNHEARD.get(level)
    if kinds is None:
        kinds = frozenset(kind for kind, its in LEVELS.items() if its < level)
        _UNHEARD[level] = kinds
    return kinds


def report(record: Record, *, logged: bool = False) -> None:
    """Log one event; ``logged``: the failure is in the log, with traceback or script stack."""
    level = LEVELS[record.event]
    if record.event is ReportKind.FAILED and logged:
        level = logging.INFO
    if logger.isEnabledFor(level):
        logger.log(level, "%s", record, extra={**asdict(record), "event": str(record.event)})
