"""What one Lua process may use (`limits:` of an entry), with safe defaults (decision 7)."""

import attrs

from trio_actors import ProcessInvalid

MEGABYTE = 1 << 20
QUANTUM = 50_000  # instructions between two looks of the hook: some 0.3 ms
FINE_QUANTUM = 10_000  # for processes that may only use few
SLACK = 16 * MEGABYTE  # between the soft limit, where a process ends, and the one Lua enforces


def _positive(instance: object, attribute: "attrs.Attribute[int]", value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ProcessInvalid(f"limits.{attribute.name}: expected a positive integer, got {value!r}")


@attrs.frozen
class Limits:
    """Bounds of one process; reaching one ends it with RATE_LIMITED and a text that names it.

    Attributes:
        instructions: of one step, from one blocking operation to the next (TM8).
        memory: bytes of the Lua state, which up to 500 processes share unless isolated.
        message_size: bytes of one message, argument list or result.
        coroutines, channels, timers: alive at one time.
        isolated: a Lua state of its own, so that `memory` counts this process alone.
    """

    instructions: int = attrs.field(default=50_000_000, validator=_positive)
    memory: int = attrs.field(default=128 * MEGABYTE, validator=_positive)
    message_size: int = attrs.field(default=4 * MEGABYTE, validator=_positive)
    coroutines: int = attrs.field(default=10_000, validator=_positive)
    channels: int = attrs.field(default=10_000, validator=_positive)
    timers: int = attrs.field(default=10_000, validator=_positive)
    isolated: bool = False
    shared: tuple[int | bool, ...] = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        key = (
            self.memory,
            self.message_size,
            self.coroutines,
            self.channels,
            self.timers,
            self.isolated,
            self.quantum,
        )
        object.__setattr__(self, "shared", key)  # what processes in one state have in common

    @property
    def quantum(self) -> int:
        """How exactly instructions are counted."""
        return QUANTUM if self.instructions >= 20 * QUANTUM else FINE_QUANTUM


DEFAULT_LIMITS = Limits()
