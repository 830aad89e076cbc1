"""Policies written in CEL, the Common Expression Language. Rule: SE15.

The library is an extra; without it such an entry is refused with the name of the extra.
"""

from __future__ import annotations

from typing import Any

import attrs

from ..fields import FieldError, shown
from .conditions import Check, ConditionError

__all__ = ["CelExpression", "compile_expression"]


@attrs.frozen(slots=True)
class CelExpression:
    """A compiled expression over actor.id, actor.meta, action, resource and meta."""

    source: str
    _program: Any

    def holds(self, check: Check) -> bool:
        """The result; ConditionError for a missing name, a type error or a non-boolean result."""
        variables = {
            "actor": {"id": check.actor.id, "meta": dict(check.actor.meta)},
            "action": check.action,
            "resource": check.resource,
            "meta": dict(check.meta),
        }
        try:
            result = self._program.execute(variables)
        except Exception as error:
            raise ConditionError(str(error)) from None
        if not isinstance(result, bool):
            raise ConditionError(f"the expression gave {shown(result)}, not true or false")
        return result


def compile_expression(source: object, path: str) -> CelExpression:
    """Compile at load. Raises: FieldError, also when the extra is not installed."""
    if not isinstance(source, str) or not source.strip():
        raise FieldError(path, "a CEL expression", shown(source))
    try:
        import cel
    except ImportError:
        raise FieldError(
            path,
            "the extra trio-actors[policy] to be installed for CEL expressions",
            shown(source),
        ) from None
    try:
        return CelExpression(source, cel.compile(source))
    except Exception as error:
        raise FieldError(path, f"a CEL expression ({error})", shown(source)) from None
