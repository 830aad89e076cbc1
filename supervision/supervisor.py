"""The supervisor as a process: its definition as code, its life, its end.

Rules: SU3-SU9, SU14, SU16, SU20 of the supervision specification.

A supervisor is an ordinary process with a mailbox of its own kind: one queue for all that can
happen to it, in the order of arrival: ends of children (EXIT of its monitors), readiness, timers,
requests, CANCEL. One loop (runner.py) takes an item, turns it into an event, asks ``decide`` and
acts.

Shutdown under cancellation (SU7). Processes live in their host's nursery, which is shielded: a
cancellation from outside reaches the block around the host, and its end asks the processes to
stop. It asks only the topmost supervisor of a tree; children know a *guardian* and are left to it,
under the host's deadline. So the nursery is the shield, the block is the guard, and the order is
the supervisor's. If the supervisor itself is cancelled (terminated, or past its deadline), the
same ordered stop runs under a shield, within the host's drain limit, and then the cancellation
goes on. The loop is protected from KeyboardInterrupt: Trio delivers that to the main task.

Rejected: a nursery per supervisor. Children would need tasks that only copy their results, and
processes that are no tasks (plain servers, Lua) could not be children.
"""

from typing import TYPE_CHECKING, Any, ClassVar, TypedDict, Unpack

import trio
from attrs import frozen

from supervision import state as s
from supervision.fields import MILLISECONDS
from supervision.mailbox import GivenUp, SupervisorMailbox
from supervision.promises import KeepsPromises
from supervision.runner import Runner
from supervision.specs import SupervisorDefinition, SupervisorSpec, read_supervisor
from supervision.state import SupervisorState
from trio_actors import Host, Node, Process, ProcessContext, TaskBody
from trio_actors._core.exit import terminated

if TYPE_CHECKING:
    from supervision.control import SupervisorRef


class SupervisorFields(TypedDict, total=False):
    """The fields of ``Supervisor``; see SUPERVISOR_FIELDS for meanings and defaults."""

    strategy: str
    intensity: int
    period: float | str
    auto_shutdown: str
    backoff: Any
    max_children: int
    children: Any


class Supervisor(SupervisorDefinition):
    """A supervisor as code: spawn it, or make it the child of another one or a service's process.

    ``Supervisor(strategy="one_for_all", children=[child("db", db, dsn), ...])``

    It is checked when it is spawned, before anything starts: SpecInvalid names every mistake (SU1).
    """

    id: ClassVar[str] = "supervision:supervisor"
    signals_readiness: ClassVar[bool] = True

    def __init__(self, **given: Unpack[SupervisorFields]) -> None:
        super().__init__(dict(given))

    def spec(self) -> SupervisorSpec:
        """The checked specification. Raises: SpecInvalid."""
        return read_supervisor(self)

    def prepare(self, host: Host, args: tuple[Any, ...]) -> "SupervisorBody":
        """A supervisor process of this definition. Raises: SpecInvalid."""
        return SupervisorBody(self.spec())


@frozen
class SupervisorTarget:
    """A checked specification as code, under a registry id."""

    signals_readiness: ClassVar[bool] = True

    spec: SupervisorSpec
    id: str = Supervisor.id

    def prepare(self, host: Host, args: tuple[Any, ...]) -> "SupervisorBody":
        """A supervisor process of this specification."""
        return SupervisorBody(self.spec)


class SupervisorBody(KeepsPromises, TaskBody):
    """One supervisor process."""

    __slots__ = ("mailbox", "runner", "spec")

    def __init__(self, spec: SupervisorSpec) -> None:
        self.spec = spec
        self.mailbox = SupervisorMailbox()
        self.runner: Runner | None = None

    def make_mailbox(self, process: Process) -> SupervisorMailbox:
        """The queue of this supervisor."""
        return self.mailbox

    def administration(self, node: Node, dest: str) -> "SupervisorRef":
        """The handle that the Lua module `supervision` works with: durations in milliseconds."""
        from supervision.control import SupervisorRef

        return SupervisorRef(node, dest, number_unit=MILLISECONDS)

    @trio.lowlevel.enable_ki_protection
    async def run(self, ctx: ProcessContext) -> None:
        """Start the children, keep them alive, stop them. Returns when asked to stop.

        Raises: ProcessError if a child failed to start (SU4); Shutdown after too many restarts
        (SU13) or by auto-shutdown (SU30).
        """
        process = ctx.process
        process.trap_links = True  # SU16
        state = SupervisorState(self.spec, process.node.rng)
        self.runner = runner = Runner(ctx, process, self.mailbox, state, SupervisorTarget)
        try:
            await self._work(runner)
        except GivenUp:  # what is left of its children is not its business any more
            for child in runner.processes.values():
                child.force(terminated(process.pid))
            return
        runner.leave()

    async def _work(self, runner: Runner) -> None:
        process = runner.process
        try:
            runner.feed(s.Boot())
            await runner.until_end()
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                runner.bound = process.node.now()
                if process.deadline > runner.bound:
                    runner.bound += process.host.drain
                runner.feed(s.Stop("the supervisor was cancelled"))
                runner.hurry()
                await runner.until_end()
            raise
        except BaseException:  # a fault of the supervisor itself: nothing it knows can be trusted
            with trio.CancelScope(shield=True):
                await runner.end_all()
            raise
