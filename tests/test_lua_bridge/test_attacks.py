"""The attack suite: every file in attacks/ next to a neighbour in the same Lua state.

Attacks run in programs of their own, a batch each, so that a crash of the interpreter is seen and
named. What each must lead to stands in its first lines (see attack_runner.py).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ATTACKS = sorted(path.stem for path in (HERE / "attacks").glob("*.lua"))
BATCH = 22
BATCHES = [ATTACKS[at : at + BATCH] for at in range(0, len(ATTACKS), BATCH)]


def run(names: list[str], *, sliced: bool) -> list[str]:
    """What went wrong, one line for each attack."""
    found = subprocess.run(
        [sys.executable, "-W", "error", HERE / "attack_runner.py", *names],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "TRIO_ACTORS_LUA_SLICING": "1" if sliced else "0"},
        check=False,
    )
    rows = [json.loads(line) for line in found.stdout.splitlines() if line.startswith("{")]
    wrong = [f"{row['name']}: {row['problems']}" for row in rows if row.get("problems")]
    if found.returncode != 0:
        last = rows[-1].get("begin", "nothing") if rows else "nothing"
        wrong.append(f"{last}: exit {found.returncode}: {found.stderr[-2000:]}")
    return wrong


def test_the_suite_is_large() -> None:
    """At least 80 attacks."""
    assert len(ATTACKS) >= 80


@pytest.mark.parametrize("names", BATCHES, ids=lambda names: f"{names[0]}-{names[-1]}")
def test_attacker_dies_or_is_refused_and_the_neighbour_is_unharmed(names: list[str]) -> None:
    """With time slices."""
    assert run(names, sliced=True) == []


KILL_ONLY = [
    name
    for name in ATTACKS
    if name.startswith(("kill_", "coroutine_", "memory_stack", "memory_table", "endless_"))
]


@pytest.mark.parametrize(
    "names", [KILL_ONLY[::2], KILL_ONLY[1::2]], ids=["even numbers", "odd numbers"]
)
def test_the_same_without_time_slices(names: list[str]) -> None:
    """Where the C API is not reachable, one step runs to its instruction budget."""
    assert run(names, sliced=False) == []


# Ways in which a script could take the whole program down, and the attacks that try them. Z2 has
# none: the bridge keeps no Lua object. Z9 is test_shared_references_arrive_as_they_were.
GUARDS = {
    "Z1": ["forge_yield_many", "forge_yield_too_many"],
    "Z3": ["memory_brim_send", "memory_inbox_self", "message_flood"],
    "Z4": ["memory_brim_result", "memory_brim_time", "memory_brim_wait", "memory_brim_error"],
    "Z5": ["error_host_object", "result_hostile_table"],
    "Z6": ["message_nan"],
    "Z7": ["poison_strict_environment", "escape_environment_metatable"],
    "Z8": ["message_deep", "result_deep"],
    "Z10": ["gc_metamethod", "gc_added_later"],
    "Z11": [
        "memory_rep",
        "string_find_quantifiers",
        "string_gmatch_quantifiers",
        "table_move_huge",
    ],
}


def test_every_way_to_crash_is_tried() -> None:
    """The attacks exist, so they are run above"""
    assert {name for names in GUARDS.values() for name in names} <= set(ATTACKS)
