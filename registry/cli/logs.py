"""Log records on standard error, as text or as one JSON object per line.

Everything logs through the standard `logging`; fields given by `extra=` come after the text, or are
keys of the JSON object.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

# What every record has; everything else came by `extra=`.
_ORDINARY = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


class Level(StrEnum):
    """The lowest level shown."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Format(StrEnum):
    """How records are written."""

    TEXT = "text"
    JSON = "json"


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """The structured fields of a record."""
    return {key: value for key, value in vars(record).items() if key not in _ORDINARY}


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


class TextFormatter(logging.Formatter):
    """`12:30:01.250 INFO  supervision: service app:x started  pid={app:h|0x00001}`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line with the fields that say more than its text, and the traceback below it."""
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        text = f"{time} {record.levelname:<7} {record.name}: {record.getMessage()}"
        shown = {key: _shown(value) for key, value in fields_of(record).items() if value}
        # Many texts are made from the fields: what they say is not said again.
        extra = " ".join(f"{key}={value}" for key, value in shown.items() if value not in text)
        lines = [f"{text}  {extra}" if extra else text]
        if record.exc_info:
            lines.append(self.formatException(record.exc_info))
        return "\n".join(lines)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, message, the record's fields, error."""

    def format(self, record: logging.LogRecord) -> str:
        """The object as text; values that JSON does not know become their text."""
        data: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            data["error"] = self.formatException(record.exc_info)
        return json.dumps(data, ensure_ascii=False, default=str)


def configure(level: Level, format: Format) -> None:
    """Send all log records to standard error from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if format is Format.JSON else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def silence() -> None:
    """Show no more records: the process on the terminal wants it for itself (`hide_logs`)."""
    logging.getLogger().handlers[:] = [logging.NullHandler()]
