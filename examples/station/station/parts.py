"""A part of the station: it has a name, and works until it is asked to end."""

from __future__ import annotations

from trio_actors import ProcessContext


async def main(ctx: ProcessContext, name: str) -> None:
    """Whatever a part does would stand here."""
    ctx.register(f"station.{name}")
    ctx.started()
    await ctx.events.receive()
