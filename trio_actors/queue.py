"""Queues from inside a process or function: the Python twin of the Lua module `queue` (GC2).

The functions live in `trio_actors.queues`, with what stands behind them.
"""

from trio_actors.queues import info, message, publish

__all__ = ["info", "message", "publish"]
