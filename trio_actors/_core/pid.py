"""Process ids: text of the form `{host|uniq}` or `{node@host|uniq}` (P1-P4).

A PID is plain text, so that both languages, logs and YAML share it, and so that finding a process
is one dictionary look-up. Rejected: a PID object holding its process (one attribute less to look
up, but it keeps ended processes alive and does not survive a trip through Lua).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NewType

Pid = NewType("Pid", str)

CONTROL_HOST = "node:control"  # pseudo-host of system senders and watchers (P4)
CLOCK = Pid("clock")  # pseudo-sender of timer messages (TS2); deliberately no PID


class _Nobody(dict[str, Any]):
    """Has nothing, and says None instead of raising, which would take as long as a send."""

    def __missing__(self, key: str) -> None:
        return None


NOBODY: Mapping[str, Any] = _Nobody()  # the processes that can be reached, none

_WIDTHS = (5, 6, 8, 16)  # hex digits; a counter that outgrows one takes the next (P2)


def format_pid(node: str, host: str, count: int) -> Pid:
    """The printed form of process number `count` on `host`; node "local" is not printed (P1)."""
    place = host if node == "local" else f"{node}@{host}"
    if count <= 0xFFFFF:
        return f"{{{place}|0x{count:05x}}}"  # type: ignore[return-value]  # Pid() is a call
    digits = f"{count:x}"
    width = next((w for w in _WIDTHS if w >= len(digits)), len(digits))
    return Pid(f"{{{place}|0x{digits:0>{width}}}}")


LAST = [f"{count:02x}}}" for count in range(256)]  # how PIDs end


def format_pid_head(node: str, host: str, count: int) -> str:
    """What 256 PIDs of one host have in common: all but the last two digits and the brace."""
    return format_pid(node, host, count)[:-3]


def is_pid(text: str) -> bool:
    """True if `text` has the form of a PID; any other text can only be a name (P3)."""
    if len(text) < 5 or text[0] != "{" or text[-1] != "}":
        return False
    left, _, right = text[1:-1].partition("|")
    return bool(left) and bool(right) and "|" not in right


def place_of(pid: str) -> tuple[str | None, str]:
    """(node or None, host) that a PID names."""
    place = pid[1:-1].partition("|")[0]
    node, at, host = place.rpartition("@")
    return (node, host) if at else (None, host)
