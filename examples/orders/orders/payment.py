"""A payment provider that fails now and then, and is down for a while.

What it does depends on the order only, so a run can be repeated. `RUNS` counts the attempts,
`REPEATS` those that were not the first of their order.
"""

import trio

from trio_actors import ErrorKind, make_error

OUTAGE = range(120, 160)  # numbers of orders for which the provider is down
RUNS = [0]
REPEATS = [0]
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


def reset() -> None:
    """Forget what was: for another run in the same program."""
    RUNS[0] = REPEATS[0] = 0
    _seen.clear()
