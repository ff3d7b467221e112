"""The `live` package."""
