"""How a process reads: in whatever way, it meets its messages and nothing else."""

from __future__ import annotations

from collections import deque
from typing import Any
from unittest.mock import patch

import trio
from hypothesis import given
from hypothesis import strategies as st

from property_tests.guarantees.registry import guarantee
from property_tests.profiles import drawn
from property_tests.ways import functions_begin
from trio_actors import Message, Pid, ProcessContext, open_node
from trio_actors._core import pace
from trio_actors._core.dispatch import BATCH
from trio_actors._core.subscription import BUDGET

Step = tuple[str, str, int]  # what is done, with which channel, how often

WAYS = ["receive", "receive", "receive_many", "receive_nowait", "receive_where", "wait", "pause"]
channels = st.sampled_from(["inbox", "topic"])
sends = st.tuples(st.just("send"), channels, st.sampled_from([1, 5, 40, 70]))
reads = st.tuples(st.sampled_from(WAYS), channels, st.sampled_from([1, 2, 10, 40]))
programs = st.lists(st.one_of(sends, reads), min_size=60, max_size=90)


@guarantee
def however_one_reads_each_message_comes_once() -> None:
    """One by one, many, at once or chosen: in order, and at most 32 between checkpoints."""

    @drawn(60)
    @given(program=programs, topic=st.booleans(), stepped=st.booleans())
    def test(program: list[Step], topic: bool, stepped: bool) -> None:
        reading = Reading(["inbox", "topic"] if topic else ["inbox"])

        async def main() -> None:
            async with open_node() as node, node.open_host("app:h", drain=0) as host:
                await node.call(reading.run, program, host=host)

        with functions_begin(stepped=stepped), patch.object(pace, "perf_counter", lambda: 1.0):
            trio.run(main, instruments=[reading])
        assert reading.most <= (BATCH if stepped else BUDGET)

    test()


class Reading(trio.abc.Instrument):
    """What a process sends to itself, and has not read yet; how much it has read in one step."""

    def __init__(self, opened: list[str]) -> None:
        self.unread: dict[str, deque[int]] = {name: deque() for name in opened}
        self.sent = 0
        self.taken = 0
        self.most = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Between two steps of a task lies a checkpoint."""
        self.taken = 0

    async def run(self, ctx: ProcessContext, program: list[Step]) -> None:
        """Does all that, and reads the rest."""
        self.ctx = ctx
        self.channels = {name: self._open(name) for name in self.unread}
        self.echo = await ctx.spawn(_echo, ctx.pid)
        for what, name, count in program:
            name = name if name in self.unread else "inbox"
            await getattr(self, what)(name, count)
            self._look()
        for name in self.unread:
            await self.receive(name, self.sent)
        assert not any(self.unread.values())

    def _open(self, name: str) -> Any:
        return self.ctx.inbox if name == "inbox" else self.ctx.listen(name, message=True)

    def _look(self) -> None:
        for name, channel in self.channels.items():
            assert len(channel) == len(self.unread[name])
        assert self.ctx.process.mailbox.depth() == sum(map(len, self.unread.values()))

    def _got(self, name: str, messages: list[Message], *, counted: bool = True) -> None:
        for message in messages:
            assert message.payload == self.unread[name].popleft()
        if counted:
            self.taken += len(messages)
            self.most = max(self.most, self.taken)

    async def send(self, name: str, count: int) -> None:
        """Some numbers."""
        for _ in range(count):
            self.sent += 1
            self.unread[name].append(self.sent)
            self.ctx.send(self.ctx.pid, name, self.sent)

    async def receive(self, name: str, count: int) -> None:
        """One by one."""
        for _ in range(min(count, len(self.unread[name]))):
            self._got(name, [await self.channels[name].receive()])

    async def receive_many(self, name: str, count: int) -> None:
        """As many as there are."""
        if self.unread[name]:
            self._got(name, await self.channels[name].receive_many())

    async def receive_nowait(self, name: str, count: int) -> None:
        """Which is never a checkpoint, and does not count."""
        for _ in range(min(count, len(self.unread[name]))):
            self._got(name, [self.channels[name].receive_nowait()], counted=False)

    async def receive_where(self, name: str, count: int) -> None:
        """One from the middle."""
        queue = self.unread[name]
        if queue:
            wanted = queue[min(count, len(queue)) - 1]
            found = await self.channels[name].receive_where(lambda m: m.payload == wanted)
            assert found.payload == wanted
            queue.remove(wanted)

    async def wait(self, name: str, count: int) -> None:
        """For an answer, in a channel where nothing is."""
        answers = self.ctx.listen("answer")
        self.ctx.send(self.echo, "question")
        await answers.receive()
        answers.close()

    async def pause(self, name: str, count: int) -> None:
        """Lets others run."""
        await self.ctx.checkpoint()


async def _echo(ctx: ProcessContext, pid: Pid) -> None:
    async for _ in ctx.inbox:
        ctx.send(pid, "answer")
