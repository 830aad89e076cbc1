"""Contracts, called from both languages and answered by both. Rules: CT12-CT17, GC1.

Every pair of caller and callee has to give the same result, or the same error in every field.
"""

from typing import Any

import attrs
import pytest
from bilingual import MODULES, Bench, opened

from lua_bridge import LuaTarget, Script
from trio_actors import ProcessContext, ProcessError, contract
from trio_actors.functions import parse_binding, parse_definition
from trio_actors.security import Actor, Scope, parse_policy

LANGUAGES = ["python", "lua"]
ORDER = {
    "type": "object",
    "required": ["lines"],
    "properties": {
        "lines": {
            "type": "array",
            "minItems": 1,
            "items": {"properties": {"a/b": {"type": "integer", "minimum": 1}}},
        }
    },
}
METHODS = [
    {
        "name": "place",
        "input_schemas": [{"type": "string"}, ORDER],
        "output_schemas": [{"type": "array", "items": {"type": "integer"}}],
    },
    {"name": "free"},
]


def with_format(method: dict[str, Any]) -> dict[str, Any]:
    """The schemas as a definition writes them."""
    kinds = {key: value for key, value in method.items() if key.endswith("_schemas")}
    return method | {
        key: [{"format": "application/schema+json", "definition": one} for one in schemas]
        for key, schemas in kinds.items()
    }


def callee(bench: Bench, language: str) -> None:
    """`app:place` gives back the second argument, or something else if the first one says so."""
    if language == "python":

        async def place(who: str, order: Any) -> Any:
            if who == "liar":
                return [1, "two"]
            return [line.get("a/b", 0) for line in order["lines"]]

        bench.py("app:place", place)
    else:
        bench.lua(
            "app:place",
            """return function(who, order)
              if who == "liar" then return {1, "two"} end
              local out = {}
              for i, line in ipairs(order.lines) do out[i] = line["a/b"] or 0 end
              return out
            end""",
        )
    contracts = bench.functions.contracts
    methods = [with_format(method) for method in METHODS]
    contracts.define(parse_definition("app:desk", {"methods": methods}))
    part = {
        "contract": "app:desk",
        "default": True,
        "methods": {"place": "app:place", "free": "app:place"},
        "context_required": ["tenant", "day"],
    }
    contracts.bind(parse_binding("app:binding", {"contracts": [part]}))


@attrs.frozen
class Said:
    """What a caller got."""

    value: Any = None
    kind: str | None = None
    text: str = ""
    details: Any = None


async def in_python(ctx: ProcessContext, method: str, args: list[Any]) -> Any:
    try:
        return [await getattr(contract.get("app:desk"), method)(*args)]
    except ProcessError as error:
        return {"kind": error.kind.value, "text": str(error), "details": dict(error.details or {})}


IN_LUA = LuaTarget(
    Script(
        "t:asks",
        """return function(method, args)
          local c = contract.get("app:desk")
          local value, err
          if method:sub(-6) == "_async" then
            local future
            future, err = c[method](c, table.unpack(args))
            if future then
              local outcome = future:response():receive()
              if select(2, future:error()) then err = outcome else value = outcome end
            end
          else
            value, err = c[method](c, table.unpack(args))
          end
          if err then return {kind = err:kind(), text = err:message(), details = err:details()} end
          return {value}
        end""",
        modules=MODULES,
    )
)
CONTEXT = {"tenant": "acme", "day": 1}


async def say(
    bench: Bench, language: str, method: str, *args: Any, context: Any = CONTEXT, **options: Any
) -> Said:
    """What a process of this language gets for a method of the contract."""
    code: Any = in_python if language == "python" else IN_LUA
    pid = await bench.host.spawn(code, method, list(args), context=context, **options)
    found = (await bench.functions.node.wait(pid)).unwrap()
    if isinstance(found, list):
        return Said(found[0])
    return Said(None, found["kind"], found["text"], found.get("details") or {})


PAIRS = [(a, b) for a in LANGUAGES for b in LANGUAGES]
pairs = pytest.mark.parametrize(("caller", "language"), PAIRS)
forms = pytest.mark.parametrize("form", ["place", "place_async"])


