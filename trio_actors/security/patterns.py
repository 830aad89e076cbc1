"""Patterns for actions and resources: exact text, `*`, or a prefix with one trailing `*`.

Rule: SE10. A list of patterns becomes one set and one tuple of prefixes, so that a look-up costs
one hash and one `startswith`, however many patterns there are.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from ..fields import FieldError, shown

__all__ = ["Patterns"]


@attrs.frozen(slots=True)
class Patterns:
    """A compiled list of patterns.

    >>> p = Patterns.parse(["a.*", "exact"])
    >>> p.matches("a.b.c"), p.matches("a"), p.matches("abc"), p.matches("exact")
    (True, False, False, True)
    """

    texts: tuple[str, ...]
    exact: frozenset[str]
    # `*` is the empty prefix.
    prefixes: tuple[str, ...]

    @classmethod
    def parse(cls, texts: Iterable[str], path: str = "pattern") -> Patterns:
        """Compile; FieldError for a `*` anywhere but at the end."""
        texts = tuple(texts)
        for text in texts:
            if "*" in text[:-1]:
                raise FieldError(
                    path, "an exact text, * or a prefix with one * at its end", shown(text)
                )
        return cls(
            texts,
            frozenset(text for text in texts if not text.endswith("*")),
            tuple(text[:-1] for text in texts if text.endswith("*")),
        )

    def matches(self, text: str) -> bool:
        """Whether any of the patterns matches; upper and lower case differ."""
        return text in self.exact or text.startswith(self.prefixes)
