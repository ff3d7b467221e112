"""The `model` package."""
