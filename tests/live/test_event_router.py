"""Event router: what is reported before trading begins, and what reaches the core once the services are attached."""

import asyncio
from dataclasses import dataclass, field

from tests.daemon_harness import D, NodeHarness, RecordingUi, run_scenario

from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import BrokenInvariant
from trailingedge.execution.order_rate_budget import OrderRateBudget
from trailingedge.live.event_router import EventRouter
from trailingedge.live.frame_dump import FrameDump
from trailingedge.model.market import BookTop
from trailingedge.model.order_commands import Reconciled
from trailingedge.websocket.account import ServerClock
from trailingedge.websocket.recent_frames import FrameBuffer


@dataclass
class Bench:
    """A router as it is during the start, without services."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    ui: RecordingUi = field(default_factory=RecordingUi)

    def __post_init__(self) -> None:
        clock = ManualClock()
        dump = FrameDump(FrameBuffer(clock.unix_ms), None, self.ui)
        self.router = EventRouter(self.wake, OrderRateBudget(0.2), ServerClock(clock), dump)


def test_during_the_start_a_book_only_wakes_the_main_loop() -> None:
    bench = Bench()
    bench.router.on_book(BookTop(D(2500), D("2500.01")), 1.0)
    assert bench.wake.is_set()


def test_during_the_start_the_account_s_events_are_left_to_recovery() -> None:
    bench = Bench()
    bench.router.deliver(Reconciled(()))
    bench.router.on_reconnected(())
    bench.router.on_account_lost("closed")
    bench.router.halt(BrokenInvariant("too early"))
    assert not bench.wake.is_set()
    assert not bench.router.exit_is_open()
    assert bench.ui.alerts == []


def test_after_the_start_an_event_reaches_the_core_s_inbox() -> None:
    async def scenario(it: NodeHarness) -> None:
        await it.ready()
        assert it.node.services is not None
        inbox = it.node.services.core.inbox
        it.node._router.deliver(Reconciled(()))
        assert list(inbox) == [Reconciled(())]
        await it.wait(0.1)
        assert not inbox  # the main loop was woken and has taken it

    run_scenario(scenario)
