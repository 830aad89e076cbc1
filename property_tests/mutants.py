"""Deliberately broken variants of the framework, and which guarantee notices each of them.

A mutant replaces the code of one function by the same source with one piece changed; in Lua it is
one file. `python -m property_tests.mutants` writes the table of who kills whom into
docs/reference/mutants.md.
"""

from __future__ import annotations
import __future__

import argparse
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import attrs

from lua_bridge import state
from property_tests.guarantees.registry import load
from trio_actors._core.message import VETTED

CORE = "trio_actors._core."
LUA = "lua:"
AREAS = {  # the first that fits
    CORE + "mailbox:": "channel",
    LUA + "core/channel": "channel",
    CORE + "names:": "names",
    CORE: "kernel",
    "supervision.": "supervisor",
    "registry.": "registry",
    "trio_actors.functions.": "pool",
}


class DoesNotApply(Exception):
    """The source has changed: the piece that the mutant changes is not there."""


@attrs.frozen(slots=True)
class Mutant:
    """One broken variant; `old` becomes `new` in the source of `where`.

    That is `module:qualname`, or `lua:file` for a host file of the Lua bridge.
    """

    name: str
    where: str
    old: str
    new: str
    killer: str  # the guarantee that is asked first

    @property
    def area(self) -> str:
        """The part of the framework that it breaks."""
        return next(area for start, area in AREAS.items() if self.where.startswith(start))

    def function(self) -> FunctionType:
        """The function that is broken."""
        module, _, path = self.where.partition(":")
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = inspect.getattr_static(found, part)
        found = getattr(found, "fget", found)
        assert isinstance(found, FunctionType), self.where
        return found

    def source(self) -> str:
        """The broken source.

        Raises:
            DoesNotApply: `old` is not in the source exactly once.
        """
        if self.in_lua:
            source = state.lua_source(self.where.removeprefix(LUA))
        else:
            source = textwrap.dedent(inspect.getsource(self.function()))
        if source.count(self.old) != 1:
            raise DoesNotApply(f"{self.where} has {self.old!r} {source.count(self.old)} times")
        return source.replace(self.old, self.new)

    @property
    def in_lua(self) -> bool:
        """Whether a file of Lua code is broken."""
        return self.where.startswith(LUA)

    def code(self) -> CodeType:
        """The broken code of a Python function."""
        function, source = self.function(), self.source()
        flags = __future__.annotations.compiler_flag
        compiled = compile(source, self.where, "exec", flags=flags)
        names = [c for c in compiled.co_consts if isinstance(c, CodeType)]
        return next(code for code in names if code.co_name == function.__name__)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the framework is broken."""
        if self.in_lua:
            with self._in_lua():
                yield
            return
        function = self.function()
        whole, vetted = function.__code__, set(VETTED)
        function.__code__ = self.code()
        try:
            yield
        finally:
            function.__code__ = whole
            VETTED.clear()  # topics that only the broken code has let through
            VETTED.update(vetted)

    @contextmanager
    def _in_lua(self) -> Iterator[None]:
        file, broken, whole = self.where.removeprefix(LUA), self.source(), state.lua_source
        state.lua_source = lambda name: broken if name == file else whole(name)  # type: ignore[assignment]
        state.lua_code.cache_clear()
        try:
            yield
        finally:
            state.lua_source = whole
            state.lua_code.cache_clear()


def killers(mutant: Mutant, *, all_of_them: bool = False) -> list[str]:
    """The guarantees that fail under a mutant; the first one only, unless all are wanted."""
    properties = load()
    order = [mutant.killer, *(name for name in properties if name != mutant.killer)]
    found = []
    for name in order:
        with mutant.applied():
            try:
                properties[name]()
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                found.append(name)
        if found and not all_of_them:
            break
    return found


TIES = "the_tables_of_ties_refine_their_model"
AGAIN = "a_monitor_taken_back_can_be_asked_for_again"
IN_TIME = "an_unlink_is_in_time_or_too_late"
TWICE = "two_failures_end_one_process_once"
UNDONE = "ties_can_be_undone"
LINKS = "links_refine_their_model"
NAMES = "names_refine_their_model"
PIECE = "an_end_is_seen_as_one_piece"
CASCADE = "a_link_cascade_spreads_and_stops_at_a_trap"
ORDER = "messages_of_a_pair_arrive_in_order"
TOPICS = "topics_go_to_their_channels"
VALUES = "several_values_are_one_message"
REFUSED = "a_refused_send_says_why"
SELECTIVE = "selective_receive_keeps_the_rest_in_order"
UPGRADE = "an_upgrade_keeps_pid_name_links_and_unread_messages"
TABLE = "an_end_is_what_the_table_says"
FORCED = "the_first_forced_end_decides"
DEADLINE = "the_earliest_deadline_wins"
SPAWN = "a_refused_spawn_leaves_nothing"
FIRST = "first_messages_come_before_all_others"
STOP = "a_host_stops_in_order"
CALL = "a_call_gives_the_value_or_a_fresh_error"
KEPT = "what_a_handler_keeps_is_of_its_own_task"
ASK = "an_ask_ends_exactly_once"
ANSWERS = "an_answer_belongs_to_its_ask"
CAUSES = "exits_are_remembered_with_their_causes"
DURATIONS = "durations_read_as_written"
TIMERS = "timers_fire_in_order_and_never_after_cancel"
PIDS = "pids_are_new_and_readable"
HONEST = "the_simulation_itself_is_honest"
WINDOW = "an_intensity_window_counts_the_last_period"
DECIDES = "a_supervisor_decides_as_its_model"
STOPS = "children_stop_one_after_another"
POOL = "a_pool_refines_its_model"
WORKERS = "every_worker_is_kept_or_dropped"
ENTRIES = "entries_come_after_what_they_need"
LAWS = "change_sets_keep_their_laws"
VERSIONS = "versions_are_numbered_and_kept"
QUERY = "a_found_entry_fits_the_query"
PLANS = "a_plan_keeps_what_is_needed_and_can_be_taken_back"
CHANNELS = "channels_refine_their_model"
ALIKE = "servers_with_any_handlers_are_alike"
RUN = "functions_are_alike_with_and_without_a_task"
NEXT = "nothing_of_one_function_is_seen_by_the_next"
CHILDREN = "a_stepped_function_ends_after_its_child_tasks"
INHERITS = "new_code_inherits_the_context_of_the_old"
RESTS = "what_rests_ends_at_once_with_its_host"
SHARED = "a_turn_is_shared_by_those_who_read"
MARKS = "however_one_reads_each_message_comes_once"
TASKED = "a_function_that_has_waited_has_a_task_from_then_on"
SPARE = "a_task_is_kept_for_later_or_ends"

TOPOLOGY = CORE + "topology:Topology."
NODE = CORE + "node:Node."
NAME = CORE + "names:Names."
PROCESS = CORE + "process:Process."
MAILBOX = CORE + "mailbox:PythonMailbox."
DISPATCHER = CORE + "dispatch:Dispatcher."
CARRIED = CORE + "carried:Carried."
CARRIER = CORE + "carrier:Carrier."
ROAMING = CORE + "roaming:Roaming."
SELECTING = CORE + "selective:Selecting."
PACE = CORE + "pace:Pace."
CHANNELS_OF = CORE + "subscription:Subscription."
DECIDE = "supervision.decide:_Turn."
POOLS = "trio_actors.functions.pool:Pool."
CHANNEL = "lua:core/channel"
POOL_CORE = "trio_actors.functions.pool_core:PoolCore."

_ = Mutant
MUTANTS = [
    # links and monitors
    _("link one way only", TOPOLOGY + "link", "self._links.setdefault(b, {})[a] = None", "pass", TIES),
    _("link oneself", TOPOLOGY + "link", "a == b or ", "", TIES),
    _("unlink one way only", TOPOLOGY + "unlink", "_discard(self._links, b, a)", "pass", TIES),
    _("unlink the other way only", TOPOLOGY + "unlink", "_discard(self._links, a, b)", "pass", IN_TIME),
    _("second monitor is accepted", TOPOLOGY + "monitor", "return False", "return True", TIES),
    _("unmonitor forgets nothing", TOPOLOGY + "unmonitor", "_discard(self._watchers, target, watcher)", "pass", TIES),
    _("unmonitor forgets only who is told", TOPOLOGY + "unmonitor", "_discard(self._watching, watcher, target)", "pass", AGAIN),
    _("a later failure is the cause", PROCESS + "force", "if self.forced is None and", "if", TWICE),
    _("monitors outlive their holder", TOPOLOGY + "remove", "_discard(self._watchers, target, pid)", "pass", TIES),
    _("links outlive their process", TOPOLOGY + "remove", "_discard(self._links, peer, pid)", "pass", TIES),
    _("LINK_DOWN after a normal end", NODE + "_tell", "if exit.abnormal:", "if True:", LINKS),
    _("no LINK_DOWN at all", NODE + "_tell", "if exit.abnormal:", "if False:", LINKS),
    _("EXIT comes as LINK_DOWN", NODE + "_tell", "EventKind.EXIT", "EventKind.LINK_DOWN", LINKS),
    _("EXIT has no result", NODE + "_tell", "event = Event(EventKind.EXIT, pid, at, result=exit.result())", "event = Event(EventKind.EXIT, pid, at)", PIECE),
    _("trap_links is ignored", PROCESS + "deliver", "and not self.trap_links", "", UNDONE),
    _("LINK_DOWN never ends anybody", PROCESS + "deliver", "and not self.trap_links", "and False", CASCADE),
    _("monitor of the dead is accepted", CORE + "operations:monitor", 'alive(node, pid, "pid not registered")', "pass", UNDONE),
    _("link to the dead is accepted", CORE + "operations:link", 'alive(node, pid, "pid not registered")', "pass", UNDONE),
    _("unlink does nothing", CORE + "operations:unlink", "node.topology.unlink(caller.pid, pid)", "pass", UNDONE),
    # the end
    _("names stay after the end", NODE + "end", "self.names.release(pid)", "pass", NAMES),
    _("EXIT before names are released", NODE + "end", "if pid in self.names.by_pid:\n        self.names.release(pid)  # 2\n    told = self.topology.remove(pid)  # 3", "told = self.topology.remove(pid)\n    trio.lowlevel.current_clock  # released too late\n    self.exits.add(pid, process.target.id, exit, self.stamp())\n    self.names.release(pid)", HONEST),
    _("the place on the host stays taken", NODE + "end", "host.alive -= 1", "pass", PIECE),
    _("who waits is not woken", NODE + "end", "watcher(exit)", "pass", CALL),
    _("the end is not remembered", NODE + "end", "self.exits.add(pid, process.target.id, exit, self.stamp())", "pass", CAUSES),
    _("the last forced end wins", PROCESS + "force", "if self.forced is None and", "if", FORCED),
    _("forced ends are ignored", PROCESS + "force", "self.drive.interrupt()", "pass", FORCED),
    _("the latest deadline wins", PROCESS + "limit", "deadline < self.deadline", "True", DEADLINE),
    _("deadlines are not enforced", PROCESS + "limit", "self.drive.limit(deadline)", "pass", DEADLINE),
    _("a CANCEL has no deadline", NODE + "request_cancel", "if deadline != inf:", "if False:", DEADLINE),
    _("a CANCEL is not shown", PROCESS + "deliver", "self.entrance.put_event(item.event)", "pass", DEADLINE),
    _("a value is lost", CORE + "task:judge", "if error is None:\n            return Exit(value), None", "if error is None:\n            return Exit(None), None", TABLE),
    _("errors lose their kind", CORE + "errors:fresh", "kind = error.kind or ErrorKind.INTERNAL", "kind = ErrorKind.INTERNAL", CALL),
    _("errors lose their details", CORE + "errors:fresh", "details=error.details", "details=None", CALL),
    _("errors are shared", CORE + "errors:fresh", "return make_error(kind, error.message, retryable=error.retryable, details=error.details)", "return error", CALL),
    _("exits remember the wrong order", CORE + "exits:ExitMemory.chain", "record.exit.cause", "found[0].exit.cause", CAUSES),
    # servers whose handlers wait
    _("nobody steps the others", DISPATCHER + "_hold", "min(2, len(self.ready), MOST - self._steppers)", "0", ALIKE),
    _("an end decided in the own turn waits", DISPATCHER + "_hold", "process.forced is not None or process.upgrade is not None", "False", ALIKE),
    _("a handler sees no deadline before it waits", CARRIED + "turn", "carrier.limit(process)", "pass", ALIKE),
    _("the next server gets a task with a deadline", CARRIER + "used", "scope.cancel_called or scope.deadline != inf", "scope.cancel_called", NEXT),
    _("every free task is kept", DISPATCHER + "_wanted", "len(self._spares) >= SPARES", "False", SPARE),
    _("free tasks are not used again", DISPATCHER + "_hold", "self._wake(self._spares.pop() if self._spares else VACANT)", "self._wake(VACANT)", SPARE),
    _("a waiting handler is not cancelled", CORE + "dispatch:Waiting.cancel", 'self.carrier.scope.cancel(reason=forced.message if forced else "upgrade")', "pass", ALIKE),
    _("its code does not know whose it is", CARRIED + "_begin_code", "running.set(process.context)", "pass", ALIKE),
    _("a server that has waited is stepped again", CARRIED + "_live", "if self._home is not None:", "if False:", ALIKE),
    _("a request in hand is lost in an upgrade", CARRIED + "end_code", "self.drop()", "pass", ALIKE),
    _("a scope does not tie a server to its task", CARRIED + "_live", "or SIGHT.innermost(carrier.task) is not carrier.innermost", "", KEPT),
    _("a lock does not tie a server to its task", CARRIED + "_live", "or getrefcount(carrier.task) > carrier.references", "", KEPT),
    # functions that are stepped
    _("nothing ties code to a task", CARRIER + "untied", "return (", "return True or (", RUN),
    _("scopes do not tie code to a task", CARRIER + "untied", "SIGHT.innermost(self.task) is self.innermost", "True", RUN),
    _("locks do not tie code to a task", CARRIER + "untied", "getrefcount(self.task) <= self.references", "True", RUN),
    _("a task that is held is used again", CARRIER + "free", "getrefcount(task) <= self._free + 1", "True", RUN),
    _("who is to end stays in its channel", ROAMING + "interrupt", "self._depart()", "pass", RUN),
    _("who has left a channel reads on", ROAMING + "interrupt", "self._departed = self.code is not None and self._answer is None", "pass", RUN),
    _("who is to end still waits without a task", ROAMING + "stays", "not self._halted and ", "", RUN),
    _("all code is unwound by closing it", ROAMING + "_unnoticed", "target.quiet and", "", RUN),
    _("what code awaits cannot tell either", ROAMING + "_unnoticed", " and waits_in_a_channel(code)", "", RUN),
    _("handlers are not seen", CORE + "unwinding:waits_in_a_channel", "return False", "pass", RUN),
    _("a carrier keeps the context of others", DISPATCHER + "_end_code", "carrier.task.context = carrier.context", "pass", NEXT),
    _("code that waits gets another context", DISPATCHER + "_hold", "carrier.task.context = waiting.context", "pass", NEXT),
    _("the first context is the dispatcher's", ROAMING + "start", "copy_context()", "self._dispatcher.context.copy()", NEXT),
    _("a function does not know who it is", ROAMING + "_call", "running.set(context)", "pass", NEXT),
    _("the next function sees a deadline", ROAMING + "turn", "carrier.scope.deadline = inf", "pass", NEXT),
    _("a function sees no deadline before it waits", ROAMING + "turn", "carrier.limit(process)", "pass", NEXT),
    _("nobody sees that the host is cancelled", CORE + "scopes:_run_host", "await host.dispatcher.cut()", "pass", RESTS),
    _("what is cut is cut again", ROAMING + "cut", "self.ending = True", "pass", RUN),
    _("what a function has left tied is nobody's", ROAMING + "_ended", "not carrier.untied()", "False", NEXT),
    _("new code gets the dispatcher's context", ROAMING + "_ended", "self.process.upgrade is not None", "False", INHERITS),
    _("child tasks outlive a stepped function", ROAMING + "_ended", "self._has_parts()", "False", CHILDREN),
    _("child tasks outlive a stepped function on a host that is cancelled", ROAMING + "cut", "self._has_parts() or ", "", RESTS),
    _("a pause is the last turn", ROAMING + "pause", "self._dispatcher.add(self)", "pass", RUN),
    _("a pause of a selective receive is the last turn", CORE + "reader:let_others_run", "stepped.pause()", "pass", RUN),
    _("a departed reader is still waited for", SELECTING + "depart", "self._forget(entry)", "pass", RUN),
    _("who needed a task begins without one again", ROAMING + "turn", "self._target.needs_tasks(process.node)", "pass", TASKED),
    _("needed tasks are forgotten", CORE + "function:FunctionTarget.prepare", " or id(code) in host.node.tasked", "", TASKED),
    _("nobody begins without a task", CORE + "function:FunctionTarget.prepare", "not SIGHT.roaming", "True", TASKED),
    _("what one has taken is not counted", ROAMING + "turn", "mailbox.give_back(pace, TURN)", "mailbox.exhaust()", SHARED),
    _("what one has taken is counted once only", PACE + "give_back", "other._more += other.left + 1", "pass", SHARED),
    _("one takes more than its share", ROAMING + "may_take", "(self._dispatcher.pace, TURN)", "(self._dispatcher.pace, 2 * TURN)", SHARED),
    _("one takes more than is left", PACE + "share", "min(most, max(0, other.left + other._more))", "most", SHARED),
    _("one takes again what it has shared", ROAMING + "may_take", "return False", "self._mailbox.exhaust()", SHARED),
    _("what is taken at once is not counted", PACE + "take_many", "self._more = rest - count", "self._more = rest", SHARED),
    _("all is taken at once", PACE + "take_many", "min(wanted, rest)", "wanted", SHARED),
    _("many are given in another order", CHANNELS_OF + "receive_many", "popleft = queue.popleft", "popleft = queue.pop", SHARED),
    _("whatever is done with a queue meets its mark", CHANNELS_OF + "items", "self.unmark()", "pass", MARKS),
    _("a mark is put too far back", CHANNELS_OF + "_mark", "mailbox.left + 1", "mailbox.left + 9", MARKS),
    _("what may be taken is counted twice", CHANNELS_OF + "_mark", "mailbox.left = left - len(queue)", "pass", MARKS),
    _("a mark outlives a checkpoint", MAILBOX + "go_on", "self.unmark()", "pass", MARKS),
    _("a mark outlives a wait", CHANNELS_OF + "receive", "mailbox.unmark()", "pass", MARKS),
    _("a sender knows its last receiver by the topic", CORE + "context:ProcessContext.send", "if dest is self._last_dest and topic", "if topic", ORDER),
    _("many lose the first", CHANNELS_OF + "receive_many", "items.append(await self.receive())", "await self.receive()", SHARED),
    # names
    _("a taken name is given away", NAME + "check_free", "if holder is not None and holder != pid:", "if False:", NAMES),
    _("an empty name is accepted", CORE + "names:vet_name", "if not name:", "if False:", NAMES),
    _("unregister forgets half", NAME + "unregister", "del names[name]", "pass", NAMES),
    _("release forgets half", NAME + "release", "del self.by_name[name]", "pass", NAMES),
    _("anybody may unregister", CORE + "operations:unregister", "holder != caller.pid", "False", NAMES),
    _("register names nobody in particular", NAME + "register", "self.by_name[name] = pid", "self.by_name.setdefault(name, pid)\n    self.by_name[name + '2'] = pid", NAMES),
    # messages
    _("mailboxes are stacks", MAILBOX + "put", "self._waiting.append(message)", "self._waiting.appendleft(message)", ORDER),
    _("the inbox swallows topics", MAILBOX + "put", "channel = topics.get(message.topic)", "channel = None", TOPICS),
    _("listen loses what waits", MAILBOX + "listen", "channel.extend(mine)", "pass", TOPICS),
    _("inbox loses what waits", MAILBOX + "inbox", "self._inbox.extend(self._waiting)", "pass", ORDER),
    _("each listen is a new channel", MAILBOX + "listen", "channel = self._topics.get(topic)", "channel = None", TOPICS),
    _("a closed topic keeps its messages", MAILBOX + "forget", "del self._topics[channel.topic]", "pass", TOPICS),
    _("events come before the process asks", MAILBOX + "events", "self._events.extend(self._waiting_events)", "pass", UPGRADE),
    _("several values lose their tail", CORE + "context:ProcessContext.send", "[payload, *more]", "[payload]", VALUES),
    _("no value is an empty list", CORE + "context:ProcessContext.send", "if more:", "payload = payload or []\n    if more:", VALUES),
    _("reserved topics are open", CORE + "message:vet_topic", "if topic.startswith(RESERVED):", "if False:", REFUSED),
    _("the lost message is not in the error", CORE + "operations:send", "error.undelivered = message", "pass", REFUSED),
    _("unknown hosts are not noticed", CORE + "operations:alive", "host not in node.known_hosts", "False", REFUSED),
    _("upgrades drop messages", CORE + "task:replace_code", "process.mailbox.put(item)", "pass", UPGRADE),
    _("upgrades keep trap_links", CORE + "task:replace_code", "process.trap_links = False", "pass", UPGRADE),
    _("upgrades mix up the order", MAILBOX + "drain", "messages.sort(key=lambda message: message.arrival)", "pass", UPGRADE),
    # spawning and hosts
    _("full hosts take one more", CORE + "host:Host.admit", "self.alive >= self.max_processes", "self.alive > self.max_processes", SPAWN),
    _("stopping hosts accept", CORE + "host:Host.admit", "if self.state is not OPEN and not self._unwinds():", "if False:", STOP),
    _("hosts stop without a word", CORE + "host:Host.request_stop", "self.node.request_cancel(process, control, deadline)", "process.force(terminated(control))", STOP),
    _("first messages are lost", CORE + "spawn:launch", "node.post(None, process, message)", "pass", FIRST),
    _("spawn does not monitor", CORE + "spawn:launch", "node.topology.monitor(parent.pid, pid)", "pass", PIECE),
    _("a refused spawn keeps its name", CORE + "spawn:_unmake", "node.names.release(process.pid)", "pass", SPAWN),
    # requests, time, PIDs
    _("timeouts of asks never come", CORE + "ask:Waiter.expired", "self.settle(", "(lambda answer: None)(", ASK),
    _("the callee's end is not told", CORE + "ask:Waiter.ended", "self.settle(", "(lambda answer: None)(", ASK),
    _("unread requests are not told of the end", CORE + "serving:Serving._tell_callers", "item.ended(record.exit)", "pass", ANSWERS),
    _("dropped requests tell nobody", CORE + "ask:Waiter.dropped", "if self.pending:", "if False:", ANSWERS),
    _("who has given up gets its reply", CARRIED + "_live", "if task.custom_sleep_data is one:", "if True:", ANSWERS),
    _("who has given up gets its reply, later", CORE + "ask:Waiter.pending", "and (task is None or task.custom_sleep_data is self)", "", ANSWERS),
    _("cancelled timers fire", CORE + "clock:Timer.cancel", "self._action = None", "pass", TIMERS),
    _("timers fire by age", CORE + "clock:Timer.__lt__", "(self.due, self.order) < (other.due, other.order)", "self.order < other.order", TIMERS),
    _("PIDs come twice", NODE + "new_pid", "self._count += 1", "self._count = max(1, self._count ^ 1)", PIDS),
    _("three parts make a PID", CORE + "pid:is_pid", 'and "|" not in right', "", PIDS),
    _("minutes are hours", CORE + "duration:format_duration", "divmod(minutes, 60)", "divmod(minutes, 61)", DURATIONS),
    _("signs are ignored", CORE + "duration:parse_duration", 'return -nanoseconds if sign == "-" else nanoseconds', "return nanoseconds", DURATIONS),
    # supervisors
    _("one restart too many", "supervision.intensity:IntensityWindow.add", "<= self.intensity", "<= self.intensity + 1", WINDOW),
    _("old restarts count for ever", "supervision.intensity:IntensityWindow.add", "self.times[0] < oldest", "False", WINDOW),
    _("significant children are ignored", DECIDE + "leave", "if not record.spec.significant:", "if True:", DECIDES),
    _("one_for_all is one_for_one", DECIDE + "react", "if reach is Reach.ITSELF:", "if True:", DECIDES),
    _("every end is restarted", DECIDE + "react", "if record.removed or not RESTARTS[record.spec.restart, event.exit_class]:", "if record.removed:", DECIDES),
    _("a run that was stopped is no long one", DECIDE + "stop_next", "record.run_ends(self.now)", "pass", DECIDES),
    _("a new strategy forgets who waits", DECIDE + "try_again", "if not job.together:", "if REACH[state.spec.strategy] is Reach.ITSELF:", DECIDES),
    _("children are stopped in start order", DECIDE + "restart_group", "job.stop.appendleft(record.key)", "job.stop.append(record.key)", DECIDES),
    _("rest_for_one is one_for_all", DECIDE + "restart_group", "members.index(culprit)", "0", DECIDES),
    _("all are stopped at once", DECIDE + "stop_next", "if not all_at_once:", "if False:", STOPS),
    _("a group waits for nobody", DECIDE + "work", "if job.waiting:", "if job.waiting and not job.group:", DECIDES),
    _("temporary children are kept", DECIDE + "leave", "record.spec.restart is RestartType.TEMPORARY", "False", DECIDES),
    _("one of the significant is enough", DECIDE + "leave", "if any(", "if False and any(", DECIDES),
    _("the delay is forgotten", DECIDE + "restart_later", "if delay > 0:", "if False:", DECIDES),
    # the registry of entries
    _("dependents come first", "registry.order:_visit", "order.append(done)", "order.insert(0, done)", ENTRIES),
    _("users of a cycle are made", "registry.order:_visit", "if done not in stuck:", "if True:", ENTRIES),
    _("an entry of another kind is updated", "registry.changes:delta", "or new[id].kind != entry.kind", "", LAWS),
    _("equal entries are updated", "registry.changes:delta", "if old.get(id) != entry", "if True", LAWS),
    _("two may have one id", "registry.changes:refused", "if old is not None:", "if False:", LAWS),
    _("the kind may change", "registry.changes:refused", "if old.kind != op.entry.kind:", "if False:", LAWS),
    _("a short-lived entry is deleted", "registry.changes:squash", "if entry is None:\n            if existed:", "if entry is None:\n            if True:", LAWS),
    _("changes are undone in their order", "registry.changes:invert", "reversed(undo)", "undo", LAWS),
    _("an update is not undone", "registry.changes:invert", "Op(OpKind.UPDATE, old)", "Op(OpKind.UPDATE, op.entry)", LAWS),
    _("version numbers come twice", "registry.versions:History.added", "self.states[-1][0] + 1", "self.current + 1", VERSIONS),
    _("the version before is the version", "registry.versions:History.previous", "numbers[place - 1]", "numbers[place]", VERSIONS),
    _("one condition is enough", "registry.query:find", "if all(", "if any(", QUERY),
    _("what is found is not sorted", "registry.query:find", "sorted(fitting, key=lambda entry: entry.id)", "list(fitting)", QUERY),
    _("dependents are removed last", "registry.transaction:plan", "for id in reversed(list(old)) if id in gone", "for id in list(old) if id in gone", PLANS),
    _("nothing has to wait", "registry.transaction:_needed_by_others", "late.add(reference.id)", "break", PLANS),
    _("a failure is undone forwards", "registry.transaction:_undo", "reversed(done)", "done", PLANS),
    _("a failure is not undone", "registry.transaction:carry_out", "await _undo(done, do)", "pass", PLANS),
    # channels of Lua code
    _("the newest waiter is served", CHANNEL, "local w = queue[1]\n  if w == nil then return nil end\n  if queue[2] == nil then queue[1] = nil else remove(queue, 1) end", "local w = remove(queue)\n  if w == nil then return nil end", CHANNELS),
    _("a select takes all its cases", CHANNEL, "if other ~= w then drop_waiter(other.queue, other) end", "", CHANNELS),
    _("buffers hold one more", CHANNEL, "if st.n < st.cap then", "if st.n <= st.cap then", CHANNELS),
    _("buffers are stacks", CHANNEL, "local v = buf[head]\n  buf[head] = nil", "local v = buf[head + n]\n  buf[head + n] = buf[head]\n  buf[head] = nil", CHANNELS),
    _("a waiting sender does not move in", CHANNEL, "enqueue(st, w.item)\n      sent(w)", "sent(w)", CHANNELS),
    _("close drops what is buffered", CHANNEL, "  st.closed = true\n", "  st.closed = true\n  st.n = 0\n", CHANNELS),
    _("close leaves receivers waiting", CHANNEL, "deliver(st, w, nil, false)", "", CHANNELS),
    _("close lets senders go on", CHANNEL, "local rec = w.sel and w.rec or w\n  rec.ok = false", "local rec = w.sel and w.rec or w\n  rec.ok = true", CHANNELS),
    _("a closed channel can be sent to", CHANNEL, "  if st.closed then raise(CLOSED) end\n  if st.proc then raise(RECEIVE_ONLY) end\n  local w", "  if st.proc then raise(RECEIVE_ONLY) end\n  local w", CHANNELS),
    _("a closed channel gives true", CHANNEL, "if st.closed then return true, nil, false end", "if st.closed then return true, nil, true end", CHANNELS),
    _("the last ready case wins", CHANNEL, "for i = 1, count do\n    local case = cases[i]\n    local st = case.st", "for i = count, 1, -1 do\n    local case = cases[i]\n    local st = case.st", CHANNELS),
    _("select never waits", CHANNEL, "if own == true or default == true then", "if true then", CHANNELS),
    # pools
    _("the newest call starts first", POOL_CORE + "assign", "next(iter(self.line))", "next(reversed(self.line))", POOL),
    _("full pools let one more wait", POOL_CORE + "submit", "len(self.line) >= limit", "len(self.line) > limit", POOL),
    _("who gave up stays in the line", POOL_CORE + "withdraw", "self.line.pop(request, request) is None", "request in self.line", POOL),
    _("a worker given back is forgotten", POOLS + "wait", "self._freed(worker)", "self._assign()", WORKERS),
    _("a worker that failed leaves a gap", POOL_CORE + "discard", "self.grow(1, now)", "pass", WORKERS),
    _("a closing pool makes no workers", POOL_CORE + "close", "if not self.on_demand:", "if False:", WORKERS),
    _("a closed pool keeps its workers", POOLS + "_freed", "if self.closed:", "if False:", WORKERS),
    _("what was given up begins", "trio_actors.functions.children:Children._run", "if not begun:", "if False:", WORKERS),
]  # fmt: skip


def table() -> str:
    """Who kills whom, as Markdown."""
    lines = ["| mutant | area | changed | killed by |", "|---|---|---|---|"]
    for mutant in MUTANTS:
        try:
            mutant.source()
            found = killers(mutant)
            killed = found[0] if found else "**nobody**"
        except DoesNotApply:
            killed = "(does not apply to this version)"
        changed = mutant.where.partition(":")[2]
        lines.append(f"| {mutant.name} | {mutant.area} | `{changed}` | {killed} |")
    return "\n".join(lines)


PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "mutants.md"
HEAD = """\
# Mutants

Deliberately broken variants of kernel, names, channels, supervisors, registry and pools: {count},
each made by changing one piece of one function or Lua file, and the property that notices it first.
The properties are those of `property_tests/guarantees`. Written by `python -m
property_tests.mutants`; a test applies each of them and requires that the property named here fails.

"""


def documented() -> dict[str, str]:
    """What the page says: mutant -> property."""
    rows = [line.split("|") for line in PAGE.read_text(encoding="utf-8").splitlines()]
    return {row[1].strip(): row[4].strip() for row in rows if len(row) > 4 and "`" in row[3]}


if __name__ == "__main__":
    argparse.ArgumentParser(description=f"Writes {PAGE.name} anew, in a minute.").parse_args()
    PAGE.write_text(HEAD.format(count=len(MUTANTS)) + table() + "\n", encoding="utf-8")
