"""The terminal: keys in, lines out."""
