"""Entry ids: GC7, GC8."""

import pytest

from registry.ids import EntryId, id_text, parse_id, resolve


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("app:worker", EntryId("app", "worker")),
        ("a:b:c", EntryId("a", "b:c")),
        ("x", EntryId("", "x")),
        (":x", EntryId("", "x")),
        ("", EntryId("", "")),
        ("a.b:c", EntryId("a.b", "c")),
    ],
)
def test_ids_split_at_the_first_colon(text: str, expected: EntryId) -> None:
    """GC7: `namespace:name`, without a colon the namespace is empty."""
    assert parse_id(text) == expected


@pytest.mark.parametrize("text", ["app:worker", "a:b:c", "x"])
def test_an_id_is_its_text_again(text: str) -> None:
    """GC7: the two parts give the text back."""
    assert str(parse_id(text)) == text


def test_a_mapping_of_ns_and_name_is_an_id() -> None:
    """GC7: YAML and registry calls accept `{ns, name}`; anything else is none."""
    assert id_text({"ns": "app", "name": "x"}) == "app:x"
    assert id_text("app:x") == "app:x"
    for wrong in ({"ns": "a"}, {"ns": "a", "name": 1}, {"ns": "a", "name": "b", "c": 1}, 3, None):
        assert id_text(wrong) is None


def test_a_bare_reference_means_the_own_namespace() -> None:
    """GC8: a reference without a colon means the entry's own namespace."""
    assert resolve("worker", "app") == "app:worker"
    assert resolve("lib:util", "app") == "lib:util"
