"""What somebody may have meant by a message that no handler takes (pure)."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from trio_actors._core.message import Event, Message
from trio_actors._core.serving import HandlerTable

CUTOFF = 0.7  # names that only look a little alike are left alone


def guess(word: str, known: Collection[str]) -> str:
    """`; did you mean "x"?` if another known name is near, else nothing.

    >>> guess("pign", ["ping", "stop"]), guess("ping", ["ping"])
    ('; did you mean "ping"?', '')
    """
    near = get_close_matches(word, sorted({*known} - {word}), 1, CUTOFF)
    return f'; did you mean "{near[0]}"?' if near else ""


def hint(table: HandlerTable, item: Message | Event) -> str:
    """The end of an error text, from its semicolon on; nothing if nothing is to be guessed."""
    if isinstance(item, Event):
        return ""
    topic, payload = item.topic, item.payload
    kind = type(payload)
    if topic == kind.__name__:  # so `ask` and `cast` have called it
        if isinstance(payload, type):
            name = payload.__name__
            return f"; {name} is a class, and an object of it is wanted: {name}(...)"
        if kind.__module__ == "builtins":
            return "; ask and cast take an object of a class of yours, topics are for send"
        if topic in table.named:
            return f"; it has one for another {topic}, of {table.named[topic].__module__}"
    return guess(topic, [*table.by_topic, *table.named])
