"""What a server hands to the code that it goes on as (U1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from trio_actors._core.code import Target


@attrs.frozen(slots=True)
class Migration:
    """The only argument of an upgrade that a server has asked for: what `migrate` gets."""

    old_version: int
    state: Any


def handed_on(args: tuple[Any, ...], target: Target) -> tuple[Any, ...]:
    """The arguments of an upgrade as its new code gets them.

    A server migrates. Other code knows nothing of versions: it gets the state, None as no argument.
    """
    migration = args[0] if len(args) == 1 else None
    if not isinstance(migration, Migration) or getattr(target, "migrates", False):
        return args
    return () if migration.state is None else (migration.state,)
