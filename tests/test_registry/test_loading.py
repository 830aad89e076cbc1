"""Files, namespaces, file texts, environment: I5-I8, LD1, LD2, and the form of every report."""

from collections.abc import Callable

import pytest

from registry import read_application

Report = Callable[..., list[str]]
HEAD = "namespace: app\nentries:\n"


def test_six_kinds_of_error_are_six_lines(problems: Report) -> None:
    """SC32, I10, I13, I14, LD3-LD5: wrong type, unknown field, unknown kind, dangling host,
    duplicate id and syntax error are reported together, in file and line order."""
    assert problems(
        {
            "a.yaml": """\
                namespace: app
                entries:
                  - name: processes
                    kind: process.host
                    host:
                      max_processes: ten
                      worker: 2
                  - name: ticker
                    kind: proces.lua
                    source: return 1
                  - name: service
                    kind: process.service
                    process: ticker
                    host: procesess
                  - name: data
                    kind: registry.entry
                """,
            "sub/b.yml": """\
                namespace: app
                name: data
                kind: registry.entry
                """,
            "sub/c.yaml": "namespace: app\nentries:\n  - name: x\n   kind: registry.entry\n",
        }
    ) == [
        "app/a.yaml:6:22: entry app:processes: host.max_processes: expected an integer of at "
        'least 0, got "ten"',
        "app/a.yaml:7:7: entry app:processes: host.worker: expected workers or max_processes, "
        'got "worker"; did you mean "workers"?',
        'app/a.yaml:9:11: entry app:ticker: kind: expected a known kind, got "proces.lua"; '
        'did you mean "process.lua"?',
        "app/a.yaml:14:11: entry app:service: host: expected the id of a process.host or "
        'terminal.host, got "app:procesess", which does not exist; did you mean "app:processes"?',
        'app/sub/b.yml:2:7: entry app:data: name: expected an id of its own, got "app:data" '
        "again, first at app/a.yaml:15:11",
        "app/sub/c.yaml:4:4: expected valid YAML, got a syntax error: expected <block end>, but "
        "found '<block mapping start>' (while parsing a block collection)",
    ]


def test_each_of_two_duplicates_keeps_its_own_mistakes(problems: Report) -> None:
    """I13, LD5: a duplicate id hides no other mistake."""
    assert problems(
        {
            "a.yaml": HEAD
            + "  - {name: x, kind: process.host, host: {worker: 1}}\n"
            + "  - {name: x, kind: process.host, host: {max_processes: ten}}\n"
        }
    ) == [
        "app/a.yaml:3:42: entry app:x: host.worker: expected workers or max_processes, "
        'got "worker"; did you mean "workers"?',
        'app/a.yaml:4:12: entry app:x: name: expected an id of its own, got "app:x" '
        "again, first at app/a.yaml:3:12",
        "app/a.yaml:4:57: entry app:x: host.max_processes: expected an integer of at "
        'least 0, got "ten"',
    ]


def test_every_yaml_file_below_the_directory_is_read(write_app: Callable[..., object]) -> None:
    """I5, I6, LD1: names and depth mean nothing; one namespace in two files, `entries` empty."""
    path = write_app(
        {
            "one.yaml": "namespace: a\nname: x\nkind: registry.entry\n",
            "deep/er/two.yml": "namespace: a\nentries: []\n",
            "deep/three.yaml": "namespace: b\nentries: [{name: x, kind: registry.entry}]\n",
            "deep/four.txt": "nothing",
            ".hidden/five.yaml": "nonsense: [",
        }
    )
    assert sorted(read_application(path).definitions) == ["a:x", "b:x"]  # type: ignore[arg-type]


def test_one_file_is_an_application(write_app: Callable[..., object]) -> None:
    """I5: the one file given."""
    write_app({"a.yaml": "namespace: a\nentries: []\n", "b.yaml": "nonsense: ["})
    assert not read_application("app/a.yaml").definitions


def test_meta_of_the_file_is_merged_and_the_entry_wins(write_app: Callable[..., object]) -> None:
    """I6, I7: name, kind and meta are structure, the rest is data."""
    path = write_app(
        {
            "a.yaml": """\
                version: "1.0"
                namespace: app
                meta: {owner: us, tier: 1}
                entries:
                  - {name: x, kind: registry.entry, meta: {tier: 2}, size: 3, data: 4}
                """
        }
    )
    entry = read_application(path).definitions["app:x"].entry  # type: ignore[arg-type]
    assert (entry.meta, entry.data) == ({"owner": "us", "tier": 2}, {"size": 3, "data": 4})


