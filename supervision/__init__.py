"""Restart types, services and supervision trees."""

__distribution__ = "trio-actors"
