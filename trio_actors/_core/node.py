"""The node: PIDs, names, topology, hosts, and the one exit of everything that is delivered."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

import trio
from trio.lowlevel import enable_ki_protection

from trio_actors._core import operations
from trio_actors._core.ask import Ask, ReplyT, ask, topic_of
from trio_actors._core.bounded import DeadLetters
from trio_actors._core.carrier import SIGHT
from trio_actors._core.clock import Clock, clocks
from trio_actors._core.drive import ENDED as NOTHING_LEFT
from trio_actors._core.errors import ErrorKind, ProcessError, make_error
from trio_actors._core.exit import Cause, CauseKind, Exit, LinkFailed, explained
from trio_actors._core.exits import ExitMemory
from trio_actors._core.groups import Groups
from trio_actors._core.inherited import NOTHING_INHERITED, DenyAll, Guard, extend
from trio_actors._core.lifecycle import END, ENDED, IllegalStep
from trio_actors._core.message import VETTED, Event, EventKind, Message, Sent, payload_of
from trio_actors._core.names import Names
from trio_actors._core.node_tools import NodeTools
from trio_actors._core.pace import Hand, Pace
from trio_actors._core.pid import CONTROL_HOST, LAST, NOBODY, Pid, format_pid_head
from trio_actors._core.process import Cancel, ExitWatcher, Item, Process
from trio_actors._core.subscription import BUDGET
from trio_actors._core.topology import NOBODY_TOLD, Topology

if TYPE_CHECKING:
    from trio_actors._core.code import CodeSource, Target
    from trio_actors._core.host import Host
    from trio_actors._core.spawn import SpawnTarget


class Gate(Protocol):
    """Takes over delivery: what the test harness puts between `post` and the receivers (TS1).

    The last three need not be written: a gate that derives from this is then told for nothing.
    """

    def post(self, source: Pid | None, target: Process, item: Item) -> None:
        """Keeps the item and calls `target.deliver(item)` when its time has come."""
        ...

    def reply(self, source: Process, caller: Pid | None, deliver: Callable[[], object]) -> None:
        """Keeps the answer to a request and calls `deliver()` when its time has come."""
        ...

    def touch(self, kind: str, key: Hashable, *, write: bool) -> None:
        """See `Node.touch`."""
        ...

    def waits(self, process: Process, watcher: ExitWatcher) -> None:
        """Code will be told of an end, see `Process.on_exit`."""
        ...

    def forgets(self, process: Process, watcher: ExitWatcher) -> None:
        """It will not, see `Process.forget`."""
        ...


class Node(NodeTools):
    """Owns PIDs, names, links, hosts of one program; made by `open_node` (PH1).

    Its methods serve code outside every process and are not checked for permissions (A10).
    """

    def __init__(
        self,
        name: str = "local",
        *,
        strict: bool = False,
        clock: Callable[[], float] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.name = name
        self.strict = strict  # A7
        self.guard: Guard = DenyAll()
        self.gate: Gate | None = None
        self.functions: Any = None  # what calls functions; trio_actors.functions sets it
        self.extensions: dict[str, Any] = {}  # one service per name: events, stores, registry
        self.processes: dict[str, Process] = {}
        self.direct: Mapping[str, Process] = self.processes  # reached without a gate
        self.names = Names()
        self.topology = Topology()
        self.hosts: dict[str, Host] = {}
        self.known_hosts: dict[str, None] = {CONTROL_HOST: None}
        SIGHT.ask()
        self.tasked: dict[int, Any] = {}  # code of functions that need a task, by identity
        self.delivered = 0  # messages that came through `put`; `count_delivered` knows of all
        self.dead_letters = DeadLetters(self)
        self.groups = Groups()
        self.rng = rng or random.Random()
        self.now, self.stamp, shift = clocks()  # Trio's time; what things are stamped with
        self.exits = ExitMemory(shift)
        self.wall_time: Callable[[], float] = clock or time.time
        self.clock = Clock(self._start_clock)
        self.hand = Hand(self.stamp)
        # Between checkpoints: asks answered in the callers' turns, messages of queues in memory.
        self.turns = Pace(BUDGET)
        self.turns.renew()  # the first asks need no checkpoint
        self._sources: list[CodeSource] = []
        self._count = 0
        self._heads: dict[str, str] = {}  # of the PIDs being given out, by host
        self._control: Pid | None = None
        self._token = trio.lowlevel.current_trio_token()
        self._nursery: trio.Nursery | None = None

    # -- used by the kernel

    def opened(self, nursery: trio.Nursery) -> None:
        """The nursery of the node's own tasks is there."""
        self._nursery = nursery

    def _start_clock(self, run: Callable[[], Any]) -> None:
        self.start_system_task(run)

    def start_system_task(self, function: Callable[..., Any], *args: Any) -> None:
        """A task of the node itself, cancelled when the node closes."""
        if self._nursery is None:
            raise make_error(ErrorKind.UNAVAILABLE, "node is not running")
        self._nursery.start_soon(function, *args)

    def new_pid(self, host: str) -> Pid:
        """The next PID (P2, TS4)."""
        self._count += 1
        last = self._count & 0xFF
        if not last:
            self._heads.clear()
        try:
            return self._heads[host] + LAST[last]  # type: ignore[return-value]  # Pid() is a call
        except KeyError:
            head = self._heads[host] = format_pid_head(self.name, host, self._count)
            return Pid(head + LAST[last])

    def new_control_pid(self) -> Pid:
        """A PID of its own for a system sender or watcher (P4)."""
        return self.new_pid(CONTROL_HOST)

    @property
    def control(self) -> Pid:
        """The PID that the node itself acts under (P4)."""
        if self._control is None:
            self._control = self.new_control_pid()
        return self._control

    def uuid(self) -> str:
        """A unique id from the node's random source (TS3)."""
        # As `uuid.UUID(int=..., version=4)` makes it, in a third of the time.
        bits = self.rng.getrandbits(128) & ~(0xF000 << 64 | 0xC000 << 48)
        text = f"{bits | 4 << 76 | 0x8000 << 48:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def here(self) -> bool:
        """True in the run of Trio that the node belongs to; other threads may have runs too."""
        return trio.lowlevel.in_trio_run() and (trio.lowlevel.current_trio_token() is self._token)

    def soon(self, function: Callable[[], object]) -> None:
        """Calls it in the Trio thread; for code that may run in any (TM6)."""
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(function)

    async def blocking(self, function: Callable[..., Any], *args: Any) -> Any:
        """Runs blocking work in a thread (TS3). A simulation lets no time pass meanwhile (TS13)."""
        return await trio.to_thread.run_sync(function, *args)

    def install(self, gate: Gate | None) -> None:
        """Puts a gate before all delivery, or takes it away (TS1)."""
        self.gate = gate
        self.direct = self.processes if gate is None else NOBODY
        for process in self.processes.values():
            if process.view is not None:
                process.view.reroute()

    def post(self, source: Pid | None, target: Process, item: Item) -> None:
        """The single exit of messages, events, cancels and starts (TS1)."""
        gate = self.gate
        if gate is None:
            target.deliver(item)
        else:
            gate.post(source, target, item)

    def touch(self, kind: str, key: Hashable, *, write: bool = False) -> None:
        """Tells a gate that code reads or writes what processes share, and not by a message (TS10).

        For what no table of the node shows: of kind "process" is the state of a process, by PID;
        a "turn" is left to others by code of the process that has nothing to wait for.
        """
        if self.gate is not None:
            self.gate.touch(kind, key, write=write)

    def tell(self, source: Pid | None, target: Process, message: Message) -> None:
        """Posts a message that no program sent just now, like a timer's: nobody can be told that it
        is refused, so then it is a dead letter."""
        try:
            self.post(source, target, message)
        except ProcessError as refusal:
            self.dead_letters.add(target.pid, message, refusal.message)

    def request_cancel(self, process: Process, sender: Pid, deadline: float) -> None:
        """Sends CANCEL; `deadline` on Trio's clock, infinity for none (K3, K5)."""
        at = self.wall_time()
        text = None
        if deadline != inf:
            text = operations.rfc3339(at + deadline - self.now())
        event = Event(EventKind.CANCEL, sender, at, deadline=text)
        self.post(sender, process, Cancel(event, deadline))

    @enable_ki_protection
    def end(self, process: Process, exit: Exit) -> None:
        """The order of effects at exit, in one piece (V20)."""
        pid = process.pid
        host = process.host
        if host.copy_messages and exit.value is not None:
            exit = exit.copied()
        if process.rare is not None and process.reason is not None:
            exit = explained(exit, process.reason)
        if process.state is ENDED:
            raise IllegalStep(ENDED, END)
        process.state = ENDED  # as `Process.step` does
        del self.processes[pid]  # 1
        host.alive -= 1
        if not host.alive or host.max_processes:
            host.vacated()
        if pid in self.names.by_pid:
            self.names.release(pid)  # 2
        told = self.topology.remove(pid)  # 3
        self.exits.add(pid, process.target.id, exit, self.stamp())
        if told is not NOBODY_TOLD:
            self._tell(pid, exit, *told)
        if process.view is not None:
            process.view.detach()
        if process.waiting is not None:
            for watcher in process.take_watchers():
                watcher(exit)
        process.mailbox.close()
        process.drive = process.mailbox = process.entrance = NOTHING_LEFT

    def abandon(self, process: Process, why: str) -> None:
        """Gives up a process that would not end: names, monitors and its place are free (SU8).

        Its host remembers it as a zombie and fails when it closes. What its code still does has no
        effect on the node.
        """
        process.host.zombies[process.pid] = process.id
        error = make_error(ErrorKind.INTERNAL, why, retryable=False)
        self.end(process, Exit.failed(error, Cause(CauseKind.ABANDONED)))

    def _tell(self, pid: Pid, exit: Exit, watchers: Sequence[Pid], peers: Sequence[Pid]) -> None:
        at = self.wall_time() if watchers else None
        for watcher in watchers:  # 4
            process = self.processes.get(watcher)
            if process is not None:
                assert at is not None
                event = Event(EventKind.EXIT, pid, at, result=exit.result())
                self.post(pid, process, event)
        if exit.abnormal:
            for peer in peers:  # 5
                process = self.processes.get(peer)
                if process is not None:
                    if process.trap_links or self.gate is not None:
                        at = self.wall_time() if at is None else at
                        event = Event(EventKind.LINK_DOWN, pid, at, result=exit.result())
                        self.post(pid, process, event)
                    else:
                        process.force(LinkFailed(pid))  # K14, without the event nobody sees

    # -- code by registry id

    def add_source(self, source: CodeSource) -> None:
        """Asks `source` too when a registry id is spawned; the first that knows it wins."""
        self._sources.append(source)

    def find_code(self, id: str) -> Target | None:
        """The definition of a registry id, or None."""
        for source in self._sources:
            target = source.find(id)
            if target is not None:
                return target
        return None

    def resolve_target(self, target: Any) -> Target:
        """The definition meant by a coroutine function, a Target or a registry id."""
        return spawning.find_target(self, target)

    # -- for users

    def open_host(
        self,
        id: str,
        *,
        max_processes: int = 0,
        workers: int = 1,
        drain: float | str = 10.0,
        copy_messages: bool = False,
    ) -> AbstractAsyncContextManager[Host]:
        """`async with node.open_host(id) as host`: a place for processes, a nursery (PH2-PH4).

        Leaving the block stops the host in order: no more spawns, CANCEL to everybody with
        `drain` seconds, then the end by force (0 = at once). Raises ProcessAlreadyExists.

        Units: drain in seconds, or a text like "5s".
        """
        from trio_actors._core.scopes import open_host

        return open_host(
            self,
            id,
            max_processes=max_processes,
            workers=workers,
            drain=drain,
            copy_messages=copy_messages,
        )

    def send(self, dest: str, topic: str, payload: Any = None, /, *more: Any) -> None:
        """As `ProcessContext.send`, without a sender."""
        if more:
            payload = [payload, *more]
        target = self.direct.get(dest)
        if target is None or topic not in VETTED:
            operations.send(self, None, dest, topic, payload)
            return
        entrance = target.entrance
        route = entrance.route
        if route is not None:
            route.append((topic, None, payload, self.hand.at))
            return
        message = Sent()
        message.topic = topic
        message.sender = None
        message.payload = payload
        if entrance.put(message):
            message.at = self.stamp()
        self.delivered += 1

    async def call(
        self,
        target: SpawnTarget,
        *args: Any,
        host: Host | str,
        context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Spawns on `host`, waits for the end, returns the value or raises the error (C1)."""
        inherited = extend(NOTHING_INHERITED, values=context)
        return await spawning.call(self, target, args, host=host, inherited=inherited)

    def ask(
        self, dest: str, request: Ask[ReplyT], *, timeout: float | str | None = None
    ) -> Coroutine[Any, Any, ReplyT]:
        """The reply of a running process, typically a Server; see `ask.ask` for what it raises.

        Units: timeout in seconds, or a text like "5s"; None waits for reply or end.
        """
        return ask(self, self.direct, None, dest, request, timeout)

    def cast(self, dest: str, message: object) -> None:
        """Sends a typed message; its topic is the name of its class."""
        operations.send(self, None, dest, topic_of(message), message)

    async def asend(self, dest: str, topic: str, *payload: Any) -> None:
        """As `send`, and waits for room in a mailbox with overflow "block"."""
        from trio_actors._core.tools import asend

        await asend(self, None, dest, topic, payload_of(payload))

    def terminate(self, dest: str) -> None:
        """Ends a process by force (T1)."""
        operations.terminate(self, None, dest)

    def cancel(self, dest: str, deadline: float | str | None = None) -> None:
        """Asks a process to end, within `deadline` seconds or text (K1)."""
        operations.cancel(self, None, dest, deadline)

    def lookup(self, name: str) -> Pid:
        """Who holds a name (R5)."""
        return self.names.lookup(name)

    async def wait(self, pid: str) -> Exit:
        """The exit of a process, also if it has ended already (PH6). Checkpoint: always.

        Raises:
            ProcessNotFound: not alive, and not among the last 10,000 exits.
        """
        process = self.processes.get(Pid(pid))
        if process is not None:
            return await spawning.wait_for_end(process)
        await trio.lowlevel.checkpoint()
        record = self.exits.get(pid)
        if record is None:
            raise make_error(ErrorKind.NOT_FOUND, "process not found")
        return record.exit

    def __repr__(self) -> str:
        return f"<Node {self.name}, {len(self.processes)} processes on {len(self.hosts)} hosts>"


# Last, because it needs what is above; an import in `call` takes as long as an object.
from trio_actors._core import spawn as spawning  # noqa: E402
