"""What `trio-actors observe` costs an application: `python benchmarks/observing.py [--quick]`.

An application with 10,000 processes runs in a process of its own, with its control socket. Its CPU
time (user and system) is read while nobody looks and while one viewer does, as a share of the
seconds that went by. The viewer is the feed of `observe`, in this process.

Then such an application runs in this process, and a task that gives way at once measures the CPU
time that goes by between two of its turns while snapshots are taken.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import trio

from registry import open_app
from registry.control.client import connect
from registry.control.desk import Desk
from registry.control.protocol import write_request
from registry.observe.feed import Feed, pause

APP = """\
namespace: many
entries:
  - {name: host, kind: process.host}
  - name: waits
    kind: process.lua
    source: "return function() process.inbox():receive() end"
  - {name: spawner, kind: process.py, source: "bench_many:main"}
  - {name: service, kind: process.service, process: spawner, host: host,
     lifecycle: {auto_start: true, ready: true, start_timeout: 1m}}
"""
CODE = """\
async def main(ctx):
    for _ in range(COUNT):
        await ctx.spawn("many:waits")
    ctx.started()
    await ctx.events.receive()
"""


def cpu_seconds(pid: int) -> float:
    """CPU time of another process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(folder: Path, count: int, seconds: float) -> None:
    """Starts the application, measures, prints."""
    (folder / "main.yaml").write_text(APP)
    (folder / "bench_many.py").write_text(CODE.replace("COUNT", str(count)))
    socket = folder / "control.sock"
    words = [sys.executable, "-c", "from registry.cli import main; raise SystemExit(main())"]
    options = ["run", str(folder), "--control", str(socket), "--log-level", "error"]
    async with trio.open_nursery() as nursery:
        run = partial(trio.run_process, [*words, *options], check=False)
        process = await nursery.start(run)
        with trio.fail_after(120):
            while not socket.exists():
                await trio.sleep(0.1)
            async with connect(None, socket) as connection:
                while (await connection.ask("hello"))["state"] != "running":
                    await trio.sleep(0.2)
        await trio.sleep(1)

        async def share() -> float:
            used, began = cpu_seconds(process.pid), trio.current_time()
            await trio.sleep(seconds)
            return (cpu_seconds(process.pid) - used) / (trio.current_time() - began)

        print(f"{count} processes")
        print(f"  nobody looks   {await share():.2%} of a core")
        async with connect(None, socket) as connection, trio.open_nursery() as looking:
            began = trio.current_time()
            took = (await connection.ask("snapshot", exits=20))["took"]
            whole = trio.current_time() - began
            feed = Feed(connection)
            feed.join()
            looking.start_soon(feed.run)
            print(f"  one viewer     {await share():.2%} of a core")
            print(f"  one snapshot took {took:.3f} s of the application, {whole:.3f} s in all;")
            print(f"  the next comes after {pause(took):.1f} s")
            looking.cancel_scope.cancel()
        process.kill()


async def delays(folder: Path, rounds: int = 5) -> list[float]:
    """Seconds of CPU time between the turns of a task while snapshots are taken, in order."""
    waited: list[float] = []

    async def neighbour() -> None:
        last = time.thread_time()
        while True:
            await trio.lowlevel.checkpoint()
            now = time.thread_time()
            waited.append(now - last)
            last = now

    async with open_app(folder) as app, trio.open_nursery() as nursery:
        desk = Desk(str(folder), app)
        nursery.start_soon(neighbour)
        for _ in range(rounds):
            await desk.reply(write_request("snapshot", {"exits": 20}))
        nursery.cancel_scope.cancel()
    return sorted(waited)


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="200 processes, 3 seconds")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as name:
        trio.run(measure, Path(name), 200 if quick else 10_000, 3.0 if quick else 20.0)
        waited = trio.run(delays, Path(name))
    p99 = waited[len(waited) * 99 // 100]
    print(f"a neighbour's delay: p99 {p99 * 1e3:.1f} ms, at most {waited[-1] * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