def test_file_values_become_the_text_of_the_file(write_app: Callable[..., object]) -> None:
    """I8: relative to the directory of the YAML file, at any depth of the data."""
    path = write_app(
        {
            "sub/a.yaml": HEAD
            + "- {name: x, kind: registry.entry, deep: [{t: file://../lua/x.lua}]}\n",
            "lua/x.lua": "return ${env:NOTHING}\n",
        }
    )
    entry = read_application(path, environ={}).definitions["app:x"].entry  # type: ignore[arg-type]
    assert entry.data == {"deep": [{"t": "return ${env:NOTHING}\n"}]}
    assert entry.text_source(("deep", 0, "t")) == ("app/lua/x.lua", 1)


def test_file_values_stay_inside_the_application(problems: Report) -> None:
    """I8: leaving the application directory is refused; a missing file comes with a guess."""
    assert problems(
        {
            "a.yaml": HEAD
            + "- {name: x, kind: registry.entry, t: file://../../etc/passwd}\n"
            + "- {name: y, kind: registry.entry, t: file://skript.lua}\n",
            "script.lua": "return 1",
        }
    ) == [
        "app/a.yaml:3:38: entry app:x: t: expected a file below the application directory, "
        'got "file://../../etc/passwd"',
        'app/a.yaml:4:38: entry app:y: t: expected a readable text file, got "file://skript.lua" '
        '(FileNotFoundError); did you mean "file://script.lua"?',
    ]


def test_a_value_that_could_not_be_had_is_told_once(problems: Report) -> None:
    """LD3: of a missing file and an unset variable nothing else is said, of other fields it is."""
    assert problems(
        {
            "a.yaml": HEAD
            + '- {name: x, kind: process.lua, source: "file://nix.lua", methd: m}\n'
            + "- {name: y, kind: http.service, addr: '${env:NIX_ADDR}'}\n"
            + "- {name: z, kind: process.service, process: '${env:NIX_P}', host: no}\n"
            + "- {name: '${env:NIX_NAME}', kind: registry.entry}\n",
        }
    ) == [
        'app/a.yaml:3:40: entry app:x: source: expected a readable text file, got "file://nix.lua" '
        "(FileNotFoundError)",
        "app/a.yaml:3:58: entry app:x: methd: expected source, method, modules, imports or limits, "
        'got "methd"; did you mean "method"?',
        "app/a.yaml:4:39: entry app:y: addr: expected the environment variable NIX_ADDR to be set "
        "(or a default: ${env:NIX_ADDR|...}), got no such variable",
        "app/a.yaml:5:45: entry app:z: process: expected the environment variable NIX_P to be set "
        "(or a default: ${env:NIX_P|...}), got no such variable",
        "app/a.yaml:6:10: entries[3].name: expected the environment variable NIX_NAME to be set "
        "(or a default: ${env:NIX_NAME|...}), got no such variable",
    ]


def test_the_name_of_a_script_is_not_its_text(problems: Report) -> None:
    """E6: `file://` was forgotten."""
    entry = "- {name: x, kind: process.lua, source: lua/nix.lua}\n"
    assert problems({"a.yaml": HEAD + entry}) == [
        "app/a.yaml:3:1: entry app:x: source: expected valid Lua, got a syntax error: syntax error "
        "near '/' (the text is taken as code; a file is \"file://lua/nix.lua\")"
    ]


@pytest.mark.parametrize("meta", ["", "meta: {team: core}\n"])
def test_a_missing_key_of_meta_is_reported_at_the_entry(meta: str, problems: Report) -> None:
    """I14: whether the file has a meta of its own or not."""
    entry = "- {name: e, kind: http.endpoint, path: /, func: f}\n"
    place = f"app/a.yaml:{4 if meta else 3}:3: entry app:e: "
    assert problems({"a.yaml": f"{meta}{HEAD}{entry}"}) == [
        f"{place}meta.router: expected the id of a http.router, got nothing"
    ]


def test_environment_fills_texts(write_app: Callable[..., object]) -> None:
    """LD2: `${env:NAME}` and `${env:NAME|default}` inside string values."""
    path = write_app(
        {"a.yaml": HEAD + "- {name: x, kind: registry.entry, t: 'a-${env:ONE}-${env:TWO|2}-b'}\n"}
    )
    entry = read_application(path, environ={"ONE": "1"}).definitions["app:x"].entry  # type: ignore[arg-type]
    assert entry.data == {"t": "a-1-2-b"}


