"""What the command line offers beside the daemon: looking at it, talking to it, and preparing its start."""
