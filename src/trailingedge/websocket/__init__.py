"""The wire: JSON to nouns and back, sessions, connections, streams."""
