"""Something that should be there and is not: worth a word when it lasts, and another when it is over."""


class Staleness:
    """Tells once that it has lasted `patience_s`, and once that it is over. Shorter ones are nobody's concern."""

    def __init__(self, patience_s: float) -> None:
        self._report_after_s = patience_s
        self._since_s: float | None = None
        self._reported = False

    def on_missing(self, now_s: float, since_s: float = float("-inf")) -> float | None:
        """It is missing. How long it has been, when that is to be told.

        `since_s` is when it was last there, infinitely long ago where nobody knows: then the count begins now.
        """
        if self._since_s is None:
            self._since_s = since_s if since_s > float("-inf") else now_s
        lasted_s = now_s - self._since_s
        if self._reported or lasted_s < self._report_after_s:
            return None
        self._reported = True
        return lasted_s

    def on_present(self, now_s: float) -> float | None:
        """It is there. How long it was missing, if that was told."""
        since_s, told = self._since_s, self._reported
        self._since_s, self._reported = None, False
        return now_s - since_s if told and since_s is not None else None
