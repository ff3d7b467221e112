"""A daemon that trades one Binance spot pair: all of it in one asset or the other, makers only."""
