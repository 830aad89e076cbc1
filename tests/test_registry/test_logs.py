"""How log records look on the terminal: SU40, E8."""

import json
import logging
import re
from typing import Any

import pytest

from registry.cli.logs import JsonFormatter, TextFormatter
from supervision.reports import Record
from supervision.state import ReportKind

RESTARTING: dict[str, Any] = {
    "event": ReportKind.RESTARTING,
    "supervisor": "services",
    "child": "a:s",
    "pid": "{a:p|0x00002}",
    "reason": "no",
    "restarts": 1,
    "delay": 1.0299,
}
PRINTED: dict[str, Any] = {"pid": "{a:p|0x00002}", "entry": "a:m", "fields": {}}


def record_of(message: object, fields: dict[str, Any]) -> logging.LogRecord:
    """A record as `logger.info("%s", message, extra=fields)` makes it."""
    return logging.makeLogRecord({"name": "x", "msg": "%s", "args": (message,), **fields})


@pytest.mark.parametrize(
    ("message", "fields", "line"),
    [
        (Record(**RESTARTING), RESTARTING,
         "services: a:s {a:p|0x00002} restarting in 1.03 s (restart 1): no"),
        ("hi", PRINTED, "hi  pid={a:p|0x00002} entry=a:m"),
        ("hi", {**PRINTED, "fields": {"n": 0}}, "hi  pid={a:p|0x00002} entry=a:m fields={'n': 0}"),
    ],
)  # fmt: skip
def test_a_line_says_nothing_twice(message: object, fields: dict[str, Any], line: str) -> None:
    """Fields that are empty, or that its text has already, are left out; as JSON all are there."""
    record = record_of(message, fields)
    assert re.sub("^.* x: ", "", TextFormatter().format(record)) == line
    data = json.loads(JsonFormatter().format(record))
    assert {key: data[key] for key in fields} == fields
