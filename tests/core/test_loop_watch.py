"""The loop watch: a thread learns that the event loop sleeps, and that something has arrived for it."""

import selectors
import socket

import pytest

from trailingedge.core.loop_watch import HAS_EPOLL, WatchedSelector

pytestmark = pytest.mark.skipif(not HAS_EPOLL, reason="the system has no epoll")


@pytest.mark.parametrize(
    ("timeout_s", "arrived", "sleeps"),
    [
        pytest.param(None, b"", True, id="a wait without an end"),
        pytest.param(1.5, b"", True, id="a wait for a timer"),
        pytest.param(0, b"", False, id="a look without a wait"),
        pytest.param(None, b"price", False, id="something has arrived"),
    ],
)
def test_a_loop_sleeps_while_it_waits_and_nothing_has_arrived(
    timeout_s: float | None, arrived: bytes, sleeps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = socket.socketpair()
    seen: list[bool] = []
    with ours, theirs, WatchedSelector() as selector:
        selector.register(ours, selectors.EVENT_READ)
        loop_sleeps = selector.sleep_test()

        def look(*_: object) -> list[object]:
            """In place of the wait: what a thread sees during it."""
            seen.append(loop_sleeps())
            return []

        monkeypatch.setattr(selectors.DefaultSelector, "select", look)
        theirs.sendall(arrived)
        selector.select(timeout_s)
        assert seen == [sleeps]
        assert not loop_sleeps()
