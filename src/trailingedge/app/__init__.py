"""The `app` package."""
