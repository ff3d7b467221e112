"""The heading of messages and of the status: trading mode and pair."""


def mode_label(mode: str) -> str:
    """The mode before the pair. PAPER is in capitals: its prices are real and its money is not."""
    return mode.upper() if mode == "paper" else mode


def heading(mode: str, symbol: str) -> str:
    """Mode and pair: "sim ETHFDUSD"."""
    return f"{mode_label(mode)} {symbol}"
