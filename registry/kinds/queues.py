"""`queue.queue`, `queue.consumer` and `schedule.job`: functions called by messages and by time.

A consumer or job is a service: a process of the application's own on an inner host, so that start
order, restarts, actor and scope are those of every service.

Rules: section 13 of functions.md (fields, QU3, QU8, SJ1-SJ4), LD8 (lifecycle).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import attrs

from trio_actors import ProcessContext
from trio_actors._core.code import function_target
from trio_actors.fields import FieldError
from trio_actors.functions.options import parse_options
from trio_actors.queues import MemoryQueue, consume, queues_of

from ..fields import FunctionRef, Ref, Within, setting
from ..kind import BaseKind, Definition, Definitions, Finding
from .code import of_field_error
from .lifecycle import Lifecycle, lifecycle_findings, policies_needed
from .service import lifecycle_spec

if TYPE_CHECKING:
    from ..app import App

QueueRef = Annotated[str, Ref(("queue.queue",))]


@attrs.frozen(slots=True)
class Queue:
    """A queue in memory."""

    driver: Literal["memory"] = setting("where messages are kept", default="memory")
    max_length: Annotated[int, Within(1)] = setting("full from here on", default=1000)
    max_attempts: Annotated[int, Within(1)] = setting("deliveries of one message", default=5)
    dead_letter: QueueRef | None = setting("where given-up messages go", default=None)


@attrs.frozen(slots=True)
class Consumer:
    """Calls a function with every message of a queue."""

    queue: QueueRef = setting("whose messages")
    func: FunctionRef = setting("called with the body of each")
    concurrency: Annotated[int, Within(1, 1000)] = setting("calls at once", default=1)
    prefetch: Annotated[int, Within(1, 10000)] = setting("for drivers that fetch", default=10)
    options: dict[str, Any] = setting("call options", factory=dict)
    lifecycle: Lifecycle = setting("when it runs", factory=Lifecycle)


class QueueKind(BaseKind):
    """`queue.queue`."""

    model = Queue
    doc = "A queue of messages for functions."

    async def add(self, app: App, definition: Definition) -> None:
        """Messages can be published."""
        model: Queue = definition.model
        queues = queues_of(app.node)
        queues.by_id[definition.id] = MemoryQueue(
            queues,
            definition.id,
            max_length=model.max_length,
            max_attempts=model.max_attempts,
            dead_letter=model.dead_letter,
        )

    async def update(self, app: App, old: Definition, new: Definition) -> None:
        """Its messages stay, its limits change."""
        queue = queues_of(app.node).by_id[new.id]
        queue.max_length = new.model.max_length
        queue.max_attempts = new.model.max_attempts
        queue.dead_letter = new.model.dead_letter

    async def remove(self, app: App, definition: Definition) -> None:
        """Its messages are lost (QU9)."""
        del queues_of(app.node).by_id[definition.id]


class RunningKind(BaseKind):
    """A kind whose entry is a service with code of the framework itself."""

    def main_of(self, app: App, definition: Definition) -> Callable[..., Any]:
        """The coroutine function that the service runs."""
        raise TypeError(f"{type(self).__name__} has no main")

    def findings(self, definition: Definition, others: Definitions) -> Iterable[Finding]:
        """Call options and lifecycle."""
        try:
            parse_options(definition.model.options, "options")
        except FieldError as error:
            yield of_field_error(error)
        yield from lifecycle_findings(definition, others)

    def needs(self, definition: Definition, others: Definitions) -> Iterable[str]:
        """The policies of its groups."""
        return policies_needed(definition, others)

    async def add(self, app: App, definition: Definition) -> None:
        """It is known, and started with the application, or now if that runs."""
        target = function_target(self.main_of(app, definition), id=definition.id)
        host = await app.inner_host()
        app.supervisor.add(
            lifecycle_spec(app, definition, definition.model.lifecycle, target, host.id)
        )
        if app.started and definition.model.lifecycle.auto_start:
            await app.supervisor.start([definition.id])

    async def remove(self, app: App, definition: Definition) -> None:
        """It has stopped; running calls were cancelled."""
        await app.supervisor.stop([definition.id])
        app.supervisor.remove(definition.id)


class ConsumerKind(RunningKind):
    """`queue.consumer`."""

    model = Consumer
    doc = "Calls a function with every message of a queue."

    def main_of(self, app: App, definition: Definition) -> Callable[..., Any]:
        """Take, call, settle."""
        model: Consumer = definition.model

        async def main(ctx: ProcessContext) -> None:
            queue = queues_of(ctx.node).find(model.queue)
            await consume(
                ctx, queue, model.func, concurrency=model.concurrency, options=model.options
            )

        return main


QUEUE = QueueKind()
CONSUMER = ConsumerKind()
