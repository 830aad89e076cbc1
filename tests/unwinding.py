"""Code that takes its time to end."""

from __future__ import annotations

import trio


async def slow_to_end(seconds: float) -> None:
    """Sleeps until it is cancelled, and needs so many seconds to unwind then."""
    try:
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(seconds)
