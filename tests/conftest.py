"""Options of the suite, and what every test finds as it was."""

import gc
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--days", type=int, default=2, metavar="N", help="fair days to simulate in tests/simulation (2)")
    parser.addoption("--seeds", type=int, default=14, metavar="N", help="days in a storm to simulate there (14)")


def pytest_configure() -> None:
    # How long an example takes says more about who else uses the machine than about it.
    settings.register_profile("suite", parent=settings(), deadline=None, max_examples=40)
    settings.load_profile("suite")


def pytest_collection_finish() -> None:
    gc.freeze()  # modules and tests live to the end: no collection need look at them again


@pytest.fixture(autouse=True)
def _signals_mean_what_they_did() -> Iterator[None]:
    """After an interrupted command a signal means nothing to its process, which here is that of many tests."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
