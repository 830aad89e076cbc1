"""Lua invocations that end in their caller's turn, and those that do not. Rules: CX6, F14-F18, DE3.

A call that waits for nothing is never seen by the kernel. These tests are about the ways in which
it could be noticed: PIDs, messages, ends by force, neighbours in the same Lua state.
"""

import pytest
import trio
import trio.testing
from bilingual import MODULES, Bench, opened

import trio_actors
from lua_bridge import LuaCallee, LuaTarget, Script
from lua_bridge.limits import Limits
from trio_actors import ProcessContext, ProcessError

Clock = trio.testing.MockClock
both = pytest.mark.parametrize("language", ["python", "lua"])


@both
async def test_every_invocation_has_a_pid_of_its_own(language: str) -> None:
    """CX6, P6: new each time, of the function's id, and gone afterwards."""
    async with opened() as bench:
        bench.install(language, "pid")
        pids = [await bench.functions.call("app:pid") for _ in range(3)]
        assert len(set(pids)) == 3
        assert all(pid.startswith("{app:pid|") for pid in pids)
        assert not any(pid in bench.functions.node.processes for pid in pids)


async def test_upgrade_is_refused_to_a_script_and_the_call_goes_on() -> None:
    """U7: returned, whether or not the call has waited before."""
    async with opened() as bench:
        refusal = """local _, err = process.upgrade(nil, 1)
          return {err:kind(), err:message(), "on"}"""
        for body in (refusal, f"time.sleep('1ms') {refusal}"):
            bench.lua("app:f", f"return function() {body} end")
            assert await bench.functions.call("app:f") == [
                "Invalid",
                "upgrade is only available in a process",
                "on",
            ]
            bench.functions.remove("app:f")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("process.terminate(process.pid())", "process terminated"),
        ('process.cancel(process.pid(), "0s")', "deadline"),
        ('process.cancel(process.pid(), "1s")', "deadline"),
    ],
)
async def test_an_end_by_force_in_the_first_turn_ends_the_call(
    body: str, text: str, autojump_clock: Clock
) -> None:
    """F18, T2, K6: what is decided before there is a cancel scope counts all the same."""
    async with opened() as bench:
        bench.lua("app:f", f'return function() {body} time.sleep("1h") return 1 end')
        start = trio.current_time()
        with pytest.raises(ProcessError, match=text):
            await bench.functions.call("app:f")
        assert trio.current_time() - start < 2
        assert bench.functions.statistics("app:f").busy == 0
        assert not bench.functions.node.processes


async def test_a_linked_process_that_fails_at_once_fails_the_call(autojump_clock: Clock) -> None:
    """F18: the link is made in the first turn."""
    async with opened() as bench:
        broken = LuaTarget(Script("t:broken", 'return function() error("no") end'))

        class Source:
            def find(self, id: str) -> object:
                return broken if id == "t:broken" else None

        bench.functions.node.add_source(Source())
        bench.lua(
            "app:f",
            'return function() process.spawn_linked("t:broken", "t:lua") time.sleep("1h") end',
        )
        with pytest.raises(ProcessError, match="linked process failed"):
            await bench.functions.call("app:f")


async def test_a_message_sent_in_the_first_turn_names_its_sender(autojump_clock: Clock) -> None:
    """F18: to Lua beside it and to Python; the sender is gone, and a reply finds nobody."""
    got: list[tuple[str, bool]] = []

    async def python(ctx: ProcessContext) -> None:
        message = await ctx.receive()
        await trio.sleep(0.01)  # the sender still waits for the answer of its send
        try:
            ctx.send(message.sender, "reply", 1)
        except trio_actors.ProcessNotFound:
            got.append((message.sender, True))

    async with opened() as bench:
        bench.lua(
            "app:tell",
            'return function(who) return {process.pid(), process.send(who, "t", 1)} end',
        )
        pid = await bench.host.spawn(python)
        sender, sent = await bench.functions.call("app:tell", pid)
        await trio.sleep(0.1)
        assert (got, sent) == ([(sender, True)], True)
        assert await bench.run(
            """local answer = funcs.call("app:tell", process.pid())
            local message = process.inbox():receive()
            local ok, err = process.send(message:from(), "reply", 1)
            return {message:from() == answer[1], ok == nil, err:kind()}"""
        ) == [True, True, "NotFound"]


async def test_neighbours_in_the_state_go_on(autojump_clock: Clock) -> None:
    """A call from outside takes part in the state's queue: what others wait for is not lost."""
    async with opened() as bench:
        bench.install("lua", "add", "sleeper")
        counter = LuaTarget(
            Script(
                "t:counter",
                """return function(n)
                  local sum = 0
                  for i = 1, n do sum = sum + process.inbox():receive():payload() end
                  return sum
                end""",
                modules=MODULES,
            )
        )
        node = bench.functions.node
        pid = await bench.host.spawn(counter, 20)
        for number in range(20):
            node.send(pid, "t", number)
            assert await bench.functions.call("app:add", number, 1) == number + 1
        assert (await node.wait(pid)).unwrap() == sum(range(20))


@pytest.mark.parametrize(
    "args", [(), (1, 2.5), ("é", b"\xff"), (None, True), (2**63 - 1,), ([1, {"a": "ü"}], None)]
)
async def test_arguments_and_results_cross_alike_in_every_form(args: tuple[object, ...]) -> None:
    """GC5: plain scalars go another way than tables and text that is not ASCII."""
    async with opened() as bench:
        bench.lua("app:echo", "return function(...) return {n = select('#', ...), ...} end")
        got = await bench.functions.call("app:echo", *args)
        assert got.pop("n") == len(args)
        assert [got.get(n + 1) for n in range(len(args))] == list(args)


async def test_an_integer_too_large_for_lua_is_refused() -> None:
    """GC5, M24: and the callee does not run."""
    async with opened() as bench:
        bench.lua("app:f", 'return function() funcs.call("app:mark", "ran") end')
        with pytest.raises(trio_actors.ProcessInvalid):
            await bench.functions.call("app:f", 2**63)
        assert bench.marks == []


async def test_functions_in_states_of_their_own(autojump_clock: Clock) -> None:
    """A worker with a state of its own serves many calls."""
    async with opened() as bench:
        script = Script("app:alone", "local n = 0 return function() n = n + 1 return n end")
        callee = LuaCallee(bench.host, script, "main", Limits(isolated=True))
        bench.functions.install("app:alone", callee, pool={"workers": 1})
        assert [await bench.functions.call("app:alone") for _ in range(3)] == [1, 2, 3]


async def test_a_state_that_breaks_fails_its_calls_only(bench: Bench) -> None:
    """An error of the state itself is INTERNAL for the call in it; others go on."""
    bench.install("lua", "add")
    assert await bench.functions.call("app:add", 1, 1) == 2
    callee = bench.functions._entries["app:add"].callee
    assert isinstance(callee, LuaCallee)
    pool = bench.functions._entries["app:add"].pool
    assert pool is not None
    shard = pool.core.idle[0].payload.shard

    def broken(*args: object) -> None:
        raise MemoryError

    whole, shard.state._call_now = shard.state._call_now, broken
    with pytest.raises(trio_actors.ProcessInternal, match="lua state failed"):
        await bench.functions.call("app:add", 1, 2)
    shard.state._call_now = whole
    assert bench.functions.statistics("app:add").busy == 0


@pytest.fixture
async def bench(autojump_clock: Clock):  # type: ignore[no-untyped-def]
    """A bench in virtual time."""
    async with opened() as made:
        yield made
