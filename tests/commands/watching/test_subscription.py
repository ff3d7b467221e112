"""Tests of a subscription: it goes on after the daemon was started again, and ends where that is of no use."""

import asyncio
import os
from pathlib import Path

import pytest
from tests.commands.watching.feeds import daemon_at, log
from tests.limits import PATIENCE_S

from trailingedge.commands.watching.subscription import Subscription, SubscriptionRefused
from trailingedge.live.control_socket import NoRunningDaemon
from trailingedge.live.feed_format import FeedLine, encode, line
from trailingedge.model.operator_commands import CommandResult

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there are no such sockets")


class Noted:
    """Keeps what a subscription delivers, and lets a test wait for it."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._changed = asyncio.Event()

    async def on_line(self, fields: FeedLine, text: bytes) -> None:
        assert text.endswith(b"\n")
        self._note(fields.get("text") or fields["type"])

    async def on_lost(self, reason: str) -> None:
        self._note(f"lost: {reason}")

    def _note(self, what: str) -> None:
        self.seen.append(what)
        self._changed.set()

    async def until(self, *expected: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.seen != [*expected]:
                self._changed.clear()
                await self._changed.wait()


async def no_pause(_seconds: float) -> None:
    await asyncio.sleep(0)


async def test_a_daemon_that_was_killed_is_said_and_its_successor_is_watched(tmp_path: Path) -> None:
    noted, path = Noted(), tmp_path / "ETHFDUSD.sock"
    subscription = Subscription([tmp_path / "none.sock", path], noted, no_pause)
    async with daemon_at(path) as first:
        running = asyncio.create_task(subscription.run())
        await noted.until("state")
        assert subscription.place == path
        first.send(log("one"))
        await noted.until("state", "one")
        first.kill()
        gone = "lost: its connection ended without a reason: it was killed, or it has crashed"
        first.first = encode(line("state", log=[]))
        await noted.until("state", "one", gone, "state")
        first.send(line("end", reason="stopped"))
        first.kill()
        await noted.until("state", "one", gone, "state", "end", "lost: stopped", "state")
    running.cancel()
    await asyncio.wait([running])


async def test_without_a_daemon_at_the_beginning_it_ends_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(NoRunningDaemon, match="start one with trailing-edge"):
        await Subscription([tmp_path / "none.sock"], Noted(), no_pause).run()


@pytest.mark.parametrize("text", ["busy: 8 are watching already", "not understood: commands are status, why"])
async def test_a_refusal_ends_it_with_the_reason(tmp_path: Path, text: str) -> None:
    async with daemon_at(tmp_path / "s") as daemon:
        daemon.refusal = CommandResult(text, done=False)
        with pytest.raises(SubscriptionRefused, match=text):
            await Subscription([tmp_path / "s"], Noted(), no_pause).run()
