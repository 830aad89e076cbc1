"""Lua as a second, sandboxed language for processes and functions."""

__distribution__ = "trio-actors"
