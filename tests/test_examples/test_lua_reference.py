"""docs/reference/lua.md names what scripts really have: no module or function is missing."""

from __future__ import annotations

import re
from pathlib import Path

from lua_bridge import LuaTarget, Script
from lua_bridge.modules import MODULES
from trio_actors import open_node

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "lua.md"
ALWAYS = ("process", "channel", "coroutine", "errors", "os", "string", "table", "math")
LIST = """
return function(names)
  local found = {}
  for _, name in ipairs(names) do
    local keys = {}
    for key in pairs(_ENV[name] or require(name)) do keys[#keys + 1] = key end
    found[name] = keys
  end
  return found
end
"""


async def test_every_function_of_every_module_is_in_the_reference() -> None:
    """The names in a fresh sandbox, module by module."""
    script = Script("app:list", LIST, modules=tuple(MODULES))
    names = sorted({*ALWAYS, *MODULES})
    async with open_node() as node, node.open_host("app:processes", drain=0) as host:
        found = await node.call(LuaTarget(script), names, host=host)
    sections: dict[str, set[str]] = {}
    for part in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.M)[1:]:
        heading, _, text = part.partition("\n")
        words = {
            word for code in re.findall(r"`([^`]+)`", text) for word in re.findall(r"\w+", code)
        }
        for module in heading.split(", "):
            sections[module] = words
    missing = []
    for module, keys in found.items():
        if module not in sections:
            missing.append(module)
            continue
        # The constants of time are named as groups.
        wanted = {key for key in keys if module != "time" or not key.isupper()}
        missing += sorted(f"{module}.{name}" for name in wanted - sections[module])
    assert missing == []
