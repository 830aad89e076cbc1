"""The name registry as pure data (processes.md §7): one holder per name, any number per holder."""

from __future__ import annotations

from trio_actors._core.errors import ErrorKind, make_error
from trio_actors._core.pid import Pid


def vet_name(name: str) -> None:
    """Refuses what can never be a name (R9)."""
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {type(name).__name__}")
    if not name:
        raise make_error(ErrorKind.INVALID, "name cannot be empty")


class Names:
    """The names of one node; its tables may be read directly on hot paths."""

    __slots__ = ("by_name", "by_pid")

    def __init__(self) -> None:
        self.by_name: dict[str, Pid] = {}
        self.by_pid: dict[Pid, dict[str, None]] = {}

    def check_free(self, name: str, pid: Pid | None = None) -> None:
        """Refuses an empty name (R9) and one that another process holds (R2)."""
        vet_name(name)
        holder = self.by_name.get(name)
        if holder is not None and holder != pid:
            raise make_error(ErrorKind.ALREADY_EXISTS, "name already registered")

    def register(self, name: str, pid: Pid) -> bool:
        """Gives the name to `pid`; False if it had it already (R2)."""
        self.check_free(name, pid)
        if name in self.by_name:
            return False
        self.by_name[name] = pid
        self.by_pid.setdefault(pid, {})[name] = None
        return True

    def count(self, pid: Pid) -> int:
        """How many names `pid` holds."""
        return len(self.by_pid.get(pid, ()))

    def unregister(self, name: str) -> bool:
        """Frees the name; False if nobody held it (R6)."""
        holder = self.by_name.pop(name, None)
        if holder is None:
            return False
        names = self.by_pid[holder]
        del names[name]
        if not names:
            del self.by_pid[holder]
        return True

    def release(self, pid: Pid) -> list[str]:
        """Frees all names of an ended process (R7) and returns them, oldest first."""
        names = self.by_pid.pop(pid, None)
        if names is None:
            return []
        for name in names:
            del self.by_name[name]
        return list(names)

    def lookup(self, name: str) -> Pid:
        """The holder (R5); ProcessNotFound if there is none, ProcessInvalid for no name (R9)."""
        pid = self.by_name.get(name)
        if pid is None:
            vet_name(name)
            raise make_error(ErrorKind.NOT_FOUND, "name not registered")
        return pid

    def names_of(self, pid: Pid) -> list[str]:
        """The names that a process holds, oldest first."""
        return list(self.by_pid.get(pid, ()))
