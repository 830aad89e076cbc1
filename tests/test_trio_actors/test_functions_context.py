"""Context values of Python frames and processes: copies, wherever they are looked at. Rules: CX."""

from typing import Any

import pytest
import trio
from callees import opened

import trio_actors
from trio_actors import ProcessContext, funcs

GIVEN = {"tags": ["a", {"n": 1}], "user": {"name": "ann", "roles": ["x"]}, "plain": 1}


def spoil(values: Any) -> None:
    """Changes whatever can be changed."""
    values["tags"].append("spoilt")
    values["tags"][1]["n"] = 2
    values["user"]["roles"].clear()


async def test_cx4_a_callee_cannot_change_what_others_see() -> None:
    """CX4, CX9: not its caller, not a sibling, not a later look of its own."""
    seen: list[Any] = []

    async def vandal() -> None:
        spoil(trio_actors.current().context)
        seen.append(dict(trio_actors.current().context))

    async def sibling() -> None:
        seen.append(dict(trio_actors.current().context))

    async def outer() -> None:
        await funcs.call("app:vandal")
        await funcs.async_("app:vandal")
        await funcs.call("app:sibling")
        seen.append(dict(trio_actors.current().context))

    async with opened() as functions:
        for function in (vandal, sibling, outer):
            functions.register(f"app:{function.__name__}", function)
        given = {**GIVEN, "tags": ["a", {"n": 1}], "user": {"name": "ann", "roles": ["x"]}}
        executor = functions.new().with_context(given)
        spoil(given)
        await executor.call("app:outer")
        await executor.call("app:outer")
        assert seen == [GIVEN] * 8


async def test_cx7_a_process_cannot_change_what_its_starter_sees() -> None:
    """CX7, CX4, W5: processes inherit copies."""
    seen: list[Any] = []

    async def child(ctx: ProcessContext) -> None:
        spoil(ctx.context)

    async def parent(ctx: ProcessContext) -> None:
        await ctx.node.wait(await ctx.spawn(child))
        seen.append(dict(ctx.context))

    async with opened() as functions, functions.node.open_host("app:host") as host:
        await functions.node.wait(await host.spawn(parent, context=GIVEN))
        assert seen == [GIVEN]


async def test_cx4_an_interceptor_sees_copies_too() -> None:
    """CX4, IC9: a call is changed by `replace` only."""

    async def vandal(call: Any, next: Any) -> Any:
        spoil(call.context)
        return await next(call)

    async with opened() as functions:
        functions.add_interceptor("vandal", vandal)
        functions.register("app:f", lambda: dict(trio_actors.current().context))
        assert await functions.new().with_context(GIVEN).call("app:f") == GIVEN


def ring() -> list[Any]:
    """A list that contains itself."""
    items: list[Any] = []
    items.append(items)
    return items


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (trio.Event(), "k"),
        ([1, {"x": {1, 2}}], r"k\[1\]\.x"),
        ({"x": {3: 4}}, r"k\.x"),
        (ring(), "k"),
        (b"bytes", "k"),
        (lambda: 1, "k"),
    ],
    ids=["object", "set", "key", "ring", "bytes", "function"],
)
async def test_cx9_a_value_that_may_not_travel_is_named_by_its_path(value: Any, path: str) -> None:
    """CX9: INVALID when it is given, in every form; nothing runs."""
    async with opened() as functions:
        functions.register("app:f", lambda: 1)
        with pytest.raises(trio_actors.ProcessInvalid, match=f"context value {path}"):
            functions.new().with_context({"fine": 1, "k": value})

        async def change(call: Any, next: Any) -> Any:
            return await next(call.replace(context={"k": value}))

        functions.add_interceptor("change", change)
        with pytest.raises(trio_actors.ProcessInvalid, match=f"context value {path}"):
            await functions.call("app:f")
        assert functions.statistics("app:f").completed == 0
