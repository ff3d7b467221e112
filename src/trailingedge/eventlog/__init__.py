"""The `eventlog` package."""
