"""Who asks: an actor has an id and free-form meta data. Rules: SE1, SE7."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

__all__ = ["Actor"]


def _frozen_meta(meta: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return MappingProxyType(copy.deepcopy(dict(meta or {})))


@attrs.frozen(slots=True, hash=False)
class Actor:
    """An identity that permissions are decided for; an empty id counts as an actor too."""

    id: str = attrs.field(validator=attrs.validators.instance_of(str))
    # Copied when the actor is made and read-only afterwards.
    meta: Mapping[str, Any] = attrs.field(default=None, converter=_frozen_meta)

    def __hash__(self) -> int:
        return hash(self.id)
