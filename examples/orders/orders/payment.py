"""A payment provider that fails now and then, and is down for a while.

What it does depends on the order only, so a run can be repeated. `RUNS` counts the attempts,
`REPEATS` those that were not the first of their order, `TURNED_AWAY` those that found the pool's
line full.
"""

from typing import Any

import trio

from trio_actors import ErrorKind, ProcessUnavailable, make_error
from trio_actors.functions import Call, Next

OUTAGE = range(120, 160)  # numbers of orders for which the provider is down
RUNS = [0]
REPEATS = [0]
TURNED_AWAY = [0]
_seen: set[int] = set()


async def pay(number: int, cents: int) -> str:
    """The receipt of a payment. Its failures may be retried; how often is said in YAML."""
    RUNS[0] += 1
    await trio.sleep(0.01)
    first = number not in _seen
    _seen.add(number)
    REPEATS[0] += not first
    if number in OUTAGE:
        raise make_error(ErrorKind.UNAVAILABLE, "provider is down", retryable=True)
    if number % 7 == 0 and first:
        raise ConnectionError("connection reset")
    return f"receipt-{number}-{cents}"


async def count_turned_away(call: Call, next: Next) -> Any:
    """An interceptor of our own: it runs around every attempt and lets everything pass."""
    try:
        return await next(call)
    except ProcessUnavailable as error:
        TURNED_AWAY[0] += str(error) == "pool queue is full"
        raise


def reset() -> None:
    """Forget what was: for another run in the same program."""
    RUNS[0] = REPEATS[0] = TURNED_AWAY[0] = 0
    _seen.clear()
