"""The functions of one application: entries, calls, async calls, interceptors, figures.

Rules: DE14, F1-F4, F11-F17, F27-F29, GC11, IC1, IC4-IC6, PL16-PL19.

The way of a call: `call_from` checks the id and the permission, `_dispatch` finds the chain,
`_invoke` takes a worker and runs the code in a frame. All of it happens in the caller's task.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar, overload

import trio

from trio_actors._core.current import current_or_none
from trio_actors._core.errors import ErrorKind, ProcessError, make_error
from trio_actors._core.inherited import DenyAll, Inherited
from trio_actors._core.spawn import launch, wait_for_end
from trio_actors.fields import FieldError
from trio_actors.funcs import root_service
from trio_actors.functions.built_in import BuiltIn, FunctionMetrics, Span
from trio_actors.functions.callee import Callee, PythonCallee
from trio_actors.functions.chain import Call, Interceptors, Journal, Next, link, through
from trio_actors.functions.children import Children, Job, Place
from trio_actors.functions.contracts import Contracts
from trio_actors.functions.entries import Entries, Entry
from trio_actors.functions.executor import Executor
from trio_actors.functions.frame import NO_BAGGAGE, FrameContext
from trio_actors.functions.future import Future
from trio_actors.functions.ids import check_function_id
from trio_actors.functions.options import CallOptions
from trio_actors.functions.pool import Request
from trio_actors.functions.pool_core import PoolStatistics
from trio_actors.permission import inherited_of, require
from trio_actors.security.guard import PolicyGuard
from trio_actors.security.service import Security

if TYPE_CHECKING:
    from trio_actors._core.context import ProcessContext
    from trio_actors._core.node import Node

__all__ = ["Entry", "Functions", "open_functions"]

F = TypeVar("F", bound=Callable[..., Any])


class Functions:
    """The functions service of one node; `node.functions` is this object."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.closed = False
        self._table = Entries(node)
        self._entries = self._table.by_id
        self._built_in = BuiltIn(node)
        self._interceptors = Interceptors(self._built_in.interceptors())
        self._root_children = Children()
        self.contracts = Contracts(self)
        # Named policies, stores and token stores live with the functions that check them.
        self.security = Security(node)
        node.functions = self
        if isinstance(node.guard, DenyAll):
            node.guard = PolicyGuard()

    # -- entries

    @overload
    def register(
        self, id: str, function: F, *, pool: Any = None, meta: Mapping[str, Any] | None = None
    ) -> F: ...

    @overload
    def register(
        self, id: str, function: None = None, *, pool: Any = None, meta: Any = None
    ) -> Callable[[F], F]: ...

    def register(
        self,
        id: str,
        function: Any = None,
        *,
        pool: Any = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Any:
        """Makes a Python callable a function of the application; also as a decorator (DE14).

        Args:
            pool: a `pool` block as in YAML, or a PoolConfig; none is lazy with 16 workers.
            meta: free-form; `options` are the default call options.

        Raises: ProcessConflict for an id in use, ProcessInvalid for a malformed block.
        """
        if function is None:
            return lambda f: self.register(id, f, pool=pool, meta=meta)
        check_function_id(id)
        if id in self._entries:
            raise make_error(ErrorKind.CONFLICT, f"function already exists: {id}")
        self.install(id, PythonCallee(function), pool=pool, meta=meta)
        return function

    def install(
        self, id: str, callee: Callee, *, pool: Any = None, meta: Mapping[str, Any] | None = None
    ) -> None:
        """Adds a function, or puts a new version in place of the old (PL16, PL17).

        Calls that were accepted finish on the old version.
        """
        self._table.install(id, callee, pool=pool, meta=meta)

    def install_process(self, id: str, host: str, *, meta: Mapping[str, Any] | None = None) -> None:
        """Makes a process entry callable: it is spawned on `host` and its exit is the result."""
        self._table.install_process(id, host, meta=meta)

    def remove(self, id: str) -> None:
        """Later calls get NOT_FOUND, accepted ones finish (PL18); its breaker goes with it."""
        for gone in self._table.remove(id):
            self._built_in.metrics_by_id.pop(gone, None)
        self._built_in.breakers.pop(id, None)

    def has(self, id: str) -> bool:
        """Whether a function or callable process of this id exists."""
        return id in self._entries

    def ids(self) -> list[str]:
        """All ids, sorted."""
        return sorted(self._entries)

    # -- calls

    def call(self, id: str, *args: Any) -> Coroutine[Any, Any, Any]:
        """`await` it: the function's value, for the running frame or the root (GC11).

        Checkpoint: always. Raises: the callee's error; F1-F3.
        """
        return self.call_from(current_or_none(), id, args)

    def async_(self, id: str, *args: Any) -> Future:
        """Starts a call and returns its future; never waits, no checkpoint (FU7)."""
        return self.start_from(current_or_none(), id, args)

    def new(self) -> Executor:
        """An executor, for calls with other context, actor, scope or options."""
        return Executor(self)

    async def call_from(
        self,
        caller: ProcessContext | None,
        id: str,
        args: tuple[Any, ...],
        options: Mapping[str, Any] | None = None,
        *,
        inherited: Inherited | None = None,
        check: Inherited | None = None,
        permission: bool = True,
        baggage: Mapping[str, Any] | None = None,
    ) -> Any:
        """`call` for a given caller; what the languages and the edges use.

        Args:
            caller: the frame or process, None for the root.
            options: laid over the entry's own (IC4).
            inherited: what the callee sees in place of the caller's context, actor and scope.
            check: the security context to check if it is not the caller's (endpoints, consumers).
            permission: False where another permission took its place (CT13).
            baggage: handed down to all frames below (CX2).
        """
        await trio.lowlevel.checkpoint()
        entry = self._entries.get(id) if isinstance(id, str) else None
        if entry is None:
            check_function_id(id)  # the ids of entries were checked
        if permission and (caller is not None or check is not None):
            require(self.node, caller, "funcs.call", id, check)
        return await self._dispatch(caller, entry, id, args, options, inherited, baggage)

    def call_now(
        self,
        caller: ProcessContext,
        id: str,
        args: tuple[Any, ...],
        options: Mapping[str, Any] | None = None,
        *,
        baggage: Mapping[str, Any] | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """`call_from` without its checkpoint: for a loop that makes its own (consumers).

        Raises: F1-F3, before there is anything to await.
        """
        entry = self._entries.get(id)
        if entry is None:
            check_function_id(id)
        inherited = caller.inherited
        require(self.node, caller, "funcs.call", id, inherited)
        return self._dispatch(caller, entry, id, args, options, inherited, baggage)

    def dispatch(
        self,
        caller: ProcessContext | None,
        id: str,
        args: tuple[Any, ...],
        options: Mapping[str, Any] | None,
        inherited: Inherited,
    ) -> Coroutine[Any, Any, Any]:
        """`call_from` without its checkpoint and its permission: for what has done both."""
        return self._dispatch(caller, self._entries.get(id), id, args, options, inherited, None)

    def start_from(
        self,
        caller: ProcessContext | None,
        id: str,
        args: tuple[Any, ...],
        options: Mapping[str, Any] | None = None,
        *,
        inherited: Inherited | None = None,
        permission: bool = True,
        then: Callable[[Any], Any] | None = None,
        carried: bool = False,
    ) -> Future:
        """`async_` for a given caller.

        Args:
            then: makes the result of the value, or raises.
            carried: the arguments are copies already.

        Raises: F1, F2, arguments that cannot cross; all else arrives through the future (F4).
        """
        check_function_id(id)
        if permission:
            require(self.node, caller, "funcs.call", id)
        future = Future()
        children = self._children_of(caller)
        if children.closed:
            if caller is not None:
                raise make_error(ErrorKind.INVALID, "no process context")
            future.fail(self._missing(id))
            return future
        # The version that is there now has accepted the call (PL16), in this order (PL5).
        entry = self._entries.get(id)
        if not carried and entry is not None:
            args = entry.carry(args)
        place = Place()
        try:
            rest = self._dispatch(caller, entry, id, args, options, inherited, None, place)
        except ProcessError as error:
            future.fail(error)
            return future
        children.start(self.node, Job(future, rest, then), in_turn=not place.taken)
        return future

    def _children_of(self, caller: ProcessContext | None) -> Children:
        if caller is None:
            return self._root_children
        if isinstance(caller, FrameContext):
            return caller.children
        process = caller.process
        if process.calls is None:
            children = Children()
            process.calls = children
            # For processes without a task, whose end nothing waits for.
            process.on_exit(lambda exit: children.cancel())
        calls = process.calls
        assert isinstance(calls, Children)
        return calls

    def _dispatch(
        self,
        caller: ProcessContext | None,
        entry: Entry | None,
        id: str,
        args: tuple[Any, ...],
        extra: Mapping[str, Any] | None,
        inherited: Inherited | None,
        baggage: Mapping[str, Any] | None,
        place: Place | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """The rest of a call, to be awaited: through the chain, or straight to the code.

        With a `place` a call that passes no chain gets its place in the line now.
        """
        if entry is None:
            raise self._missing(id)
        if inherited is None:
            inherited = inherited_of(caller)
        if baggage is None:
            baggage = caller.baggage if isinstance(caller, FrameContext) else NO_BAGGAGE
        if extra:
            try:
                options = entry.options.overlaid(extra)
            except FieldError as error:
                raise error.as_invalid() from None
            chain = self._link(entry, options)
        else:
            options = entry.options
            if entry.chain_version != self._interceptors.version:
                entry.chain = self._link(entry, options)
                entry.chain_version = self._interceptors.version
            chain = entry.chain
        if chain is None:
            request = None
            if place is not None and entry.pool is not None:
                request = entry.pool.request(caller)
                place.taken = True
            return self._invoke(entry, caller, inherited, args, baggage, request)
        call = Call(id, args, options, inherited, caller, inf, 1, Journal(), baggage, entry)
        return through(chain, call)

    def _link(self, entry: Entry, options: CallOptions) -> Next | None:
        chosen = self._interceptors.select(entry.id, options)
        return link(chosen, self._innermost) if chosen else None

    def _innermost(self, call: Call) -> Coroutine[Any, Any, Any]:
        entry = call.entry
        if entry is None:
            entry = self._entries.get(call.id)
            if entry is None:
                raise self._missing(call.id)
        return self._invoke(entry, call.parent, call.inherited, call.args, call.baggage)

    async def _invoke(
        self,
        entry: Entry,
        caller: ProcessContext | None,
        inherited: Inherited,
        args: tuple[Any, ...],
        baggage: Mapping[str, Any],
        request: Request | None = None,
    ) -> Any:
        pool, callee = entry.pool, entry.callee
        if pool is None or callee is None:
            return await self._invoke_process(entry, caller, inherited, args)
        worker = pool.take(caller) if request is None else None
        if worker is None:
            worker = await pool.wait(request or pool.request(caller))
        if worker.fresh:
            pool.prepare(worker)
        ok = False
        try:
            frame = FrameContext(
                self.node, entry.target, entry.function_host, pool, inherited, caller, baggage
            )
            value = await frame.run(callee, worker.payload, args)
            ok = True
            return value
        finally:
            pool.release(worker, ok)

    async def _invoke_process(
        self,
        entry: Entry,
        caller: ProcessContext | None,
        inherited: Inherited,
        args: tuple[Any, ...],
    ) -> Any:
        """A process called as a function (F27, F28, C8-C10)."""
        assert entry.process_host is not None
        process = launch(self.node, entry.id, args, host=entry.process_host, inherited=inherited)
        try:
            end = await wait_for_end(process)
        except trio.Cancelled:
            if not process.ended:
                sender = self.node.control if caller is None else caller.pid
                self.node.request_cancel(process, sender, inf)
            raise
        return end.unwrap()

    def _missing(self, id: str) -> ProcessError:
        if self.closed:
            return make_error(ErrorKind.UNAVAILABLE, "pool is closed")
        return make_error(
            ErrorKind.NOT_FOUND, "no handler registered for target", details={"target": id}
        )

    # -- interceptors and figures

    def add_interceptor(
        self,
        name: str,
        function: Callable[[Call, Next], Any],
        *,
        order: int = 50,
        match: str | Iterable[str] = "*",
    ) -> None:
        """Adds a custom interceptor for later calls (IC11). Raises: ProcessAlreadyExists."""
        self._interceptors.add(name, function, order=order, match=match)

    def remove_interceptor(self, name: str) -> None:
        """Removes it for later calls (IC11). Raises: ProcessNotFound."""
        self._interceptors.remove(name)

    def statistics(self, id: str) -> PoolStatistics:
        """The pool's figures (PL19). Raises: ProcessNotFound, also for process entries (F29)."""
        entry = self._entries.get(id)
        if entry is None or entry.pool is None:
            raise make_error(ErrorKind.NOT_FOUND, f"function not found: {id}")
        return entry.pool.statistics()

    def metrics(self) -> Mapping[str, FunctionMetrics]:
        """What the `metrics` interceptor counted, by function id; also of those just removed."""
        return self._built_in.metrics_snapshot()

    @property
    def span_sink(self) -> Callable[[Span], None] | None:
        """Gets every span of the `tracing` interceptor; None drops them."""
        return self._built_in.span_sink

    @span_sink.setter
    def span_sink(self, sink: Callable[[Span], None] | None) -> None:
        self._built_in.span_sink = sink

    # -- the end

    async def aclose(self) -> None:
        """Ends the root's async calls; later calls get UNAVAILABLE (PL18). Repeatable."""
        self.closed = True
        await self._root_children.finish()
        self._table.close()


@asynccontextmanager
async def open_functions(node: Node) -> AsyncIterator[Functions]:
    """`async with open_functions(node) as functions`: a functions service for the block.

    Leaving it ends the root's async calls and closes the pools.
    """
    functions = Functions(node)
    token = root_service.set(functions)
    try:
        yield functions
    finally:
        root_service.reset(token)
        await functions.aclose()
        node.functions = None
