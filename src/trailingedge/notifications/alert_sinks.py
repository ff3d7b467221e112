"""The alert sinks: a protocol for sending a text to the operator, and the sinks that need no network."""

import logging
from typing import Protocol

_logger = logging.getLogger(__name__)


class Alerts(Protocol):
    """A sink for texts that are worth waking a person for."""

    def send(self, text: str, level: int = logging.INFO) -> None:
        """Queue `text` and return at once. Never raises.

        `level` is a level of the logging module.
        """
        ...


class LogAlerts:
    """Writes alerts to the log, which the terminal shows too."""

    def send(self, text: str, level: int = logging.INFO) -> None:
        for line in text.splitlines():
            # The name of the logger is not shown: an alert reads the same in the log, on the terminal and on the phone.
            _logger.log(level, "%s", line)


class LabelledAlerts:
    """Puts `label` before each alert. In paper mode it is "PAPER": the prices are real and the money is not."""

    def __init__(self, alerts: Alerts, label: str) -> None:
        self._alerts = alerts
        self._label = label

    def send(self, text: str, level: int = logging.INFO) -> None:
        self._alerts.send(f"{self._label} {text}", level)


class AlertFanout:
    """Sends each alert to all of `sinks`."""

    def __init__(self, *sinks: Alerts) -> None:
        self._sinks = sinks

    def send(self, text: str, level: int = logging.INFO) -> None:
        for sink in self._sinks:
            sink.send(text, level)
