"""What a kind of entry is: a model for its data, its references, and what happens at run time.

Built-in kinds and those of other distributions are the same thing and are found the same way
(catalog.py). `Kind` is all that is asked for; `BaseKind` answers everything but `model`.

Rules: PG1, PG2. Raising in `add`, `update` or `remove` refuses the change (RG5).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import attrs
import trio

from trio_actors import ErrorKind

from .entry import Entry
from .problems import Path
from .references import Reference, references_of

if TYPE_CHECKING:
    from .app import App


@attrs.frozen(slots=True)
class Finding:
    """What a kind has to say against one of its entries, beyond types and references."""

    path: Path
    expected: str
    got: str
    # Names that were possible here, for "did you mean".
    choices: tuple[str, ...] = ()
    kind: ErrorKind = ErrorKind.INVALID
    # Where it stands, if not at the field itself: file and line of a script's error.
    place: tuple[str, int] | None = None


@attrs.frozen(slots=True)
class Definition:
    """A checked entry: its data as the model of its kind, references written in full."""

    entry: Entry
    model: Any
    # The keys of `meta` that the kind knows, as a model; None when it knows none.
    meta: Any = None
    references: tuple[Reference, ...] = ()

    @property
    def id(self) -> str:
        """The id of the entry."""
        return self.entry.id

    @property
    def kind(self) -> str:
        """The kind of the entry."""
        return self.entry.kind


Definitions = Mapping[str, Definition]


class Kind(Protocol):
    """What a plugin gives for its kind; see `BaseKind` for the optional rest."""

    # An attrs class: the entry's data is read into it strictly, unknown fields are errors.
    model: type[Any]

    def references(self, model: Any) -> Iterable[Reference]:
        """The fields that name other entries."""

    async def add(self, app: App, definition: Definition) -> None:
        """Bring a new entry to life; what it refers to is there already."""

    async def update(self, app: App, old: Definition, new: Definition) -> None:
        """Replace an entry by another of the same id and kind."""

    async def remove(self, app: App, definition: Definition) -> None:
        """Take an entry out of life; nothing refers to it any more."""


class BaseKind:
    """A kind that only has a model; subclasses override what they need."""

    model: type[Any]
    # Keys of `meta` that mean something to the kind; others stay free (LD7).
    meta_model: type[Any] | None = None
    # The data is not read into the model at all.
    free_data: bool = False
    # A removal loses something that no `add` brings back: it is done last.
    irrevocable: bool = False
    # The sentence under the kind's heading in the reference documentation.
    doc: str = ""
    # The fields of that reference, where the model is not what the entry's data looks like.
    documented: type[Any] | None = None

    def references(self, model: Any) -> Iterable[Reference]:
        """Every field whose type is marked as a reference."""
        return references_of(model)

    def findings(self, definition: Definition, others: Definitions) -> Iterable[Finding]:
        """What else is wrong with this entry, seen together with all others. Never raises."""
        return ()

    def needs(self, definition: Definition, others: Definitions) -> Iterable[str]:
        """Ids that have to be created first although no field names them."""
        return ()

    def files(self, data: Mapping[str, Any]) -> Iterable[str]:
        """Names of files that it opens, as they stand in the data of an entry. Never raises."""
        return ()

    def affected_by(self, definition: Definition, changed: Collection[str]) -> bool:
        """Whether it has to be updated although only others changed: what it imports, say."""
        return False

    async def add(self, app: App, definition: Definition) -> None:
        """Nothing happens at run time."""

    async def update(self, app: App, old: Definition, new: Definition) -> None:
        """The old one goes, the new one comes; if that fails the old one is back."""
        await self.remove(app, old)
        try:
            await self.add(app, new)
        except Exception:
            with trio.CancelScope(shield=True):
                await self.add(app, old)  # noqa: ASYNC120  shielded
            raise

    async def remove(self, app: App, definition: Definition) -> None:
        """Nothing happens at run time."""

    def committed(self, app: App, old: Definition, new: Definition) -> None:
        """The whole change in which it was updated is in place and stays. Never raises."""


@attrs.frozen(slots=True)
class AnyData:
    """The model of a kind that accepts any data."""


class FreeKind(BaseKind):
    """A kind without rules for its data. Rule: LD7."""

    model = AnyData
    free_data = True
    doc = "Data for programs to look up: any fields, no behaviour."


REGISTRY_ENTRY = FreeKind()
