"""The one place that opens nurseries: a node's and a host's (TM1, PH1-PH4).

The theory of a host: its processes live in a nursery inside a shielded scope, in a task of an
unshielded nursery around the user's block. So a cancellation from outside reaches the block, the
block's end asks the processes to stop, they get `drain` seconds, and then the cancellation goes
on. A KeyboardInterrupt meanwhile, which is the second Ctrl-C, ends them at once. What leaves a
process by E38 leaves through the outer nursery, unwrapped when it is alone: the
block is cancelled at once, the other processes stop in order (SU9).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Never

import trio

from trio_actors._core.errors import ErrorKind, make_error
from trio_actors._core.host import Host
from trio_actors._core.node import Node
from trio_actors._core.places import SHOWN, Places
from trio_actors._core.seams import offer

logger = logging.getLogger("trio_actors.host")
PATIENCE = 1.0  # seconds that a host stops in silence


@asynccontextmanager
async def open_node(
    name: str = "local", *, strict: bool = False, clock: Callable[[], float] | None = None
) -> AsyncIterator[Node]:
    """`async with open_node() as node`: everything that processes of one program share (PH1).

    Args:
        name: printed in PIDs unless it is "local" (P1).
        strict: deny what is checked when actor or scope is missing (A7).
        clock: gives the wall-clock time of events, in unix seconds; default `time.time`. Timers
            and deadlines go by Trio's clock, which `trio.run(clock=...)` sets.
    """
    node = Node(name, strict=strict, clock=clock)
    offer(node)
    try:
        async with trio.open_nursery() as nursery:
            node.opened(nursery)
            try:
                yield node
            finally:
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        reraise(group)


@asynccontextmanager
async def open_host(
    node: Node,
    id: str,
    *,
    max_processes: int,
    workers: int,
    drain: float | str,
    copy_messages: bool,
) -> AsyncIterator[Host]:
    """See `Node.open_host`."""
    host = Host(
        node,
        id,
        max_processes=max_processes,
        workers=workers,
        drain=drain,
        copy_messages=copy_messages,
    )
    if id in node.hosts:
        raise make_error(ErrorKind.ALREADY_EXISTS, f"host {id} is running already")
    node.hosts[id] = host
    node.known_hosts[id] = None
    try:
        async with trio.open_nursery() as around:
            try:
                around.start_soon(_run_host, host, around)  # not start(): Ctrl-C during it can hang
                with trio.CancelScope(shield=True):  # cancelled already: the block is still entered
                    await host.wait_opened()
                yield host
            finally:
                host.request_stop()
                with trio.CancelScope(shield=True):
                    try:
                        await host.wait_closed()  # noqa: ASYNC102  a shield, with a limit: `drain`
                    except KeyboardInterrupt:
                        host.abort()
                        raise
    except BaseExceptionGroup as group:
        reraise(group)
    finally:
        del node.hosts[id]


async def _run_host(host: Host, around: trio.Nursery) -> None:
    try:
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                host.opened(nursery, around)
                try:
                    await host.wait_stop_requested()
                    await _join(host)
                except BaseException:  # there may be no carrier that sees it, or a shielded one
                    host.cut()
                    if host.dispatcher is not None:
                        await host.dispatcher.cut()  # noqa: ASYNC102  it shields itself
                    raise
                nursery.cancel_scope.cancel()
        if host.zombies:
            text = f"processes that could not be stopped: {', '.join(host.zombies)}"
            raise make_error(ErrorKind.INTERNAL, text, details={"pids": [*host.zombies]})
    except BaseExceptionGroup as group:
        reraise(group)
    finally:
        host.closed()


async def _join(host: Host) -> None:
    """Waits for the last process to end, and says for whom when that takes its time."""
    if host.drain > PATIENCE and host.node.gate is None:
        with trio.move_on_after(PATIENCE):
            await host.join()
        if host.alive:
            logger.warning("%s", waited_for(host, host.drain - PATIENCE))
    await host.join()


def waited_for(host: Host, seconds: float) -> str:
    """Whom a host that stops waits for, and where they are."""
    processes = host.processes()
    places = Places()
    shown = [
        f"{process.pid} ({process.id}): {' and '.join(places.of(process)) or process.doing()}"
        for process in processes[:SHOWN]
    ]
    if len(processes) > SHOWN:
        shown.append(f"{len(processes) - SHOWN} more")
    count = "1 process" if len(processes) == 1 else f"{len(processes)} processes"
    return (
        f"host {host.id} waits for {count} to end, {seconds:g} s more at most"
        f" (asked by a CANCEL event; a second Ctrl-C ends them): {'; '.join(shown)}"
    )


def reraise(group: BaseExceptionGroup[BaseException]) -> Never:
    """Raises the only exception of a nursery's group as it was, or the group (PH7)."""
    if len(group.exceptions) != 1:
        raise group
    only = group.exceptions[0]
    raise only from only.__cause__
