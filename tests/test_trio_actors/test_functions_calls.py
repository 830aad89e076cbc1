"""Calling functions: checks, results, frames, context, lifetime. Rules: sections 2.2, 3 and 5."""

from enum import StrEnum
from typing import Any

import pytest
import trio
import trio.testing
from callees import opened

import trio_actors
from trio_actors import ErrorKind, ProcessContext, ProcessError, funcs
from trio_actors.functions import Functions
from trio_actors.security import Actor, Scope, parse_policy


async def add(a: int, b: int = 10) -> int:
    await trio.lowlevel.checkpoint()
    return a + b


# -- DE: what can be registered


async def test_a_function_gets_its_arguments_and_returns_one_value() -> None:
    """DE10, DE11, DE13: async and plain, missing and surplus arguments."""
    async with opened() as functions:
        functions.register("app:add", add)
        functions.register("app:plain", lambda a, b: (a, b))
        assert await functions.call("app:add", 1, 2) == 3
        assert await functions.call("app:add", 1) == 11
        assert await functions.call("app:add", 1, 2, 3, 4) == 3
        assert await functions.call("app:plain", 1) == (1, None)


async def test_register_is_a_decorator_and_refuses_a_used_id() -> None:
    """DE14."""
    async with opened() as functions:

        @functions.register("app:f")
        def f() -> str:
            return "f"

        assert f() == await functions.call("app:f") == "f"
        with pytest.raises(trio_actors.ProcessConflict):
            functions.register("app:f", f)


async def test_a_keyword_without_default_is_refused() -> None:
    """DE11."""

    def f(*, needed: int) -> None: ...

    async with opened() as functions:
        with pytest.raises(trio_actors.ProcessInvalid, match="keyword argument 'needed'"):
            functions.register("app:f", f)


async def test_a_malformed_pool_or_option_is_refused_at_once(
    autojump_clock: object,
) -> None:
    """PL3, IC7."""
    async with opened() as functions:
        with pytest.raises(trio_actors.ProcessInvalid, match=r"pool\.size"):
            functions.register("app:f", add, pool={"size": 4})
        with pytest.raises(trio_actors.ProcessInvalid, match=r"meta\.options\.timeout"):
            functions.register("app:f", add, meta={"options": {"timeout": "soon"}})


# -- F1-F4: checks


@pytest.mark.parametrize("how", ["call", "async"])
@pytest.mark.parametrize(
    ("id", "text"),
    [("", "function ID required"), ("x", "namespace required in function ID")],
)
async def test_a_malformed_id_is_a_start_error(how: str, id: str, text: str) -> None:
    """F1, F4."""
    async with opened() as functions:
        with pytest.raises(trio_actors.ProcessInvalid, match=text):
            if how == "call":
                await functions.call(id)
            else:
                functions.async_(id)


async def test_an_id_may_be_any_text() -> None:
    """F1: members of a StrEnum too; anything else raises."""

    class Ids(StrEnum):
        ADD = "app:add"

    async with opened() as functions:
        functions.register(Ids.ADD, lambda a, b: a + b)
        assert await functions.call(Ids.ADD, 1, 2) == 3
        assert await functions.call("app:add", 1, 2) == 3
        assert await functions.async_(Ids.ADD, 1, 2) == 3
        for wrong in (None, 3, ["app:add"]):
            with pytest.raises(TypeError):
                await functions.call(wrong)  # type: ignore[arg-type]


async def test_an_unknown_function_is_not_found_and_passes_no_chain() -> None:
    """F3, F4: through the future when async."""
    async with opened() as functions:
        passed = []

        async def spy(call: Any, next: Any) -> Any:
            passed.append(call.id)
            return await next(call)

        functions.add_interceptor("spy", spy)
        with pytest.raises(trio_actors.ProcessNotFound) as caught:
            await functions.call("app:gone")
        assert str(caught.value) == "no handler registered for target"
        assert caught.value.details == {"target": "app:gone"}
        future = functions.async_("app:gone")
        await future.wait()
        assert future.error() is not None
        assert passed == []


async def test_call_is_a_checkpoint_also_when_it_fails() -> None:
    """PY1."""
    async with opened() as functions:
        functions.register("app:plain", lambda: 1)
        with trio.testing.assert_checkpoints():
            await functions.call("app:plain")
        with trio.testing.assert_checkpoints(), pytest.raises(trio_actors.ProcessInvalid):
            await functions.call("")


# -- 3.2: results and failures


