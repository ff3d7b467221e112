"""The `session_replay` package."""
