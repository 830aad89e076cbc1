# ruff: noqa: E501  one line per name in the table
"""Stubs for Lua editors (LuaLS), made from one table of what scripts can use.

`TABLE` has one text per module, one line per name: ``signature -> results ; what it does``.
Constants have no parentheses. A test compares it with what a sandbox really holds.
"""

from __future__ import annotations

import re

import attrs

TABLE: dict[str, str] = {
    "process": """
pid() -> string ; own PID; nil, Error outside a process (P5)
id() -> string ; registry id of the running entry (P5)
send(destination: string, topic: string, ...) -> true | nil, Error ; puts a message into a mailbox, never waits (M1-M16)
spawn(id: string, host: string, ...) -> string | nil, Error ; starts a process (W1-W8)
spawn_monitored(id: string, host: string, ...) -> string | nil, Error ; the caller gets EXIT (W4)
spawn_linked(id: string, host: string, ...) -> string | nil, Error ; failure of one ends the other (W4)
spawn_linked_monitored(id: string, host: string, ...) -> string | nil, Error ; both (W4)
call(id: string, host: string, ...) -> any | nil, Error ; starts a process and waits for its result (C1-C7)
terminate(destination: string) -> true | nil, Error ; ends it at once (T1-T8)
cancel(destination: string, deadline?: string|integer) -> true | nil, Error ; asks it to end; text or milliseconds (K1-K9)
monitor(destination: string) -> true | nil, Error ; one EXIT event when it ends (N1-N6)
unmonitor(destination: string) -> true | nil, Error ; no EXIT any more (N4)
link(destination: string) -> true | nil, Error ; ties failures together (K10-K17)
unlink(destination: string) -> true | nil, Error ; removes the link (K11)
get_options() -> table ; a fresh {trap_links = boolean} (O1)
set_options(options: table) -> true | false, Error ; changes trap_links (O2-O4)
inbox() -> channel ; Message objects (L6, L7)
events() -> channel ; CANCEL, EXIT, LINK_DOWN (V1-V12)
listen(topic: string, options?: table) -> channel | nil, Error ; payloads of one topic (L7-L9)
unlisten(channel: channel) -> true | false, Error ; closes a subscription (L10-L13)
started(value?: any) -> nil ; tells a service or supervisor that the start is done
upgrade(id?: string, ...) -> nil, Error ; replaces the running code, does not return (U1-U7)
with_context(values: table) -> process.SpawnBuilder ; spawns with other context values (B1-B9)
event ; CANCEL, EXIT, LINK_DOWN: values of an event's kind (V10-V12)
registry ; register, lookup, unregister (R1-R9)
""",
    "process.registry": """
register(name: string, pid?: string) -> true | nil, Error ; gives a name, by default to the caller (R1-R4)
lookup(name: string) -> string | nil, Error ; the PID that has the name (R5)
unregister(name: string) -> boolean | nil, Error ; frees a name (R6)
""",
    "channel": """
new(size?: integer) -> channel ; 0 = send waits for a receiver (H1, H2)
select(cases: table, default?: boolean) -> table ; the first ready case: {channel, value, ok} (X1-X9)
""",
    "errors": """
new(spec: string|table) -> Error ; message, kind, retryable, details (Q1, Q2)
wrap(err: string|Error, text: string) -> Error ; the same error, the text shows in its stack (Q4)
is(x: any, kind: string) -> boolean ; an Error of exactly that kind (Q5)
call_stack(err: Error) -> table|nil ; {thread, frames} (Q6)
NOT_FOUND ; kind NotFound
ALREADY_EXISTS ; kind AlreadyExists
INVALID ; kind Invalid
PERMISSION_DENIED ; kind PermissionDenied
UNAVAILABLE ; kind Unavailable
INTERNAL ; kind Internal
CANCELED ; kind Canceled
CONFLICT ; kind Conflict
TIMEOUT ; kind Timeout
RATE_LIMITED ; kind RateLimited
UNKNOWN ; the empty kind
""",
    "time": """
sleep(d: duration) -> true | nil, Error ; blocks this coroutine (D1)
after(d: duration) -> channel | nil, Error ; gives one Time, then is closed (D2)
timer(d: duration) -> time.Timer | nil, Error ; one Time, can be stopped and reset (D3)
ticker(d: duration) -> time.Ticker | nil, Error ; a Time every d, 16 are kept (D4)
now() -> time.Time ; the node's wall clock (D5)
unix(seconds: integer, nanoseconds?: integer) -> time.Time ; from unix seconds (D5)
date(y: integer, mo?: integer, d?: integer, h?: integer, mi?: integer, s?: integer, ns?: integer, loc?: time.Location) -> time.Time ; fields out of range carry over (D5)
parse(layout: string, text: string, loc?: time.Location) -> time.Time | nil, Error ; by a layout with the reference time (D6)
parse_duration(x: duration) -> time.Duration | nil, Error ; such as 1h30m (D7)
load_location(name: string) -> time.Location | nil, Error ; an IANA zone (D8)
fixed_zone(name: string, seconds: integer) -> time.Location ; seconds east of UTC (D9)
utc ; the location UTC
localtz ; the location of this computer
""",
    "json": """
encode(value: any) -> string | nil, Error ; JSON text (J1-J3)
decode(text: string) -> any | nil, Error ; a value (J4)
validate(schema: table|string, data: any) -> true | false, Error ; by JSON Schema 2020-12 (J5)
validate_string(schema: table|string, text: string) -> true | false, Error ; the same for JSON text (J6)
""",
    "ctx": """
get(key: string) -> any | nil, Error ; a context value of this frame (CX4)
all() -> table | nil, Error ; all of them, a fresh table
""",
    "logger": """
debug(message: any, fields?: table) -> nil ; a line to the program's log
info(message: any, fields?: table) -> nil ; a line to the program's log
warn(message: any, fields?: table) -> nil ; a line to the program's log
error(message: any, fields?: table) -> nil ; a line to the program's log
with(fields: table) -> logger.Logger ; a logger that adds these fields
named(name: string) -> logger.Logger ; a logger below trio_actors.lua
""",
    "os": """
time(fields?: table) -> integer ; unix seconds by the node's clock
date(format?: string, time?: integer) -> string|table ; as in Lua, by the node's clock
clock() -> number ; seconds since the process first asked
difftime(a: integer, b: integer) -> number ; a - b
""",
}