@pairs
@forms
async def test_ct15_bad_input_names_all_five(caller: str, language: str, form: str) -> None:
    """CT15, FZ23: contract and method, argument, pointer (escaped), expected, found; no run."""
    async with opened() as bench:
        callee(bench, language)
        assert await say(bench, caller, form, "ann", {"lines": [{"a/b": 3}]}) == Said([3])
        for args, argument, pointer, shown, text in (
            ((7, {}), 1, "", "/", "expected string, found 7"),
            (("ann", {"x": 1}), 2, "", "/", 'expected property "lines"'),
            (("ann", {"lines": [{"a/b": 3}, {"a/b": 0}]}), 2, "/lines/1/a~1b", None,
             "expected minimum 1, found 0"),
            (("ann",), 2, "", "/", "expected object, found null"),
        ):  # fmt: skip
            said = await say(bench, caller, form, *args)
            start = f"app:desk.place: argument {argument} at {shown or pointer}: {text}"
            assert said.text.startswith(start), said.text
            assert (said.kind, said.details) == (
                "Invalid",
                {
                    "contract": "app:desk",
                    "method": "place",
                    "argument": argument,
                    "pointer": pointer,
                },
            )
        assert bench.functions.statistics("app:place").completed == 1


@pairs
@forms
async def test_ct16_a_bad_result_is_internal(caller: str, language: str, form: str) -> None:
    """CT16: after the run, with the pointer into the result."""
    async with opened() as bench:
        callee(bench, language)
        said = await say(bench, caller, form, "liar", {"lines": [1]})
        assert said.text.startswith("app:desk.place: result at /1: expected integer, found ")
        assert (said.kind, said.details) == (
            "Internal",
            {"contract": "app:desk", "method": "place", "pointer": "/1"},
        )
        assert bench.functions.statistics("app:place").completed == 1


@pairs
@forms
async def test_ct14_the_order_of_the_checks(caller: str, language: str, form: str) -> None:
    """CT12-CT14: permission, context, input, chain; `funcs.call` is not asked for."""
    chain: list[str] = []

    async def note(call: Any, next: Any) -> Any:
        chain.append(call.id)
        return await next(call)

    def scope(*actions: str) -> Scope:
        body = {"actions": list(actions), "resources": "app:desk*", "effect": "allow"}
        return Scope([parse_policy("app:p", {"policy": body})])

    async with opened() as bench:
        callee(bench, language)
        bench.functions.add_interceptor("note", note)
        ann, get, call = Actor("ann"), "contract.get", "contract.call"
        bad, good = (1, {}), ("ann", {"lines": [{"a/b": 2}]})
        denied = await say(bench, caller, form, *bad, context={}, actor=ann, scope=scope(get))
        assert (denied.kind, denied.text) == (
            "PermissionDenied",
            "not allowed: app:desk.place",
        )
        may = scope(get, call)
        missing = await say(bench, caller, form, *bad, context={}, actor=ann, scope=may)
        assert (missing.kind, missing.text) == (
            "Invalid",
            "missing required context keys: [tenant, day]",
        )
        invalid = await say(bench, caller, form, *bad, actor=ann, scope=may)
        assert (invalid.kind, invalid.details["argument"]) == ("Invalid", 1)
        assert chain == []
        assert await say(bench, caller, form, *good, actor=ann, scope=may) == Said([2])
        assert chain == ["app:place"]


@pairs
async def test_ct17_what_has_no_schema_is_not_checked(caller: str, language: str) -> None:
    """CT14, CT17: a method without schemas, and arguments beyond them."""
    async with opened() as bench:
        callee(bench, language)
        order = {"lines": [{"a/b": -5}]}
        assert await say(bench, caller, "free", "ann", order) == Said([-5])
        assert await say(bench, caller, "place", "ann", {"lines": [{"x": 1}]}, "beyond") == Said(
            [0]
        )


@pytest.mark.parametrize("language", LANGUAGES)
async def test_m27_an_empty_table_is_both(language: str) -> None:
    """J7, M27: a script's `{}` passes as object and as array, of either callee."""
    async with opened() as bench:
        callee(bench, language)
        source = """local value, err = contract.get("app:desk"):place("liar", {lines = {{}}})
        return {value == nil, err:message():find("result at") ~= nil}"""
        assert await bench.run(source, context=CONTEXT) == [True, True]
