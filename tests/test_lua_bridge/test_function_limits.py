"""Rules of functions, one by one: pools, timeouts, interceptors, retry, contracts, tokens.

For callees of both languages where both can show them. Rules: PL6, PL12-PL17, F14, F20, F23,
IC5-IC11, RT2, RT4, CT17, SE21.
"""

from typing import Any

import pytest
import trio
import trio.testing
from bilingual import Outcome, opened

import trio_actors
from trio_actors import ProcessError, funcs
from trio_actors.functions import Call, Next, PythonCallee, parse_binding, parse_definition
from trio_actors.security import Actor, Scope, parse_policy
from trio_actors.security.store import MemoryStore
from trio_actors.security.tokens import TokenStore

Clock = trio.testing.MockClock
both = pytest.mark.parametrize("language", ["python", "lua"])


# -- pools


@both
async def test_recursion_takes_a_worker_per_level(language: str, autojump_clock: Clock) -> None:
    """PL12: deeper than the limit it waits, until its timeout."""
    async with opened() as bench:

        async def down(n: int) -> int:
            return 0 if n == 0 else 1 + await funcs.call("app:down", n - 1)

        pool = {"workers": 3}
        if language == "python":
            bench.py("app:down", down, pool)
        else:
            bench.lua(
                "app:down",
                """return function(n)
                  if n == 0 then return 0 end
                  local value, err = funcs.call("app:down", n - 1)
                  if err then return nil, err end
                  return 1 + value
                end""",
                pool=pool,
            )
        assert await bench.ask("python", "app:down", 2) == Outcome(2)
        outcome = await bench.ask("python", "app:down", 3, options={"timeout": 500})
        assert outcome.kind == "Timeout"
        assert bench.functions.statistics("app:down").busy == 0


async def test_a_failing_call_keeps_its_worker() -> None:
    """PL15, PL14: the chunk's locals are still there afterwards."""
    async with opened() as bench:
        bench.lua(
            "app:f",
            """local n = 0
            return function(fail) n = n + 1 if fail then error("x") end return n end""",
            pool={"workers": 1},
        )
        assert await bench.functions.call("app:f", False) == 1
        assert (await bench.ask("python", "app:f", True)).kind == "Internal"
        assert await bench.functions.call("app:f", False) == 3
        stats = bench.functions.statistics("app:f")
        assert (stats.workers, stats.completed, stats.failed) == (1, 2, 1)


@both
async def test_a_version_that_cannot_be_built_changes_nothing(language: str) -> None:
    """PL17: the old pool stays, whatever of the new one is wrong."""
    async with opened() as bench:
        bench.install(language, "add")
        for pool, meta in (
            ({"size": 4}, None),
            ({"type": "lasy"}, None),
            (None, {"options": {"timeout": "soon"}}),
        ):
            with pytest.raises(trio_actors.ProcessInvalid):
                bench.install(language, "add", pool=pool, meta=meta)
        with pytest.raises(trio_actors.ProcessInvalid):
            bench.functions.install("app:add", PythonCallee(_needs_keyword))
        assert await bench.functions.call("app:add", 1, 2) == 3


async def _needs_keyword(*, key: int) -> int:
    return key


# -- interceptors


@both
async def test_the_chain_runs_outside_of_the_pool(language: str, autojump_clock: Clock) -> None:
    """IC5: an interceptor has its turn while the call still waits for a worker inside `next`."""
    entered: list[float] = []

    async def looks(call: Call, next: Next) -> Any:
        entered.append(trio.current_time())
        return await next(call)

    async with opened() as bench:
        bench.install(language, "sleeper", pool={"workers": 1})
        bench.functions.add_interceptor("looks", looks, match="app:sleeper")
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(bench.ask, language, "app:sleeper", 1)
        assert [round(at - start, 1) for at in entered] == [0, 0, 0]
        assert trio.current_time() - start == pytest.approx(3, abs=0.05)


