"""Generated channel programs, and the Lua script that runs one and keeps a log."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from property_tests.models.channel import (
    Begin,
    Close,
    Done,
    End,
    Operation,
    Outcome,
    Program,
    Raised,
    Receive,
    Received,
    Select,
    Send,
    Sent,
    Yield,
)

SCRIPT = """
-- Runs one program: argument {capacities = {...}, coroutines = {{op, ...}, ...}}, result: the log.
local function case(chans, c)
  if c.kind == "send" then return chans[c.channel]:case_send(c.value) end
  return chans[c.channel]:case_receive()
end

local function run(chans, op)
  if op.kind == "send" then return { "sent", chans[op.channel]:send(op.value) } end
  if op.kind == "receive" then
    local v, ok = chans[op.channel]:receive()
    return { "received", ok = ok, value = v }
  end
  if op.kind == "close" then
    chans[op.channel]:close()
    return { "done" }
  end
  if op.kind == "yield" then
    coroutine.yield()
    return { "done" }
  end
  local cases = { default = op.default or nil }
  for i, c in ipairs(op.cases) do cases[i] = case(chans, c) end
  local r = channel.select(cases)
  if r.default then return { "done" } end
  for i, c in ipairs(op.cases) do
    if r.channel == chans[c.channel] then
      return { "selected", channel = c.channel, value = r.value, ok = r.ok }
    end
  end
end

return function(program)
  local chans, log = {}, {}
  for i, capacity in ipairs(program.capacities) do chans[i] = channel.new(capacity) end
  for number, ops in ipairs(program.coroutines) do
    coroutine.spawn(function()
      for step, op in ipairs(ops) do
        log[#log + 1] = { "begin", number, step }
        local ok, result = pcall(run, chans, op)
        if not ok then result = { "raised", value = tostring(result) } end
        log[#log + 1] = { "end", number, step, result }
      end
    end)
  end
  time.sleep("1s")
  return log
end
"""

_values = st.none() | st.integers(1, 99)


def _cases(channels: int) -> st.SearchStrategy[Send | Receive]:
    numbers = st.integers(0, channels - 1)
    return st.builds(Send, numbers, _values) | st.builds(Receive, numbers)


def _operations(channels: int) -> st.SearchStrategy[Operation]:
    case = _cases(channels)
    # One case for each channel: then the result of a select tells which case it was.
    cases = st.lists(case, min_size=1, max_size=channels, unique_by=lambda c: c.channel).map(tuple)
    return st.one_of(
        case,
        case,
        case,
        st.builds(Select, cases, st.booleans()),
        st.builds(Close, st.integers(0, channels - 1)),
        st.just(Yield()),
    )


@st.composite
def channel_programs(draw: st.DrawFn) -> Program:
    """Programs of up to 4 coroutines and 3 channels; they shrink to few operations."""
    capacities = draw(st.lists(st.sampled_from([0, 0, 1, 2, -1]), min_size=1, max_size=3))
    operations = st.lists(_operations(len(capacities)), min_size=1, max_size=8).map(tuple)
    coroutines = draw(st.lists(operations, min_size=1, max_size=4))
    return Program(tuple(capacities), tuple(coroutines))


def as_argument(program: Program) -> dict[str, Any]:
    """The program as the script reads it; Lua counts from 1."""
    return {
        "capacities": list(program.capacities),
        "coroutines": [[_plain(op) for op in ops] for ops in program.coroutines],
    }


def _plain(operation: Operation) -> dict[str, Any]:
    match operation:
        case Send(channel, value):
            return {"kind": "send", "channel": channel + 1, "value": value}
        case Receive(channel):
            return {"kind": "receive", "channel": channel + 1}
        case Close(channel):
            return {"kind": "close", "channel": channel + 1}
        case Yield():
            return {"kind": "yield"}
        case Select(cases, default):
            return {"kind": "select", "cases": [_plain(c) for c in cases], "default": default}


def read_log(program: Program, rows: list[Any]) -> list[Begin | End]:
    """The script's log as events."""
    return [_event(program, row) for row in rows]


def _event(program: Program, row: list[Any]) -> Begin | End:
    coroutine, step = row[1] - 1, row[2] - 1
    if row[0] == "begin":
        return Begin(coroutine, step)
    operation = program.coroutines[coroutine][step]
    return End(coroutine, step, _outcome(operation, row[3]))


def _outcome(operation: Operation, found: Any) -> Outcome:
    result = {str(index): item for index, item in enumerate(found, 1)} if isinstance(
        found, list
    ) else {str(key): item for key, item in found.items()}  # fmt: skip
    match result["1"]:
        case "sent":
            assert result["2"] is True
            return Sent()
        case "received":
            return Received(result.get("value"), result["ok"])
        case "raised":
            return Raised(str(result["value"]).rpartition(": ")[2])
        case "selected":
            return _selected(operation, result)
        case _:
            return Done()


def _selected(operation: Operation, result: dict[str, Any]) -> Outcome:
    assert isinstance(operation, Select)
    channels = [case.channel for case in operation.cases]
    index = channels.index(result["channel"] - 1)
    case = operation.cases[index]
    if isinstance(case, Send):
        assert (result.get("value"), result["ok"]) == (case.value, True)
        return Sent(index)
    return Received(result.get("value"), result["ok"], index)
