"""The four packages of this distribution are really the ones that Python will import.

`supervision` and `registry` are also import names of other distributions. Installed side by side,
the one installed last overwrites the other's files without a word, and what follows is an
AttributeError far away from the cause. So importing `trio_actors` looks, once, whether each sibling
carries our mark. Siblings are found and read, never imported: imports only point downwards.

Rejected: comparing folders (an editable install and a wheel may lie apart), importing the siblings
(a cycle), checking the version of a distribution (the overwritten one still claims to be there).

Source: style.md, Packaging.
"""

from importlib.machinery import ModuleSpec
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

SIBLINGS = ("supervision", "lua_bridge", "registry")
MARK = '__distribution__ = "trio-actors"'


def check_siblings() -> None:
    """Return if every sibling is ours, else raise one ImportError that names the culprit."""
    for name in SIBLINGS:
        spec = find_spec(name)
        if spec is None or not _is_ours(spec):
            raise ImportError(_explain(name, spec), name=name)


def _is_ours(spec: ModuleSpec) -> bool:
    if spec.origin is None or not spec.origin.endswith(".py"):
        return False
    return MARK in Path(spec.origin).read_text(encoding="utf-8", errors="replace")


def _explain(name: str, spec: ModuleSpec | None) -> str:
    if spec is None:
        found = "it cannot be found (another distribution's removal may have taken its files along)"
    else:
        owners = sorted({d for d in packages_distributions().get(name, []) if d != "trio-actors"})
        place = spec.origin or ", ".join(spec.submodule_search_locations or ())
        found = f"Python finds {place}" + (
            f", which belongs to {' and '.join(owners)}" if owners else ""
        )
    return (
        f"trio-actors needs its own package '{name}', but {found}. "
        f"Uninstall or rename what is in the way, then run: "
        f"pip install --force-reinstall trio-actors"
    )
