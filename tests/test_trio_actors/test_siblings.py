"""The sibling guard of style.md, Packaging."""

import sys
from pathlib import Path

import pytest

from trio_actors._siblings import SIBLINGS, check_siblings


def test_our_own_siblings_pass() -> None:
    """The packages of this installation carry the mark."""
    check_siblings()


@pytest.mark.parametrize("name", SIBLINGS)
def test_foreign_package_is_named_with_a_remedy(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package of the same name from elsewhere is refused, with its place and what to do."""
    foreign = tmp_path / name / "__init__.py"
    foreign.parent.mkdir()
    foreign.write_text("VERSION = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ImportError) as caught:
        check_siblings()
    assert caught.value.name == name
    assert str(foreign) in str(caught.value)
    assert "pip install --force-reinstall trio-actors" in str(caught.value)


def test_owner_distribution_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The distribution whose files are in the way is named."""
    foreign = tmp_path / "supervision" / "__init__.py"
    foreign.parent.mkdir()
    foreign.write_text("VERSION = 1\n")
    info = tmp_path / "supervision-9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-vision\nVersion: 9\n")
    (info / "top_level.txt").write_text("supervision\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "supervision", raising=False)
    with pytest.raises(ImportError, match="belongs to other-vision"):
        check_siblings()


def test_missing_sibling_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sibling whose files are gone is an ImportError that says how to get it back."""
    monkeypatch.setattr("trio_actors._siblings.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="cannot be found"):
        check_siblings()
