"""A reference model of the name registry (R1-R9): names, and who lives."""


class Names:
    """Names of processes that are numbers."""

    def __init__(self, count: int) -> None:
        self.alive = set(range(count))
        self.holder: dict[str, int] = {}

    def register(self, who: int, name: str) -> str | None:
        """R1-R3, R9; the kind of the refusal or None."""
        if not name:
            return "Invalid"
        if self.holder.get(name, who) != who:
            return "AlreadyExists"
        self.holder[name] = who
        return None

    def unregister(self, who: int, name: str) -> bool | str:
        """R6, R9: only one's own without an explicit allow."""
        if not name:
            return "Invalid"
        if name not in self.holder:
            return False
        if self.holder[name] != who:
            return "PermissionDenied"
        del self.holder[name]
        return True

    def lookup(self, name: str) -> int | str:
        """R5, R9."""
        return "Invalid" if not name else self.holder.get(name, "NotFound")

    def end(self, who: int) -> None:
        """R7."""
        self.alive.discard(who)
        self.holder = {name: holder for name, holder in self.holder.items() if holder != who}
