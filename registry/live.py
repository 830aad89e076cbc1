"""The registry of a running application: what it consists of, its versions, changes of it.

Rules: section 11 of functions.md: RG1-RG4 (queries), RG5-RG9 (atomic changes), RG10-RG14
(versions), RG15 (events). Python code outside every process is not checked for permissions (A10).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import trio

from trio_actors import ErrorKind, ProcessContext, ProcessError, make_error
from trio_actors._core.inherited import permitted
from trio_actors.events import BusEvent, bus_of
from trio_actors.permission import inherited_of, require

from .changes import Op, OpKind, State, apply, delta
from .checking import check
from .entry import Entry
from .history_file import HistoryFile, merged
from .ids import id_text
from .kind import Definition
from .query import find
from .transaction import Action, Step, carry_out, plan
from .values import Snapshot, copies, entry_of, no_files, op_of, refusal, table
from .versions import History, Version

if TYPE_CHECKING:
    from .app import App

log = logging.getLogger("trio_actors.registry")
SYSTEM = "registry"
Record = Callable[[HistoryFile], None]  # writes something into it


class Changes:
    """A set of changes that is collected and then applied as a whole."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._ops: list[Op] = []

    def create(self, entry: Any) -> Changes:
        """One entry more; for chaining. Raises: ProcessInvalid for a malformed entry."""
        self._ops.append(Op(OpKind.CREATE, entry_of(entry)))
        return self

    def update(self, entry: Any) -> Changes:
        """Another content for an entry; for chaining. Raises: ProcessInvalid."""
        self._ops.append(Op(OpKind.UPDATE, entry_of(entry)))
        return self

    def delete(self, id: Any) -> Changes:
        """One entry less; for chaining. Raises: ProcessInvalid."""
        text = id_text(id)
        if not text:
            raise make_error(ErrorKind.INVALID, "delete: expected the id of an entry")
        self._ops.append(Op(OpKind.DELETE, Entry(text, "")))
        return self

    def ops(self) -> list[Op]:
        """The operations collected, in order."""
        return list(self._ops)

    async def apply(self) -> Version:
        """Apply all of them, or none; see `Registry.apply`."""
        return await self._registry.apply(self._ops)

    def __repr__(self) -> str:
        return f"<Changes, {len(self._ops)} operations>"


