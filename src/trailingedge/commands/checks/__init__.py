"""The `checks` package."""
