"""Recorded markets run through strategy, chaser and matching at once, with nothing to wait for in between."""
