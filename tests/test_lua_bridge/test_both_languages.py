"""One scenario, four ways: watcher and watched in Lua and in Python must not differ (PY15).

Each scenario has a parent in both languages that does the same and returns plain facts; each child
exists in both languages under the ids `lua:x` and `py:x`.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from trio_actors import ErrorKind, ProcessContext, ProcessError

HOST = "app:h"

# ---------------------------------------------------------------- children

LUA_CHILDREN = {
    "seven": "return function() return 7 end",
    "falsy": "return function() return false end",
    "boom": "return function() error('boom') end",
    "conflict": (
        "return function() error(errors.new{message = 'taken', kind = errors.CONFLICT,"
        " retryable = true, details = {a = 1, list = {1, 2}}}) end"
    ),
    "idle": "return function() process.inbox():receive() return 'message' end",
    "polite": (
        "return function() local e = process.events():receive() "
        "return {kind = e.kind, deadline = e.deadline ~= nil, from = e.from} end"
    ),
    "echo": (
        "return function() local inbox = process.inbox() while true do "
        "local m = inbox:receive() process.send(m:from(), 'echo', m:payload()) end end"
    ),
    "args": "return function(a, b, c) return {a, b == nil, c} end",
    "linker": (
        "return function(peer) process.link(peer) process.inbox():receive() error('linker') end"
    ),
}


async def _seven(ctx: ProcessContext) -> int:
    return 7


async def _falsy(ctx: ProcessContext) -> bool:
    return False


async def _boom(ctx: ProcessContext) -> None:
    raise ValueError("boom")


async def _conflict(ctx: ProcessContext) -> None:
    raise ProcessError(
        "taken", kind=ErrorKind.CONFLICT, retryable=True, details={"a": 1, "list": [1, 2]}
    )


async def _idle(ctx: ProcessContext) -> str:
    await ctx.inbox.receive()
    return "message"


async def _polite(ctx: ProcessContext) -> Any:
    e = await ctx.events.receive()
    return {"kind": str(e.kind), "deadline": e.deadline is not None, "from": e.sender}


async def _echo(ctx: ProcessContext) -> None:
    async for m in ctx.inbox:
        ctx.send(m.sender, "echo", m.payload)


async def _args(ctx: ProcessContext, a: Any, b: Any, c: Any) -> Any:
    return [a, b is None, c]


async def _linker(ctx: ProcessContext, peer: str) -> None:
    ctx.link(peer)
    await ctx.inbox.receive()
    raise ValueError("linker")


PYTHON_CHILDREN: dict[str, Callable[..., Awaitable[Any]]] = {
    "seven": _seven,
    "falsy": _falsy,
    "boom": _boom,
    "conflict": _conflict,
    "idle": _idle,
    "polite": _polite,
    "echo": _echo,
    "args": _args,
    "linker": _linker,
}

# ---------------------------------------------------------------- parents

LUA_KIT = """
local H = "app:h"
local function fact(err)
  if err == nil then return nil end
  return {kind = err:kind(), retryable = err:retryable(), details = err:details(),
    boom = string.find(err, "boom") ~= nil,
    message = not string.find(err, "boom") and err:message() or nil}
end
local function event(e)
  return {kind = e.kind, from = e.from, at = type(e.at) == "number", deadline = e.deadline ~= nil,
    value = e.result and e.result.value, error = e.result and fact(e.result.error)}
end
local function wait_gone(pid)
  while process.send(pid, "probe") do time.sleep("1ms") end
