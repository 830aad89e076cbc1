"""Calling by contract: default bindings, instances, validation, permissions. Rules: CT5-CT18."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

import trio_actors
from trio_actors import ErrorKind, ProcessContext, ProcessError, contract, make_error, open_node
from trio_actors.functions import Functions, open_functions, parse_binding, parse_definition
from trio_actors.functions.contract_docs import contract_page, contract_pages
from trio_actors.security import Actor, Scope, parse_policy

MESSAGE = {
    "type": "object",
    "title": "message",
    "required": ["to"],
    "properties": {"to": {"type": "string", "description": "The address"}},
}


def json(definition: Any) -> dict[str, Any]:
    return {"format": "application/schema+json", "definition": definition}


SENDER = {
    "description": "Sends mail.",
    "methods": [
        {
            "name": "send",
            "description": "Sends one message.",
            "input_schemas": [json(MESSAGE)],
            "output_schemas": [json({"type": "boolean"})],
        },
        {"name": "start_async"},
        {"name": "start"},
        {"name": "open"},
    ],
}
METHODS = {"send": "app:send", "start_async": "app:x", "start": "app:y", "open": "app:z"}


def binding(name: str, default: bool = False, **fields: Any) -> Any:
    part = {"contract": "app.email:sender", "default": default, "methods": METHODS} | fields
    return parse_binding(f"app:{name}", {"contracts": [part]})


@asynccontextmanager
async def opened() -> AsyncIterator[Functions]:
    async with open_node() as node, open_functions(node) as functions:
        functions.register("app:send", lambda message: message["to"] != "nobody")
        functions.register("app:fake", lambda message: True)
        functions.register("app:x", lambda: "x")
        functions.register("app:y", lambda: "y")
        functions.register("app:z", lambda: dict(trio_actors.current().context))
        functions.contracts.define(parse_definition("app.email:sender", SENDER))
        functions.contracts.bind(binding("smtp", default=True))
        yield functions


async def test_a_contract_calls_its_default_binding() -> None:
    """CT5, and the async form of a method."""
    async with opened():
        sender = contract.get("app.email:sender")
        assert await sender.send({"to": "ann"}) is True
        assert await sender.send_async({"to": "nobody"}) is False
        assert sender.id() == "app.email:sender"
        assert (
            sender.implementations() == contract.find_implementations(sender.id()) == ["app:smtp"]
        )
        assert [m["name"] for m in sender.methods()] == ["send", "start_async", "start", "open"]
        assert sender.method("start") == {"name": "start", "description": ""}
        for missing in (lambda: contract.get(""), lambda: sender.method("gone")):
            with pytest.raises(trio_actors.ProcessNotFound):
                missing()
        with pytest.raises(AttributeError):
            sender.gone
        assert contract.find_implementations("app:unknown") == []


async def test_fz23_bad_input_names_method_argument_and_pointer() -> None:
    """FZ23, CT14, CT15: and the callee does not run."""
    runs: list[Any] = []
    async with opened() as functions:
        functions.remove("app:send")
        functions.register("app:send", lambda message: runs.append(message) or True)
        sender = contract.get("app.email:sender")
        for attempt in (lambda: sender.send({}), lambda: sender.send_async({})):
            with pytest.raises(trio_actors.ProcessInvalid) as caught:
                await attempt()
            assert str(caught.value) == (
                'app.email:sender.send: argument 1 at /: expected property "to", found {}'
                " (schema /required)"
            )
            assert caught.value.details == {
                "contract": "app.email:sender",
                "method": "send",
                "argument": 1,
                "pointer": "",
            }
        with pytest.raises(trio_actors.ProcessInvalid, match="argument 1 at /to: expected string"):
            await sender.send({"to": 3})
        with pytest.raises(trio_actors.ProcessInvalid, match=r"argument 1 at /: .* found null"):
            await sender.send()
        assert runs == []
        assert await sender.send({"to": "x"}, "beyond the schemas") is True


async def test_a_bad_result_is_internal_and_not_retried() -> None:
    """CT16."""
    runs: list[int] = []
    async with opened() as functions:
        functions.remove("app:send")
        options = {"options": {"retry": {"max_attempts": 3}}}
        functions.register("app:send", lambda message: runs.append(1), meta=options)
        with pytest.raises(trio_actors.ProcessInternal) as caught:
            await contract.get("app.email:sender").send({"to": "x"})
        assert str(caught.value).startswith("app.email:sender.send: result at /: expected boolean")
        assert runs == [1]


async def test_fz24_another_default_serves_the_same_calling_code() -> None:
    """FZ24, CT6: a Contract follows at once, an Instance keeps what it was opened with."""
    async with opened() as functions:
        sender = contract.get("app.email:sender")
        instance = sender.open()
        assert await sender.send({"to": "nobody"}) is False
        functions.contracts.bind(binding("smtp", default=False))
        with pytest.raises(
            trio_actors.ProcessNotFound,
            match=r"no default binding for contract 'app\.email:sender'",
        ):
            await sender.send({"to": "nobody"})
        fake = {**METHODS, "send": "app:fake"}
        functions.contracts.bind(binding("fake", default=True, methods=fake))
        assert await sender.send({"to": "nobody"}) is True
        assert await instance.send({"to": "nobody"}) is False


async def test_names_that_look_async_or_reserved() -> None:
    """CT7, CT8: an exact name wins; `open` is reached through an instance."""
    async with opened():
        sender = contract.get("app.email:sender")
        assert await sender.start_async() == "x"
        assert await sender.start() == "y"
        instance = sender.open()
        assert contract.is_(instance, "app.email:sender")
        assert not contract.is_(instance, "app:other")
        assert not contract.is_(3, "app.email:sender")
        assert await instance.open() == {}


async def test_context_comes_from_query_wrapper_and_table_in_this_order() -> None:
    """CT9, CT10, CT11."""
    async with opened():
        sender = contract.get("app.email:sender").with_context({"a": 1, "b": 1})
        instance = sender.open("app:smtp?a=0&b=0&c=true", {"b": 2})
        assert await instance.open() == {"a": 1, "b": 2, "c": True}
        plain = contract.open("app:smtp?n=3")
        assert await plain.open() == {"n": 3}
        with pytest.raises(trio_actors.ProcessNotFound):
            contract.open("app:gone")
        with pytest.raises(trio_actors.ProcessInvalid):
            contract.open("app:smtp?x")


async def test_required_context_is_checked_at_the_call() -> None:
    """CT12."""
    async with opened() as functions:
        functions.contracts.bind(binding("smtp", default=True, context_required=["tenant", "b"]))
        sender = contract.get("app.email:sender")
        instance = sender.open()
        with pytest.raises(
            trio_actors.ProcessInvalid,
            match=r"missing required context keys: \[tenant, b\]",
        ):
            await instance.start()
        assert await sender.with_context({"tenant": 1, "b": 2}).start() == "y"


async def test_options_and_actor_of_a_wrapper_apply_to_every_call() -> None:
    """CT9, IC4."""
    async with opened() as functions:

        def who() -> Any:
            if not tries:
                tries.append(1)
                raise make_error(ErrorKind.UNAVAILABLE, "once", retryable=True)
            return trio_actors.current().actor.id

        tries: list[int] = []
        functions.remove("app:x")
        functions.register("app:x", who)
        wrapped = (
            contract.get("app.email:sender")
            .with_actor(Actor("ann"))
            .with_options({"retry": {"max_attempts": 2, "initial_delay": 1}})
        )
        assert await wrapped.start_async() == "ann"
        with pytest.raises(TypeError):
            wrapped.with_scope("x")


async def test_the_contract_permission_replaces_the_functions() -> None:
    """CT13, table of 8.2: contract.call suffices, funcs.call is not needed; GC4 for the rest."""
    seen: list[Any] = []
    rule = {
        "actions": ["contract.get", "contract.call"],
        "resources": ["app.email:sender", "app.email:sender.send"],
        "effect": "allow",
    }
    scope = Scope([parse_policy("app:p", {"policy": rule})])

    async def process(ctx: ProcessContext) -> None:
        sender = contract.get("app.email:sender")
        seen.append(await sender.send({"to": "x"}))
        for attempt in (
            sender.start,
            sender.open,
            lambda: sender.with_context({}),
            lambda: sender.with_actor(Actor("x")),
            lambda: contract.get("app:other"),
            lambda: contract.open("app:smtp?a=1"),
            lambda: contract.find_implementations("app.email:sender"),
        ):
            with pytest.raises(trio_actors.ProcessPermissionDenied) as caught:
                result = attempt()
                if hasattr(result, "__await__"):
                    await result
            seen.append(str(caught.value))

    async with opened() as functions, functions.node.open_host("app:host") as host:
        await host.spawn(process, actor=Actor("ann"), scope=scope)
        await host.join()
    assert seen == [
        True,
        "not allowed: app.email:sender.start",
        "not allowed: app:smtp",
        "not allowed: context",
        "not allowed: security",
        "not allowed: app:other",
        "not allowed: app:smtp",
        "not allowed: app.email:sender",
    ]


async def test_documentation_names_methods_fields_and_bindings() -> None:
    """CT18: stable text."""
    async with opened() as functions:
        functions.contracts.bind(binding("another", context_required=["tenant"]))
        page = contract_page(functions.contracts.catalogue, "app.email:sender")
        pages = contract_pages(functions.contracts.catalogue)
        assert page == pages["app.email-sender.md"]
        assert "- [`app.email:sender`](app.email-sender.md) - Sends mail." in pages["index.md"]
        for line in (
            "# `app.email:sender`",
            "| `app:another` |  | `tenant` | open → `app:z`, send → `app:send`, start → `app:y`, "
            "start_async → `app:x` |",
            "### `send(message)`",
            "Sends one message.",
            'Lua: `contract.get("app.email:sender"):send(message)`',
            "| `to` | string | yes | The address |",
            "**Result**: boolean.",
        ):
            assert line in page.splitlines()
        assert page.index("app:another") < page.index("app:smtp")


async def test_ct6_a_method_that_went_after_it_was_named_is_not_found() -> None:
    """CT3, CT6, CT8: what a call finds is what is there when it is made."""
    async with opened() as functions:
        send = contract.get("app.email:sender").send
        functions.contracts.remove_binding("app:smtp")
        functions.contracts.define(parse_definition("app.email:sender", {"methods": []}))
        part = {"contract": "app.email:sender", "default": True, "methods": {}}
        functions.contracts.bind(parse_binding("app:empty", {"contracts": [part]}))
        with pytest.raises(trio_actors.ProcessNotFound, match="method not found: send"):
            await send({"to": "ann"})


@pytest.mark.parametrize("form", ["send", "send_async"])
async def test_ct16_a_running_call_is_of_the_contract_that_it_was_made_under(
    form: str, autojump_clock: Any
) -> None:
    """CT16, PL16: the contract may change, or be removed with its binding, under a running call."""

    async def slow(message: Any) -> str:
        await trio.sleep(1)
        return "no boolean"

    async with opened() as functions:
        functions.register("app:slow", slow)
        functions.contracts.remove_binding("app:smtp")
        functions.contracts.bind(
            binding("slow", default=True, methods=METHODS | {"send": "app:slow"})
        )
        got: list[str] = []

        async def call() -> None:
            try:
                await getattr(contract.get("app.email:sender"), form)({"to": "ann"})
            except ProcessError as error:
                got.append(str(error))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            await trio.sleep(0.5)
            functions.contracts.remove_binding("app:slow")
            functions.contracts.remove_definition("app.email:sender")
        [text] = got
        assert text.startswith("app.email:sender.send: result at ")


async def test_a_wrapper_applies_to_async_calls_too() -> None:
    """CT9, CT10: context values and options of the wrapper, through the future."""
    async with opened() as functions:
        seen: list[Any] = []

        async def look(call: Any, next: Any) -> Any:
            seen.append(dict(call.options))
            return await next(call)

        functions.add_interceptor("look", look)
        sender = contract.get("app.email:sender").with_context({"a": 1}).with_options({"mine": 2})
        assert await sender.open().open_async() == {"a": 1}
        assert await sender.start_async() == "x"
        assert seen == [{"mine": 2}] * 2
