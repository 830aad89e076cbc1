"""How supervision scales: `python benchmarks/supervisors.py`.

Prints four figures with their goals:
- the cost of starting and terminating a dynamic child among 10,000, against 1,000;
- how long a bystander's tick takes while 1,000 children crash at once and wait for their restart;
- restarts per second of a crashing child without backoff, against raw `start_soon`: one after
  another, all at once, and as Trio alone would restart;
- the cost of stopping 10,000 dynamic children.

Rates count CPU seconds of this process. Log records of restarts are switched off: they cost more
than the restart itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from supervision import Supervisor, SupervisorRef, child
from trio_actors import Host, ProcessContext, ProcessError, open_node

ROUNDS = 3
T = TypeVar("T")


async def idle(ctx: ProcessContext, *args: object) -> None:
    """Waits until it is asked to end."""
    await ctx.events.receive()


async def dynamic(host: Host, count: int) -> tuple[float, float]:
    """Seconds per child for start and terminate among `count`, and for the stop of all."""
    template = child("t", idle, restart="temporary")
    pid = await host.spawn(
        Supervisor(strategy="simple_one_for_one", children=[template]), ready=True
    )
    ref = SupervisorRef(host.node, pid)
    begin = time.process_time()
    pids = [await ref.start_child(number) for number in range(count)]
    for one in pids[: count // 2]:
        await ref.terminate_child(one)
    for number in range(count // 2):
        await ref.start_child(number)
    middle = time.process_time()
    host.node.cancel(pid)
    await host.node.wait(pid)
    end = time.process_time()
    return (middle - begin) / (2 * count), (end - middle) / count


async def storm(host: Host, count: int) -> list[float]:
    """CPU seconds that went by in each tick of a bystander while `count` children crash, restart.

    CPU time of this process: how late its ticks are when it has a core for itself.
    """
    go = trio.Event()

    async def crasher(ctx: ProcessContext) -> None:
        if not go.is_set():
            await go.wait()
            raise ProcessError("storm")
        await ctx.events.receive()

    backoff = {"initial_delay": 0.2, "max_delay": 0.4, "jitter": 0.5}
    children = [child(str(i), crasher, backoff=backoff) for i in range(count)]
    tree = Supervisor(intensity=10 * count, children=children)
    pid = await host.spawn(tree, ready=True)
    await trio.sleep(0.1)
    late: list[float] = []
    go.set()
    end = trio.current_time() + 1.0
    while trio.current_time() < end:
        begin = time.process_time()
        await trio.sleep(0.001)
        late.append(time.process_time() - begin)
    ref = SupervisorRef(host.node, pid)
    while not all(info.restarts and info.state == "running" for info in ref.which_children()):
        await trio.sleep(0.1)
    return sorted(late)


async def restarts(host: Host, count: int) -> float:
    """Restarts per CPU second of a child that crashes at once."""
    runs = 0
    done = trio.Event()

    async def crasher(ctx: ProcessContext) -> None:
        nonlocal runs
        runs += 1
        if runs > count:
            done.set()
            await ctx.events.receive()
        raise ProcessError("again")

    tree = Supervisor(intensity=2 * count, period=1, children=[child("c", crasher)])
    begin = time.process_time()
    await host.spawn(tree)
    await done.wait()
    return count / (time.process_time() - begin)


async def floor(count: int) -> float:
    """Tasks per CPU second of `start_soon`, started and ended one after another."""

    async def task(ended: trio.Event) -> None:
        ended.set()

    begin = time.process_time()
    async with trio.open_nursery() as nursery:
        for _ in range(count):
            ended = trio.Event()
            nursery.start_soon(task, ended)
            await ended.wait()
    return count / (time.process_time() - begin)


async def batch_floor(count: int) -> float:
    """Tasks per CPU second of `start_soon`, all at once."""

    async def task() -> None:
        pass

    begin = time.process_time()
    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(task)
    return count / (time.process_time() - begin)


async def bare_restarts(count: int) -> float:
    """Restarts per CPU second with nothing but Trio: the least that a supervisor could do.

    A task with a cancel scope of its own fails, and wakes another one that starts the next.
    """
    supervisor = trio.lowlevel.current_task()

    async def task() -> None:
        try:
            with trio.CancelScope():
                raise ProcessError("again")
        except ProcessError:
            trio.lowlevel.reschedule(supervisor)

    begin = time.process_time()
    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(task)
            await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.SUCCEEDED)
    return count / (time.process_time() - begin)


async def on_a_host(job: Callable[..., Awaitable[T]], *args: int) -> T:
    """Runs a job on a host of its own."""
    async with open_node() as node, node.open_host("app:bench") as host:
        return await job(host, *args)


async def main() -> None:
    logging.getLogger("supervision").setLevel(logging.CRITICAL + 1)
    small = min([await on_a_host(dynamic, 1_000) for _ in range(ROUNDS)])
    large = min([await on_a_host(dynamic, 10_000) for _ in range(ROUNDS)])
    ratio = large[0] / small[0]
    print(f"start + terminate, 1,000 children:   {small[0] * 1e6:6.1f} us per operation")
    print(f"start + terminate, 10,000 children:  {large[0] * 1e6:6.1f} us per operation")
    print(f"  ratio {ratio:.2f} (goal: at most 3)")
    print(f"stop of 10,000 children:             {large[1] * 1e6:6.1f} us per child")
    late = min([await on_a_host(storm, 1_000) for _ in range(ROUNDS)], key=lambda ticks: ticks[-1])
    p99 = late[int(len(late) * 0.99)]
    print(f"storm of 1,000 crashes: a bystander's tick takes {p99 * 1e3:.2f} ms at p99 (goal: 5),")
    print(f"  {late[-1] * 1e3:.2f} ms at worst, {len(late)} ticks")
    rate = one_by_one = batch = bare = 0.0
    for _ in range(4 * ROUNDS):  # side by side, so that all see the same machine
        rate = max(rate, await on_a_host(restarts, 1_500))
        one_by_one = max(one_by_one, await floor(3_000))
        batch = max(batch, await batch_floor(3_000))
        bare = max(bare, await bare_restarts(3_000))
    print(f"restarts without backoff:            {rate:8,.0f} /s (goal: 0.15 of raw start_soon)")
    print(
        f"raw start_soon, one after another:   {one_by_one:8,.0f} /s, ratio {rate / one_by_one:.2f}"
    )
    print(f"raw start_soon, all at once:         {batch:8,.0f} /s, ratio {rate / batch:.2f}")
    print(f"restarts by Trio alone:              {bare:8,.0f} /s, ratio {rate / bare:.2f}")


if __name__ == "__main__":
    trio.run(main)
