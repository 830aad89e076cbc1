"""What a supervisor says of itself to a test harness: see `trio_actors._core.guardian`.

It says what its definition says (SU5, SU11, SU13), not what it has counted or decided.
"""

from typing import TYPE_CHECKING, Final

from supervision.specs import SupervisorSpec
from supervision.terms import REACH, Reach, RestartType, Strategy
from trio_actors import Message, Pid
from trio_actors._core.guardian import Place, Promise

if TYPE_CHECKING:
    from supervision.runner import Runner

REQUEST: Final = "@request"  # topic of what is asked of a supervisor


class KeepsPromises:
    """The part of a supervisor's body that a harness reads."""

    __slots__ = ()

    spec: SupervisorSpec
    runner: "Runner | None"

    def promise(self) -> Promise:
        """See `Guardian.promise`."""
        spec = self.spec if self.runner is None else self.runner.state.spec
        return Promise(
            intensity=spec.intensity,
            period=spec.period,
            together=REACH[spec.strategy] is not Reach.ITSELF,
            at_once=spec.strategy is Strategy.SIMPLE_ONE_FOR_ONE,
        )

    def place_of(self, pid: Pid) -> Place | None:
        """See `Guardian.place_of`."""
        runner = self.runner
        key = None if runner is None else runner.keys.get(pid)
        if runner is None or key is None:
            return None
        spec = runner.state.children[key].spec
        always = spec.restart is RestartType.PERMANENT
        if runner.state.simple:
            return Place(f"{spec.id}#{key}", None, always)
        listed = [child.id for child in self.spec.children]
        return Place(spec.id, listed.index(spec.id) if spec.id in listed else None, always)

    def is_request(self, message: Message) -> bool:
        """See `Guardian.is_request`."""
        return message.topic == REQUEST
