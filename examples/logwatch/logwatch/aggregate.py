"""What the scored lines add up to. Pure; the order in which lines arrive changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs


@attrs.define(slots=True, eq=False)
class Client:
    """One client's requests."""

    requests: int = 0
    score: int = 0
    tags: Counter[str] = attrs.field(factory=Counter)


@attrs.define(slots=True, eq=False)
class Aggregate:
    """Sums of the verdicts up to number `last`."""

    last: int = 0
    statuses: Counter[int] = attrs.field(factory=Counter)
    sent: int = 0  # bytes
    clients: dict[str, Client] = attrs.field(factory=dict)
    minutes: Counter[tuple[str, str]] = attrs.field(factory=Counter)  # requests per client, minute

    def add(self, number: int, result: Mapping[str, Any]) -> bool:
        """Adds a verdict; False, and nothing changes, if it is not the next one."""
        if number != self.last + 1:
            return False
        self.last = number
        name = result["client"]
        client = self.clients.setdefault(name, Client())
        client.requests += 1
        client.score += result["score"]
        client.tags.update(result["tags"])
        self.statuses[result["status"]] += 1
        self.sent += result["bytes"]
        self.minutes[name, result["minute"]] += 1
        return True

    def alerts(self, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Clients whose score reaches `settings.alert`, or with `settings.burst` in a minute."""
        busiest: Counter[str] = Counter()
        for (name, _), requests in self.minutes.items():
            busiest[name] = max(busiest[name], requests)
        limit, burst = settings.get("alert", 0), settings.get("burst", 0)
        found = []
        for name, client in self.clients.items():
            reasons = dict(sorted(client.tags.items()))
            if burst and busiest[name] >= burst:
                reasons["burst"] = busiest[name]
            if "burst" in reasons or (limit and client.score >= limit):
                found.append(
                    {
                        "client": name,
                        "score": client.score,
                        "requests": client.requests,
                        "reasons": reasons,
                    }
                )
        order = ("score", "requests")
        return sorted(found, key=lambda a: (*(-a[name] for name in order), a["client"]))

    def summary(self) -> dict[str, Any]:
        """The sums for a report."""
        return {
            "statuses": {str(status): n for status, n in sorted(self.statuses.items())},
            "bytes": self.sent,
            "clients": len(self.clients),
        }
