"""The example's own Python modules, importable as the application imports them."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOGWATCH = ROOT / "examples" / "logwatch"

for _path in (LOGWATCH, ROOT / "examples" / "swarm"):
    if str(_path) not in sys.path:
        sys.path.insert(0, str(_path))


@pytest.fixture
def logwatch() -> Path:
    """The directory of the example."""
    return LOGWATCH