async def test_names_of_interceptors_are_used_once() -> None:
    """IC8, IC11: a used name is ALREADY_EXISTS, an unknown one NOT_FOUND; built-in ones stay."""

    async def passes(call: Call, next: Next) -> Any:
        return await next(call)

    async with opened() as bench:
        functions = bench.functions
        functions.add_interceptor("mine", passes)
        for name in ("mine", "retry"):
            with pytest.raises(trio_actors.ProcessAlreadyExists):
                functions.add_interceptor(name, passes)
        functions.remove_interceptor("mine")
        for name in ("mine", "retry"):
            with pytest.raises(trio_actors.ProcessNotFound):
                functions.remove_interceptor(name)


@both
async def test_an_interceptor_may_change_what_both_languages_get(language: str) -> None:
    """IC9, IC10: arguments, context, actor and id; an exception of its own becomes an error."""

    async def doubles(call: Call, next: Next) -> Any:
        return await next(call.replace(args=[2 * arg for arg in call.args]))

    async def dresses(call: Call, next: Next) -> Any:
        return await next(call.replace(context={"b": 2}, actor=Actor("eve")))

    async def redirects(call: Call, next: Next) -> Any:
        return await next(call.replace(id="app:add"))

    async def breaks(call: Call, next: Next) -> Any:
        raise KeyError("mine")

    async with opened() as bench:
        bench.install(language, "add", "ctx", "pid", "sleeper")
        for name, function, match in (
            ("doubles", doubles, "app:add"),
            ("dresses", dresses, "app:ctx"),
            ("redirects", redirects, "app:pid"),
            ("breaks", breaks, "app:sleeper"),
        ):
            bench.functions.add_interceptor(name, function, match=match)
        assert await bench.ask(language, "app:add", 1, 2) == Outcome(6)
        assert await bench.ask(language, "app:ctx") == Outcome(
            {"b": 2, "actor": "eve", "id": "app:ctx"}
        )
        assert await bench.ask(language, "app:pid", 1, 2) == Outcome(3)  # no second chain
        assert (await bench.ask(language, "app:sleeper", 1)).kind == "Internal"


# -- retry


@pytest.mark.parametrize(
    ("body", "runs"),
    [
        ('error("x")', 3),
        ('return nil, "x"', 3),
        ('return nil, errors.new{message = "x", kind = "Internal", retryable = false}', 1),
        ('return nil, errors.new{message = "x", kind = "NotFound", retryable = true}', 3),
        ('return nil, errors.new{message = "x", kind = "NotFound"}', 1),
    ],
)
async def test_what_an_author_says_about_another_try(
    body: str, runs: int, autojump_clock: Clock
) -> None:
    """RT2, RT1: unknown is tried again, `retryable = false` is not, kinds have their own way."""
    async with opened() as bench:
        bench.lua("app:f", f'return function() funcs.call("app:mark", "run") {body} end')
        await bench.ask("lua", "app:f", options={"retry": {"max_attempts": 3}})
        assert len(bench.marks) == runs


@both
async def test_every_attempt_is_a_call_of_its_own(language: str, autojump_clock: Clock) -> None:
    """RT4: a PID and a place in the line for each; between two attempts others have their turn."""
    pids: list[str] = []

    async def fails() -> None:
        pids.append(trio_actors.current().pid)
        await trio.sleep(0.1)
        raise RuntimeError("x")

    async with opened() as bench:
        if language == "python":
            bench.py("app:f", fails, {"workers": 1})
        else:
            bench.py("app:note", pids.append)
            bench.lua(
                "app:f",
                """return function()
                  funcs.call("app:note", process.pid())
                  time.sleep("100ms")
                  error("x")
                end""",
                pool={"workers": 1},
            )
        options = {"retry": {"max_attempts": 2, "initial_delay": 10, "jitter": 0}}
        done: list[float] = []

        async def one() -> None:
            await bench.ask("python", "app:f", options=options)
            done.append(round(trio.current_time(), 1))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(one)
        assert len(set(pids)) == 4
        # first, second, first again, second again: nobody keeps the worker over a pause.
        assert done == [0.3, 0.4]


