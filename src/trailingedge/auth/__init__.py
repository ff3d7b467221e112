"""The key: loaded once, signing."""
