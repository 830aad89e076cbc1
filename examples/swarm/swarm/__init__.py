"""The Python side of examples/swarm."""
