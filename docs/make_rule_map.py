"""Writes docs/reference/rules.md: which test files show which rule of functions.

`python docs/make_rule_map.py` reads the docstrings of all tests; a test cites the rules it shows by
their ids, as `F11` or `PL4-PL8`. tests/test_docs checks that every rule is shown and that the page
is true.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "rules.md"
CITED = re.compile(r"\b([A-Z]{1,2})(\d+)(?:-(?:\1)?(\d+))?\b")
# What no test can show, and why.
PROMISES = {"PL13": "a promise of the function's author; no test can break it"}

# Section, prefix, first number, one line per rule from there on; an empty line is a gap.
SECTIONS: list[tuple[str, str, int, str]] = [
    ("Conventions", "GC", 1, """\
callers cannot tell the language of a function
Python twins of the Lua modules
wrong types raise, wrong values and denials are errors
every denial is PERMISSION_DENIED, not retryable
arguments and results are copied wherever Lua is on either side
durations: numbers are milliseconds
ids are `namespace:name`
references without a namespace mean the entry's own
one clock and one source of chance
retryable is true, false or unknown
frames, and the root frame"""),
    ("Entries that hold code", "DE", 1, """\
syntax errors are load errors
what a chunk may return
a chunk runs once per worker and may not wait
`require` knows what was declared
aliases are private
load errors of modules and imports
globals are new for each call, libraries belong to the worker
the modules that can be declared
Python sources are imported when loaded
`async def` and `def`
binding of arguments
`current()` is the frame
the returned object is the result
`functions.register`
an update of a Python source"""),
    ("Calls", "F", 1, """\
malformed ids
the permission of the caller
unknown functions
start errors of `async`
one value is delivered
what of an error survives the boundary
the end of the main coroutine ends the call
an error in any coroutine fails the call
blocked callees, and deadlocks
a nested call blocks its coroutine only
the callee ends with its caller
every way in which a caller can end
async children end with their frame
loops in Lua end within 100 ms, late results are discarded
what runs in a cancelled callee
cancelled calls are CANCELED for logs and metrics
a cancelled call returns after its callee has unwound
frames have a PID, a mailbox and links
processes outlive the function that started them
`timeout`, and what counts as none
one deadline over waiting, running, attempts and pauses
TIMEOUT, by call and by future
a deadline is one at the call that carries it only"""),
    ("", "F", 27, """\
a process called as a function
cancelling such a call
the chain wraps it too"""),
    ("Futures", "FU", 1, """\
waiting for the outcome
the channel gives the plain value
a failure arrives as the error
reading does not clear the result
completion shows after a yield
`channel.select`
calls overlap
`cancel`
a request that still waits never runs
futures belong to their frame"""),
    ("Context", "CX", 1, """\
each call has its own, inherited
what is inherited, and what is not
actor and scope travel too
values are copies
precedence of overlays
`process.id` and `process.pid`
what a spawned process inherits
chains of processes and functions
which values, and `ctx`"""),
    ("Pools", "PL", 1, """\
which type a block means
fields that do not exist
load errors
one call per worker at a time
arrival order
a full line that blocks
a full line that rejects
a request that is cancelled while it waits
idle workers of lazy pools
a worker that cannot be made
recursion through inline pools
recursion through other pools
functions are stateless
which state lives on
failing calls keep their worker
updates: accepted calls finish on the old code
an update that cannot be built
removal and shutdown
statistics
bounds of busy and workers"""),
    ("The adaptive controller", "AP", 1, """\
ticks
moving average and variance
noise band
shrinking
cooldown
starting a probe
when it is judged
the verdict
a probe that is kept
a probe that failed
what is seen from outside"""),
    ("Interceptors", "IC", 1, """\
every trigger passes the chain
changing, ending, wrapping a call
the order
options of entry and call
the chain runs outside of the pool
changes affect later calls
built-in ones, and malformed options
custom ones
the call is immutable
`next` may be skipped or repeated
adding and removing
`function.interceptor` entries"""),
    ("Retry", "RT", 1, """\
the decision
unknown retryability is retried
the pauses
each attempt is a call of its own
the last error is returned
cancellation and expiry in a pause"""),
    ("Circuit breaker", "CB", 1, """\
fields
opening
refusing
trying again"""),
    ("Contracts", "CT", 1, """\
definitions and schemas
load errors
defaults, and changes that break bindings
bindings of several contracts
calling through the default binding
exchanging an implementation
reserved names
look-up of names
what a wrapper keeps
precedence of context values
queries
required context
the contract's permission replaces the function's
order of the checks
bad input names method, argument, pointer, expected, found
bad results
only the contract path validates
generated documentation"""),
    ("Security", "SE", 1, """\
actors and scopes
allow, deny, undefined
errors deny
combining policies
checks with something missing, strict mode
`can`
the attribute pid
references to policies and groups"""),
    ("", "SE", 10, """\
