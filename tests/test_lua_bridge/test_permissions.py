"""Permissions of scripts (processes.md §8): what is asked, in which order, what a denial says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from trio_actors.security import Actor, Scope

World = Any  # the fixture of conftest.py


class Recorder:
    """A guard that notes every question, and denies one action or fails."""

    def __init__(self, denied: str = "", *, fails: bool = False) -> None:
        self.denied = denied
        self.fails = fails
        self.asked: list[tuple[str, str]] = []
        self.pids: set[str] = set()

    def permits(
        self, actor: Any, scope: Any, action: str, resource: str, attributes: Mapping[str, Any]
    ) -> bool:
        self.asked.append((action, resource))
        assert set(attributes) == {"pid"}
        self.pids.add(attributes["pid"])
        if self.fails:
            raise ZeroDivisionError
        return action != self.denied


async def answers(world: World, guard: Recorder, line: str) -> list[Any]:
    """Kind, text and whether it was raised, of the error of one line; all nil if there is none."""
    world.node.guard = guard
    source = f"""return function()
      local ok, value, err = pcall(function() {line} end)
      if not ok then err = value end
      if err == nil then return {{false, false, not ok}} end
      return {{err:kind(), err:message(), not ok}}
    end"""
    target = world.lua("app:asks", source, modules=("security",))
    pid = await world.host.spawn(target, actor=Actor("ann"), scope=Scope())
    answer: list[Any] = (await world.node.wait(pid)).unwrap()
    assert guard.pids <= {pid}
    return answer


DENIED = "PermissionDenied"
TARGETED = ["send", "terminate", "cancel", "monitor", "unmonitor", "link", "unlink"]


@pytest.mark.parametrize("op", TARGETED)
async def test_operation_of_a_script_on_a_target_is_denied(world: World, op: str) -> None:
    """A1, A4, M8: returned, with the destination as it was written; a name is resolved first."""
    world.lua("app:idle", "return function() process.inbox():receive() end")
    pid = await world.host.spawn("app:idle", name="bob")
    for dest in ("bob", pid):
        guard = Recorder(f"process.{op}")
        line = f'return process.{op}("{dest}", "1s")'
        assert await answers(world, guard, line) == [DENIED, f"not allowed to {op}: {dest}", False]
        assert guard.asked == [(f"process.{op}", pid)]
    target = world.node.processes[pid]
    assert (target.forced, target.mailbox.depth()) == (None, 0)
    assert world.node.topology.watchers_of(pid) == world.node.topology.links_of(pid) == []


SPAWN, HOST = ("process.spawn", "app:ends"), ("process.host", "app:h")
MONITORED, LINKED = ("process.spawn.monitored", "app:ends"), ("process.spawn.linked", "app:ends")
FORMS = {
    "spawn": [SPAWN, HOST],
    "spawn_monitored": [SPAWN, MONITORED, HOST],
    "spawn_linked": [SPAWN, LINKED, HOST],
    "spawn_linked_monitored": [SPAWN, MONITORED, LINKED, HOST],
    "call": [("process.call", "app:ends"), HOST],
}
TEXTS = {
    "process.spawn": "not allowed to spawn process: app:ends",
    "process.spawn.monitored": "not allowed to spawn monitored process: app:ends",
    "process.spawn.linked": "not allowed to spawn linked process: app:ends",
    "process.host": "not allowed to spawn on host: app:h",
    "process.call": "not allowed to call process: app:ends",
}
BUILDER = 'process.with_context({a = 1}):with_name("n"):with_message("t", 1):'
CONTEXT = ("process.context", "context")
STARTS = [("process.", form, FORMS[form]) for form in FORMS]
STARTS += [(BUILDER, form, [CONTEXT, *FORMS[form]]) for form in FORMS if form != "call"]


@pytest.mark.parametrize(("start", "form", "asked"), STARTS, ids=lambda value: str(value)[:30])
async def test_sc25_spawns_of_a_script_need_all_of_their_permissions(
    world: World, start: str, form: str, asked: list[tuple[str, str]]
) -> None:
    """SC25, A2-A4, B4, B8, C7, W7: in the order of the table; one denial is enough."""
    world.lua("app:ends", "return function() end")
    line = f'return {start}{form}("app:ends", "app:h")'
    guard = Recorder()
    assert await answers(world, guard, line) == [False, False, False]
    assert guard.asked == asked
    for number, question in enumerate(asked, 1):
        if question == CONTEXT:
            continue  # it is raised: see below
        guard = Recorder(question[0])
        assert await answers(world, guard, line) == [DENIED, TEXTS[question[0]], False]
        assert guard.asked == asked[:number]
        assert world.host.alive == 0


OPTIONS = {
    "process.with_context({})": "process.context",
    "process.with_context({}):with_context({b = 2})": "process.context",
    "process.with_context({}):with_actor(security.actor())": "process.security",
    "process.with_context({}):with_scope(security.scope())": "process.security",
}


@pytest.mark.parametrize("line", OPTIONS)
async def test_sc21_options_of_the_builder_raise_their_denial(world: World, line: str) -> None:
    """SC21, A4, B3, B8: `process.context` for with_context, `process.security` else."""
    action = OPTIONS[line]
    resource = action.removeprefix("process.")
    guard = Recorder(action)
    found = await answers(world, guard, f"return {line}")
    assert found == [DENIED, f"not allowed to change: {resource}", True]
    assert guard.asked[-1] == (action, resource)


async def test_names_of_a_script_have_their_own_actions(world: World) -> None:
    """A4, A5: register and unregister are asked for the name, lookup for nothing."""
    for op in ("register", "unregister"):
        guard = Recorder(f"process.registry.{op}")
        found = await answers(world, guard, f'return process.registry.{op}("n")')
        assert found[:2] == [DENIED, f"not allowed to {op} name: n"]
        assert guard.asked == [(f"process.registry.{op}", "n")]
    guard = Recorder()
    found = await answers(world, guard, 'return process.registry.lookup("n")')
    assert (found[0], guard.asked) == ("NotFound", [])


async def test_what_concerns_only_the_script_is_never_asked(world: World) -> None:
    """A5: pid, id, inbox, events, listen, unlisten, options and upgrade are free."""
    world.lua("app:after", "return function() return 'upgraded' end")
    source = """return function()
      local ch = process.listen("t")
      process.unlisten(ch)
      local _ = {process.pid(), process.id(), process.inbox(), process.events()}
      assert(process.set_options{trap_links = true} and process.get_options().trap_links)
      process.upgrade("app:after")
    end"""
    guard = world.node.guard = Recorder()
    pid = await world.host.spawn(world.lua("app:asks", source), actor="ann", scope="scope")
    assert (await world.node.wait(pid)).unwrap() == "upgraded"
    assert guard.asked == []


async def test_sc25_a_guard_that_fails_denies_a_script(world: World) -> None:
    """SC25, A8: an error while deciding is a denial."""
    found = await answers(world, Recorder(fails=True), 'return process.send(process.pid(), "t")')
    assert found[0] == DENIED


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("secured", [{}, {"actor": "ann"}, {"scope": "scope"}], ids=str)
async def test_a_script_without_actor_or_scope(
    world: World, strict: bool, secured: dict[str, str]
) -> None:
    """A7: allowed unless strict mode is on, without asking the guard."""
    world.node.strict = strict
    guard = world.node.guard = Recorder()
    source = "return function() return (process.send(process.pid(), 't')) == true end"
    pid = await world.host.spawn(world.lua("app:asks", source), **secured)
    assert (await world.node.wait(pid)).unwrap() is not strict
    assert guard.asked == []
