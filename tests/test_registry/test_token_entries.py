"""`store.memory` and `security.token_store` in YAML, from the first entry to a checked token."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from registry import open_app
from trio_actors import ProcessInvalid, ProcessUnavailable

WriteApp = Callable[..., Path]

MAIN = """\
namespace: app
entries:
  - {name: mem, kind: store.memory, max_size: 3, cleanup_interval: 5s}
  - {name: tokens, kind: security.token_store, store: mem, default_expiration: 10s}
  - {name: signed, kind: security.token_store, store: mem, token_length: 16, token_key: secret}
  - name: read
    kind: security.policy
    policy: {actions: read, resources: "*", effect: allow}
    groups: [staff]
  - name: check
    kind: function.lua
    method: main
    modules: [security]
    source: |
      return {main = function(token)
        local actor, scope, err = security.token_store("app:signed"):validate(token)
        if err then return nil, err end
        return {actor:id(), scope:evaluate(actor, "read", "x")}
      end}
"""


async def test_tokens_of_an_application(
    write_app: WriteApp, autojump_clock: trio.testing.MockClock
) -> None:
    """SE20-SE23: length and signature, both languages, expiry, a full store, a closed one."""
    async with open_app(write_app({"main.yaml": MAIN})) as app:
        security = app.functions.security
        ann, staff = security.new_actor("ann"), security.named_scope("app:staff")
        plain = security.token_store("app:tokens").create(ann, staff)
        signed = security.token_store("app:signed").create(ann, staff)
        assert len(plain) == 43  # 32 bytes in base64url, no padding
        body, signature = signed.split(".")
        assert (len(body), len(signature)) == (22, 43)
        assert await app.call("app:check", signed) == ["ann", "allow"]
        for forged in (body, plain, f"{body}.{signature[:-1]}x", "", "é"):
            with pytest.raises(ProcessInvalid, match=r"^invalid token$"):
                await app.call("app:check", forged)
        security.stores["app:mem"].set("third", 1)
        with pytest.raises(ProcessUnavailable, match="store is full"):
            security.token_store("app:tokens").create(ann, staff)
        await trio.sleep(11)
        assert len(security.stores["app:mem"]) == 2  # the expired one was taken out
        with pytest.raises(ProcessInvalid, match=r"^invalid token$"):
            security.token_store("app:tokens").validate(plain)
        assert await app.call("app:check", signed) == ["ann", "allow"]
        security.token_store("app:signed").close()
        with pytest.raises(ProcessUnavailable, match="token store is closed"):
            await app.call("app:check", signed)


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("{kind: security.token_store}", "store"),
        ("{kind: security.token_store, store: gone}", "app:gone"),
        ("{kind: store.memory, max_size: -1}", "max_size"),
        ("{kind: store.memory, cleanup_interval: soon}", "cleanup_interval"),
    ],
)
def test_wrong_entries_name_their_field(
    entry: str, text: str, problems: Callable[[Any], list[str]]
) -> None:
    """SE20, SE23: at load, with the position."""
    entry = entry.replace("{", "{name: x, ", 1)
    [report] = problems({"main.yaml": f"namespace: app\nentries:\n  - {entry}\n"})
    assert report.startswith("app/main.yaml:3:")
    assert text in report
