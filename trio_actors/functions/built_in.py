"""The built-in interceptors. Rules: the table of section 7, RT1-RT6, CB1-CB4, F20-F23, IC7.

The decisions are made elsewhere (retry.py, breaker.py); here is what waits, measures and logs.
Each looks for its option again: an interceptor further out may have taken it away (IC9).
"""

from __future__ import annotations

import logging
import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import attrs
import trio

from trio_actors._core.duration import format_duration
from trio_actors._core.errors import ErrorKind, as_process_error, make_error
from trio_actors.functions.breaker import Breaker, Outcome, Ticket
from trio_actors.functions.chain import Call, Interceptor, Next, compile_globs
from trio_actors.functions.retry import pause, should_retry

if TYPE_CHECKING:
    from trio_actors._core.node import Node
    from trio_actors.functions.options import CallOptions

__all__ = ["BUCKETS", "BuiltIn", "FunctionMetrics", "Span"]

logger = logging.getLogger("trio_actors.functions.calls")

# Upper bounds of the duration histogram, seconds; the last bucket is everything above.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LOG_LEVELS = logging.getLevelNamesMapping()
OK = "ok"

_span: ContextVar[str | None] = ContextVar("trio_actors.span", default=None)


@attrs.define(slots=True)
class FunctionMetrics:
    """Counts of one function id."""

    count: int = 0
    failures: dict[str, int] = attrs.field(factory=dict)
    total_seconds: float = 0.0
    # Calls per bucket of BUCKETS, plus one for everything above.
    histogram: list[int] = attrs.field(factory=lambda: [0] * (len(BUCKETS) + 1))


@attrs.frozen(slots=True)
class Span:
    """One attempt, as handed to `functions.span_sink`; `kind` is "ok" or an error kind."""

    id: str
    parent: str | None
    function: str
    start: float
    end: float
    kind: str


