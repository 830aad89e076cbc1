"""The kernel. Users import `trio_actors`; start reading at `node`, `process`, `task`, `scopes`."""
