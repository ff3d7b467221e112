"""The `feeds` package."""
