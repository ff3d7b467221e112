"""A signal asks for an end in good order; the same request twice is one; the impatient one ends at once."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from trailingedge.errors import ExitCode
from trailingedge.signals import ends_in_good_order

HEEDED = [signal.SIGINT, signal.SIGTERM] + ([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends signals to this very process")


@pytest.fixture(autouse=True)
def _own_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in HEEDED}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def _heard() -> None:
    """The loop has had time to notice."""
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.parametrize("number", HEEDED, ids=lambda number: signal.Signals(number).name)
async def test_a_signal_asks_for_the_end_once(number: signal.Signals) -> None:
    reasons: list[str] = []
    with ends_in_good_order(reasons.append):
        for _ in range(2):
            os.kill(os.getpid(), number)
            await _heard()
    assert reasons == [number.name]


async def test_what_comes_after_the_end_is_ignored() -> None:
    with ends_in_good_order(lambda _: None):
        pass
    for number in HEEDED:
        os.kill(os.getpid(), number)
    await _heard()


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no hang-up here")
async def test_a_hang_up_that_somebody_said_to_survive_is_survived() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    reasons: list[str] = []
    with ends_in_good_order(reasons.append):
        os.kill(os.getpid(), signal.SIGHUP)
        await _heard()
    assert reasons == []


def test_a_later_signal_ends_at_once() -> None:
    program = """
import asyncio, os, signal
from trailingedge.signals import ends_in_good_order

async def main():
    loop = asyncio.get_running_loop()
    now_s = loop.time()
    loop.time = lambda: now_s
    with ends_in_good_order(print):
        for passed_s in (0.0, 1.5):
            now_s += passed_s
            os.kill(os.getpid(), signal.SIGTERM)
            for _ in range(10):
                await asyncio.sleep(0)
        print("never")

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-u", "-c", program], capture_output=True, text=True, check=False, timeout=20
    )
    assert done.returncode == ExitCode.UNEXPECTED
    assert done.stdout == "SIGTERM\n"
    assert "ended at once" in done.stderr
