"""How a Lua process is run: stepped by its host's Lua runner, like a plain server (TM2).

The theory: a script waits by yielding, so it needs no Trio task to wait for it; 3.5 KB and two
thirds of the cost of a spawn were that task. What does wait outside of Lua, an operation of a
module, runs as a child task of the process (`ProcessContext.start_task`) and ends before it has
ended. A forced end stops the script at once (T6); its effects follow in the runner's next turn, so
that a cascade over many links is no recursion. Deadlines are timers of the node (K6).
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from trio_actors import ProcessError, Shutdown
from trio_actors._core.drive import MailboxOnly
from trio_actors._core.exit import Exit, cancelled_outside, deadline_exceeded
from trio_actors._core.lifecycle import Step
from trio_actors._core.task import judge, replace_code

if TYPE_CHECKING:
    from lua_bridge.process import LuaBody
    from trio_actors import Process
    from trio_actors._core.clock import Timer


class LuaDrive(MailboxOnly):
    """Starts, ends and upgrades one Lua process."""

    __slots__ = ("_begun", "_ending", "_timer", "body", "process")

    def __init__(self, process: Process, body: LuaBody) -> None:
        self.process = process
        self.body = body
        self._timer: Timer | None = None
        self._begun = False
        self._ending = False
        body.drive = self

    # Drive

    def start(self) -> None:
        """The script's first step may come; also after an upgrade."""
        process = self.process
        self._begun = True
        if process.deadline != inf:
            self.limit(process.deadline)
        if process.forced is not None:
            self.end_soon()
            return
        process.step(Step.BEGIN)
        self.body.begin(process)

    def interrupt(self) -> None:
        """A forced end or an upgrade: no line of the script runs any more."""
        self.body.interrupted()
        if self._begun:
            self.end_soon()

    def limit(self, deadline: float) -> None:
        """Arms a timer: there is no cancel scope here."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.process.node.clock.at(deadline, self._expired)

    def doing(self) -> str:
        """`running`, `idle` or `blocked`; once it is stopped, its operations have to unwind."""
        return "blocked" if self.body.over else self.body.shard.doing(self.body)

    def line(self) -> str | None:
        """Where the main coroutine of the script waits."""
        return None if self.body.over else self.body.shard.place(self.body)

    def _expired(self) -> None:
        self.process.force(deadline_exceeded(self.process.deadline_by))

    # the end

    def end_soon(self) -> None:
        """The end is carried out in the runner's next turn, once."""
        if not self._ending:
            self._ending = True
            self.body.shard.runner.end_soon(self)

    def conclude(self) -> None:
        """The script runs no more: its exit, or the code that replaces it (§1.5, U1)."""
        process = self.process
        if process.ended:
            return
        if process.calls is not None or process.tasks is not None:
            process.host.start_system_task(self._unwind)
        else:
            self._conclude()

    async def _unwind(self) -> None:
        """Operations under way are cancelled and have unwound before the process has ended."""
        process = self.process
        if process.calls is not None:
            await process.calls.finish()
        if process.tasks is not None:
            await process.tasks.finish()
        self._conclude()

    def _conclude(self) -> None:
        process = self.process
        if process.ended:
            return
        value: Any = None
        error: BaseException | None = None
        if self.body.end is not None:
            try:
                value = self.body.end.unwrap()
            except (ProcessError, Shutdown) as exc:
                error = exc
        end, _ = judge(process, value, error)
        if end is None:
            end = replace_code(process)
            if end is None:
                self._disarm()
                process.drive.start()
                return
        self.end(end)

    def end(self, end: Exit) -> None:
        """The process ends now, with this exit."""
        self._disarm()
        self.body.stop()
        if not self.process.ended:
            self.process.node.end(self.process, end)

    def cancelled(self) -> None:
        """The host is cancelled from outside (E37)."""
        self.end(cancelled_outside())

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