def test_unset_variable_without_default_is_an_error(problems: Report) -> None:
    """LD2: unset without default is an error."""
    text = HEAD + "- {name: x, kind: registry.entry, t: '${env:DATABSE}'}\n"
    assert problems({"a.yaml": text}, environ={"DATABASE": "x"}) == [
        "app/a.yaml:3:38: entry app:x: t: expected the environment variable DATABSE to be set "
        '(or a default: ${env:DATABSE|...}), got no such variable; did you mean "DATABASE"?'
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("entries: []\n", "app/a.yaml:1:1: namespace: expected a namespace, got nothing"),
        ("", "app/a.yaml:1:1: expected a mapping with namespace and entries, got nothing"),
        ("namespace: a:b\nentries: []\n",
         'app/a.yaml:1:12: namespace: expected a name without a colon, got "a:b"'),
        ("namespace: a\n",
         "app/a.yaml:1:1: expected entries, or one entry with name and kind, got nothing"),
        ("namespace: a\nentries: 5\n", "app/a.yaml:2:10: entries: expected a list, got 5"),
        ("namespace: a\nentries: [5]\n",
         "app/a.yaml:2:11: entries[0]: expected an entry with name and kind, got 5"),
        ("namespace: a\nentries: [{name: x}]\n",
         "app/a.yaml:2:11: entry a:x: kind: expected a kind, got nothing"),
        ("namespace: a\nentries: [{kind: registry.entry}]\n",
         "app/a.yaml:2:11: name: expected a name, got nothing"),
        ("namespace: a\nentries: [{name: 5, kind: registry.entry}]\n",
         "app/a.yaml:2:18: entries[0].name: expected a text, got 5"),
        ("namespace: a\nversion: 2\nentries: []\n",
         'app/a.yaml:2:10: version: expected "1.0", got 2'),
        ("namespace: a\nentries: []\nmetta: {}\n",
         "app/a.yaml:3:1: metta: expected only namespace, version, meta and entries beside a list "
         'of entries, got "metta"; did you mean "meta"?'),
        ("namespace: a\nentries: [{name: x, kind: registry.entry, a: 1, a: 2}]\n",
         'app/a.yaml:2:49: entry a:x: a: expected each key once, got "a" again (first at line 2)'),
        ("namespace: a\nentries: [{name: x, kind: registry.entry, meta: 3}]\n",
         "app/a.yaml:2:49: entry a:x: meta: expected a mapping, got 3"),
        ("namespace: a\nentries: &e [*e]\n",
         "app/a.yaml:2:10: entries[0]: expected data that ends, got an alias to a mapping or list "
         "around it"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_line_with_its_place(text: str, line: str, problems: Report) -> None:
    """LD4, I14: each mistake of a file's form, where it stands, what was expected."""
    assert line in problems({"a.yaml": text})


def test_a_missing_application_is_reported_with_a_guess(write_app: Callable[..., object]) -> None:
    """I14: a misspelt directory."""
    from registry import LoadError

    write_app({"a.yaml": ""})
    with pytest.raises(LoadError) as caught:
        read_application("ap")
    assert str(caught.value) == (
        "ap:1:1: expected a directory or one YAML file, got nothing of that name; "
        'did you mean "app"?'
    )


def test_references_into_a_broken_file_are_no_news(problems: Report) -> None:
    """LD3: what a file that cannot be parsed seems to define is not reported as dangling."""
    lines = problems(
        {
            "a.yaml": HEAD + "- {name: h, kind: process.service, process: p, host: x}\n",
            "b.yaml": HEAD + "  - name: p\n  - name: x\n   kind: process.host\n",
        }
    )
    assert [line.split(": ")[0] for line in lines] == ["app/b.yaml:5:4"]


def test_problems_are_data_too(write_app: Callable[..., object]) -> None:
    """RG6: `details().problems` lists all problems with entry id and field path."""
    from registry import LoadError

    path = write_app({"a.yaml": HEAD + "- {name: x, kind: process.host, host: {workers: 0}}\n"})
    with pytest.raises(LoadError) as caught:
        read_application(path)  # type: ignore[arg-type]
    assert caught.value.details == {
        "problems": [
            {
                "id": "app:x",
                "field": "host.workers",
                "message": "app/a.yaml:3:49: entry app:x: host.workers: expected an integer of "
                "at least 1, got 0",
            }
        ]
    }
