"""The load generator: a process that places orders as several tenants and reports what happened."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import attrs
import trio

from orders import payment
from registry import terminal
from trio_actors import ProcessContext, ProcessError, funcs
from trio_actors.security import Actor, Scope

ARTICLES = ("tea", "coffee", "sugar", "cup", "gold")  # nobody sells gold
CLIENTS = 24


@attrs.frozen
class Tenant:
    """Who orders, and what goes along with each of its orders."""

    name: str
    trusted: bool = True
    discount: int | None = None


TENANTS = (Tenant("acme"), Tenant("globex", discount=10), Tenant("mallory", trusted=False))


async def main(ctx: ProcessContext, *words: str) -> int:
    """Places the orders with 24 clients at a time and prints the report."""
    orders = next((int(word) for word in words if word.isdecimal()), 400)
    report = await run(orders)
    here = terminal(ctx)
    here.print(json.dumps(report, indent=2) if "--json" in words else shown(report))
    return 0


async def run(orders: int) -> dict[str, Any]:
    """Places orders 0, 1, 2 … and counts how they ended."""
    payment.reset()
    outcomes: Counter[str] = Counter()
    cents = 0
    functions = funcs.service()
    scope = functions.security.named_scope("orders:customers")
    executors = {tenant.name: executor(tenant, scope) for tenant in TENANTS}
    numbers = iter(range(orders))
    start = trio.current_time()

    async def client() -> None:
        nonlocal cents
        for number in numbers:
            tenant = TENANTS[number % len(TENANTS)]
            order = {
                "number": number,
                "customer": f"{tenant.name}-{number % 13}",
                "line": {"sku": ARTICLES[number % 5], "count": number % 4 + 1},
            }
            try:
                placed = await executors[tenant.name].call("orders:place", order)
            except ProcessError as error:
                outcomes[outcome_of(error)] += 1
            else:
                outcomes["placed"] += 1
                cents += placed["cents"]

    async with trio.open_nursery() as nursery:
        for _ in range(CLIENTS):
            nursery.start_soon(client)
    seconds = trio.current_time() - start
    pay = functions.metrics()["orders:pay"]
    # The breaker refuses without running the payment, so attempts that ran are what counts.
    return {
        "orders": orders,
        "seconds": round(seconds, 2),
        "per_second": round(orders / seconds, 1),
        "placed": outcomes["placed"],
        "cents": cents,
        "unknown_article": outcomes["NotFound"],
        "denied": outcomes["PermissionDenied"],
        "refused_by_breaker": outcomes["circuit open"],
        "rejected_by_pool": outcomes["pool queue is full"],
        "payment_down": outcomes["provider is down"],
        "failed": outcomes["failed"],
        "payments": pay.count,
        "payment_runs": payment.RUNS[0],
        "retries": payment.REPEATS[0],
        "turned_away_by_pool": payment.TURNED_AWAY[0],
        "enrich_workers": functions.statistics("orders:enrich").workers,
    }


def executor(tenant: Tenant, scope: Scope) -> Any:
    """Calls as this tenant: its actor, its scope, its context values."""
    calls = funcs.new().with_actor(Actor(tenant.name, {"trusted": tenant.trusted}))
    calls = calls.with_scope(scope)
    return calls if tenant.discount is None else calls.with_context({"discount": tenant.discount})


def outcome_of(error: ProcessError) -> str:
    """How a failed order is counted."""
    if str(error) in ("circuit open", "pool queue is full", "provider is down"):
        return str(error)
    kind = error.kind.value
    return kind if kind in ("NotFound", "PermissionDenied") else "failed"


def shown(report: dict[str, Any]) -> str:
    """The report for people."""
    width = max(map(len, report))
    return "\n".join(f"{name.replace('_', ' '):{width}}  {value}" for name, value in report.items())
