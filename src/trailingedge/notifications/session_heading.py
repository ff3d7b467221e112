"""The heading of messages and of the status: trading mode and pair."""


def mode_label(mode: str) -> str:
    """Return the mode as it is written before the pair.

    "PAPER" is in capitals, because its prices are real although its money is not. "LIVE" is in capitals, because its
    money is real.
    """
    return mode.upper() if mode in ("paper", "live") else mode


def heading(mode: str, symbol: str) -> str:
    """Return mode and pair: "sim ETHFDUSD"."""
    return f"{mode_label(mode)} {symbol}"
