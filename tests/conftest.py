"""Options of the suite, and fixtures that restore global state after each test."""

import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.notify_socket import Ear
from tests.processes import guard_this_process

from trailingedge.live.systemd import ServiceManager, service_manager

# What one process of a run compiles, no other compiles again: neither a worker nor a daemon that a test starts. Where
# Python is told not to write bytecode beside the source, it goes to the folder that pytest has for itself.
if sys.dont_write_bytecode:
    sys.pycache_prefix = str(Path(__file__).parent.parent / ".pytest_cache" / "bytecode")
    sys.dont_write_bytecode = False
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or it was an option of the interpreter
# Begun first: a long test that a worker began last would keep all waiting.
LONG: Final = ("tests/test_architecture.py", "tests/test_processes.py", "tests/simulation/")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--days", type=int, default=2, metavar="N", help="fair days to simulate in tests/simulation (2)")
    parser.addoption("--seeds", type=int, default=10, metavar="N", help="days in a storm to simulate there (10)")


def pytest_configure() -> None:
    from hypothesis import HealthCheck, settings  # after bytecode has its place

    # How long an example takes says more about who else uses the machine than about it.
    slow = [HealthCheck.too_slow]
    settings.register_profile("suite", parent=settings(), deadline=None, max_examples=25, suppress_health_check=slow)
    settings.load_profile("suite")
    guard_this_process()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    gc.disable()  # modules and tests live to the end: no garbage is among them
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()  # nor need they be looked at again


@pytest.fixture(autouse=True)
def _leaks_fail_the_test_that_leaks() -> Iterator[None]:
    """A socket or loop that is left open warns when it is collected: that happens here, not in the next test."""
    before = _descriptors()
    yield
    if before is None or _descriptors() != before:
        gc.collect()  # too slow to be done after each of thousands of tests


def _descriptors() -> set[str] | None:
    """The files and sockets that are open, or None where the system does not tell."""
    try:
        return set(os.listdir("/proc/self/fd"))
    except OSError:
        return None


@pytest.fixture(autouse=True)
def _signals_mean_what_they_did() -> Iterator[None]:
    """After an interrupted command a signal means nothing to its process, which here is that of many tests."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def notify_address(tmp_path: Path) -> str:
    """Where the stand-in for the service manager listens."""
    return str(tmp_path / "notify")


@pytest.fixture
def ear(notify_address: str) -> Iterator[Ear]:
    """The service manager's end of $NOTIFY_SOCKET."""
    ear = Ear(notify_address)
    yield ear
    ear.close()


@pytest.fixture
def manager(ear: Ear, notify_address: str) -> Iterator[ServiceManager]:  # noqa: ARG001 - the other end must listen first
    """The program's end of $NOTIFY_SOCKET."""
    manager = service_manager({"NOTIFY_SOCKET": notify_address})
    yield manager
    manager.close()
