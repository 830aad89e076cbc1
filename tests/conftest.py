"""Fixtures of all tests: virtual time for whoever asks for it, a node, a host, a stage."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import pytest
import trio
import trio.testing
from roaming import WAYS, go
from stage import LANGUAGES, Stage, open_stage

import trio_actors
from trio_actors import Host, Node

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background of a script
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests press Ctrl-C


def pytest_itemcollected(item: pytest.Item) -> None:
    """Virtual time for each test that a fixture of its fixtures gives the clock to."""
    names = getattr(item, "fixturenames", ())
    if "autojump_clock" in names:

        def run(fn: Any, *, clock: Any = None, instruments: Any = ()) -> Any:
            clock = clock or item.funcargs["autojump_clock"]  # type: ignore[attr-defined]
            return trio.run(fn, clock=clock, instruments=instruments)

        item.add_marker(pytest.mark.trio(run=run), append=False)


@pytest.fixture
async def stage(autojump_clock: trio.testing.MockClock) -> AsyncIterator[Stage]:
    """A stage in virtual time."""
    async with open_stage() as opened:
        yield opened


@pytest.fixture
async def node(autojump_clock: trio.testing.MockClock) -> AsyncIterator[Node]:
    """A node in virtual time, without hosts."""
    async with trio_actors.open_node() as opened:
        yield opened


@pytest.fixture
async def host(node: Node) -> AsyncIterator[Host]:
    """A host `app:main` of that node; at the end what is alive is terminated."""
    async with node.open_host("app:main", drain=0) as opened:
        yield opened


@pytest.fixture(params=list(LANGUAGES))
def language(request: pytest.FixtureRequest) -> str:
    """Every language, one after the other."""
    return str(request.param)


@pytest.fixture(params=list(product(LANGUAGES, repeat=2)), ids="-".join)
def languages(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Every pair of languages: the one who acts, and the one it acts on."""
    first, second = request.param
    return first, second


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How functions begin: both ways, one after the other."""
    go(request.param, monkeypatch)
    return str(request.param)