async def test_an_exception_becomes_an_error_of_the_boundary() -> None:
    """E30, DE13, F6: type and text, INTERNAL, unknown retryability."""

    async def broken() -> None:
        raise ValueError("boom")

    async with opened() as functions:
        functions.register("app:broken", broken)
        with pytest.raises(trio_actors.ProcessInternal) as caught:
            await functions.call("app:broken")
        assert str(caught.value) == "ValueError: boom"
        assert caught.value.retryable is None
        assert caught.value.__cause__ is None


async def test_a_structured_error_keeps_its_fields_and_loses_its_identity() -> None:
    """F6, Q11."""

    class Mine(ProcessError):
        pass

    error = Mine("no", kind=ErrorKind.CONFLICT, retryable=True, details={"n": 1})

    def fail(which: str) -> None:
        if which == "plain":
            raise ProcessError("plain")
        raise error

    async with opened() as functions:
        functions.register("app:fail", fail)
        with pytest.raises(trio_actors.ProcessConflict) as caught:
            await functions.call("app:fail", "structured")
        got = caught.value
        assert got is not error
        assert not isinstance(got, Mine)
        assert (str(got), got.retryable, got.details) == ("no", True, {"n": 1})
        with pytest.raises(trio_actors.ProcessInternal):
            await functions.call("app:fail", "plain")


async def test_a_group_gives_its_first_error_and_names_the_others() -> None:
    """E31."""

    async def both() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(raises, "a")
            nursery.start_soon(raises, "a")

    async def raises(text: str) -> None:
        raise KeyError(text)

    async with opened() as functions:
        functions.register("app:both", both)
        with pytest.raises(trio_actors.ProcessInternal) as caught:
            await functions.call("app:both")
        assert str(caught.value) == "KeyError: 'a'"
        assert caught.value.details == {"errors": ["KeyError: 'a'"]}


async def test_fatal_exceptions_are_never_errors() -> None:
    """E38."""

    async def stop() -> None:
        raise KeyboardInterrupt

    async with opened() as functions:
        functions.register("app:stop", stop)
        with pytest.raises(KeyboardInterrupt):
            await functions.call("app:stop")
        assert functions.statistics("app:stop").busy == 0


# -- frames


async def test_every_call_is_a_frame_of_its_own() -> None:
    """P6, CX6, DE12: id, PID with the function's id in it, new each time, gone afterwards."""
    pids = []

    async def frame() -> None:
        ctx = trio_actors.current()
        assert ctx.id == "app:frame"
        assert ctx.pid == trio_actors.current().pid
        assert ctx.pid in ctx.node.processes
        pids.append(ctx)

    async with opened() as functions:
        functions.register("app:frame", frame)
        await functions.call("app:frame")
        await functions.call("app:frame")
        assert len(functions.node.processes) == 0
        with pytest.raises(trio_actors.ProcessInvalid, match="no process context"):
            pids[0].process
        with pytest.raises(trio_actors.ProcessInvalid, match="no process context"):
            trio_actors.current()


async def test_a_frame_has_a_mailbox_and_can_be_addressed() -> None:
    """P6, F18: messages, names, and the end of §5.6."""
    async with opened() as functions:

        async def listener() -> Any:
            ctx = trio_actors.current()
            ctx.register("me")
            return (await ctx.receive()).payload

        functions.register("app:listener", listener)
        async with trio.open_nursery() as nursery:

            async def sender() -> None:
                await trio.testing.wait_all_tasks_blocked()
                pid = functions.node.lookup("me")
                assert pid.startswith("{app:listener|0x")
                functions.node.send(pid, "hello", 42)

            nursery.start_soon(sender)
            assert await functions.call("app:listener") == 42
        with pytest.raises(trio_actors.ProcessNotFound):
            functions.node.lookup("me")


async def test_terminate_ends_the_call_with_its_error(autojump_clock: object) -> None:
    """F18, T2: the caller gets `process terminated`, and the caller goes on."""
    async with opened() as functions:
        pids = []

        async def sleeper() -> None:
            pids.append(trio_actors.current().pid)
            await trio.sleep_forever()

        functions.register("app:sleeper", sleeper)
        async with trio.open_nursery() as nursery:

            async def killer() -> None:
                await trio.sleep(1)
                functions.node.terminate(pids[0])

            nursery.start_soon(killer)
            with pytest.raises(trio_actors.ProcessCanceled, match="process terminated"):
                await functions.call("app:sleeper")
        assert functions.statistics("app:sleeper").failed == 1