end
"""


def fact(error: ProcessError | None) -> Any:
    if error is None:
        return None
    boom = "boom" in error.message
    facts = {
        "kind": str(error.kind),
        "retryable": error.retryable,
        "details": error.details,
        "boom": boom,
        "message": None if boom else error.message,
    }
    return {key: value for key, value in facts.items() if value is not None}


def event(e: Any) -> Any:
    facts = {
        "kind": str(e.kind),
        "from": e.sender,
        "at": isinstance(e.at, float),
        "deadline": e.deadline is not None,
        "value": e.result.value if e.result else None,
        "error": fact(e.result.error) if e.result else None,
    }
    return {key: value for key, value in facts.items() if value is not None}


def refusal(function: Callable[..., Any], *args: Any) -> Any:
    try:
        function(*args)
    except ProcessError as error:
        return fact(error)
    return None


async def gone(ctx: ProcessContext, pid: str) -> None:
    while True:
        try:
            ctx.send(pid, "probe")
        except ProcessError:
            return
        await trio.sleep(0.001)


Parent = tuple[str, Callable[[ProcessContext, str], Awaitable[Any]]]
SCENARIOS: dict[str, tuple[Parent, Any]] = {}


def scenario(lua: str, expected: Any) -> Callable[[Any], Any]:
    def add(function: Any) -> Any:
        SCENARIOS[function.__name__] = ((lua, function), expected)
        return function

    return add


NOT_FOUND = {"kind": "NotFound", "retryable": False, "boom": False, "message": "process not found"}


@scenario(
    "local pid = process.spawn_monitored(L .. ':seven', H) local ev = process.events() "
    "local e = event(ev:receive()) e.from = e.from == pid return e",
    {"kind": "pid.exit", "from": True, "at": True, "deadline": False, "value": 7},
)
async def instant_exit(ctx: ProcessContext, lang: str) -> Any:
    """SC1, E11, N1"""
    pid = await ctx.spawn(f"{lang}:seven", host=HOST, monitor=True)
    e = event(await ctx.events.receive())
    e["from"] = e["from"] == pid
    return e


@scenario(
    "local pid = process.spawn_monitored(L .. ':boom', H) "
    "local e = event(process.events():receive()) local ok, err = process.send(pid, 'x') "
    "return {e.error, fact(err)}",
    [{"kind": "Internal", "boom": True}, NOT_FOUND],
)
async def crash(ctx: ProcessContext, lang: str) -> Any:
    """SC2, E26, E30, V4, M5"""
    pid = await ctx.spawn(f"{lang}:boom", host=HOST, monitor=True)
    e = event(await ctx.events.receive())
    return [e["error"], refusal(ctx.send, pid, "x")]


@scenario(
    "process.spawn_monitored(L .. ':conflict', H) return event(process.events():receive()).error",
    {
        "kind": "Conflict",
        "retryable": True,
        "details": {"a": 1, "list": [1, 2]},
        "boom": False,
        "message": "taken",
    },
)
async def error_fields(ctx: ProcessContext, lang: str) -> Any:
    """E27, E29, M22, Q11"""
    await ctx.spawn(f"{lang}:conflict", host=HOST, monitor=True)
    return event(await ctx.events.receive())["error"]


@scenario(
    "local pid = process.spawn_linked(L .. ':falsy', H) wait_gone(pid) return 'alive'", "alive"
)
async def normal_end_of_a_link(ctx: ProcessContext, lang: str) -> Any:
    """SC3, E22, K12"""
    pid = await ctx.spawn(f"{lang}:falsy", host=HOST, link=True)
    await gone(ctx, pid)
    return "alive"


@scenario(
    "process.set_options{trap_links = true} local ev = process.events() "
    "local pid = process.spawn_linked_monitored(L .. ':boom', H) "
    "local a, b = ev:receive(), ev:receive() "
    "return {a.kind, b.kind, b.from == pid, fact(b.result.error)}",
    ["pid.exit", "pid.link.down", True, {"kind": "Internal", "boom": True}],
)
async def trapped_link(ctx: ProcessContext, lang: str) -> Any:
    """SC4, SC5, K15, V5"""
    ctx.options.trap_links = True
    events = ctx.events
    pid = await ctx.spawn(f"{lang}:boom", host=HOST, link=True, monitor=True)
    a, b = await events.receive(), await events.receive()
    return [str(a.kind), str(b.kind), b.sender == pid, fact(b.result.error)]


@scenario(
    "process.spawn_linked(L .. ':boom', H) process.inbox():receive()",
    {"kind": "Internal", "boom": False, "message": "linked process failed"},
)
async def untrapped_link(ctx: ProcessContext, lang: str) -> Any:
    """SC3, K14, E34"""
    await ctx.spawn(f"{lang}:boom", host=HOST, link=True)
    await ctx.inbox.receive()


@scenario(
    "local pid = process.spawn_linked_monitored(L .. ':linker', H, process.pid()) "
    "process.unlink(pid) process.unmonitor(pid) time.sleep('1ms') process.unlink(pid) "
    "process.send(pid, 'go') wait_gone(pid) local r = channel.select{"
    "process.events():case_receive(), default = true} return r.default",
    True,
)
async def unlink_and_unmonitor(ctx: ProcessContext, lang: str) -> Any:
    """SC7, K11, N4"""
    pid = await ctx.spawn(f"{lang}:linker", ctx.pid, host=HOST, link=True, monitor=True)
    ctx.unlink(pid)
    ctx.unmonitor(pid)
    await trio.sleep(0.001)
    ctx.unlink(pid)
    ctx.send(pid, "go")
    await gone(ctx, pid)
    try:
        ctx.events.receive_nowait()
    except trio.WouldBlock:
        return True
    return False


@scenario(
    "local dead = process.spawn(L .. ':seven', H) wait_gone(dead) "
    "local idle = process.spawn(L .. ':idle', H) local out = {} "
    "for i, f in ipairs{process.monitor, process.link, process.terminate, process.cancel} do "
    "local ok, err = f(dead) out[i] = fact(err) end "
    "process.monitor(idle) local _, err = process.monitor(idle) out[5] = fact(err) "
    "_, err = process.monitor('nobody') out[6] = fact(err) "
    "out[7] = process.unmonitor(dead) process.terminate(idle) "
    "local e = process.events():receive() out[8] = fact(e.result.error) return out",
    [
        {"kind": "NotFound", "retryable": False, "boom": False, "message": "pid not registered"},
        {"kind": "NotFound", "retryable": False, "boom": False, "message": "pid not registered"},
        NOT_FOUND,
        NOT_FOUND,
        {
            "kind": "AlreadyExists",
            "retryable": False,
            "boom": False,
            "message": "already monitoring pid",
        },
        {
            "kind": "NotFound",
            "retryable": False,
            "boom": False,
            "message": "could not resolve 'nobody' as PID or registered name",
        },
        True,
        {"kind": "Canceled", "boom": False, "message": "process terminated"},
    ],
)
async def the_dead_and_the_unknown(ctx: ProcessContext, lang: str) -> Any:
    """SC8, N2-N4, K10, T3, K4, E32"""
    dead = await ctx.spawn(f"{lang}:seven", host=HOST)
    await gone(ctx, dead)
    idle = await ctx.spawn(f"{lang}:idle", host=HOST)
    out = [refusal(f, dead) for f in (ctx.monitor, ctx.link, ctx.terminate, ctx.cancel)]
    ctx.monitor(idle)
    out += [refusal(ctx.monitor, idle), refusal(ctx.monitor, "nobody")]
    out.append(refusal(ctx.unmonitor, dead) is None)
    ctx.terminate(idle)
    e = await ctx.events.receive()
    return [*out, fact(e.result.error)]


@scenario(
    "local pid = process.spawn_monitored(L .. ':idle', H) local t = time.now() "
    "process.cancel(pid, '50ms') local e = process.events():receive() "
    "return {fact(e.result.error), time.now():sub(t):milliseconds()}",
    [{"kind": "Canceled", "boom": False, "message": "cancel deadline exceeded"}, 50],
)
async def cancel_deadline(ctx: ProcessContext, lang: str) -> Any:
    """SC9, K6, E33"""
    pid = await ctx.spawn(f"{lang}:idle", host=HOST, monitor=True)
    start = trio.current_time()
    ctx.cancel(pid, "50ms")
    e = await ctx.events.receive()
    return [fact(e.result.error), round((trio.current_time() - start) * 1000)]


@scenario(
    "local out = {} for i, d in ipairs{false, '10s', 200} do "
    "local pid = process.spawn_monitored(L .. ':polite', H) "
    "process.cancel(pid, d or nil) local e = process.events():receive().result.value "
    "e.from = e.from == process.pid() out[i] = e end return out",
    [
        {"kind": "pid.cancel", "deadline": False, "from": True},
        {"kind": "pid.cancel", "deadline": True, "from": True},
        {"kind": "pid.cancel", "deadline": True, "from": True},
    ],
)
async def cancel_event(ctx: ProcessContext, lang: str) -> Any:
    """SC10, K1, K3, K8"""
    out = []
    for deadline in (None, "10s", 0.2):
        pid = await ctx.spawn(f"{lang}:polite", host=HOST, monitor=True)
        ctx.cancel(pid, deadline)
        e = (await ctx.events.receive()).result.value
        e["from"] = e["from"] == ctx.pid
        out.append(e)
    return out


@scenario(
    "local pid = process.spawn(L .. ':echo', H) local inbox = process.inbox() "
    "for i = 1, 1000 do process.send(pid, 'n', i) end "
    "for i = 1, 1000 do local m = inbox:receive() if m:payload() ~= i or m:from() ~= pid then "
    "return i end end "
    "process.send(pid, 'n') local none = inbox:receive():payload() "
    "process.send(pid, 'n', 1, 'b', true) local many = inbox:receive():payload() "
    "process.send(pid, 'n', 'ü\\0') local text = inbox:receive():payload() "
    "return {none == nil, many, text}",
    [True, [1, "b", True], "ü\0"],
)
async def order_and_payloads(ctx: ProcessContext, lang: str) -> Any:
    """SC16, SC18, M12, M20, M30-M32"""
    pid = await ctx.spawn(f"{lang}:echo", host=HOST)
    for i in range(1, 1001):
        ctx.send(pid, "n", i)
    for i in range(1, 1001):
        m = await ctx.inbox.receive()
        if m.payload != i or m.sender != pid:
            return i
    ctx.send(pid, "n")
    none = (await ctx.inbox.receive()).payload is None
    ctx.send(pid, "n", 1, "b", True)
    many = (await ctx.inbox.receive()).payload
    ctx.send(pid, "n", "ü\0")
    return [none, many, (await ctx.inbox.receive()).payload]


@scenario(
    "local a = process.spawn(L .. ':idle', H) local b = process.spawn(L .. ':idle', H) "
    "local out = {} local function put(ok, err) out[#out + 1] = ok or fact(err).kind end "
    "put(process.registry.register('n', a)) put(process.registry.register('n', a)) "
    "put(process.registry.register('n', b)) put(process.registry.lookup('n') == a) "
    "put(process.send('n', 'x')) wait_gone(a) put(process.registry.lookup('n')) "
    "put(process.registry.register('n', b)) put(process.registry.register('', b)) "
    "put(process.registry.register('m', a)) put(process.registry.register('me')) "
    "put(process.registry.unregister('me')) put(tostring(process.registry.unregister('me'))) "
    "put(process.registry.unregister('n')) return out",
    [
        True,
        True,
        "AlreadyExists",
        True,
        True,
        "NotFound",
        True,
        "Invalid",
        "NotFound",
        True,
        True,
        "false",
        "PermissionDenied",
    ],
)
async def names(ctx: ProcessContext, lang: str) -> Any:
    """SC19, R1-R9"""
    a = await ctx.spawn(f"{lang}:idle", host=HOST)
    b = await ctx.spawn(f"{lang}:idle", host=HOST)
    out: list[Any] = []

    def put(function: Callable[..., Any], *args: Any) -> None:
        try:
            value = function(*args)
        except ProcessError as error:
            value = str(error.kind)
        out.append(True if value is None or value == a else value)

    put(ctx.register, "n", a)
    put(ctx.register, "n", a)
    put(ctx.register, "n", b)
    put(ctx.lookup, "n")
    put(ctx.send, "n", "x")
    await gone(ctx, a)
    put(ctx.lookup, "n")
    put(ctx.register, "n", b)
    put(ctx.register, "", b)
    put(ctx.register, "m", a)
    put(ctx.register, "me")
    put(ctx.unregister, "me")
    put(lambda: str(ctx.unregister("me")).lower())
    put(ctx.unregister, "n")
    return out


@scenario(
    "local out = {} local function put(v, err) out[#out + 1] = {v == nil, v, fact(err)} end "
    "put(process.call(L .. ':seven', H)) put(process.call(L .. ':falsy', H)) "
    "put(process.call(L .. ':conflict', H)) put(process.call(L .. ':args', H, 'x', nil, 3)) "
    "put(process.call('no:such', H)) put(process.call(L .. ':seven', 'no:host')) return out",
    [
        [False, 7],
        [False, False],
        {
            1: True,
            3: {
                "kind": "Conflict",
                "retryable": True,
                "details": {"a": 1, "list": [1, 2]},
                "boom": False,
                "message": "taken",
            },
        },
        [False, ["x", True, 3]],
        {1: True, 3: {**NOT_FOUND, "message": "factory not found", "details": {"id": "no:such"}}},
        {1: True, 3: {**NOT_FOUND, "message": "host not found", "details": {"host": "no:host"}}},
    ],
)
async def call(ctx: ProcessContext, lang: str) -> Any:
    """SC22, C1-C3, C5, E7"""
    out: list[Any] = []
    for id, host, args in (
        (f"{lang}:seven", HOST, ()),
        (f"{lang}:falsy", HOST, ()),
        (f"{lang}:conflict", HOST, ()),
        (f"{lang}:args", HOST, ("x", None, 3)),
        ("no:such", HOST, ()),
        (f"{lang}:seven", "no:host", ()),
    ):
        try:
            out.append([False, await ctx.call(id, *args, host=host)])
        except ProcessError as error:
            out.append({1: True, 3: fact(error)})
    return out


@scenario(
    "process.registry.register('taken') local b = process.with_context{} "
    "local n = #{process.registry.lookup('taken')} "
    "local pid, err = b:with_name('taken'):with_message('x', 1):spawn(L .. ':idle', H) "
    "local pid2 = b:with_name('free'):with_message('x', 1):spawn_monitored(L .. ':idle', H) "
    "local e = process.events():receive() return {pid == nil, fact(err).message, e.result.value}",
    [True, "name already registered", "message"],
)
async def spawn_with_name_and_message(ctx: ProcessContext, lang: str) -> Any:
    """SC20, B5-B7"""
    ctx.register("taken")
    first = None
    try:
        await ctx.spawn(f"{lang}:idle", host=HOST, name="taken", messages=[("x", 1)])
    except ProcessError as error:
        first = error.message
    await ctx.spawn(
        f"{lang}:idle", host=HOST, name="free", messages=[("x", 1)], monitor=True, context={}
    )
    e = await ctx.events.receive()
    return [True, first, e.result.value]


@pytest.mark.parametrize("child", ["lua", "py"])
@pytest.mark.parametrize("parent", ["lua", "py"])
@pytest.mark.parametrize("name", SCENARIOS)
async def test_scenario(
    world: Any, autojump_clock: trio.testing.MockClock, name: str, parent: str, child: str
) -> None:
    """PY15: neither side can tell what the other is"""
    (lua, python), expected = SCENARIOS[name]
    for id, source in LUA_CHILDREN.items():
        world.lua(f"lua:{id}", source)
    for id, function in PYTHON_CHILDREN.items():
        world.python(f"py:{id}", function)
    world.node.wall_time = trio.current_time
    world.lua("lua:parent", f"{LUA_KIT} return function(L) {lua} end", modules=("time",))
    world.python("py:parent", python)
    try:
        result = await world.node.call(f"{parent}:parent", child, host=world.host)
    except ProcessError as error:
        result = fact(error)
    assert result == expected
