"""The words of supervision, and the one table that says which child is restarted.

Rules: SU10, SU11, SU23, SU30 of the supervision specification. The words are those of OTP's
supervisor. A restart *type* belongs to a child, a *strategy* to a supervisor.

The whole decision stands in two small tables. ``RESTARTS`` says whether a child comes back,
from its restart type and the class of its exit; ``REACH`` says which siblings share its fate,
from the strategy. ``decision_table()`` prints their product.
"""

from enum import StrEnum
from typing import Final


class RestartType(StrEnum):
    """When a child that has ended is started again."""

    __hash__ = str.__hash__  # Enum's own is Python code

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"


class ExitClass(StrEnum):
    """What the end of a child counts as (SU10)."""

    __hash__ = str.__hash__  # Enum's own is Python code

    NORMAL = "normal"  # it returned a value
    SHUTDOWN = "shutdown"  # a stop that was asked for
    ABNORMAL = "abnormal"  # it failed


class Strategy(StrEnum):
    """Which siblings a restart takes along (SU11)."""

    __hash__ = str.__hash__  # Enum's own is Python code

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"
    SIMPLE_ONE_FOR_ONE = "simple_one_for_one"


class AutoShutdown(StrEnum):
    """Whether the end of significant children ends the supervisor (SU30)."""

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


class ChildType(StrEnum):
    """What a child is; a supervisor is given unlimited time to stop by default."""

    WORKER = "worker"
    SUPERVISOR = "supervisor"


class Reach(StrEnum):
    """The siblings that are stopped and started together with a failed child."""

    ITSELF = "itself"
    LATER = "itself and the later ones"
    ALL = "all"


_P, _T, _TMP = RestartType.PERMANENT, RestartType.TRANSIENT, RestartType.TEMPORARY
_N, _S, _A = ExitClass.NORMAL, ExitClass.SHUTDOWN, ExitClass.ABNORMAL

RESTARTS: Final[dict[tuple[RestartType, ExitClass], bool]] = {
    (_P, _N): True,
    (_P, _S): True,
    (_P, _A): True,
    (_T, _N): False,
    (_T, _S): False,
    (_T, _A): True,
    (_TMP, _N): False,
    (_TMP, _S): False,
    (_TMP, _A): False,
}

REACH: Final[dict[Strategy, Reach]] = {
    Strategy.ONE_FOR_ONE: Reach.ITSELF,
    Strategy.ONE_FOR_ALL: Reach.ALL,
    Strategy.REST_FOR_ONE: Reach.LATER,
    Strategy.SIMPLE_ONE_FOR_ONE: Reach.ITSELF,
}


def decision_table() -> str:
    """The product strategy x restart type x exit class as text, one row per pair.

    >>> print(decision_table())
    strategy            restart    normal    shutdown  abnormal
    one_for_one         permanent  itself    itself    itself
    one_for_one         transient  -         -         itself
    one_for_one         temporary  drop      drop      drop
    one_for_all         permanent  all       all       all
    one_for_all         transient  -         -         all
    one_for_all         temporary  drop      drop      drop
    rest_for_one        permanent  later     later     later
    rest_for_one        transient  -         -         later
    rest_for_one        temporary  drop      drop      drop
    simple_one_for_one  permanent  itself    itself    itself
    simple_one_for_one  transient  drop      drop      itself
    simple_one_for_one  temporary  drop      drop      drop
    """
    words = {Reach.ITSELF: "itself", Reach.LATER: "later", Reach.ALL: "all"}
    rows = [("strategy", "restart", *(str(c) for c in ExitClass))]
    for strategy in Strategy:
        for restart in RestartType:
            cells = (
                words[REACH[strategy]]
                if RESTARTS[restart, exit_class]
                else "drop"
                if not keeps_spec(strategy, restart)
                else "-"
                for exit_class in ExitClass
            )
            rows.append((strategy, restart, *cells))
    widths = (20, 11, 10, 10, 0)
    return "\n".join(
        "".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def keeps_spec(strategy: Strategy, restart: RestartType) -> bool:
    """Whether a child that has ended for good stays listed as stopped (SU22, SU23)."""
    return strategy is not Strategy.SIMPLE_ONE_FOR_ONE and restart is not RestartType.TEMPORARY
