"""Where the streams are, for whoever dials before the rest of the wire is there."""


def market_url(base_url: str, symbol: str, interval: str) -> str:
    """Best prices and klines of one symbol, over one connection."""
    streams = f"{symbol.lower()}@bookTicker/{symbol.lower()}@kline_{interval}"
    return f"{base_url.rstrip('/')}/stream?streams={streams}"
