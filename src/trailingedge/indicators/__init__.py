"""Numbers from klines."""
