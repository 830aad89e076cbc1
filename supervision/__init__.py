"""Restart types, services and supervision trees."""

from supervision.administration import ChildCount, ChildInfo
from supervision.backoff import Backoff
from supervision.control import SupervisorRef
from supervision.fields import MILLISECONDS, SECONDS, Problem, SpecInvalid
from supervision.order import DependencyCycle
from supervision.runner import TooManyRestarts
from supervision.service_machine import ServiceState
from supervision.service_spec import Security, ServiceSpec, read_service
from supervision.services import ServiceManager, ServiceStatus, open_services
from supervision.snapshot import ExitRow, PoolRow, Row, Snapshot, Taking, snapshot
from supervision.specs import (
    ChildDefinition,
    ChildSpec,
    Limit,
    SupervisorDefinition,
    SupervisorSpec,
    child,
    read_child,
    read_supervisor,
)
from supervision.supervisor import Supervisor, SupervisorTarget
from supervision.terms import (
    AutoShutdown,
    ChildType,
    ExitClass,
    RestartType,
    Strategy,
    decision_table,
)
from supervision.tree import (
    Explanation,
    ProcessRow,
    TreeNode,
    Why,
    explain,
    format_tree,
    ps,
    top,
    tree,
)

__distribution__ = "trio-actors"

__all__ = [
    "MILLISECONDS",
    "SECONDS",
    "AutoShutdown",
    "Backoff",
    "ChildCount",
    "ChildDefinition",
    "ChildInfo",
    "ChildSpec",
    "ChildType",
    "DependencyCycle",
    "ExitClass",
    "ExitRow",
    "Explanation",
    "Limit",
    "PoolRow",
    "Problem",
    "ProcessRow",
    "RestartType",
    "Row",
    "Security",
    "ServiceManager",
    "ServiceSpec",
    "ServiceState",
    "ServiceStatus",
    "Snapshot",
    "Taking",
    "SpecInvalid",
    "Strategy",
    "Supervisor",
    "SupervisorDefinition",
    "SupervisorRef",
    "SupervisorSpec",
    "SupervisorTarget",
    "TooManyRestarts",
    "TreeNode",
    "Why",
    "child",
    "decision_table",
    "explain",
    "format_tree",
    "open_services",
    "ps",
    "read_child",
    "read_service",
    "read_supervisor",
    "snapshot",
    "top",
    "tree",
]
