"""Memory per idle process that has had one message: 10,000 of them, in an interpreter of their own.

Run as a script it is that interpreter: `python benchmarks/memory.py PROGRAM COUNT` prints bytes.
"""

from __future__ import annotations

import functools
import gc
import resource
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import trio
import trio.testing
from awaiting import AWAITING
from harness import Better, Program, Workload
from plain import PLAIN

from trio_actors import ProcessContext, open_node


def resident() -> int:
    """Bytes of memory in use: resident now on Linux, the peak elsewhere."""
    gc.collect()
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * resource.getpagesize()


async def channel_tasks(n: int) -> int:
    """Tasks with a memory channel each."""

    async def child(mine: Any) -> None:
        async for _ in mine:
            pass

    before = resident()
    async with trio.open_nursery() as nursery:
        senders = []
        for _ in range(n):
            sender, mine = trio.open_memory_channel[Any](1)
            senders.append(sender)
            nursery.start_soon(child, mine)
        await trio.testing.wait_all_tasks_blocked()
        for sender in senders:
            sender.send_nowait(1)
        await trio.testing.wait_all_tasks_blocked()
        used = resident() - before
        nursery.cancel_scope.cancel()
    return used


async def reader(ctx: ProcessContext) -> None:
    """Reads its inbox for ever."""
    async for _ in ctx.inbox:
        pass


async def async_function(n: int) -> int:
    """Processes of ours, async functions."""
    async with open_node() as node, node.open_host("app:bench", drain=0) as host:
        before = resident()
        pids = [host.spawn_soon(reader) for _ in range(n)]
        await trio.testing.wait_all_tasks_blocked()
        for pid in pids:
            node.send(pid, "item", 1)
        await trio.testing.wait_all_tasks_blocked()
        return resident() - before


async def plain_handlers(n: int) -> int:
    """Servers of ours with plain handlers."""
    return await PLAIN.memory(n, resident)


async def async_handlers(n: int) -> int:
    """Servers of ours with async handlers."""
    return await AWAITING.memory(n, resident)


PROGRAMS: dict[str, Callable[[int], Awaitable[int]]] = {
    "channel": channel_tasks,
    "function": async_function,
    "async": async_handlers,
    "plain": plain_handlers,
}


def fresh(script: str, program: str, n: int) -> int:
    """The bytes that `script PROGRAM N` prints, run by a fresh interpreter."""
    command = [sys.executable, script, program, str(n)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def kilobytes(program: str, n: int) -> float:
    """KB per process of one program."""
    return fresh(__file__, program, n) / n / 1024


WORKLOADS = [
    Workload(
        "memory per idle process",
        "KB",
        10_000,
        (
            Program("task + memory channel", functools.partial(kilobytes, "channel")),
            Program("async function", functools.partial(kilobytes, "function"), goal=4.0),
            Program("async handlers", functools.partial(kilobytes, "async"), goal=4.0),
            Program("plain handlers", functools.partial(kilobytes, "plain"), goal=1.5),
        ),
        better=Better.LOWER,
        rounds=1,
    ),
]

if __name__ == "__main__":
    print(trio.run(PROGRAMS[sys.argv[1]], int(sys.argv[2])))
