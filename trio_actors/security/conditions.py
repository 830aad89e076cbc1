"""Conditions of policies: a field path, an operator from a table, a constant or another field.

Rules: SE11 (paths), SE12 (missing fields), SE13 (operators), SE14 (load errors). An operator that
cannot be applied raises `ConditionError`, which the policy turns into a denial (SE3).
"""

from __future__ import annotations

import json
import math
import operator as operator_module
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import attrs

from ..fields import FieldError, as_mapping, check_keys, choice, shown
from .actors import Actor

__all__ = ["OPERATORS", "Check", "Condition", "ConditionError", "parse_condition"]

# Stands for a field that is not there; None counts as missing too, as nil does in Lua.
MISSING: Any = None
NUMBERS_BEGIN = frozenset("+-.0123456789 \t\n\r\f\v")


class ConditionError(Exception):
    """A condition that cannot be evaluated. Rule: SE3."""


@attrs.frozen(slots=True)
class Check:
    """One question put to the policies."""

    actor: Actor
    action: str
    resource: str
    meta: Mapping[str, Any]


def getter(path: str) -> Callable[[Check], Any]:
    """What gives the value at a field path, or MISSING; made once per condition. Rule: SE11."""
    match path:
        case "action":
            return lambda check: check.action
        case "resource":
            return lambda check: check.resource
        case "actor.id":
            return lambda check: check.actor.id
    for prefix, actor in (("actor.meta.", True), ("meta.", False)):
        if path.startswith(prefix):
            keys = tuple(path[len(prefix) :].split("."))
            if len(keys) == 1:
                key = keys[0]
                if actor:
                    return lambda check: check.actor.meta.get(key, MISSING)
                return lambda check: check.meta.get(key, MISSING)
            if actor:
                return lambda check: _descend(check.actor.meta, keys)
            return lambda check: _descend(check.meta, keys)
    return lambda check: check.meta.get(path, MISSING)


def _descend(value: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        if not isinstance(value, (MappingProxyType, dict, Mapping)):
            return MISSING
        value = value.get(key)
        if value is None:
            return MISSING
    return value


def as_number(value: object) -> float | None:
    """The number that a value is or spells, else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value
    if (
        isinstance(value, str)
        and value[:1] in NUMBERS_BEGIN
        and re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", value, re.ASCII)
    ):
        number = float(value)
        return number if math.isfinite(number) else None
    return None


def as_text(value: object) -> str:
    """A value as text: strings as they are, the rest as JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def equal(left: object, right: object) -> bool:
    """Numeric if both parse as numbers, else by text. Rule: SE13."""
    if type(left) is str and type(right) is str:
        if left == right:
            return True
        if left[:1] not in NUMBERS_BEGIN or right[:1] not in NUMBERS_BEGIN:
            return False
    a, b = as_number(left), as_number(right)
    if a is not None and b is not None:
        return a == b
    return as_text(left) == as_text(right)


def _ordered(compare: Callable[[float, float], bool]) -> Callable[[Any, Any], bool]:
    def apply(left: Any, right: Any) -> bool:
        a, b = as_number(left), as_number(right)
        if a is None or b is None:
            raise ConditionError(f"cannot compare {shown(left)} with {shown(right)} as numbers")
        return compare(a, b)

    return apply


def _in(left: Any, right: Any) -> bool:
    if isinstance(right, str):
        return equal(left, right)
    if isinstance(right, list | tuple):
        return any(equal(left, item) for item in right)
    raise ConditionError(f"expected a list or a text to look in, found {shown(right)}")


def _contains(left: Any, right: Any) -> bool:
    if isinstance(left, str):
        return as_text(right) in left
    if isinstance(left, list | tuple):
        return any(equal(item, right) for item in left)
    raise ConditionError(f"expected a text or a list to search, found {shown(left)}")


def _matches(left: Any, right: re.Pattern[str]) -> bool:
    return right.search(as_text(left)) is not None


def _not(operator: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: not operator(left, right)


# Both sides are present when one of these is called. Rule: SE12.
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": equal,
    "ne": _not(equal),
    "lt": _ordered(lambda a, b: a < b),
    "gt": _ordered(lambda a, b: a > b),
    "lte": _ordered(lambda a, b: a <= b),
    "gte": _ordered(lambda a, b: a >= b),
    "in": _in,
    "nin": _not(_in),
    "contains": _contains,
    "ncontains": _not(_contains),
    "matches": _matches,
    "nmatches": _not(_matches),
}
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "lt": operator_module.lt,
    "gt": operator_module.gt,
    "lte": operator_module.le,
    "gte": operator_module.ge,
}
PLAIN_NUMBERS = (int, float)
LISTS = (list, tuple)
EXISTENCE = {"exists": True, "nexists": False}
ALL_OPERATORS = (*OPERATORS, *EXISTENCE)


