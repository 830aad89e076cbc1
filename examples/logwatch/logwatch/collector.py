"""The aggregator process: adds up the verdicts, confirms them, and shows the sums when asked."""

from __future__ import annotations

from trio_actors import ProcessContext

from .roles import AGGREGATOR, EVENT, play, report_to_ledger, tell

CONFIRM_EVERY = 32  # verdicts; and whenever no more are waiting


async def main(ctx: ProcessContext) -> None:
    """Runs until it is asked to end."""
    async with play(ctx, AGGREGATOR) as aggregate:
        confirmed = aggregate.last
        ledger = await report_to_ledger(ctx, (AGGREGATOR, confirmed))
        inbox = ctx.inbox
        async for message in inbox:
            match message.topic:
                case "verdict" if message.sender == ledger:
                    aggregate.add(*message.payload)
                case str(topic) if topic == EVENT and message.payload.sender == ledger:
                    confirmed = aggregate.last
                    ledger = await report_to_ledger(ctx, (AGGREGATOR, confirmed))
            due = aggregate.last - confirmed
            if due >= CONFIRM_EVERY or (due and not len(inbox)):
                confirmed = aggregate.last
                tell(ctx, ledger, "acked", confirmed)