async def test_a_failed_link_fails_the_call(autojump_clock: object) -> None:
    """F18: `linked process failed`, and a monitor sees the frame's exit."""

    async def crash(ctx: ProcessContext) -> None:
        raise ValueError("crash")

    async def linked() -> None:
        await trio_actors.current().spawn(crash, link=True, host="app:host")
        await trio.sleep_forever()

    async with opened() as functions, functions.node.open_host("app:host"):
        functions.register("app:linked", linked)
        with pytest.raises(trio_actors.ProcessInternal, match="linked process failed"):
            await functions.call("app:linked")


async def test_a_deadline_asked_for_ends_the_frame(autojump_clock: object) -> None:
    """F18, K6: cancel with a deadline."""
    async with opened() as functions:

        async def stubborn() -> None:
            ctx = trio_actors.current()
            ctx.cancel(ctx.pid, 2)
            await trio.sleep_forever()

        functions.register("app:stubborn", stubborn)
        start = trio.current_time()
        with pytest.raises(trio_actors.ProcessCanceled, match="cancel deadline exceeded"):
            await functions.call("app:stubborn")
        assert trio.current_time() - start == 2


async def test_upgrade_is_refused_and_the_call_goes_on() -> None:
    """U7."""
    async with opened() as functions:

        async def f() -> str:
            with pytest.raises(trio_actors.ProcessInvalid, match="only available in a process"):
                await trio_actors.current().upgrade(None)
            return "on"

        functions.register("app:f", f)
        assert await functions.call("app:f") == "on"


async def test_a_task_of_a_function_is_refused_and_the_call_goes_on() -> None:
    """P6: only processes have tasks of their own; a nursery does in a function."""
    async with opened() as functions:

        async def f() -> str:
            with pytest.raises(trio_actors.ProcessInvalid, match="open a nursery"):
                trio_actors.current().start_task(trio.sleep, 1)
            return "on"

        functions.register("app:f", f)
        assert await functions.call("app:f") == "on"


# -- 5: context


async def test_fz11_context_values_go_down_and_never_up() -> None:
    """FZ11, CX1, CX4, CX5."""
    async with opened() as functions:

        def inner() -> dict[str, Any]:
            return dict(trio_actors.current().context)

        async def outer() -> tuple[Any, Any]:
            seen = await funcs.new().with_context({"b": 2}).call("app:inner")
            return seen, dict(trio_actors.current().context)

        functions.register("app:inner", inner)
        functions.register("app:outer", outer)
        call = functions.new().with_context({"a": 1})
        assert await call.call("app:outer") == ({"a": 1, "b": 2}, {"a": 1})


async def test_context_values_are_copied_and_checked() -> None:
    """CX4, CX9: a bad value is named by its path, other keys are ignored."""
    async with opened() as functions:
        functions.register("app:f", lambda: dict(trio_actors.current().context))
        values = {"list": [1], 3: "ignored"}
        executor = functions.new().with_context(values)  # type: ignore[arg-type]
        values["list"].append(2)  # type: ignore[attr-defined]
        assert await executor.call("app:f") == {"list": [1]}
        with pytest.raises(trio_actors.ProcessInvalid, match=r"a\.b\[0\]"):
            functions.new().with_context({"a": {"b": [object()]}})


async def test_an_executor_never_changes() -> None:
    """3: each step gives a new one; options are replaced, context is merged."""
    async with opened() as functions:
        functions.register("app:f", lambda: trio_actors.current().context.get("a"))
        base = functions.new()
        one = base.with_context({"a": 1})
        two = one.with_context({"a": 2})
        assert [await e.call("app:f") for e in (base, one, two, one)] == [None, 1, 2, 1]
        with pytest.raises(TypeError):
            base.with_actor("nobody")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            base.with_scope(None)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            base.with_context(3)  # type: ignore[arg-type]


async def test_fz12_a_process_inherits_the_functions_context() -> None:
    """FZ12, CX7, CX8: actor and values go from process to function to process."""
    seen: list[Any] = []

    async def leaf(ctx: ProcessContext) -> None:
        seen.append((ctx.actor.id, dict(ctx.context)))

    async def spawner() -> None:
        ctx = trio_actors.current()
        await ctx.spawn(leaf)

    async def root(ctx: ProcessContext) -> None:
        await ctx.call_function("app:spawner")

    async with opened() as functions, functions.node.open_host("app:host") as host:
        functions.register("app:spawner", spawner)
        await host.spawn(root, actor=Actor("ann"), context={"trace": "t1"})
        await host.join()
    assert seen == [("ann", {"trace": "t1"})]


# -- F11-F17: lifetime


