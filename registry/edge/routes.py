"""Which endpoint a path and a method mean. Pure.

Literal segments win over `{name}`, and that over `{name:path}`, which takes the rest of a path.

Rules: HT1 (the same method and path twice), HT6 (404, 405 with Allow).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

SEGMENT = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(:path)?\}")


class PatternError(ValueError):
    """A path that is no pattern."""


@attrs.frozen(slots=True)
class Pattern:
    """A path with `{name}` segments.

    >>> Pattern.of("/users/{id}").matches("/users/7"), Pattern.of("/a").matches("/b")
    ({'id': '7'}, None)
    """

    text: str
    regex: re.Pattern[str]
    # Literal before name before rest: sorted by this, the first match is the best one.
    rank: tuple[int, ...]
    # The same for paths that differ only in the names of their parameters.
    shape: str

    @staticmethod
    def of(text: str) -> Pattern:
        """The pattern that a text means. Raises: PatternError."""
        if not text.startswith("/"):
            raise PatternError('a path that begins with "/"')
        parts, rank, shape, names = [], [], [], set()
        segments = text[1:].split("/")
        for index, segment in enumerate(segments):
            found = SEGMENT.fullmatch(segment)
            if found is None:
                if "{" in segment or "}" in segment:
                    raise PatternError("{name} as a whole segment")
                parts.append(re.escape(segment))
                rank.append(0)
                shape.append(segment)
                continue
            name, rest = found.groups()
            if name in names:
                raise PatternError(f"different names, {name} stands there twice")
            if rest and index + 1 < len(segments):
                raise PatternError("{name:path} as the last segment")
            names.add(name)
            parts.append(f"(?P<{name}>{'.*' if rest else '[^/]+'})")
            rank.append(2 if rest else 1)
            shape.append("{*}" if rest else "{}")
        regex = re.compile("/" + "/".join(parts), re.DOTALL)
        return Pattern(text, regex, tuple(rank), "/" + "/".join(shape))

    def matches(self, path: str) -> dict[str, str] | None:
        """The parameters if the path fits, else None."""
        found = self.regex.fullmatch(path)
        return None if found is None else found.groupdict()


def full_path(prefix: str, path: str) -> str:
    """The path of an endpoint below its router's prefix.

    >>> full_path("/api/", "/users"), full_path("", "/"), full_path("/api", "/")
    ('/api/users', '/', '/api/')
    """
    return prefix.rstrip("/") + path


@attrs.frozen(slots=True)
class Route:
    """One method at one path, and whatever it leads to."""

    method: str
    pattern: Pattern
    target: Any


@attrs.frozen(slots=True)
class Found:
    """The route of a request."""

    route: Route
    params: Mapping[str, str]


@attrs.frozen(slots=True)
class OtherMethods:
    """The path is known, with these methods."""

    allow: tuple[str, ...]


@attrs.frozen(slots=True)
class Unknown:
    """No route has that path."""


class Routes:
    """The routes of a server; never changes, so a request sees one version of them."""

    def __init__(self, routes: Iterable[Route] = ()) -> None:
        self._fixed: dict[str, dict[str, Route]] = {}
        patterns: dict[str, dict[str, Route]] = {}
        for route in routes:
            literal = not any(route.pattern.rank)
            table = self._fixed if literal else patterns
            table.setdefault(route.pattern.shape, {})[route.method] = route
        self._open = sorted(patterns.values(), key=lambda found: _first(found).pattern.rank)

    def find(self, method: str, path: str) -> Found | OtherMethods | Unknown:
        """What a request means; HEAD falls back to GET."""
        methods: set[str] = set()
        for by_method in self._candidates(path):
            route = by_method.get(method) or (by_method.get("GET") if method == "HEAD" else None)
            if route is not None:
                return Found(route, route.pattern.matches(path) or {})
            methods.update(by_method)
        return OtherMethods(tuple(sorted(methods))) if methods else Unknown()

    def _candidates(self, path: str) -> Iterator[dict[str, Route]]:
        fixed = self._fixed.get(path)
        if fixed is not None:
            yield fixed
        for by_method in self._open:
            if _first(by_method).pattern.matches(path) is not None:
                yield by_method


def _first(by_method: Mapping[str, Route]) -> Route:
    return next(iter(by_method.values()))
