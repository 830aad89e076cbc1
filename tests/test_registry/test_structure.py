"""Strict reading of entry data into models: I10, LD4, GC6, GC8, Y30, PG2."""

from typing import Annotated, Any, Literal

import attrs
import pytest

from registry.fields import AnyRef, Ref, Seconds, Text, Texts, Within, setting
from registry.references import Reference, references_of, resolved
from registry.structure import Mistake, structure, structure_known


@attrs.frozen
class Inner:
    number: int = 0
    link: AnyRef | None = None


@attrs.frozen
class Outer:
    required: Text
    flag: bool = False
    number: int = 1
    few: Annotated[int, Within(1, 3)] = 1
    ratio: float = 0.5
    plain: str = ""
    limit: Seconds = 1.0
    word: Literal["one", "two", "three"] = "one"
    many: tuple[int, ...] = ()
    names: Texts = ()
    table: dict[str, Annotated[str, Ref(("library.lua",))]] = attrs.field(factory=dict)
    inner: Inner = attrs.field(factory=Inner)
    inners: tuple[Inner, ...] = ()
    maybe: int | None = None
    free: Any = None
    target: Annotated[str, Ref(("process.*",))] | None = setting("what runs", default=None)


def test_right_values_become_the_model() -> None:
    """Every field type with a value of its own kind; numbers of seconds are exact."""
    data = {
        "required": "x", "flag": True, "number": 3, "few": 3, "ratio": 2, "plain": "",
        "limit": "1m30s", "word": "two", "many": [1, 2], "names": "one", "table": {"a": "lib:b"},
        "inner": {"number": 5}, "inners": [{"link": {"ns": "a", "name": "b"}}], "maybe": None,
        "free": [{"any": "thing"}], "target": "p",
    }  # fmt: skip
    assert structure(data, Outer) == Outer(
        "x", True, 3, 3, 2.0, "", 90.0, "two", (1, 2), ("one",), {"a": "lib:b"}, Inner(5),
        (Inner(0, "a:b"),), None, [{"any": "thing"}], "p",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "expected", "got"),
    [
        ("required", "", "a text that is not empty", '""'),
        ("required", 3, "a text that is not empty", "3"),
        ("flag", 1, "true or false", "1"),
        ("flag", "true", "true or false", '"true"'),
        ("number", "7", "an integer", '"7"'),
        ("number", True, "an integer", "true"),
        ("number", 1.5, "an integer", "1.5"),
        ("number", None, "an integer", "null"),
        ("few", 4, "an integer from 1 to 3", "4"),
        ("ratio", "1", "a number", '"1"'),
        ("plain", 5, "a text", "5"),
        ("limit", "5", 'a number of milliseconds or a duration such as "1.5s"', '"5"'),
        ("limit", "-5s", "a duration that is not negative", '"-5s"'),
        ("limit", True, 'a number of milliseconds or a duration such as "1.5s"', "true"),
        ("many", "12", "a list", '"12"'),
        ("names", 3, "a text or a list of texts", "3"),
        ("table", ["a"], "a mapping", '["a"]'),
        ("inner", 5, "a mapping", "5"),
        ("maybe", "x", "an integer", '"x"'),
        ("target", 5, "the id of a process.*", "5"),
    ],
)
def test_a_wrong_value_is_named(field: str, value: object, expected: str, got: str) -> None:
    """LD4: nothing is converted silently; expected and found are said."""
    assert structure({"required": "x", field: value}, Outer) == [Mistake((field,), expected, got)]


def test_all_mistakes_come_at_once_with_their_paths() -> None:
    """LD3: unknown, missing and wrong fields at any depth, together."""
    data = {
        "word": "tow", "many": [1, "b", None], "table": {"a": 1},
        "inner": {"numbr": 1}, "inners": [{}, {"number": "x"}], "rquired": "y",
    }  # fmt: skip
    found = structure(data, Outer)
    assert {(mistake.path, mistake.expected, mistake.got) for mistake in found} == {
        (("required",), "a text that is not empty", "nothing"),
        (("word",), "one, two or three", '"tow"'),
        (("many", 1), "an integer", '"b"'),
        (("many", 2), "an integer", "null"),
        (("table", "a"), "the id of a library.lua", "1"),
        (("inner", "numbr"), "number or link", '"numbr"'),
        (("inners", 1, "number"), "an integer", '"x"'),
        (
            ("rquired",),
            "required, flag, number, few, ratio, plain, limit, word, many, names, table, inner, "
            "inners, maybe, free or target",
            '"rquired"',
        ),
    }
    (missing,) = (mistake for mistake in found if mistake.is_missing)
    assert missing.path == ("required",)


def test_free_fields_pass_where_only_some_are_known() -> None:
    """LD7: `meta` is free-form apart from the keys that a kind knows."""
    assert structure_known({"number": 3, "other": object()}, Inner) == Inner(3)
    assert structure_known({"number": "3"}, Inner) == [Mistake(("number",), "an integer", '"3"')]


def test_references_are_found_by_their_types_and_completed() -> None:
    """LD6, GC8: at any depth, in field order; a bare name is of the entry's namespace."""
    model = Outer(
        "x", table={"u": "lib:u", "v": "v"}, inner=Inner(0, "here"),
        inners=(Inner(), Inner(1, "a:b")), target="p",
    )  # fmt: skip
    full = resolved(model, "app")
    assert references_of(full) == (
        Reference(("table", "u"), "lib:u", Ref(("library.lua",))),
        Reference(("table", "v"), "app:v", Ref(("library.lua",))),
        Reference(("inner", "link"), "app:here", Ref()),
        Reference(("inners", 1, "link"), "a:b", Ref()),
        Reference(("target",), "app:p", Ref(("process.*",))),
    )
    assert resolved(full, "other") == full


@pytest.mark.parametrize(
    ("value", "seconds"), [(1500, 1.5), ("1.5s", 1.5), (0, 0.0), ("0", 0.0), (0.5, 0.0005)]
)
def test_a_number_is_milliseconds(value: object, seconds: float) -> None:
    """GC6, Y30: a number is milliseconds, a text has units."""
    assert structure({"required": "x", "limit": value}, Outer).limit == seconds


def test_zero_means_the_default_where_the_rule_says_so() -> None:
    """Y30: a zero duration, a zero factor or an empty text means the default."""
    from registry.kinds.lifecycle import Lifecycle, Restart

    restart = {"initial_delay": 0, "max_delay": "0", "backoff_factor": 0, "jitter": 0}
    data = {"start_timeout": 0, "stop_timeout": "", "stable_threshold": "0s", "restart": restart}
    assert structure(data, Lifecycle) == Lifecycle(restart=Restart(jitter=0.0))