_CONSTANTS = (
    "NANOSECOND MICROSECOND MILLISECOND SECOND MINUTE HOUR RFC3339 RFC3339NANO RFC822 RFC822Z "
    "RFC850 RFC1123 RFC1123Z DATE_TIME DATE_ONLY TIME_ONLY KITCHEN STAMP STAMP_MILLI STAMP_MICRO "
    "STAMP_NANO JANUARY FEBRUARY MARCH APRIL MAY JUNE JULY AUGUST SEPTEMBER OCTOBER NOVEMBER "
    "DECEMBER SUNDAY MONDAY TUESDAY WEDNESDAY THURSDAY FRIDAY SATURDAY"
)
TABLE["time"] += "".join(f"{name} ; constant (D12)\n" for name in _CONSTANTS.split())

ALWAYS = frozenset({"process", "process.registry", "channel", "errors", "os"})
_LINE = re.compile(r"(?P<name>\w+)(?P<args>\(.*?\))?(?: -> (?P<results>.*?))? ; (?P<text>.*)")


@attrs.frozen
class Entry:
    """One name of a module."""

    name: str
    parameters: tuple[str, ...] | None
    results: str
    text: str


def entries(module: str) -> list[Entry]:
    """The names of a module, in the order of the table."""
    found = []
    for line in TABLE[module].strip().splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"reference table of {module}: cannot read {line!r}")
        inner = match["args"]
        parameters = None if inner is None else tuple(p for p in inner[1:-1].split(", ") if p)
        found.append(Entry(match["name"], parameters, match["results"] or "", match["text"]))
    return found


def stubs() -> str:
    """Annotations for the Lua language server (LuaLS): save as `trio_actors.lua`."""
    lines = ["---@meta", "", "---@alias duration number|string|time.Duration", "---@class Error"]
    lines += ["---@class channel", ""]
    for module in TABLE:
        target = module
        if module in ALWAYS:
            lines += [f"---@class {module}", f"{module} = {{}}", ""]
        else:
            target = "M_" + module
            lines += [f"---@class {module}", f"local {target} = {{}}", ""]
        for entry in entries(module):
            lines.append(f"---{entry.text}")
            if entry.parameters is None:
                lines.append(f"{target}.{entry.name} = nil")
                continue
            names = []
            for parameter in entry.parameters:
                name, _, type_ = parameter.partition(": ")
                lines.append(f"---@param {name} {type_ or 'any'}")
                names.append(name.rstrip("?"))
            for results in entry.results.split(" | "):
                lines.append(f"---@return {results}")
            lines.append(f"function {target}.{entry.name}({', '.join(names)}) end")
        lines.append("")
    return "\n".join(lines)


def luarc(stub_file: str = "trio_actors.lua") -> dict[str, object]:
    """The content of `.luarc.json` for an application whose stubs lie in that file."""
    return {
        "runtime.version": "Lua 5.4",
        "workspace.library": [stub_file],
        "diagnostics.globals": sorted({name.partition(".")[0] for name in ALWAYS}),
        "runtime.builtin": {"io": "disable", "debug": "disable", "package": "disable"},
    }
