"""Commands of the command line other than the daemon: they prepare, check, control and analyse its sessions."""
