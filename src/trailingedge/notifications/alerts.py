"""Telling the operator: one doorway, whatever stands behind it."""

import logging
from typing import Protocol

_logger = logging.getLogger(__name__)


class Alerts(Protocol):
    """Where records go that are worth waking someone for."""

    def send(self, text: str, level: int = logging.INFO) -> None:
        """Take `text` and return at once. `level` is one of logging's; a failure is never raised."""
        ...


class LogAlerts:
    """Alerts as lines of the log, and so of the terminal."""

    def send(self, text: str, level: int = logging.INFO) -> None:
        for line in text.splitlines():
            _logger.log(level, "%s", line)


class LabelledAlerts:
    """Alerts that all begin with `label`: on paper, where the prices are real and the money is not, "PAPER"."""

    def __init__(self, alerts: Alerts, label: str) -> None:
        self._alerts = alerts
        self._label = label

    def send(self, text: str, level: int = logging.INFO) -> None:
        self._alerts.send(f"{self._label} {text}", level)


class AlertFanout:
    """Alerts to all of `sinks`."""

    def __init__(self, *sinks: Alerts) -> None:
        self._sinks = sinks

    def send(self, text: str, level: int = logging.INFO) -> None:
        for sink in self._sinks:
            sink.send(text, level)
