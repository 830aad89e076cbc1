"""A change of a running application under load: examples/logwatch loses no line."""

import io
import json
from pathlib import Path

import trio

from registry import App, Terminal, open_app
from trio_actors.events import bus_of

LOGWATCH = Path(__file__).parents[2] / "examples" / "logwatch"
LOG = LOGWATCH / "data" / "access.log"
RULES = "logwatch:rules_script"


async def report_of(app: App, log: Path, changes: int) -> dict[str, object]:
    """The report on the whole log, with so many changes of the rules while it is made."""
    out = io.StringIO()
    host = app.terminal()
    arguments = (str(log), "--json")
    host.extensions["terminal"] = Terminal(io.StringIO(), out, io.StringIO(), arguments)
    pid = await host.spawn("logwatch:report", *arguments)
    for number in range(changes):
        await _progress(app, pid)
        entry = app.registry.get(RULES)
        data = {**entry.data, "source": f"{entry.data['source']}\n-- change {number}\n"}
        await (
            app.registry.changes()
            .update({"id": entry.id, "kind": entry.kind, "meta": entry.meta, "data": data})
            .apply()
        )
    end = await app.node.wait(pid)
    assert end.error is None
    report: dict[str, object] = json.loads(out.getvalue())
    return report


async def _progress(app: App, pid: str) -> None:
    """Wait until a few hundred more messages were delivered."""
    start = app.node.statistics().delivered
    while app.node.statistics().delivered < start + 300:
        assert pid in app.node.processes, "the report was done before the change"
        await trio.sleep(0)


async def test_rules_change_under_load_and_no_line_is_lost(tmp_path: Path) -> None:
    """RG7, Y4: workers are restarted with the new script; every line is scored or rejected once."""
    log = tmp_path / "long.log"
    log.write_bytes(LOG.read_bytes() * 2)
    counted = ("read", "scored", "rejected")
    async with open_app(LOGWATCH) as app:
        plain = await report_of(app, log, 0)
    async with open_app(LOGWATCH) as app, bus_of(app.node).subscribe("registry") as events:
        changed = await report_of(app, log, 3)
        seen = [await events.receive() for _ in range(6)]
    assert [event.kind for event in seen] == ["entry.update", "registry.commit"] * 3
    assert plain["read"] == 6000
    assert {key: changed[key] for key in counted} == {key: plain[key] for key in counted}
