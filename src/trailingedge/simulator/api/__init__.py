"""The `api` package."""
