import logging

import pytest

from trailingedge.notifications.alerts import Alerts, LogAlerts


@pytest.mark.parametrize("level", [logging.INFO, logging.ERROR], ids=["info", "error"])
def test_an_alert_is_a_record_of_its_level(level: int, caplog: pytest.LogCaptureFixture) -> None:
    alerts: Alerts = LogAlerts()
    with caplog.at_level(logging.DEBUG):
        alerts.send("hard stop: 100 % honest", level)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(level, "hard stop: 100 % honest")]
