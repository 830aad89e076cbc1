"""Scheduled jobs: SJ1-SJ4, also over the change of the clocks and over a year."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from registry import open_app
from registry.kinds.schedules import Job, due_times

WriteApp = Callable[..., Path]


def test_cron_follows_its_time_zone() -> None:
    """SJ1: five fields, in the zone of the job, over the change of daylight saving time."""
    start = datetime(2026, 3, 28, 12, 0, tzinfo=UTC).timestamp()
    times = due_times(Job("a:f", cron="30 8 * * 1-5", timezone="Europe/Berlin"), start)
    found = [datetime.fromtimestamp(next(times), UTC).isoformat() for _ in range(2)]
    assert found == ["2026-03-30T06:30:00+00:00", "2026-03-31T06:30:00+00:00"]
    winter = due_times(Job("a:f", cron="0 0 1 * *"), datetime(2026, 1, 5, tzinfo=UTC).timestamp())
    year = [datetime.fromtimestamp(next(winter), UTC).month for _ in range(12)]
    assert year == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1]


def runs_in(zone: str, cron: str, *day: int, count: int = 4) -> list[str]:
    """The first local times of a job that begins at noon of a day."""
    start = datetime(*day, 12, tzinfo=ZoneInfo(zone)).timestamp()  # type: ignore[arg-type, misc]
    times = due_times(Job("a:f", cron=cron, timezone=zone), start)
    moments = (datetime.fromtimestamp(next(times), ZoneInfo(zone)) for _ in range(count))
    return [f"{moment:%d %H:%M%z}" for moment in moments]


@pytest.mark.parametrize(
    ("zone", "cron", "day", "runs"),
    [
        # spring: 2:30 is not there, so it comes at once after the gap
        ("Europe/Berlin", "30 2 * * *", (2026, 3, 28),
         ["29 03:00+0200", "30 02:30+0200", "31 02:30+0200", "01 02:30+0200"]),
        ("Europe/Berlin", "0 1-3 * * *", (2026, 3, 28),
         ["29 01:00+0100", "29 03:00+0200", "30 01:00+0200", "30 02:00+0200"]),
        # autumn: 2:30 comes twice, and is used once; every half hour means every one of them
        ("Europe/Berlin", "30 2 * * *", (2026, 10, 24),
         ["25 02:30+0200", "26 02:30+0100", "27 02:30+0100", "28 02:30+0100"]),
        ("Europe/Berlin", "*/30 2 * * *", (2026, 10, 24),
         ["25 02:00+0200", "25 02:30+0200", "25 02:00+0100", "25 02:30+0100"]),
        # the other hemisphere, a gap of half an hour, and none at all
        ("America/Santiago", "30 0 * * *", (2026, 9, 5),
         ["06 01:00-0300", "07 00:30-0300", "08 00:30-0300", "09 00:30-0300"]),
        ("Australia/Lord_Howe", "15 2 * * *", (2026, 10, 3),
         ["04 02:30+1100", "05 02:15+1100", "06 02:15+1100", "07 02:15+1100"]),
        ("Asia/Kolkata", "30 2 * * *", (2026, 3, 28),
         ["29 02:30+0530", "30 02:30+0530", "31 02:30+0530", "01 02:30+0530"]),
    ],
)  # fmt: skip
def test_cron_over_the_change_of_the_clocks(
    zone: str, cron: str, day: tuple[int, ...], runs: list[str]
) -> None:
    """SJ1: what is left out comes after the gap, what comes twice is used once."""
    assert runs_in(zone, cron, *day) == runs


@given(
    interval=st.floats(0.001, 1e5),
    start=st.floats(0, 1e9),
    passed=st.floats(-1e3, 1e7),
)
def test_intervals_go_on_from_any_moment(interval: float, start: float, passed: float) -> None:
    """SJ1: start + n * interval, whatever was missed; the next one is not far away."""
    first = next(due_times(Job("a:f", interval=interval), start, start + passed))
    assert first == start + max(1, round((first - start) / interval)) * interval
    late = start + max(0.0, passed)
    assert late - 1e-6 * (1 + abs(late)) <= first <= late + interval + 1e-6 * (1 + abs(late))


YEAR = """\
namespace: app
entries:
  - {name: f, kind: function.py, source: "code_of_year:note"}
  - {name: lua_f, kind: function.lua, method: m, modules: [funcs],
     source: "return {m = function(name) funcs.call('app:f', name) end}"}
"""
YEAR_CODE = """\
import trio
SEEN = []
def note(name):
    SEEN.append((name, trio.current_time()))
