"""Schedules: which messages were late and by how much, and what was broken; as text, a token.

The theory: without a schedule, deliveries are made in the order in which they were posted (FIFO),
and time passes only when nothing is in transit. A schedule names the exceptions. `w>registry.1+2`:
message 1 from w to registry is held, once it is first in its pair, until two other deliveries were
made. `!echo<c0.1=kill`: when message 1 from c0 reaches echo, echo is killed. Number 0 of a pair is
the start of the receiver. In this form a failing order of hundreds of deliveries shrinks to one or
two annotations; a list of choices does not (rejected).

An annotation whose message does not occur is ignored, so any subset of a schedule is a schedule.

`!tasks<youngest.1=on` is about a whole run: tasks that can run in the same step do so youngest
first, not oldest first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import ClassVar, NamedTuple, Self
from urllib.parse import quote, unquote

import attrs

_UNSAFE = re.compile(r"[>+;!<=%\s\ud800-\udfff]")  # the last cannot be encoded
_LATE = re.compile(r"(?P<src>[^>]+)>(?P<dst>.+)\.(?P<n>\d+)\+(?P<late>\d+)")
_FAULT = re.compile(
    r"!(?P<dst>[^<]+)<(?P<src>.+)\.(?P<n>\d+)=(?P<kind>[a-z]+)(:(?P<arg>-?\d+(\.\d+)?))?"
)

FAULT_KINDS = ("kill", "delay", "drop", "dup", "crash", "slow", "jump", "on")


class MessageId(NamedTuple):
    """Names one delivery the same way in every run: sender, receiver, number within the pair."""

    src: str
    dst: str
    n: int

    def __str__(self) -> str:
        return f"{self.src}>{self.dst}.{self.n}"

    @classmethod
    def parse(cls, text: str) -> MessageId:
        """From `src>dst.n`; ValueError with the form that is expected."""
        match = _LATE.fullmatch(text + "+0")
        if match is None:
            raise ValueError(f"not a message id: {text!r}; expected sender>receiver.number")
        return cls(match["src"], match["dst"], int(match["n"]))


class Fault(NamedTuple):
    """What goes wrong at a delivery: a kind of FAULT_KINDS and its number (seconds), if it has."""

    kind: str
    arg: float | None = None

    def __str__(self) -> str:
        if self.arg is None:
            return self.kind
        return f"{self.kind}:{f'{self.arg:.6f}'.rstrip('0').rstrip('.')}"


class Annotation(NamedTuple):
    """One exception from FIFO: a lateness or a fault."""

    id: MessageId
    late: int = 0
    fault: Fault | None = None

    def __str__(self) -> str:
        if self.fault is not None:
            return f"!{self.id.dst}<{self.id.src}.{self.id.n}={self.fault}"
        return f"{self.id}+{self.late}"


@attrs.frozen(slots=True)
class Schedule:
    """A replayable order of deliveries with its faults; `str()` is the replay token (TS14)."""

    late: Mapping[MessageId, int] = attrs.field(factory=dict)
    faults: Mapping[MessageId, Fault] = attrs.field(factory=dict)

    FIFO: ClassVar[Self]

    @classmethod
    def of(cls, annotations: Iterable[Annotation]) -> Schedule:
        """The schedule of these annotations; of two for one message the later wins."""
        late: dict[MessageId, int] = {}
        faults: dict[MessageId, Fault] = {}
        for annotation in annotations:
            if annotation.fault is not None:
                faults[annotation.id] = annotation.fault
            elif annotation.late:
                late[annotation.id] = annotation.late
        return cls(late, faults)

    @classmethod
    def parse(cls, token: str) -> Schedule:
        """From a token such as `w>registry.1+2;!echo<c0.1=kill`.

        Raises:
            ValueError: naming the annotation that cannot be read, and the two forms that can.
        """
        text = token.strip()
        if text in ("", "FIFO"):
            return cls()
        return cls.of(parse_annotation(part.strip()) for part in text.split(";") if part.strip())

    def annotations(self) -> list[Annotation]:
        """The faults, then the lateness: the order in which shrinking tries to drop them."""
        faults = [Annotation(id, fault=fault) for id, fault in self.faults.items()]
        return faults + [Annotation(id, late) for id, late in self.late.items()]

    def __str__(self) -> str:
        late = [str(Annotation(id, late)) for id, late in self.late.items()]
        faults = [str(Annotation(id, fault=fault)) for id, fault in self.faults.items()]
        return ";".join(late + faults) or "FIFO"


Schedule.FIFO = Schedule()

YOUNGEST = MessageId("youngest", "tasks", 1)
YOUNGEST_FIRST = Schedule({}, {YOUNGEST: Fault("on")})


def parse_annotation(text: str) -> Annotation:
    """One annotation of a token; see `Schedule.parse`."""
    late = _LATE.fullmatch(text)
    if late is not None:
        id = MessageId(late["src"], late["dst"], int(late["n"]))
        return Annotation(id, int(late["late"]))
    fault = _FAULT.fullmatch(text)
    if fault is not None:
        if fault["kind"] not in FAULT_KINDS:
            kinds = ", ".join(FAULT_KINDS)
            raise ValueError(f"unknown fault {fault['kind']!r} in {text!r}; known: {kinds}")
        id = MessageId(fault["src"], fault["dst"], int(fault["n"]))
        arg = None if fault["arg"] is None else float(fault["arg"])
        return Annotation(id, fault=Fault(fault["kind"], arg))
    raise ValueError(
        f"cannot read {text!r} in a schedule; expected sender>receiver.number+lateness"
        " or !receiver<sender.number=fault"
    )


@lru_cache(maxsize=4096)
def safe_label(text: str) -> str:
    """A process's name as it may stand in a token: reserved characters are written as %xx."""
    return _UNSAFE.sub(lambda match: quote(match[0], safe="", errors="surrogatepass"), text)


def plain_label(label: str) -> str:
    """The name that `safe_label` was given."""
    return unquote(label, errors="surrogatepass")