class Registry:
    """The entries of a running application and their history."""

    def __init__(self, app: App) -> None:
        self.app = app
        # The entries as the files have them, as far as they were applied.
        self._files: State = {d.id: d.entry for d in app.application.definitions.values()}
        self.history = History.of(self._files)
        # Where versions are kept beyond the life of the program.
        self.file: HistoryFile | None = None
        self._busy = False

    async def resume(self, file: HistoryFile) -> None:
        """Continue the versions of a file: go to the state it means, and write to it from now on.

        Raises: ProcessError when the file is no history, or its state is refused.
        """
        files = self._state
        history, wanted = file.resume(files)
        if wanted != files:
            await self._change(wanted)
        file.started(files)
        self.history, self.file = history, file
        if wanted != history.state(history.current):
            history = history.added(wanted)
            file.added(history.current, wanted)
            self.history = history

    @property
    def _state(self) -> State:
        return self.history.state(self.history.current)

    # -- queries

    def get(self, id: str, *, caller: ProcessContext | None = None) -> Entry:
        """An entry in force. Raises: ProcessNotFound, ProcessPermissionDenied."""
        require(self.app.node, caller, "registry.get", id)
        return self.snapshot(caller=caller).get(id)

    def find(
        self, query: Mapping[str, Any], *, caller: ProcessContext | None = None
    ) -> list[Entry]:
        """Entries that fit a filter, sorted by id; those that may not be read are left out."""
        found = find(self._state.values(), query)
        return [entry.copied() for entry in found if self._may(caller, entry)]

    def _may(self, caller: ProcessContext | None, entry: Entry) -> bool:
        if caller is None:
            return True
        node, inherited = self.app.node, inherited_of(caller)
        return permitted(node.guard, node.strict, inherited, caller.pid, "registry.get", entry.id)

    def snapshot(
        self, number: int | None = None, *, caller: ProcessContext | None = None
    ) -> Snapshot:
        """The state now, or at a version. Raises: ProcessInvalid (n <= 0), ProcessNotFound."""
        if number is not None and number <= 0:
            raise make_error(ErrorKind.INVALID, "version must be greater than 0")
        number = self.history.current if number is None else number
        state = self.history.state(number)
        if caller is not None:
            state = {id: entry for id, entry in state.items() if self._may(caller, entry)}
        return Snapshot(Version(number), state)

    def current_version(self) -> Version:
        """The version in force."""
        return Version(self.history.current)

    def versions(self) -> list[Version]:
        """All versions, ascending."""
        return [Version(number) for number in self.history.numbers()]

    def build_delta(self, old: State | Snapshot, new: State | Snapshot) -> tuple[Op, ...]:
        """The operations that lead from one state to another."""
        before = old.state if isinstance(old, Snapshot) else old
        return tuple(copies(delta(before, new.state if isinstance(new, Snapshot) else new)))

    # -- changes

    def changes(self) -> Changes:
        """An empty set of changes."""
        return Changes(self)

    async def apply(self, ops: Iterable[Op], *, caller: ProcessContext | None = None) -> Version:
        """Apply operations atomically and make a version (RG5-RG10).

        When it returns, the effects are in place. Checkpoint: always.

        Raises: ProcessError as RG6 says; then nothing has changed.
        """
        require(self.app.node, caller, "registry.apply", "")
        ops = copies(ops)
        if not ops:
            raise make_error(ErrorKind.INVALID, "no operations")
        old = self._state
        new = apply(old, ops)
        history = self.history.added(new)
        await self._change(
            new,
            lambda file: file.added(history.current, new),
            lambda file: file.taken_back(history.current, self.history.current),
        )
        self.history = history
        self._announce(delta(old, new))
        return self.current_version()

    def edits(self, files: State) -> tuple[Op, ...]:
        """What edits of the files change: their own difference, on top of the state in force."""
        old = self._state
        return self.build_delta(old, merged(old, delta(self._files, files)))

    async def apply_edits(self, ops: Iterable[Op], files: State) -> Version | None:
        """Apply `edits(files)`; None if they come to nothing. Raises: as `apply`."""
        ops = list(ops)
        version = await self.apply(ops) if ops else None
        if self.file is not None and files != self._files:
            await self.app.node.blocking(self.file.started, files)
        self._files = files
        return version

    async def apply_version(
        self, version: Version | int, *, caller: ProcessContext | None = None
    ) -> None:
        """Go to the state of a version, without making one (RG12).

        Raises: ProcessNotFound, and as `apply`.
        """
        require(self.app.node, caller, "registry.apply_version", "")
        number = version.id if isinstance(version, Version) else version
        old, new = self._state, self.history.state(number)
        current = self.history.current
        await self._change(new, lambda f: f.moved(number), lambda f: f.moved(current))
        self.history = self.history.moved(number)
        self._announce(delta(old, new))

    async def _change(
        self, new: State, record: Record | None = None, undo: Record | None = None
    ) -> None:
        """Write a state down, and go to it; if either fails nothing has changed (RG5).

        It is written first, because that may well fail, and some steps cannot be undone whole. A
        program that is killed between the two goes to the new state at its next start.
        """
        if self._busy:
            text = "another change is being applied"
            raise make_error(ErrorKind.CONFLICT, text, retryable=True)
        self._busy = True
        app = self.app
        old = app.definitions
        try:
            checked = check(new.values(), app.application.catalog)
            if checked.problems:
                raise refusal(checked.problems)
            app.definitions = dict(checked.definitions)
            steps = plan(old, app.definitions, app.kind_of)
            with trio.CancelScope(shield=True):  # all of it or nothing (RG9)
                await self._write(record)
                try:
                    await carry_out(steps, self._do)
                except Exception:
                    await self._take_back(undo)  # noqa: ASYNC120  shielded
                    raise
        except BaseException:
            app.definitions = old
            raise
        finally:
            self._busy = False
        for step in steps:
            if step.old is not None and step.new is not None:
                committed = getattr(app.kind_of(step.new), "committed", None)
                if committed is not None:
                    committed(app, step.old, step.new)

    async def _write(self, record: Record | None) -> None:
        """In a thread: the disk may be slow, the file locked by somebody else."""
        if self.file is not None and record is not None:
            await self.app.node.blocking(record, self.file)

    async def _take_back(self, undo: Record | None) -> None:
        try:
            await self._write(undo)
        except ProcessError as error:  # the next change writes over it
            log.error("a refused change is still in the history: %s", error)

    async def _do(self, step: Step) -> None:
        app = self.app
        definition = step.new or step.old
        assert definition is not None
        kind = app.kind_of(definition)
        match step:
            case Step(Action.ADD, None, Definition() as new):
                await kind.add(app, new)
            case Step(Action.UPDATE, Definition() as old, Definition() as new):
                await kind.update(app, old, new)
            case Step(Action.REMOVE, Definition() as old):
                await kind.remove(app, old)

    def _announce(self, ops: Iterable[Op]) -> None:
        """Rule: RG15; entries of `registry.entry` make no events."""
        bus = bus_of(self.app.node)
        for op in ops:
            if op.entry.kind != "registry.entry":
                bus.announce(BusEvent(SYSTEM, op.kind, op.id, table(op.entry)))
        version = self.current_version()
        bus.announce(BusEvent(SYSTEM, "registry.commit", str(version), {"id": version.id}))

    # -- as tables, for scripts (lua_bridge/modules/registry.py)

    def table_of(self, id: str, version: int | None, caller: ProcessContext) -> dict[str, Any]:
        """One entry, in force or at a version."""
        if version is None:
            return table(self.get(id, caller=caller))
        return table(Snapshot(Version(version), self._seen(version, caller)).get(id))

    def tables(
        self, query: Mapping[str, Any], version: int | None, caller: ProcessContext
    ) -> list[dict[str, Any]]:
        """The entries that fit a filter, in force or at a version."""
        state = self._seen(self.history.current if version is None else version, caller)
        return [table(entry) for entry in find(state.values(), query)]

    def _seen(self, version: int, caller: ProcessContext) -> State:
        entries = self.history.state(version).items()
        return {id: entry for id, entry in entries if self._may(caller, entry)}

    def numbers(self) -> list[int]:
        """All versions, ascending."""
        return self.history.numbers()

    def current_number(self) -> int:
        """The version in force."""
        return self.history.current

    def delta_tables(self, old: int, new: int) -> list[dict[str, Any]]:
        """The operations between two versions."""
        ops = delta(self.history.state(old), self.history.state(new))
        return [{"kind": str(op.kind), "entry": table(op.entry)} for op in ops]

    def vet(self, kind: str, entry: Any) -> None:
        """Refuse what can be no operation. Raises: ProcessInvalid."""
        op_of({"kind": kind, "entry": entry})

    async def apply_tables(self, ops: Iterable[Mapping[str, Any]], caller: ProcessContext) -> int:
        """Apply operations given as tables; the number of the new version.

        Scripts reach no files outside the application's directory.
        """
        given = [op_of(op) for op in ops]
        root = self.app.application.root
        for op in given:
            kind = self.app.application.catalog.get(op.entry.kind)
            for name in getattr(kind, "files", no_files)(op.entry.data):
                if not (root / name).resolve().is_relative_to(root):
                    text = f"not allowed: {op.id} names a file outside the application's directory"
                    raise make_error(ErrorKind.PERMISSION_DENIED, text)
        return (await self.apply(given, caller=caller)).id

    async def apply_number(self, number: int, caller: ProcessContext) -> None:
        """Go to the state of a version."""
        await self.apply_version(number, caller=caller)
