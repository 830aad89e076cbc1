"""examples/orders as a whole: every order is accounted for, prices agree, rights hold."""

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from registry import open_app
from trio_actors import ProcessInvalid, ProcessPermissionDenied, contract, funcs
from trio_actors.security import Actor

APP = Path(__file__).parents[2] / "examples" / "orders"


async def test_every_order_is_accounted_for(autojump_clock: trio.testing.MockClock) -> None:
    """Aim: throughput, retries, rejections and denied calls; in virtual time."""
    async with open_app(APP) as app:
        from orders import load  # type: ignore[import-not-found]

        report: dict[str, Any] = await load.run(400)
        ended = ("placed", "unknown_article", "denied", "refused_by_breaker", "rejected_by_pool",
                 "payment_down", "failed")  # fmt: skip
        assert sum(report[name] for name in ended) == report["orders"] == 400
        # A third of the orders is mallory's, a fifth is for an article that nobody sells.
        assert report["unknown_article"] == 80
        assert report["denied"] == sum(1 for n in range(400) if n % 3 == 2 and n % 5 != 4)
        # How long the breaker stays open depends on the order in which Trio runs tasks.
        assert report["placed"] > 50
        assert report["retries"] > 10
        assert report["refused_by_breaker"] > 0
        assert report["turned_away_by_pool"] > report["rejected_by_pool"]
        assert report["per_second"] == pytest.approx(400 / report["seconds"], rel=0.01)
        assert report["payment_runs"] < report["payments"] + report["retries"]
        assert 1 < report["enrich_workers"] <= 32
        await trio.sleep(120)
        assert app.functions.statistics("orders:enrich").workers == 1
        assert app.functions.statistics("orders:place").workers == 0


async def test_the_two_prices_differ_by_the_discount() -> None:
    """Contracts: the same calling code, Python and Lua behind it; bad input names the place."""
    async with open_app(APP):
        pricing = contract.get("orders:pricing")
        line = {"sku": "tea", "count": 2}
        assert await pricing.price(line) == 900
        assert await pricing.open("orders:tenant_prices?discount=10").price(line) == 810
        with pytest.raises(ProcessInvalid, match=r"argument 1 at /count: expected minimum 1"):
            await pricing.price({"sku": "tea", "count": 0})
        with pytest.raises(ProcessInvalid, match="missing required context keys"):
            await pricing.open("orders:tenant_prices").price(line)


async def test_an_untrusted_tenant_gets_as_far_as_the_payment() -> None:
    """Policies: with the reason."""
    async with open_app(APP) as app:
        scope = app.functions.security.named_scope("orders:customers")
        mallory = funcs.new().with_actor(Actor("mallory", {"trusted": False})).with_scope(scope)
        order = {"number": 1, "customer": "m", "line": {"sku": "tea", "count": 1}}
        with pytest.raises(ProcessPermissionDenied, match="not allowed: orders:pay"):
            await mallory.call("orders:place", order)
