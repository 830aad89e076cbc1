"""Did concurrent operations behave as if done one at a time? (TS18)

The theory (Wing and Gong, with Lowe's memoisation): look for an order of the operations that the
model allows and that respects real time: what ended before another began comes first. The search
goes depth first over a list of beginnings and ends; a pair of (operations done, state) that failed
once is not tried again. Operations on different keys of an object do not meet, so a history is
cut by key first. An operation that is pending for ever may have taken effect at any time, or never.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Protocol

import attrs

from trio_actors.testing.history import History, Operation


class Model(Protocol):
    """What one operation may do to an object, one at a time."""

    def initial(self) -> Hashable:
        """The state before everything."""
        ...

    def steps(self, state: Any, name: str, args: tuple[Any, ...]) -> Iterable[tuple[Any, Hashable]]:
        """All (result, next state) that are possible; an exception class as result = it raises."""
        ...


@attrs.frozen(slots=True)
class NotLinearizable(Exception):
    """No order explains the history; `str()` shows how far one gets, and the operations' lanes."""

    key: Any
    best: list[Operation]
    stuck: list[Operation]
    operations: list[Operation]

    def __str__(self) -> str:
        lines = ["no order of the operations explains what came back"]
        if self.key is not None:
            lines[0] += f" (key {self.key!r})"
        lines.append(f"longest order that works, {len(self.best)} of {len(self.operations)}:")
        lines += [f"  {index:>3}  {op}" for index, op in enumerate(self.best, 1)]
        lines.append("none of these can come next:")
        lines += [f"       {op}" for op in self.stuck]
        lines += ["", lanes(self.operations)]
        return "\n".join(lines)


def linearizable(
    history: History | Iterable[Operation],
    model: Model,
    *,
    partition: Callable[[Operation], Hashable] | None = None,
) -> None:
    """Returns if some order of one operation at a time explains the history.

    Args:
        history: what `record` noted, or operations of your own.
        model: an object with `initial` and `steps`.
        partition: the key that an operation is about; keys must be independent of each other.

    Raises:
        NotLinearizable: none does.
    """
    operations = history.operations if isinstance(history, History) else list(history)
    parts: dict[Hashable, list[Operation]] = {}
    for operation in operations:
        key = partition(operation) if partition is not None else None
        parts.setdefault(key, []).append(operation)
    for key, part in parts.items():
        _check(key, part, model)


class _Entry:
    """A beginning or an end in the list of what is not ordered yet."""

    __slots__ = ("index", "match", "next", "prev")

    def __init__(self, index: int, match: _Entry | None) -> None:
        self.index = index
        self.match = match  # of a beginning: its end
        self.prev: _Entry | None = None
        self.next: _Entry | None = None


def _entries(operations: list[Operation]) -> _Entry:
    """The head of the list of beginnings and ends in order of time; pending ones end last."""
    moments: list[tuple[float, int, bool]] = []
    for index, operation in enumerate(operations):
        moments.append((operation.began, index, False))
        end = float("inf") if operation.ended is None else operation.ended
        moments.append((end, index, True))
    moments.sort(key=lambda moment: moment[0])
    ends: dict[int, _Entry] = {index: _Entry(index, None) for _, index, _ in moments}
    head = last = _Entry(-1, None)
    for _, index, is_end in moments:
        entry = ends[index] if is_end else _Entry(index, ends[index])
        last.next, entry.prev = entry, last
        last = entry
    return head


def _lift(entry: _Entry) -> None:
    for one in (entry, entry.match):
        assert one is not None
        assert one.prev is not None
        one.prev.next = one.next
        if one.next is not None:
            one.next.prev = one.prev


def _unlift(entry: _Entry) -> None:
    for one in (entry.match, entry):
        assert one is not None
        assert one.prev is not None
        one.prev.next = one
        if one.next is not None:
            one.next.prev = one


def _check(key: Any, operations: list[Operation], model: Model) -> None:
    head = _entries(operations)
    finished = sum(1 for operation in operations if operation.ended is not None)
    state: Any = model.initial()
    done = 0  # bits
    order: list[tuple[_Entry, Any, Iterator[Hashable]]] = []
    tried: set[tuple[int, Hashable]] = set()
    best: list[int] = []
    ordered_finished = 0
    entry = head.next
    states: Iterator[Hashable] | None = None
    while ordered_finished < finished:
        assert entry is not None
        if entry.match is not None:  # a beginning: try it next
            operation = operations[entry.index]
            if states is None:
                states = _next_states(model, state, operation)
            bits = done | 1 << entry.index
            for after in states:
                if (bits, after) not in tried:
                    tried.add((bits, after))
                    order.append((entry, state, states))
                    state, done = after, bits
                    ordered_finished += operation.ended is not None
                    _lift(entry)
                    entry = head.next
                    break
            else:
                entry = entry.next
            states = None
            if len(order) > len(best):
                best = [one.index for one, _, _ in order]
            continue
        if not order:  # an end that cannot be passed, and nothing to take back
            raise _failure(key, operations, best)
        entry, state, states = order.pop()
        done &= ~(1 << entry.index)
        ordered_finished -= operations[entry.index].ended is not None
        _unlift(entry)


def _next_states(model: Model, state: Any, operation: Operation) -> Iterator[Hashable]:
    for result, after in model.steps(state, operation.name, operation.args):
        if operation.ended is None or _matches(result, operation):
            yield after


def _matches(result: Any, operation: Operation) -> bool:
    if isinstance(result, type) and issubclass(result, BaseException):
        return isinstance(operation.error, result)
    return operation.error is None and bool(operation.result == result)


def _failure(key: Any, operations: list[Operation], best: list[int]) -> NotLinearizable:
    rest = [op for index, op in enumerate(operations) if index not in best]
    first_end = min((op.ended for op in rest if op.ended is not None), default=float("inf"))
    stuck = [op for op in rest if op.began < first_end]
    return NotLinearizable(key, [operations[index] for index in best], stuck, operations)


def lanes(operations: list[Operation], width: int = 76) -> str:
    """The operations of each client on a line of time."""
    if not operations:
        return ""
    clients = list(dict.fromkeys(operation.client for operation in operations))
    shown = operations[-40:]
    first = min(op.began for op in shown)
    last = max(op.ended or op.began + 1 for op in shown) + 1
    label = max(len(client) for client in clients)
    scale = max(1.0, (width - label) / max(1, last - first))
    lines = []
    for client in clients:
        line = ""
        for op in (op for op in shown if op.client == client):
            start = int((op.began - first) * scale)
            end = width - label if op.ended is None else int((op.ended - first) * scale)
            what = str(op).partition(": ")[2].replace(" -> ", "=")
            body = what.center(max(0, end - start - 1), "-")
            line = line.ljust(start) + "|" + body + ("" if op.ended is None else "|")
        lines.append(f"{client:>{label}} {line}")
    return "\n".join(lines)
