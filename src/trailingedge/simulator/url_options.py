"""Query options of a connection's URL, read without turning `+` into a space: stream names contain it.

A stream name such as `ethfdusd@kline_1m@+08:00` may be sent as it is or percent-encoded; both forms give the same name.
"""

from urllib.parse import SplitResult, unquote


def query_option(address: SplitResult, name: str) -> str | None:
    """Return the value of the first query option `name`; None if the URL has none."""
    for option in address.query.split("&"):
        key, _, value = option.partition("=")
        if unquote(key) == name:
            return unquote(value)
    return None


def stream_names(address: SplitResult) -> list[str]:
    """Return the streams that the URL names: `/ws/NAME/…` or `/stream?streams=NAME/…`."""
    if address.path.rstrip("/") == "/stream":
        named = query_option(address, "streams") or ""
    else:
        named = unquote(address.path.removeprefix("/ws"))
    return [name for name in named.split("/") if name]
