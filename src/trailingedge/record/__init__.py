"""The flight recorder: all that a session was told and all that it said, so that it can be lived once more."""
