"""Actors for Trio: processes with an address and a mailbox, links, monitors, supervision.

The map, in the order in which to read:

    _core/node.py        PIDs, names, links, hosts; the one exit of everything delivered
    _core/process.py     what a process is, whatever runs it
    _core/dispatch.py    how processes are stepped, and get a task when their code waits
    _core/roaming.py     functions; _core/stepped.py and carried.py: servers
    _core/task.py        code that has a Trio task from the start; what the end of code means
    _core/context.py     what a process sees: `ProcessContext`
    _core/mailbox.py     mailboxes and the channels they are read through
    _core/topology.py    links and monitors as pure data
    _core/scopes.py      the one place that opens nurseries

The vocabulary: a *node* is everything the processes of one program share; a *host* is a nursery
where processes run; a *process* has a *PID* and a *mailbox*; a *message* has a *topic*; a *link*
ties two processes' failures together; a *monitor* tells of an end; an *exit* is how a process
ended, as a value; *cancel* asks, *terminate* forces; an *upgrade* replaces code and keeps the PID.

`supervision` (trees), `lua_bridge` (Lua) and `registry` (YAML, command line) build on this package.
"""

from trio_actors import sys as sys  # not in __all__: a star import must not hide the standard one
from trio_actors._core.ask import Ask, Request
from trio_actors._core.bounded import Bounded, DeadLetter, DeadLetters
from trio_actors._core.code import Body, CodeSource, Target, TaskBody
from trio_actors._core.context import ProcessContext
from trio_actors._core.current import current
from trio_actors._core.drive import Drive
from trio_actors._core.duration import duration_seconds, format_duration, parse_duration
from trio_actors._core.errors import (
    ErrorKind,
    ProcessAlreadyExists,
    ProcessCanceled,
    ProcessConflict,
    ProcessError,
    ProcessInternal,
    ProcessInvalid,
    ProcessNotFound,
    ProcessPermissionDenied,
    ProcessRateLimited,
    ProcessTimeout,
    ProcessUnavailable,
    Shutdown,
    as_process_error,
    fresh,
    make_error,
)
from trio_actors._core.exit import Cause, CauseKind, Exit
from trio_actors._core.groups import GroupChange
from trio_actors._core.host import Host, HostStatistics
from trio_actors._core.inherited import Guard, Inherited
from trio_actors._core.mailbox import Mailbox
from trio_actors._core.message import Event, EventKind, Message, Result
from trio_actors._core.node import Gate, Node
from trio_actors._core.node_tools import NodeStatistics
from trio_actors._core.options import Options
from trio_actors._core.pid import Pid, is_pid
from trio_actors._core.process import Process
from trio_actors._core.scopes import open_node
from trio_actors._core.subscription import Subscription
from trio_actors._core.tools import Down
from trio_actors._siblings import check_siblings
from trio_actors.schemas import validate
from trio_actors.server import Server, handles

__all__ = [
    "Ask",
    "Body",
    "Bounded",
    "Cause",
    "CauseKind",
    "CodeSource",
    "DeadLetter",
    "DeadLetters",
    "Down",
    "Drive",
    "ErrorKind",
    "Event",
    "EventKind",
    "Exit",
    "Gate",
    "GroupChange",
    "Guard",
    "Host",
    "HostStatistics",
    "Inherited",
    "Mailbox",
    "Message",
    "Node",
    "NodeStatistics",
    "Options",
    "Pid",
    "Process",
    "ProcessAlreadyExists",
    "ProcessCanceled",
    "ProcessConflict",
    "ProcessContext",
    "ProcessError",
    "ProcessInternal",
    "ProcessInvalid",
    "ProcessNotFound",
    "ProcessPermissionDenied",
    "ProcessRateLimited",
    "ProcessTimeout",
    "ProcessUnavailable",
    "Request",
    "Result",
    "Server",
    "Shutdown",
    "Subscription",
    "Target",
    "TaskBody",
    "as_process_error",
    "current",
    "duration_seconds",
    "format_duration",
    "fresh",
    "handles",
    "is_pid",
    "make_error",
    "open_node",
    "parse_duration",
    "validate",
]

check_siblings()
