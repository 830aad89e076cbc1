"""Starting a plain server without options in one piece.

Does what `spawn.launch` does, in its order, without the questions that have no answer here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trio_actors._core.dispatch import Dispatcher
from trio_actors._core.dormant import Dormant, Unstarted
from trio_actors._core.inherited import NOTHING_INHERITED
from trio_actors._core.lifecycle import OPEN
from trio_actors._core.migration import Migration
from trio_actors._core.process import Process, make_process

if TYPE_CHECKING:
    from trio_actors._core.host import Host
    from trio_actors.server import ServerTarget


def launch_plain(target: ServerTarget, host: Host, args: tuple[Any, ...]) -> Process | None:
    """None if it is not this simple: a host with a limit, that copies, or a node with a gate."""
    node = host.node
    if (
        host.state is not OPEN
        or host.max_processes
        or host.copy_messages
        or node.gate is not None
        or target.dormant is None
    ):
        return None
    dormant: Dormant
    if target.dormant is Dormant:
        if args and isinstance(args[0], Migration):
            return None
        dormant = Dormant()
    else:
        if args or target.arity.required:
            if args and isinstance(args[0], Migration):
                return None
            args = target.arity.fit(args)
        dormant = unstarted = Unstarted()
        unstarted.args = args
    dispatcher = host.dispatcher
    if dispatcher is None:
        dispatcher = Dispatcher.of(host)
    if dispatcher.parked is not None:
        dispatcher.unpark()
    pid = node.new_pid(host.id)
    # The hand is right: whoever unparks the dispatcher looks at the clock (70 ns for each start).
    process = make_process(node, host, pid, target, NOTHING_INHERITED, node.hand.at)
    dormant.process = process
    process.mailbox = process.entrance = process.drive = dormant
    host.alive += 1
    node.processes[pid] = process
    dispatcher.ready.append(dormant)  # as `Stepped.start` does
    return process
