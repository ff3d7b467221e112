"""The key: who signs with it, and what it may do."""