@attrs.frozen(slots=True)
class Condition:
    """One condition of a policy, checked and made ready for use."""

    field: str
    operator: str
    value: Any = None
    value_from: str | None = None
    # Whether it holds. Raises: ConditionError.
    holds: Callable[[Check], bool] = attrs.field(init=False, eq=False, repr=False)

    @holds.default
    def _holds(self) -> Callable[[Check], bool]:
        left = getter(self.field)
        right = None if self.value_from is None else getter(self.value_from)
        if self.operator in EXISTENCE:
            present, value = EXISTENCE[self.operator], self.value

            def exists(check: Check) -> bool:
                wanted = value if right is None else right(check)
                return ((left(check) is not MISSING) == present) is (wanted is True)

            return exists
        if right is None:
            return _constant_test(left, self.operator, self.value)
        apply, other = OPERATORS[self.operator], right

        def compares(check: Check) -> bool:
            a, b = left(check), other(check)
            return a is not MISSING and b is not MISSING and apply(a, b)

        return compares

    def __str__(self) -> str:
        right = self.value_from or shown(getattr(self.value, "pattern", self.value))
        return f"{self.field} {self.operator} {right}"


def _only_text(value: object) -> bool:
    return isinstance(value, str) and as_number(value) is None


def _constant_test(
    left: Callable[[Check], Any], operator: str, value: Any
) -> Callable[[Check], bool]:
    """An operator with its constant: the usual types are compared without looking for numbers.

    What the short ways do not know goes the way of OPERATORS, so both always agree.
    """
    slow = OPERATORS[operator]
    number = as_number(value)

    def plainly(check: Check) -> bool:
        found = left(check)
        return found is not MISSING and slow(found, value)

    if operator in COMPARISONS and number is not None:
        compare = COMPARISONS[operator]

        def ordered(check: Check) -> bool:
            found = left(check)
            if type(found) in PLAIN_NUMBERS:
                return compare(found, number)
            return found is not MISSING and slow(found, value)

        return ordered
    if operator in ("eq", "ne") and _only_text(value):
        wanted = operator == "eq"

        def same(check: Check) -> bool:
            found = left(check)
            if type(found) is str:
                return (found == value) is wanted
            return found is not MISSING and slow(found, value)

        return same
    if operator in ("in", "nin") and isinstance(value, tuple) and all(map(_only_text, value)):
        items, inside = frozenset(value), operator == "in"

        def among(check: Check) -> bool:
            found = left(check)
            if type(found) is str:
                return (found in items) is inside
            return found is not MISSING and slow(found, value)

        return among
    if operator in ("contains", "ncontains") and _only_text(value):
        inside = operator == "contains"

        def has(check: Check) -> bool:
            found = left(check)
            if type(found) is str:
                return (value in found) is inside
            # An item that is this text is a member; one of another type may still be, as text.
            if type(found) in LISTS and value in found:
                return inside
            return found is not MISSING and slow(found, value)

        return has
    return plainly


def parse_condition(value: object, path: str) -> Condition:
    """Read one condition. Raises: FieldError for what SE14 calls a load error."""
    data = as_mapping(value, path)
    check_keys(data, ("field", "operator", "value", "value_from"), path)
    for name in ("field", "operator"):
        if name not in data:
            raise FieldError(f"{path}.{name}", "a value", "nothing")
    name = data["field"]
    if not isinstance(name, str) or not name:
        raise FieldError(f"{path}.field", "a field path", shown(name))
    operator = choice(data["operator"], ALL_OPERATORS, f"{path}.operator")
    source = data.get("value_from")
    if (source is None) == (data.get("value") is None):
        found = "nothing" if source is None else "both"
        raise FieldError(f"{path}.value", "exactly one of value and value_from", found)
    if source is not None:
        if not isinstance(source, str) or not source:
            raise FieldError(f"{path}.value_from", "a field path", shown(source))
        if operator in ("matches", "nmatches"):
            raise FieldError(f"{path}.value_from", "a constant value for matches", shown(source))
        return Condition(name, operator, value_from=source)
    return Condition(name, operator, _constant(operator, data["value"], f"{path}.value"))


def _constant(operator: str, value: Any, path: str) -> Any:
    """The constant in the form its operator needs."""
    if operator in ("matches", "nmatches"):
        if not isinstance(value, str):
            raise FieldError(path, "a regular expression", shown(value))
        try:
            return re.compile(value)
        except re.error as error:
            raise FieldError(path, f"a regular expression ({error})", shown(value)) from None
    if operator in EXISTENCE and not isinstance(value, bool):
        raise FieldError(path, "true or false", shown(value))
    if operator in ("lt", "gt", "lte", "gte") and as_number(value) is None:
        # Not a load error by SE14: text is compared, fails, and denies (SE3, FZ25).
        return value
    if operator in ("in", "nin"):
        if isinstance(value, list | tuple):
            if not value:
                raise FieldError(path, "a non-empty list", "[]")
            return tuple(value)
        if not isinstance(value, str):
            raise FieldError(path, "a list or a text", shown(value))
    return value