"""
JOBS = {
    "berlin": {"cron": "0 8 * * 1-5", "timezone": "Europe/Berlin"},
    "york": {"cron": "30 2 * * *", "timezone": "America/New_York"},
    "months": {"cron": "0 0 1 * *"},
    "weekly": {"interval": "168h"},
    "lua": {"cron": "15 12 29 2,3 *", "func": "app:lua_f"},
}


async def test_a_year_of_schedules(
    write_app: WriteApp,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SJ1, SJ2: every run of 2026, at its time of day in its zone, none twice, without drift."""
    monkeypatch.setattr("registry.kinds.schedules.LOOK", 86400)  # this clock does not jump
    path = write_app({"a.yaml": YEAR, "code_of_year.py": YEAR_CODE})
    start = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    async with open_app(path) as app:
        import code_of_year as code  # type: ignore[import-not-found]

        began = trio.current_time()
        app.node.wall_time = lambda: start + trio.current_time() - began
        changes = app.registry.changes()
        for name, job in JOBS.items():
            data = {"func": "app:f", "input": [name], "lifecycle": {"auto_start": True}, **job}
            changes.create({"id": f"app:{name}", "kind": "schedule.job", "data": data})
        await changes.apply()
        await trio.sleep(365 * 86400 - 1)
        runs: dict[str, list[float]] = {name: [] for name in JOBS}
        for name, at in code.SEEN:
            runs[name].append(at - began)
    counts = {name: len(found) for name, found in runs.items()}
    assert counts == {"berlin": 261, "york": 365, "months": 11, "weekly": 52, "lua": 1}
    assert runs["weekly"] == pytest.approx([n * 7 * 86400 for n in range(1, 53)], abs=0.001)

    def local(name: str, zone: str) -> list[datetime]:
        return [datetime.fromtimestamp(start + at + 0.001, ZoneInfo(zone)) for at in runs[name]]

    assert {f"{at:%H:%M}" for at in local("berlin", "Europe/Berlin")} == {"08:00"}
    assert {at.weekday() for at in local("berlin", "Europe/Berlin")} == {0, 1, 2, 3, 4}
    york = local("york", "America/New_York")
    assert len({at.date() for at in york}) == 365
    assert [f"{at:%m-%d %H:%M}" for at in york if f"{at:%H:%M}" != "02:30"] == ["03-08 03:00"]
    assert [f"{at:%m-%d}" for at in local("months", "UTC")] == [f"{n:02}-01" for n in range(2, 13)]


@pytest.mark.parametrize("jump", [-7200, 90, 3 * 365 * 86400])
async def test_a_clock_that_jumps(
    write_app: WriteApp,
    autojump_clock: trio.testing.MockClock,
    caplog: pytest.LogCaptureFixture,
    jump: float,
) -> None:
    """SJ3: missed times are not made up, however many; after a jump back none comes twice."""
    path = write_app({"a.yaml": YEAR, "code_of_year.py": YEAR_CODE})
    async with open_app(path) as app:
        import code_of_year as code

        wall = datetime(2026, 1, 1, tzinfo=UTC).timestamp() - trio.current_time()
        jumped = 0.0
        app.node.wall_time = lambda: wall + jumped + trio.current_time()
        job = {"func": "app:f", "cron": "*/20 * * * *", "lifecycle": {"auto_start": True}}
        entry = {"id": "app:job", "kind": "schedule.job", "data": job}
        await app.registry.changes().create(entry).apply()
        await trio.sleep(3600 + 19 * 60 - 1)  # the next is due after 61 s
        assert len(code.SEEN) == 3
        jumped = jump
        with caplog.at_level(logging.WARNING, "trio_actors.schedules"):
            await trio.sleep(2 * 3600 + 120)
        seen = [wall + jump + at for _, at in code.SEEN[3:]]
        assert len(seen) == {-7200: 1, 90: 6, 3 * 365 * 86400: 6}[int(jump)]
        assert all(at % 1200 < 1 for at in seen)  # at their times of day
        missed = [vars(record) for record in caplog.records if "missed" in record.getMessage()]
        assert len(missed) == (0 if jump < 0 else 1)


FAILING = """\
namespace: app
entries:
  - {name: crash, kind: function.lua, method: m, source: "return {m = function() error('no') end}"}
  - {name: slow, kind: function.py, source: "trio:sleep_forever"}
  - name: nothing
    kind: security.policy
    policy: {actions: [x], resources: [y], effect: allow}
  - {name: job, kind: schedule.job, interval: 10s, lifecycle: {auto_start: true}, func: crash}
"""


@pytest.mark.parametrize(
    ("overrides", "kind"),
    [
        ({}, "Internal"),
        ({"app:job:func": "slow", "app:job:options": {"timeout": "1s"}}, "Timeout"),
        ({"app:job:lifecycle.security": {"actor": {"id": "j"}, "policies": ["nothing"]}},
         "PermissionDenied"),
    ],
)  # fmt: skip
async def test_a_failing_run_is_logged_and_the_schedule_goes_on(
    write_app: WriteApp,
    autojump_clock: trio.testing.MockClock,
    caplog: pytest.LogCaptureFixture,
    overrides: dict[str, Any],
    kind: str,
) -> None:
    """SJ2, SJ4: a call with the job's options and security; one record per run, with its kind."""
    async with open_app(write_app({"main.yaml": FAILING}), overrides=overrides) as app:
        app.node.wall_time = trio.current_time
        await trio.sleep(35)
    found = [r for r in caplog.records if r.name == "trio_actors.schedules"]
    assert [(r.levelname, vars(r)["job"], vars(r)["kind"]) for r in found] == [
        ("ERROR", "app:job", kind)
    ] * 3


async def test_the_example_of_the_docs(
    write_app: WriteApp, autojump_clock: trio.testing.MockClock
) -> None:
    """docs/how-to/schedules.md: one run a night in Berlin, four an hour."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "schedules.md"
    path = write_app({"main.yaml": page.read_text().split("```yaml\n")[1].split("```")[0]})
    start = datetime(2026, 6, 1, tzinfo=UTC).timestamp() - trio.current_time()
    async with open_app(path, overrides={"shop:every_night:lifecycle.auto_start": False}) as app:
        app.node.wall_time = lambda: start + trio.current_time()
        await app.supervisor.start(["shop:every_night"])
        await trio.sleep(24 * 3600 - 10)  # the first quarter began with the application
        statistics = app.functions.statistics("shop:tidy")
        assert (statistics.completed, statistics.failed) == (1 + 95, 0)
