"""The `risk` package."""
