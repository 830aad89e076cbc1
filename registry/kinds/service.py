"""`process.service`: a process that is kept alive.

Rules: Y20-Y30 (fields), Y6 (references order the start), LD8.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from ..fields import HostRef, ProcessRef, setting
from ..kind import BaseKind, Definition, Definitions, Finding
from .lifecycle import Lifecycle, lifecycle_findings


@attrs.frozen(slots=True)
class ProcessService:
    """A process, its host and its arguments, kept alive."""

    process: ProcessRef = setting("what runs")
    host: HostRef = setting("where it runs")
    input: tuple[Any, ...] = setting("arguments of the process", default=())
    lifecycle: Lifecycle = setting("start, stop and restart", factory=Lifecycle)


class ServiceKind(BaseKind):
    """`process.service`."""

    model = ProcessService
    doc = "A process that starts with the application, restarts after failures, stops in order."

    def findings(self, definition: Definition, others: Definitions) -> Iterable[Finding]:
        """The rules of its lifecycle."""
        return lifecycle_findings(definition, others)


PROCESS_SERVICE = ServiceKind()
