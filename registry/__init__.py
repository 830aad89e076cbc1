"""Applications described in YAML: entries, kinds, loading, the running application."""

__distribution__ = "trio-actors"
