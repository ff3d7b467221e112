"""What stands before everything: the mode and the pair."""


def mode_label(mode: str) -> str:
    """The mode as it stands before the pair. On paper the prices are real and the money is not: that is told aloud."""
    return mode.upper() if mode == "paper" else mode


def heading(mode: str, symbol: str) -> str:
    """Both, as they stand at the head of a face and of a message."""
    return f"{mode_label(mode)} {symbol}"
