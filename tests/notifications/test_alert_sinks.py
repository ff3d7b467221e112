import logging

import pytest

from trailingedge.notifications.alert_sinks import Alerts, LabelledAlerts, LogAlerts


@pytest.mark.parametrize("level", [logging.INFO, logging.ERROR], ids=["info", "error"])
def test_an_alert_is_a_record_of_its_level(level: int, caplog: pytest.LogCaptureFixture) -> None:
    alerts: Alerts = LogAlerts()
    with caplog.at_level(logging.DEBUG):
        alerts.send("hard stop: 100 % honest", level)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(level, "hard stop: 100 % honest")]


def test_each_line_of_an_alert_is_a_record(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        LogAlerts().send("ended: FEE is abc\nSYMBOL is x", logging.ERROR)
    assert [record.getMessage() for record in caplog.records] == ["ended: FEE is abc", "SYMBOL is x"]


def test_on_paper_every_alert_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        LabelledAlerts(LogAlerts(), "PAPER").send("gate open", logging.WARNING)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "PAPER gate open")
    ]
