"""Asking a running supervisor for something, from anywhere in the program.

Rules: SU20-SU25. ``SupervisorRef`` addresses a supervisor by PID or name. Its async methods put a
request into the supervisor's queue and wait for the answer; queries read its state at once. Code
outside processes and supervisors is not checked for permissions (A10).
"""

from typing import Any, Final

import trio
from attrs import define, field

from supervision import administration as admin
from supervision import state as s
from supervision.administration import ChildCount, ChildInfo
from supervision.fields import SECONDS
from supervision.promises import REQUEST
from supervision.runner import Runner
from supervision.specs import SupervisorSpec, read_child, read_supervisor
from supervision.supervisor import SupervisorBody
from trio_actors import ErrorKind, Exit, Message, Node, Process, ProcessError, make_error
from trio_actors import fresh as fresh_error
from trio_actors._core.operations import alive, resolve

_NOTHING: Final = object()


@define(eq=False)
class Answer:
    """Waits for the answer to one request."""

    value: Any = _NOTHING
    error: ProcessError | None = None
    there: trio.Event = field(factory=trio.Event)

    def answer(self, value: Any) -> None:
        """The request was granted."""
        self.value = value
        self.there.set()

    def refuse(self, error: ProcessError) -> None:
        """The request was refused, or what it started failed."""
        self.error = error
        self.there.set()

    def lost(self, exit: Exit) -> None:
        """The supervisor ended before it answered."""
        if not self.there.is_set():
            self.refuse(make_error(ErrorKind.UNAVAILABLE, "supervisor has ended", retryable=None))


class SupervisorRef:
    """A running supervisor, to be administered.

    Raises, every method: ProcessNotFound if there is no such process, ProcessInvalid if it is no
    supervisor, ProcessUnavailable if it is ending.
    """

    __slots__ = ("dest", "node", "number_unit")

    def __init__(self, node: Node, dest: str, *, number_unit: float = SECONDS) -> None:
        self.node = node
        self.dest = dest
        self.number_unit = number_unit  # of durations that are given as bare numbers

    def __repr__(self) -> str:
        return f"<SupervisorRef {self.dest}>"

    # ---- requests --------------------------------------------------------------------------------

    async def start_child(self, *what: Any) -> str:
        """Start a new child and return its PID: ``child(...)``, a mapping, or a ChildSpec.

        Of simple_one_for_one: the arguments that are appended to the template's (SU23).

        Checkpoint: always. Raises: SpecInvalid; ProcessAlreadyExists; the child's own error when it
        fails to start, and then its spec is not kept (SU21).
        """
        runner = self._runner()
        if runner.state.simple:
            pid = await self._ask(lambda token: s.StartChild(token, None, what))
        else:
            if len(what) != 1:
                raise make_error(ErrorKind.INVALID, "start_child takes one child specification")
            spec = read_child(what[0], runner.state.spec, number_unit=self.number_unit)
            pid = await self._ask(lambda token: s.StartChild(token, spec))
        return str(pid)

    async def terminate_child(self, id: str) -> None:
        """Stop a child; its spec stays, but of a temporary or dynamic one (SU22). Repeatable.

        Checkpoint: always. Raises: ProcessNotFound.
        """
        await self._ask(lambda token: s.TerminateChild(token, id))

    async def restart_child(self, id: str) -> str:
        """Start a stopped child again and return its PID (SU22).

        Checkpoint: always. Raises: ProcessConflict (running, restarting), the child's own error.
        """
        return str(await self._ask(lambda token: s.RestartChild(token, id)))

    async def delete_child(self, id: str) -> None:
        """Forget a stopped child (SU22). Checkpoint: always. Raises: ProcessConflict."""
        await self._ask(lambda token: s.DeleteChild(token, id))

    async def update(self, specs: Any) -> None:
        """New flags and child specs: a Supervisor, a mapping or a SupervisorSpec (SU25).

        Checkpoint: always. Raises: SpecInvalid, ProcessInvalid; nothing has changed then.
        """
        spec: SupervisorSpec = read_supervisor(specs, number_unit=self.number_unit)
        await self._ask(lambda token: s.Update(token, spec))

    async def _ask(self, request: Any) -> Any:
        process = self._process()
        answer = Answer()
        process.on_exit(answer.lost)
        try:
            self.node.post(None, process, Message(REQUEST, None, request(answer)))
            await answer.there.wait()
        finally:
            process.forget(answer.lost)
        if answer.error is not None:
            raise fresh_error(answer.error)
        return answer.value

    # ---- queries ---------------------------------------------------------------------------------

    def which_children(self) -> list[ChildInfo]:
        """All children in start order, as of now."""
        return admin.which_children(self._runner().state, self.node.now())

    def count_children(self) -> ChildCount:
        """How many children there are."""
        return admin.count_children(self._runner().state)

    def get_child(self, id: str) -> ChildInfo:
        """One child by id; of simple_one_for_one by PID. Raises: ProcessNotFound."""
        return admin.get_child(self._runner().state, id, self.node.now())

    def _process(self) -> Process:
        process = alive(self.node, resolve(self.node, self.dest))
        if runner_of(process) is None:
            raise make_error(ErrorKind.INVALID, f"{self.dest} is not a supervisor")
        return process

    def _runner(self) -> Runner:
        runner = runner_of(self._process())
        assert runner is not None
        return runner


def runner_of(process: Process) -> Runner | None:
    """The supervisor that a process is, or None."""
    body = getattr(process.drive, "body", None)
    if not isinstance(body, SupervisorBody):
        return None
    if body.runner is None:
        raise make_error(ErrorKind.UNAVAILABLE, "supervisor has not begun", retryable=True)
    return body.runner


def running(process: Process) -> Runner | None:
    """As ``runner_of``, and None for a supervisor that has not begun."""
    body = getattr(process.drive, "body", None)
    return body.runner if isinstance(body, SupervisorBody) else None
