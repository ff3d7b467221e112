"""Commands of the command line, except the daemon itself.

They prepare, check, control and analyse the daemon's sessions.
"""