async def nested(functions: Functions, log: list[str]) -> None:
    async def innermost() -> None:
        try:
            await trio.sleep(1)
            log.append("too far")
        finally:
            log.append("unwound")

    async def middle() -> None:
        await funcs.call("app:innermost")

    async def outer() -> None:
        await funcs.call("app:middle")

    functions.register("app:innermost", innermost)
    functions.register("app:middle", middle)
    functions.register("app:outer", outer)


async def test_fz4_terminating_the_outermost_process_stops_the_innermost_call(
    autojump_clock: object,
) -> None:
    """FZ4, F11, F12: through three nested calls."""
    log: list[str] = []

    async def process(ctx: ProcessContext) -> None:
        await ctx.call_function("app:outer")

    async with opened() as functions, functions.node.open_host("app:host") as host:
        await nested(functions, log)
        pid = await host.spawn(process)
        await trio.sleep(0.5)
        functions.node.terminate(pid)
        await host.join()
        assert log == ["unwound"]
        for id in ("app:outer", "app:middle", "app:innermost"):
            stats = functions.statistics(id)
            assert (stats.busy, stats.failed, stats.completed) == (0, 1, 0)


async def test_cancelling_the_callers_scope_cancels_the_callee(autojump_clock: object) -> None:
    """F12, F16: Cancelled goes on to the caller's scope."""
    log: list[str] = []
    async with opened() as functions:
        await nested(functions, log)
        with trio.move_on_after(0.5) as scope:
            await functions.call("app:outer")
        assert scope.cancelled_caught
        assert log == ["unwound"]


async def test_fz5_async_children_end_with_their_frame(autojump_clock: object) -> None:
    """FZ5, F13: the child never gets past its sleep, and the call waits for its unwinding."""
    log: list[str] = []

    async def child() -> None:
        try:
            await trio.sleep(1)
            log.append("too far")
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.25)
            log.append("unwound")

    async def parent() -> str:
        funcs.async_("app:child")
        await trio.sleep(0.5)
        return "done"

    async with opened() as functions:
        functions.register("app:child", child)
        functions.register("app:parent", parent)
        start = trio.current_time()
        assert await functions.call("app:parent") == "done"
        assert trio.current_time() - start == 0.75
        assert log == ["unwound"]
        await trio.sleep(5)
        assert log == ["unwound"]


async def test_async_children_end_with_their_process(autojump_clock: object) -> None:
    """F13, FU10: before the exit is told."""
    log: list[str] = []

    async def child() -> None:
        try:
            await trio.sleep_forever()
        finally:
            log.append("unwound")

    async def process(ctx: ProcessContext) -> None:
        funcs.async_("app:child")
        await trio.sleep(1)

    async with opened() as functions, functions.node.open_host("app:host") as host:
        functions.register("app:child", child)
        pid = await host.spawn(process)
        await functions.node.wait(pid)
        assert log == ["unwound"]


async def test_a_process_started_by_a_function_lives_on(autojump_clock: object) -> None:
    """F19."""
    async with opened() as functions, functions.node.open_host("app:host") as host:

        async def worker(ctx: ProcessContext) -> None:
            await trio.sleep(10)

        async def starter() -> str:
            return await trio_actors.current().spawn(worker, host="app:host")

        functions.register("app:starter", starter)
        pid = await functions.call("app:starter")
        assert pid in functions.node.processes
        await host.join()


async def test_fz6_a_timeout_covers_the_wait_for_a_worker(autojump_clock: object) -> None:
    """FZ6, F21, F22, PL8."""
    runs = []

    async def slow() -> None:
        runs.append(1)
        await trio.sleep(1)

    async with opened() as functions:
        functions.register("app:slow", slow, pool={"workers": 1})
        first = functions.async_("app:slow")
        await trio.testing.wait_all_tasks_blocked()
        start = trio.current_time()
        with pytest.raises(trio_actors.ProcessTimeout) as caught:
            await functions.new().with_options({"timeout": 50}).call("app:slow")
        assert trio.current_time() - start == pytest.approx(0.05)
        assert str(caught.value) == "call timed out after 50ms"
        assert caught.value.retryable is None
        await first
        assert runs == [1]
        assert functions.statistics("app:slow").completed == 1


async def test_a_timeout_is_one_at_the_call_that_carries_it_only(autojump_clock: object) -> None:
    """F23: inside it is a cancellation; F17: the caller waits for a shielded finally."""
    inside: list[str] = []

    async def inner() -> None:
        try:
            await trio.sleep_forever()
        except BaseException as error:
            inside.append(type(error).__name__)
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
            raise

    async def outer() -> None:
        await funcs.call("app:inner")

    async with opened() as functions:
        functions.register("app:inner", inner)
        functions.register("app:outer", outer, meta={"options": {"timeout": "2s"}})
        start = trio.current_time()
        with pytest.raises(trio_actors.ProcessTimeout):
            await functions.call("app:outer")
        assert inside == ["Cancelled"]
        assert trio.current_time() - start == 3


