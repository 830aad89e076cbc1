"""Applications as text: `write_app({"main.yaml": ...})` gives a directory to load."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

WriteApp = Callable[[Mapping[str, str]], Path]


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime directory of its own, so that no test sees another one's control sockets."""
    path = Path(tempfile.mkdtemp(prefix="ta-"))  # tmp_path is too long for a socket
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(path))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def write_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteApp:
    """Write files below `app/` of a fresh current directory and return the path `app`."""
    monkeypatch.chdir(tmp_path)

    def write(files: Mapping[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / "app" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text), encoding="utf-8")
        return Path("app")

    return write


@pytest.fixture
def problems(write_app: WriteApp) -> Callable[..., list[str]]:
    """The report lines for an application's files, [] when it loads."""
    from registry import LoadError, read_application

    def report(files: Mapping[str, str], **options: object) -> list[str]:
        try:
            read_application(write_app(files), **options)  # type: ignore[arg-type]
        except LoadError as error:
            return str(error).splitlines()
        return []

    return report
