"""A supervisor that exists only as the state of ``decide``, for tests."""

import random
from typing import Any

from supervision import administration
from supervision.decide import decide
from supervision.specs import ChildSpec, SupervisorSpec
from supervision.state import Boot, Report, Started, SupervisorState
from supervision.terms import ExitClass, RestartType, Strategy

NORMAL, SHUTDOWN, ABNORMAL = ExitClass.NORMAL, ExitClass.SHUTDOWN, ExitClass.ABNORMAL
SIMPLE = Strategy.SIMPLE_ONE_FOR_ONE


def spec(id: str, restart: str = "permanent", **fields: Any) -> ChildSpec:
    """A child."""
    return ChildSpec(id=id, target="t:t", restart=RestartType(restart), **fields)


class Case:
    """A supervisor and the actions of the last event, without reports."""

    def __init__(self, *children: ChildSpec, **flags: Any) -> None:
        flags = {"intensity": 100, "period": 5.0, **flags}
        self.state = SupervisorState(SupervisorSpec(children=children, **flags), random.Random(0))
        self.now = 0.0
        self.reports: list[Report] = []

    def __call__(self, event: Any) -> list[Any]:
        plan = decide(self.state, event, self.now)
        self.reports += [action for action in plan if isinstance(action, Report)]
        return [action for action in plan if not isinstance(action, Report)]

    def boot(self) -> "Case":
        """With all children running, the key of the first one is 1."""
        self(Boot())
        for key in range(1, len(self.state.children) + 1):
            self(Started(key, f"{{h|{key}}}"))
        return self

    def shown(self) -> dict[str, str]:
        """The states by id."""
        return {i.id: i.state for i in administration.which_children(self.state, self.now)}