patterns
field paths
missing fields
operators
load errors
CEL expressions"""),
    ("", "SE", 20, """\
token stores
validation
closing, expiry
memory stores"""),
    ("Loading", "LD", 1, """\
files, and one namespace over many
values from the environment
strict and total: every problem, or a start
what is a problem
what a report says
references, and the order of creation
free `meta`, and entries without a handler
`lifecycle`"""),
    ("The registry at run time", "RG", 1, """\
filters: root fields
filters: meta
filters: prefixes
filters: all conditions hold
a change is atomic
errors keep their kind
effects are in place when `apply` returns
entries made at run time
a cancelled change
versions are linear
full snapshots
`apply_version`
snapshots do not change
texts of the objects
announcements"""),
    ("Events", "EV", 1, """\
what a subscriber gets
patterns
order
room of a subscription
the end of a subscription"""),
    ("Queues", "QU", 1, """\
publishing
a full queue
the consumer's calls
acknowledged or not
retries and dead letters
errors that are not retryable
the message inside a handler
the stop of a consumer
what the memory driver loses"""),
    ("Scheduled jobs", "SJ", 1, """\
intervals and cron
each run is a call
overlap
a failing run"""),
    ("HTTP", "HT", 1, """\
the extra, and duplicate paths
the request
results
statuses of errors
what a 500 tells
unknown paths and methods
a function lives within its request
middleware
requests do not affect each other"""),
    ("JSON", "J", 1, """\
encode
what cannot be encoded
keys
decode
validate
validate text
compiled schemas
the schema language
Python's `validate`"""),
    ("Plugins and tools", "PG", 1, """\
kinds of other distributions
what a plugin gives
clashes and failures
`trio-actors docs`"""),
    ("Simulation", "TS", 1, """\
one exit for messages, signals, starts and names
timers are messages of the clock
one clock, one source of chance, for Lua too
PIDs are the same in every run"""),
    ("", "TS", 10, """\
strategies: in order, all that differ, a portfolio; levels
a test that cannot fail fails
pytest with and without plugins, Hypothesis, options
virtual time; real blocking work
replay in other processes, and the guard of determinism
reports
faults, and `buggify`
state machines
linearizability
strategies of Hypothesis
Lua, supervisors and applications take part"""),
    ("Scenarios", "FZ", 1, """\
a sum, in both languages
a changed argument
two ways to fail
terminating the outermost
a child that nobody awaits
a timeout in the waiting line
a timeout over attempts and pauses
the channel of a future
a failed future
a cancelled future
context values
a process started by a function
pool types
inline recursion
a full line
an idle lazy pool
a cancelled waiter
an adaptive pool under load
a shared lock
retries
interceptors
the breaker
bad input to a contract
another default binding
a condition that cannot be evaluated
a prefix pattern"""),
]  # fmt: skip


def rules() -> list[tuple[str, str, str]]:
    """Section, id and words of every rule, in order; sections that go on have the same title."""
    found, title = [], ""
    for section, prefix, first, lines in SECTIONS:
        title = section or title
        for number, words in enumerate(lines.splitlines(), first):
            found.append((title, f"{prefix}{number}", words))
    return found


def citations() -> dict[str, set[str]]:
    """For each id the test files whose tests cite it in their docstrings."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        name = path.relative_to(ROOT / "tests").as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("test_"):
                for rule in _ids(ast.get_docstring(node) or ""):
                    found[rule].add(name)
    return found


def _ids(text: str) -> set[str]:
    return {
        f"{match[1]}{number}"
        for match in CITED.finditer(text)
        for number in range(int(match[2]), int(match[3] or match[2]) + 1)
    }


def unshown() -> list[str]:
    """Rules that no test cites."""
    cited = citations()
    return [rule for _, rule, _ in rules() if rule not in cited and rule not in PROMISES]


def claims(text: str) -> dict[str, set[str]]:
    """For each rule of a page the files that it names."""
    rows = (line.split("|") for line in text.splitlines() if line.count("|") == 4)
    return {row[1].strip(): set(re.findall("`([^`]+)`", row[3])) for row in rows}


def page() -> str:
    """The page as it should be."""
    cited = citations()
    lines = [
        "# Rules of functions, and the tests that show them",
        "",
        "Docstrings, comments and tests cite the rules of functions by short ids. This page says",
        "what each is about and in which files below `tests/` it is shown. It is written by",
        "`python docs/make_rule_map.py` from the docstrings of the tests. A test fails when a rule",
        "is shown by no test, or when a file named here does not show it.",
    ]
    title = ""
    for section, rule, words in rules():
        if section != title:
            title = section
            lines += ["", f"## {title}", "", "| Rule | About | Shown in |", "|---|---|---|"]
        names = sorted(cited.get(rule, ()))
        files = ", ".join(f"`{name}`" for name in names) or PROMISES.get(rule, "")
        lines.append(f"| {rule} | {words} | {files} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
