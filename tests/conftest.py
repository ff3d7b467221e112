"""Options of the suite, and what every test finds as it was."""

import signal
from collections.abc import Iterator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--days", type=int, default=8, metavar="N", help="fair days to simulate in tests/simulation (8)")
    parser.addoption("--seeds", type=int, default=40, metavar="N", help="days in a storm to simulate there (40)")


@pytest.fixture(autouse=True)
def _signals_mean_what_they_did() -> Iterator[None]:
    """After an interrupted command a signal means nothing to its process, which here is that of many tests."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
