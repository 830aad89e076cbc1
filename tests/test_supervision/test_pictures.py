"""Definitions as text, mermaid, SVG, Python and YAML data (SU2, SU41)."""

import xml.etree.ElementTree as ET
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from supervision import (
    DependencyCycle,
    Supervisor,
    SupervisorSpec,
    child,
    pictures,
    read_supervisor,
)

DATA = {
    "strategy": "rest_for_one",
    "intensity": 3,
    "children": [
        {"id": "db", "process": "app:db", "args": ["dsn", 3], "shutdown": "2s"},
        {
            "id": "pool",
            "restart": "transient",
            "supervisor": {
                "backoff": {"initial_delay": "500ms"},
                "children": [{"id": "w<1>", "process": "app:worker", "restart": "temporary"}],
            },
        },
    ],
}
TREE = read_supervisor(DATA)


def test_text_shows_strategy_intensity_code_and_restart_types() -> None:
    """SU41."""
    assert pictures.text(pictures.outline(TREE, "app:tree")) == (
        "app:tree  (rest_for_one, 3 in 5s)\n"
        "├─ db  (app:db; permanent)\n"
        "└─ pool  (transient; one_for_one, 1 in 5s)\n"
        "   └─ w<1>  (app:worker; temporary)"
    )


def test_mermaid_has_a_box_per_process_and_quotes_labels() -> None:
    """SU41."""
    assert pictures.mermaid(pictures.outline(TREE)) == (
        "flowchart TD\n"
        '    n0["supervisor<br/>rest_for_one, 3 in 5s"]\n'
        '    n1["db<br/>app:db; permanent"]\n'
        "    n0 --> n1\n"
        '    n2["pool<br/>transient; one_for_one, 1 in 5s"]\n'
        '    n3["w&lt;1&gt;<br/>app:worker; temporary"]\n'
        "    n2 --> n3\n"
        "    n0 --> n2\n"
    )


def test_svg_is_well_formed_and_names_everything() -> None:
    """SU41: also with names that need quoting."""
    root = ET.fromstring(pictures.svg(pictures.outline(TREE)))
    texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0::2] == ["supervisor", "db", "pool", "w<1>"]


def test_services_are_drawn_in_start_order() -> None:
    """Y6: and a cycle is named."""
    graph = {"web": ["db"], "db": [], "log": []}
    (first, second) = pictures.services_outline(graph)
    assert [branch.name for branch in first.children] == ["db", "log"]
    assert second.children == (pictures.Branch("web", "after db"),)
    assert '    n1["db"]' in pictures.mermaid_graph(graph)
    assert "    n1 --> n0" in pictures.mermaid_graph(graph)
    with pytest.raises(DependencyCycle):
        pictures.services_outline({"a": ["a"]})


def test_yaml_data_holds_only_what_differs_from_the_defaults() -> None:
    """SU2."""
    assert pictures.yaml_data(TREE) == DATA


def test_python_source_reads_like_python() -> None:
    """SU2."""
    assert pictures.python_source(TREE) == (
        "Supervisor(\n"
        "    strategy='rest_for_one',\n"
        "    intensity=3,\n"
        "    children=[\n"
        "        child('db', 'app:db', 'dsn', 3, shutdown='2s'),\n"
        "        child('pool', Supervisor(\n"
        "            backoff={'initial_delay': '500ms'},\n"
        "            children=[\n"
        "                child('w<1>', 'app:worker', restart='temporary'),\n"
        "            ],\n"
        "        ), restart='transient'),\n"
        "    ],\n"
        ")"
    )


durations = st.sampled_from(["250ms", "1s", "2.5s", "1m30s"])
backoffs = st.fixed_dictionaries(
    {}, optional={"initial_delay": durations, "jitter": st.just(0), "reset_after": durations}
)


def children(depth: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    fields = {
        "restart": st.sampled_from(["permanent", "transient", "temporary"]),
        "shutdown": durations | st.sampled_from(["infinity", "brutal_kill"]),
        "ready": st.booleans(),
        "host": st.just("app:h"),
        "backoff": backoffs | st.none(),
        "type": st.sampled_from(["worker", "supervisor"]),
    }
    leaf = st.fixed_dictionaries({"process": st.just("app:p")}, optional=fields)
    options = [leaf]
    if depth:
        options.append(
            st.fixed_dictionaries({"supervisor": supervisors(depth - 1)}, optional=fields)
        )
    items = st.lists(st.one_of(options), max_size=3)
    return items.map(lambda all: [{"id": f"c{i}", **one} for i, one in enumerate(all)])


def supervisors(depth: int) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"children": children(depth)},
        optional={
            "strategy": st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"]),
            "intensity": st.integers(0, 9),
            "period": durations,
            "auto_shutdown": st.sampled_from(["never", "any_significant"]),
            "backoff": backoffs,
        },
    )


@given(supervisors(2))
def test_any_tree_printed_in_either_language_reads_as_itself(data: dict[str, Any]) -> None:
    """SU2: definition -> spec -> source -> spec."""
    spec: SupervisorSpec = read_supervisor(data)
    assert read_supervisor(pictures.yaml_data(spec)) == spec
    source = pictures.python_source(spec)
    assert read_supervisor(eval(source, {"Supervisor": Supervisor, "child": child})) == spec
