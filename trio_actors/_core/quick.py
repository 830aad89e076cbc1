"""Starting a plain server without options in one piece.

Does what `spawn.launch` does, in its order, without the questions that have no answer here. Those,
and the calls between `launch`, the definition and the body, take a quarter of the time of a spawn.
A server without an `init` of its own that got no arguments is made when its first code comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trio_actors._core.dispatch import Dispatcher
from trio_actors._core.inherited import NOTHING_INHERITED
from trio_actors._core.process import Process, make_process
from trio_actors._core.stepped import make_stepped

if TYPE_CHECKING:
    from trio_actors._core.host import Host
    from trio_actors.server import ServerTarget


def launch_plain(host: Host, target: ServerTarget, args: tuple[Any, ...]) -> Process:
    """For a host that is open, has no limit and does not copy, of a node without a gate."""
    node = host.node
    table = target.table
    if args or table.starting:
        server = target.new()
        server._serving = stepped = make_stepped(server, table, args)
    else:
        stepped = make_stepped(None, table, ())
    process = make_process(node, host, node.new_pid(host.id), target, NOTHING_INHERITED)
    stepped.process = process
    stepped.hand = node.hand
    stepped._dispatcher = dispatcher = host.extensions.get("dispatcher") or Dispatcher.of(host)
    process.mailbox = process.entrance = process.drive = stepped
    host.alive += 1
    node.processes[process.pid] = process
    dispatcher.ready.append(stepped)  # as `Stepped.start` does
    if dispatcher.parked is not None:
        dispatcher.unpark()
    return process
