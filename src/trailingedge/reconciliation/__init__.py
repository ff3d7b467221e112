"""The `reconciliation` package."""
