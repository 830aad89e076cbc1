"""How a stepped server ends: at once, after its child tasks, or by going on as other code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_actors._core.answering import Answering
from trio_actors._core.drive import Limited
from trio_actors._core.exit import Exit
from trio_actors._core.mailbox import Routed
from trio_actors._core.task import judge, replace_code, stops_the_host, unwound

if TYPE_CHECKING:
    from trio_actors._core.clock import Timer


class Ending(Limited, Answering, Routed):
    """A stepped server, as far as its end is concerned."""

    __slots__ = ("_timer",)

    _timer: Timer | None  # of a deadline

    def _over(self) -> bool:
        """True if it is halted because it is to end or to be upgraded, or was given up."""
        process = self.process
        return bool(process.forced or process.upgrade or self.finished or process.ended)

    def _end(self, value: Exit | None, error: BaseException | None) -> None:
        process = self.process
        if process.rare is None and process.upgrade is None and error is None:  # as judge says
            end = process.forced or value
            if end is not None and not process.ended:
                self.end(end)
                return
        tasks, calls = process.tasks, process.calls
        if (calls is None and (tasks is None or not tasks.running)) or process.ended:
            self._end_now(value, error)
        else:
            self._scheduled = True  # no more turns
            self.close_route()
            process.host.start_system_task(self._end_later, value, error)

    async def _end_later(self, value: Exit | None, error: BaseException | None) -> None:
        """The end of a server with child tasks: they unwind first (TM3)."""
        error = await unwound(self.process, error)
        self._end_now(value, error)

    def _end_now(self, value: Exit | None, error: BaseException | None) -> None:
        process = self.process
        if process.ended:
            if error is not None:
                raise error
            return
        end, outwards = judge(process, None, error)
        if end is None:
            end = self._upgrade()
            if end is None:
                return
        elif value is not None and not end.abnormal:
            end = value
        if outwards is not None and stops_the_host(process, outwards):
            outwards = None
        self.end(end)
        if outwards is not None:
            raise outwards

    def end(self, end: Exit) -> None:
        """The server ends now, with this exit."""
        try:
            if self.table.parting:
                self._busy = True
                self._open()
                self.farewell(end)
        finally:  # also if that must go on outwards: nobody calls it again
            self.leave(end)

    def leave(self, end: Exit) -> None:
        """As `end`; the server's own `terminate` has been called."""
        if self._timer is not None:
            self._timer.cancel()
        self._busy = True
        self._scheduled = True
        self.process.node.end(self.process, end)

    def _upgrade(self) -> Exit | None:
        process = self.process
        end = replace_code(process)
        if end is None:
            self.server = None  # what the old one keeps is let go of, and who waits for it is told
            if self._timer is not None:
                self._timer.cancel()
                process.drive.limit(process.deadline)
            process.drive.start()
        return end
