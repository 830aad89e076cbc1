"""`queue.queue`, `queue.consumer` and `schedule.job`: functions called by messages and by time.

A consumer or job is a service: a process of the application's own on an inner host, so that start
order, restarts, actor and scope are those of every service.

Rules: section 13 of functions.md (fields, QU3, QU8, SJ1-SJ4), LD8 (lifecycle).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import attrs

from supervision import ServiceSpec
from trio_actors import ErrorKind, ProcessContext, make_error
from trio_actors._core.function import function_target
from trio_actors.fields import FieldError, shown
from trio_actors.functions.options import parse_options
from trio_actors.queues import (
    DurableQueue,
    MemoryQueue,
    QueueFile,
    Terms,
    consume,
    queues_of,
)
from trio_actors.queues.durable import VISIBILITY_TIMEOUT

from ..fields import FunctionRef, Ref, Seconds, Text, Within, setting
from ..kind import BaseKind, Definition, Definitions, Finding
from .code import of_field_error
from .lifecycle import Lifecycle, lifecycle_findings, policies_needed
from .service import lifecycle_spec, replace

if TYPE_CHECKING:
    from ..app import App

QueueRef = Annotated[str, Ref(("queue.queue",))]


@attrs.frozen(slots=True)
class Queue:
    """A queue, in memory or in an SQLite file."""

    driver: Literal["memory", "sqlite"] = setting("where messages are kept", default="memory")
    file: Text | None = setting(
        "of the driver `sqlite`: its file, seen from the application's directory", default=None
    )
    max_length: Annotated[int, Within(1)] = setting("full from here on", default=1000)
    max_attempts: Annotated[int, Within(1)] = setting("deliveries of one message", default=5)
    dead_letter: QueueRef | None = setting("where given-up messages go", default=None)
    visibility_timeout: Seconds | None = setting(
        "a delivery that takes longer has failed; `sqlite`: 30s", default=None
    )


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
    irrevocable = True
    doc = "A queue of messages for functions."

    def files(self, data: Mapping[str, Any]) -> Iterable[str]:
        """The file of the driver `sqlite`."""
        return [name for name in (data.get("file"),) if isinstance(name, str)]

    def findings(self, definition: Definition, others: Definitions) -> Iterable[Finding]:
        """A file for the driver that needs one, and dead letters in the same file."""
        model: Queue = definition.model
        durable = model.driver == "sqlite"
        if durable != (model.file is not None):
            expected = "a file, as the driver is sqlite" if durable else "no file for memory"
            yield Finding(("file",) if model.file else (), expected, shown(model.file))
        if model.visibility_timeout is not None and model.visibility_timeout <= 0:
            yield Finding(("visibility_timeout",), "a duration above 0", "0")
        dead = others.get(model.dead_letter or "")
        if not durable or dead is None or dead.kind != "queue.queue":
            return
        if dead.model.file != model.file:
            got = f"{dead.id}, which is not there"
            yield Finding(("dead_letter",), f"a queue in the file {model.file}", got)

    async def add(self, app: App, definition: Definition) -> None:
        """Messages can be published; those of a file that was there already are delivered."""
        model: Queue = definition.model
        queues = queues_of(app.node)
        if model.file is None:
            queues.by_id[definition.id] = MemoryQueue(
                queues,
                definition.id,
                max_length=model.max_length,
                max_attempts=model.max_attempts,
                dead_letter=model.dead_letter,
                visibility_timeout=model.visibility_timeout,
            )
            return
        path = queue_path(app.application.root, model)
        file = queues.files.get(path)
        if file is None:
            file = QueueFile(path, app.node)
            await app.nursery.start(file.run)
            queues.files[path] = file
            app.at_end.append(file.close)
        queue = DurableQueue(
            queues,
            definition.id,
            file,
            max_length=model.max_length,
            max_attempts=model.max_attempts,
            dead_letter=model.dead_letter,
            visibility_timeout=model.visibility_timeout or VISIBILITY_TIMEOUT,
        )
        await file.add(queue)
        queues.by_id[definition.id] = queue

    async def update(self, app: App, old: Definition, new: Definition) -> None:
        """Its messages stay, its limits change. Raises: ProcessInvalid for another place."""
        if (old.model.driver, old.model.file) != (new.model.driver, new.model.file):
            text = f"{new.id}: the driver and the file of a queue cannot change while it is there"
            raise make_error(ErrorKind.INVALID, text)
        queue = queues_of(app.node).by_id[new.id]
        model: Queue = new.model
        assert isinstance(queue, MemoryQueue | DurableQueue)
        queue.resize(model.max_length)
        queue.terms = Terms(model.max_attempts, model.dead_letter)
        queue.visibility_timeout = model.visibility_timeout
        if isinstance(queue, DurableQueue):
            queue.visibility_timeout = model.visibility_timeout or VISIBILITY_TIMEOUT

    async def remove(self, app: App, definition: Definition) -> None:
        """The messages of a memory queue are lost (QU9), those of a file stay in it.

        Whoever waits for room in it is told that it is not there any more.
        """
        queue = queues_of(app.node).by_id.pop(definition.id)
        assert isinstance(queue, MemoryQueue | DurableQueue)
        queue.close()


def queue_path(root: Path, model: Queue) -> Path:
    """The file of a queue of the driver `sqlite`."""
    assert model.file is not None
    return (root / model.file).resolve()


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
        app.supervisor.add(await self.spec_of(app, definition))
        if app.started and definition.model.lifecycle.auto_start:
            await app.supervisor.start([definition.id])

    async def spec_of(self, app: App, definition: Definition) -> ServiceSpec:
        """The service that runs `main_of`."""
        target = function_target(self.main_of(app, definition), id=definition.id)
        host = await app.inner_host()
        return lifecycle_spec(app, definition, definition.model.lifecycle, target, host.id)

    async def update(self, app: App, old: Definition, new: Definition) -> None:
        """It and what depends on it stop in order; what ran runs again."""
        spec = await self.spec_of(app, new)
        await replace(app, spec, auto_start=new.model.lifecycle.auto_start)

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
