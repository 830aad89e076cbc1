"""What Lua code waits with: channels and select."""

from __future__ import annotations

import trio
from hypothesis import HealthCheck, Phase, given, settings
from trio.testing import MockClock

from lua_bridge import LuaTarget, Script
from property_tests.guarantees.registry import guarantee
from property_tests.models.channel import Program, refines
from property_tests.models.channel_programs import SCRIPT, as_argument, channel_programs, read_log
from property_tests.profiles import times
from trio_actors import open_node

TARGET = LuaTarget(Script("app:program", SCRIPT, modules=("time",)))


@guarantee
def channels_refine_their_model() -> None:
    """H1-H8, X1-X8: generated programs of several coroutines give what `models.channel` says."""

    @settings(
        max_examples=times(150),
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(channel_programs())
    def test(program: Program) -> None:
        async def main() -> None:
            async with open_node() as node, node.open_host("app:h") as host:
                rows = await node.call(TARGET, as_argument(program), host=host)
                assert refines(program, read_log(program, rows)) is None

        trio.run(main, clock=MockClock(autojump_threshold=0))

    test()
