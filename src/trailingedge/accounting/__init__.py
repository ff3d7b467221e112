"""The `accounting` package."""
