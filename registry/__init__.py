"""Applications described in YAML: entries, kinds, loading, the running application.

Start reading at `definitions.py` (an application from files), `kind.py` (what a kind is) and
`app.py` (the one place that puts the packages together).
"""

from registry.app import App, open_app
from registry.definitions import Application, read_application
from registry.entry import Entry
from registry.fields import Described, Duration, Ref, Seconds, Text, Texts, Within, setting
from registry.ids import EntryId, parse_id
from registry.kind import BaseKind, Definition, Finding, Kind
from registry.problems import LoadError, Position, Problem
from registry.references import Reference
from registry.terminal import Terminal, terminal

__distribution__ = "trio-actors"

__all__ = [
    "App",
    "Application",
    "BaseKind",
    "Definition",
    "Described",
    "Duration",
    "Entry",
    "EntryId",
    "Finding",
    "Kind",
    "LoadError",
    "Position",
    "Problem",
    "Ref",
    "Reference",
    "Seconds",
    "Text",
    "Texts",
    "Within",
    "open_app",
    "parse_id",
    "read_application",
    "setting",
    "Terminal",
    "terminal",
]