class BuiltIn:
    """The built-in interceptors of one functions service, with what they remember."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.metrics_by_id: dict[str, FunctionMetrics] = {}
        self.breakers: dict[str, Breaker] = {}
        self.span_sink: Callable[[Span], None] | None = None
        self._spans = 0

    def interceptors(self) -> list[Interceptor]:
        """The table of section 7."""
        texts, pattern = compile_globs("*")
        table: list[tuple[str, int, Any, Callable[[CallOptions], bool]]] = [
            ("logging", 0, self.logging, lambda options: options.logging is not None),
            ("metrics", 5, self.metrics, lambda options: options.metrics),
            ("timeout", 10, self.timeout, lambda options: options.timeout is not None),
            ("retry", 20, self.retry, lambda options: options.retry is not None),
            ("circuit_breaker", 30, self.circuit_breaker, lambda o: o.breaker is not None),
            ("tracing", 100, self.tracing, lambda options: options.tracing),
        ]
        return [Interceptor(n, f, order, texts, pattern, wanted) for n, order, f, wanted in table]

    async def logging(self, call: Call, next: Next) -> Any:
        """One record per call: id, duration, outcome kind, attempts; arguments if asked for."""
        options = call.settings.logging
        if options is None:
            return await next(call)
        start = self._node.now()
        kind = OK
        try:
            return await next(call)
        except BaseException as error:
            kind = kind_of(error)
            raise
        finally:
            fields: dict[str, Any] = {
                "function": call.id,
                "duration": self._node.now() - start,
                "outcome": kind,
                "attempts": call.journal.attempts,
            }
            if options.args:
                fields["arguments"] = call.args
            shown = format_duration(round(fields["duration"] * 1e9))
            logger.log(
                LOG_LEVELS[options.level.upper()],
                "%s: %s in %s",
                call.id,
                kind,
                shown,
                extra=fields,
            )

    async def metrics(self, call: Call, next: Next) -> Any:
        """Count, failures by kind and durations per function id."""
        if not call.settings.metrics:
            return await next(call)
        record = self.metrics_by_id.setdefault(call.id, FunctionMetrics())
        start = self._node.now()
        try:
            return await next(call)
        except BaseException as error:
            kind = kind_of(error)
            record.failures[kind] = record.failures.get(kind, 0) + 1
            raise
        finally:
            seconds = self._node.now() - start
            record.count += 1
            record.total_seconds += seconds
            record.histogram[bisect_left(BUCKETS, seconds)] += 1

    async def timeout(self, call: Call, next: Next) -> Any:
        """One deadline over everything inside (F21); what comes after it is discarded (F14)."""
        seconds = call.settings.timeout
        if seconds is None:
            return await next(call)
        deadline = self._node.now() + seconds
        call = attrs.evolve(call, deadline=min(deadline, call.deadline))
        late = make_error(
            ErrorKind.TIMEOUT,
            f"call timed out after {format_duration(round(seconds * 1e9))}",
            retryable=None,
        )
        with trio.CancelScope(deadline=deadline):
            try:
                value = await next(call)
            except Exception:
                if self._node.now() >= deadline:
                    raise late from None
                raise
            if self._node.now() < deadline:
                return value
        raise late

    async def retry(self, call: Call, next: Next) -> Any:
        """Attempts with pauses; the last error comes back unchanged (RT1-RT6)."""
        options = call.settings.retry
        if options is None:
            return await next(call)
        attempt = 1
        while True:
            call.journal.attempts = attempt
            try:
                return await next(attrs.evolve(call, attempt=attempt))
            except Exception as failure:
                error = as_process_error(failure)
                ended = self._node.now() >= call.deadline
                if not should_retry(options, attempt, error.kind, error.retryable, ended=ended):
                    raise
            await trio.sleep(pause(options, attempt, self._node.rng.uniform(-1.0, 1.0)))
            attempt += 1

    async def circuit_breaker(self, call: Call, next: Next) -> Any:
        """Refuses calls of a function that keeps failing (CB1-CB4)."""
        options = call.settings.breaker
        if options is None:
            return await next(call)
        breaker = self.breakers.setdefault(call.id, Breaker())
        ticket = breaker.admit(options, self._node.now())
        if not isinstance(ticket, Ticket):
            raise make_error(
                ErrorKind.UNAVAILABLE,
                "circuit open",
                retryable=True,
                details={"retry_after": math.ceil(ticket * 1000)},
            )
        outcome = Outcome.FAILURE
        try:
            value = await next(call)
            outcome = Outcome.SUCCESS
        except Exception as error:
            if as_process_error(error).kind in options.skip_kinds:
                outcome = Outcome.NEUTRAL
            raise
        except BaseException:
            # Cancelled, also as a group. The call's own deadline counts as a failure, any other
            # cancellation does not (CB2).
            if self._node.now() < call.deadline:
                outcome = Outcome.NEUTRAL
            raise
        finally:
            breaker.settle(ticket, outcome, options, self._node.now())
        return value

    async def tracing(self, call: Call, next: Next) -> Any:
        """One span per attempt; spans of nested calls name it as their parent."""
        if not call.settings.tracing:
            return await next(call)
        self._spans += 1
        span, parent = f"{self._spans:016x}", _span.get()
        token = _span.set(span)
        start = self._node.now()
        kind = OK
        try:
            return await next(call)
        except BaseException as error:
            kind = kind_of(error)
            raise
        finally:
            _span.reset(token)
            if self.span_sink is not None:
                self.span_sink(Span(span, parent, call.id, start, self._node.now(), kind))

    def metrics_snapshot(self) -> Mapping[str, FunctionMetrics]:
        """Copies, so that what is read does not move."""
        return {
            id: attrs.evolve(m, failures=dict(m.failures), histogram=list(m.histogram))
            for id, m in self.metrics_by_id.items()
        }


def kind_of(error: BaseException) -> str:
    """The outcome kind of a failed call; a cancelled one is CANCELED (F16)."""
    if isinstance(error, Exception):
        return (as_process_error(error).kind or ErrorKind.INTERNAL).value
    return ErrorKind.CANCELED.value