async def test_a_result_after_the_deadline_is_discarded(autojump_clock: object) -> None:
    """F14."""
    async with opened() as functions:

        async def late() -> str:
            with trio.CancelScope(shield=True):
                await trio.sleep(2)
            return "late"

        functions.register("app:late", late)
        with pytest.raises(trio_actors.ProcessTimeout):
            await functions.new().with_options({"timeout": "1s"}).call("app:late")


async def test_a_malformed_option_of_a_call_runs_nothing(autojump_clock: object) -> None:
    """F20, IC7."""
    runs = []
    async with opened() as functions:
        functions.register("app:f", lambda: runs.append(1))
        with pytest.raises(trio_actors.ProcessInvalid, match=r"options\.timeout"):
            await functions.new().with_options({"timeout": "soon"}).call("app:f")
        assert runs == []


# -- 3.5: processes called as functions


async def test_a_process_with_a_default_host_is_called_like_a_function() -> None:
    """F27, C8, F29: value, error, and the chain around it."""

    class Source:
        def find(self, id: str) -> Any:
            from trio_actors._core.function import function_target

            return function_target(double, id=id) if id == "app:double" else None

    async def double(ctx: ProcessContext, n: int) -> int:
        assert ctx.id == "app:double"
        return n * 2

    async with opened() as functions, functions.node.open_host("app:host"):
        functions.node.add_source(Source())
        functions.install_process("app:double", "app:host")
        calls = []

        async def spy(call: Any, next: Any) -> Any:
            calls.append(call.id)
            return await next(call)

        functions.add_interceptor("spy", spy)
        assert await functions.call("app:double", 4) == 8
        assert calls == ["app:double"]
        with pytest.raises(trio_actors.ProcessInternal):
            await functions.call("app:double", {})


async def test_a_cancelled_call_of_a_process_asks_it_to_end(autojump_clock: object) -> None:
    """F28, C9: CANCEL without a deadline; the process is not killed."""
    log: list[Any] = []

    async def patient(ctx: ProcessContext) -> None:
        event = await ctx.events.receive()
        log.append((event.kind.value, event.deadline))
        await trio.sleep(5)
        log.append("finished")

    class Source:
        def find(self, id: str) -> Any:
            from trio_actors._core.function import function_target

            return function_target(patient, id=id)

    async with opened() as functions, functions.node.open_host("app:host") as host:
        functions.node.add_source(Source())
        functions.install_process("app:patient", "app:host")
        start = trio.current_time()
        with trio.move_on_after(1):
            await functions.call("app:patient")
        assert trio.current_time() - start == 1
        await host.join()
        assert log == [("pid.cancel", None), "finished"]


# -- F2: permission


async def test_the_callers_security_context_is_checked() -> None:
    """F2: even if the executor carries another actor; `async` too; text and retryability."""
    scope = Scope(
        [
            parse_policy(
                "app:p",
                {
                    "policy": {
                        "actions": ["funcs.call", "funcs.security"],
                        "resources": ["app:open", "security"],
                        "effect": "allow",
                    }
                },
            )
        ]
    )
    seen: list[Any] = []

    async def process(ctx: ProcessContext) -> None:
        seen.append(await ctx.call_function("app:open"))
        for attempt in (
            lambda: funcs.call("app:shut"),
            lambda: funcs.new().with_actor(Actor("root")).call("app:shut"),
        ):
            with pytest.raises(trio_actors.ProcessPermissionDenied) as caught:
                await attempt()
            seen.append((str(caught.value), caught.value.retryable))
        with pytest.raises(trio_actors.ProcessPermissionDenied):
            funcs.async_("app:shut")
        with pytest.raises(trio_actors.ProcessPermissionDenied, match="not allowed: context"):
            funcs.new().with_context({"a": 1})

    async with opened() as functions, functions.node.open_host("app:host") as host:
        functions.register("app:open", lambda: "in")
        functions.register("app:shut", lambda: "in")
        await host.spawn(process, actor=Actor("ann"), scope=scope)
        await host.join()
        assert seen == ["in", ("not allowed: app:shut", False), ("not allowed: app:shut", False)]
        assert await functions.call("app:shut") == "in"
