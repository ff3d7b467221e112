"""Start progress: the present step of a start, its failed attempts and the last reason, shown to the operator during
the start.

An exchange may be unreachable for hours. Until trading begins, the status line of the service manager, the answers to
`status` and `why` and the log say which step is waiting, how often it was tried and why the last attempt failed.
"""

import logging
from collections.abc import Callable, Mapping

from trailingedge.model.operator_commands import CommandResult

logger = logging.getLogger(__name__)


class StartProgress:
    """Keeps the present step of a start. `on_change` receives `text` whenever it changes."""

    def __init__(self, on_change: Callable[[str], None] = lambda _: None) -> None:
        self._on_change = on_change
        self._step = ""
        self._failed = 0
        self._reason = ""
        self._pause_s = 0.0
        self._finished = False

    @property
    def text(self) -> str:
        """The step with its attempts: "candles, attempt 3; attempt 2 failed: …; pause 4 s"."""
        if not self._step:
            return ""
        attempt = f"{self._step}, attempt {self._failed + 1}"
        if not self._failed:
            return attempt
        return f"{attempt}; attempt {self._failed} failed: {self._reason}; pause {self._pause_s:.0f} s"

    def begin(self, step: str) -> None:
        """Note that `step` has begun."""
        self._step, self._failed = step, 0
        self._on_change(self.text)

    def on_attempt_failed(self, reason: str, pause_s: float) -> bool:
        """Log and keep why the present step failed, and the pause before the next attempt.

        If no start is under way, it does nothing and returns False; the caller then logs the failure.
        """
        if self._finished or not self._step:
            return False
        self._failed += 1
        self._reason, self._pause_s = reason, pause_s
        logger.warning(
            'start waits: attempt %d of the step "%s" failed: %s; next attempt in %.1f s',
            self._failed,
            self._step,
            reason,
            pause_s,
        )
        self._on_change(self.text)
        return True

    def finish(self) -> None:
        """Note that the start is over."""
        self._finished = True

    def answer(self) -> CommandResult:
        """Return the answer to a question while the start is under way."""
        text = "starting, not trading yet"
        return CommandResult(f"{text}: {self.text}" if self._step else text, done=False, data=self._data())

    def _data(self) -> Mapping[str, object]:
        return {
            "phase": "starting",
            "step": self._step or None,
            "attempt": self._failed + 1,
            "last_failure": self._reason if self._failed else None,
        }
