"""The reader process: gives the ledger the lines that it asks for, and never more."""

from __future__ import annotations

import trio

from trio_actors import ProcessContext

from .roles import EVENT, READER, play, report_to_ledger, tell


async def main(ctx: ProcessContext) -> None:
    """Runs until it is asked to end."""
    async with play(ctx, READER) as source:
        ledger = await report_to_ledger(ctx, (READER, 0))
        async for message in ctx.inbox:
            if message.topic == EVENT and message.payload.sender == ledger:
                ledger = await report_to_ledger(ctx, (READER, 0))
            elif message.topic == "want" and message.sender == ledger:
                first, count = message.payload
                lines, last = source.take(first, count)
                while not lines and not last:
                    await trio.to_thread.run_sync(source.fill, abandon_on_cancel=True)
                    lines, last = source.take(first, count)
                tell(ctx, ledger, "lines", (first, lines, last))
