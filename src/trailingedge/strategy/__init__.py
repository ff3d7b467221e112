"""What to want and why: pure, no I/O, no clock, no logging."""
