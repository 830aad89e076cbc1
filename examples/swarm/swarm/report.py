"""The report process: starts the swarm, collects its ticks, prints the figures."""

from __future__ import annotations

import argparse
import gc
import resource
import sys
import time
from pathlib import Path
from typing import Any, Never

import trio

from registry import terminal
from trio_actors import ErrorKind, ProcessContext, make_error

from .figures import Lateness, figures

SETTLE = 15.0  # seconds after the start until the late ticks of the start are read
BATCH = 100  # processes started between two looks at the inbox


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        raise make_error(ErrorKind.INVALID, f"{message}\n{self.format_usage().rstrip()}")


def options(words: tuple[str, ...]) -> argparse.Namespace:
    """The words after `-x swarm:report --`."""
    parser = _Parser(prog="swarm:report", add_help=False)
    parser.add_argument("--processes", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(words)


def megabytes() -> float:
    """Memory of this program: resident now on Linux, the peak elsewhere."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)
    return pages * resource.getpagesize() / 2**20


async def collect(ctx: ProcessContext, late: Lateness, seconds: float) -> None:
    """Takes ticks for so long."""
    with trio.move_on_after(seconds):
        async for message in ctx.inbox:
            late.add(message.payload)


async def main(ctx: ProcessContext, *words: Any) -> None:
    """Runs the swarm for the time asked for."""
    chosen = options(words)
    early = Lateness()  # ticks from while the others were being started
    for started in range(chosen.processes):
        await ctx.spawn("swarm:ticker", ctx.pid, host="swarm:processes")
        if started % BATCH == 0:
            await collect(ctx, early, 0)
    gc.collect()
    gc.freeze()  # what there is now stays: a look through all of it would stop everybody for 0.1 s
    settle = min(SETTLE, chosen.seconds / 4)
    await collect(ctx, early, settle)
    late = Lateness()
    first, cpu = megabytes(), time.process_time()
    await collect(ctx, late, chosen.seconds - settle)
    cpu = time.process_time() - cpu
    result = figures(chosen.processes, chosen.seconds, late, (first, megabytes()), cpu)
    terminal(ctx).write((result.as_json() if chosen.json else result.as_text()) + "\n")