# -- contracts and tokens


@both
async def test_only_the_way_of_the_contract_validates(language: str) -> None:
    """CT17: `funcs.call` of the bound function takes anything."""
    schema = {"format": "application/schema+json", "definition": {"type": "integer"}}
    method = {"name": "add", "input_schemas": [schema, schema]}
    async with opened() as bench:
        bench.install(language, "add")
        contracts = bench.functions.contracts
        contracts.define(parse_definition("app:sums", {"methods": [method]}))
        part = {"contract": "app:sums", "default": True, "methods": {"add": "app:add"}}
        contracts.bind(parse_binding("app:bound", {"contracts": [part]}))
        sums = contracts.get("app:sums")
        assert await bench.functions.call("app:add", 1.5, 2) == 3.5
        assert await sums.add(1, 2) == 3
        with pytest.raises(trio_actors.ProcessInvalid, match=r"app:sums\.add: argument 1 at /"):
            await sums.add(1.5, 2)


async def test_a_token_of_a_policy_that_is_gone_is_invalid(autojump_clock: Clock) -> None:
    """SE21: fail closed, with the text of every other refusal."""
    async with opened() as bench:
        node, security = bench.functions.node, bench.functions.security
        body = {"actions": "read", "resources": "*", "effect": "allow"}
        security.policies["app:read"] = parse_policy("app:read", {"policy": body})
        store = TokenStore(node, security, "app:tokens", MemoryStore(node, "app:mem"))
        token = store.create(Actor("ann"), Scope([security.policies["app:read"]]))
        actor, scope = store.validate(token)
        assert (actor.id, scope.contains("app:read")) == ("ann", True)
        del security.policies["app:read"]
        with pytest.raises(ProcessError, match=r"^invalid token$"):
            store.validate(token)
        with pytest.raises(ProcessError, match=r"^invalid token$"):
            store.validate("forged")


# -- the waiting line


@both
async def test_a_full_line_that_blocks_takes_everybody(
    language: str, autojump_clock: Clock
) -> None:
    """PL6: beyond the buffer callers wait for space, and `async` returns its future at once."""
    async with opened() as bench:
        pool = {"workers": 1, "buffer": 1, "overflow": "block"}
        bench.install(language, "sleeper", pool=pool)
        start = trio.current_time()
        futures = [funcs.async_("app:sleeper", 1) for _ in range(5)]
        assert trio.current_time() == start
        assert [await future for future in futures] == ["slept"] * 5
        assert trio.current_time() - start == pytest.approx(5, abs=0.05)


@pytest.mark.parametrize("timeout", [0, -5, "0s", None])
@both
async def test_no_timeout(timeout: Any, language: str, autojump_clock: Clock) -> None:
    """F20: absent, zero and negative mean none."""
    async with opened() as bench:
        bench.install(language, "sleeper")
        options = {} if timeout is None else {"timeout": timeout}
        assert await bench.ask(language, "app:sleeper", 60, options=options) == Outcome("slept")


@both
async def test_a_result_after_the_deadline_is_dropped(language: str, autojump_clock: Clock) -> None:
    """F14, F23: and the deadline of an outer call is a cancellation for the inner one."""
    async with opened() as bench:
        bench.install(language, "outer", "noisy")
        outcome = await bench.ask(
            language, "app:outer", "app:noisy", "in", 1, options={"timeout": 999}
        )
        assert (outcome.kind, outcome.text) == ("Timeout", "call timed out after 999ms")
        await trio.sleep(5)
        assert bench.noted() == ["in>"]
        assert bench.functions.statistics("app:noisy").failed == 1
