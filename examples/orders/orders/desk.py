"""Placing an order: three calls, and no word about pools, retries, rights or languages."""

from typing import Any

import trio

from trio_actors import contract, current, funcs


async def place(order: dict[str, Any]) -> dict[str, Any]:
    """Enriches, prices and pays one order.

    The tenant's discount is a context value, set by whoever places the order; a tenant with one
    gets the implementation that looks at it.
    """
    enriched = funcs.async_("orders:enrich", order["customer"])  # goes on while we price
    pricing = contract.get("orders:pricing")
    if "discount" in current().context:
        price = await pricing.open("orders:tenant_prices").price(order["line"])
    else:
        price = await pricing.price(order["line"])
    customer = await enriched
    receipt = await funcs.call("orders:pay", order["number"], price)
    return {"customer": customer, "cents": price, "receipt": receipt}


async def enrich(customer: str) -> dict[str, Any]:
    """What another service knows about a customer; slow, which is why its pool grows."""
    await trio.sleep(0.05)
    return {"name": customer, "segment": "new" if customer < "n" else "known"}
