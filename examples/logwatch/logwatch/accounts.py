"""The ledger process: carries messages to the pure ledger and what it decides to the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trio_actors import ErrorKind, Event, ProcessContext, ProcessNotFound

from .ledger import Ledger, Send
from .roles import AGGREGATOR, EVENT, LEDGER, READER, REPORT, play, tell

PROGRESS_EVERY = 25  # verdicts between two messages to the report process


async def main(ctx: ProcessContext) -> None:
    """Runs until it is asked to end."""
    async with play(ctx, LEDGER) as ledger:
        ledger.took_over()
        told = -1
        async for message in ctx.inbox:
            carry_out(ctx, handle(ctx, ledger, message.topic, message.sender, message.payload))
            counts = ledger.counts()
            judged = counts.read + counts.injected_rejected
            if ledger.done:
                tell(ctx, REPORT, "done", (counts, ledger.settings, dict(ledger.rejects)))
            elif judged // PROGRESS_EVERY != told:
                told = judged // PROGRESS_EVERY
                tell(ctx, REPORT, "progress", counts)


def handle(
    ctx: ProcessContext, ledger: Ledger, topic: str, sender: str, payload: Any
) -> Iterable[Send]:
    """One message; says what is to be sent."""
    match topic, payload:
        case "ready", {"index": int(index), "settings": dict(settings)}:
            return ledger.worker_ready(sender, index, settings) if watch(ctx, sender) else ()
        case "ready", (name, after) if watch(ctx, sender):
            if name == READER:
                return ledger.reader_ready(sender)
            assert name == AGGREGATOR
            return ledger.collector_ready(sender, after)
        case "lines", (first, lines, last):
            return ledger.lines(sender, first, lines, last)
        case "scored", {"number": int()}:
            return ledger.scored(sender, payload["number"], payload)
        case "acked", int(upto):
            return ledger.acked(sender, upto)
        case "stop", _:
            ledger.stop()
        case str(t), Event() as event if t == EVENT:
            return ledger.worker_gone(event.sender, blame(event))
    return ()


def blame(event: Event) -> str | None:
    """Why a process died by its own fault; None if somebody ended it, or it just returned."""
    error = event.result.error if event.result is not None else None
    if error is None or error.kind is ErrorKind.CANCELED:
        return None
    text: str = error.message
    return text


def watch(ctx: ProcessContext, pid: str) -> bool:
    """Asks to be told of a death; False if it has happened already."""
    try:
        ctx.monitor(pid)
    except ProcessNotFound:
        return False
    return True


def carry_out(ctx: ProcessContext, sends: Iterable[Send]) -> None:
    """Sends; who has died in the meantime will be reported dead."""
    for send in sends:
        tell(ctx, send.to, send.topic, send.payload)
