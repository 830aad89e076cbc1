"""The `lifecycle` of every kind that is started and stopped, with its defaults in one place.

Rules: Y21-Y30, LD8. A zero duration, a zero factor or an empty text means the default (Y30), and
`jitter: 0` means no jitter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import attrs

from ..fields import AnyRef, Described, Ref, SecondsOrDefault, Within, ZeroIsDefault, setting
from ..ids import resolve
from ..kind import Definition, Definitions, Finding
from ..problems import Path

POLICY = Ref(("security.policy", "security.policy.expr"))
Factor = Annotated[float, Within(0), ZeroIsDefault()]


@attrs.frozen(slots=True)
class Actor:
    """Who a service acts as."""

    id: str = setting("the actor's id")
    meta: dict[str, Any] = setting("data about the actor", factory=dict)


@attrs.frozen(slots=True)
class Security:
    """The actor and the policies that a service and everything it starts run under. Rule: Y10."""

    actor: Actor | None = setting("who the service acts as", default=None)
    groups: tuple[str, ...] | None = setting("all policies of these groups", default=None)
    policies: tuple[Annotated[str, POLICY], ...] | None = setting("these policies", default=None)


@attrs.frozen(slots=True)
class Restart:
    """When a service that failed runs again."""

    initial_delay: SecondsOrDefault = setting("pause before the first retry", default=1.0)
    max_delay: SecondsOrDefault = setting("longest pause", default=90.0)
    backoff_factor: Factor = setting("each pause is this much longer", default=2.0)
    jitter: Annotated[float, Within(0, 1)] = setting("random part of a pause", default=0.1)
    max_attempts: Annotated[int, Within(0)] = setting("runs in a row; 0 = no limit", default=0)


@attrs.frozen(slots=True)
class Lifecycle:
    """When something starts, what it waits for, how it stops."""

    auto_start: bool = setting("start with the application", default=False)
    start_timeout: SecondsOrDefault = setting("limit of a start", default=10.0)
    stop_timeout: SecondsOrDefault = setting("limit of an orderly stop", default=10.0)
    stable_threshold: SecondsOrDefault = setting("a run this long resets the count", default=5.0)
    depends_on: tuple[AnyRef, ...] = setting("these run first", default=())
    requires: tuple[AnyRef, ...] = setting("another name for depends_on", default=())
    restart: Restart = setting("when to run again after a failure", factory=Restart)
    security: Security | None = setting("actor and policies", default=None)
    ready: bool = setting("the process tells when it has started", default=False)

    @property
    def needs(self) -> tuple[str, ...]:
        """What has to run first, under either name."""
        return self.depends_on or self.requires


Groups = Annotated[tuple[str, ...], Described("a list of group names")]


def lifecycle_findings(
    definition: Definition, others: Definitions, path: tuple[str, ...] = ("lifecycle",)
) -> Iterable[Finding]:
    """What types cannot say about a lifecycle: two names for one field, unknown groups (SE8)."""
    data: Any = definition.entry.data
    for step in path:
        data = data.get(step, {}) if isinstance(data, Mapping) else {}
    if isinstance(data, Mapping) and "requires" in data and "depends_on" in data:
        expected = "either depends_on or requires, which mean the same"
        yield Finding((*path, "requires"), expected, "both")
    lifecycle: Lifecycle = definition.model.lifecycle
    if lifecycle.security is None or not lifecycle.security.groups:
        return
    known = tuple(sorted(groups_of(others)))
    for index, group in enumerate(lifecycle.security.groups):
        if resolve(group, definition.entry.namespace) not in known:
            where: Path = (*path, "security", "groups", index)
            yield Finding(where, "a group that a policy names", f'"{group}"', known)


def policies_needed(definition: Definition, others: Definitions) -> Iterable[str]:
    """The policies that the groups of a lifecycle mean: they have to be there first."""
    security: Security | None = definition.model.lifecycle.security
    wanted = {
        resolve(name, definition.entry.namespace) for name in (security and security.groups) or ()
    }
    for other in others.values() if wanted else ():
        if POLICY.accepts(other.kind) and wanted & groups_of({other.id: other}):
            yield other.id


def groups_of(others: Definitions) -> set[str]:
    """Every group that a policy names. Rule: SE8."""
    return {
        group
        for definition in others.values()
        if POLICY.accepts(definition.kind)
        for group in (resolve(name, definition.entry.namespace) for name in definition.model.groups)
    }
