"""What somebody may have meant by a message that no handler takes (pure)."""

from __future__ import annotations

from trio_actors._core.message import Event, Message
from trio_actors._core.nearest import nearest
from trio_actors._core.serving import HandlerTable


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
    near = nearest(topic, {*table.by_topic, *table.named} - {topic})
    return f'; did you mean "{near}"?' if near else ""
