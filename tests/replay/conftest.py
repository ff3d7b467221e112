import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _signals_mean_what_they_did() -> Iterator[None]:
    """After an interrupted command a signal means nothing to its process, which here is that of all tests."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
