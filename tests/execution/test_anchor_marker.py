"""Anchor markers: written once, when possible, and never left on the book."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from tests.execution.order_builders import NUMBER, RULES, D, record, top

from trailingedge.core.errors import OutcomeUnknown, RequestRefused, SessionLost
from trailingedge.execution.anchor_marker import AnchorMarkerWriter, MarkerContext, marker_id
from trailingedge.model.client_order_ids import own_id
from trailingedge.model.market import OrderRecord, Regime, Side
from trailingedge.model.order_requests import NewOrderRequest
from trailingedge.simulator.virtual_loop import VirtualClock, run_virtual
from trailingedge.strategy.inputs import Holdings
from trailingedge.strategy.strategy_events import Funded, Origin, RegimeSet

BOOK = top("2500.00", "2500.01")
MOVED = RegimeSet(None, Regime.BASE, 2500.0, Origin.MARKET)
SCENE = MarkerContext(Regime.BASE, 2500.0, BOOK, RULES, NUMBER, can_spare=lambda _: True)


class Desk:
    """An account that accepts every order, and a marker writer on it."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.context: MarkerContext | None = SCENE
        self.placed: list[NewOrderRequest] = []
        self.open: list[str] = []
        self.rejections: list[str] = []
        self.failures: list[Exception] = []
        self.cancel_failures: list[Exception] = []
        self.done = 0
        self.locked_until_s = 0.0
        self.writer = AnchorMarkerWriter(
            self, clock, lambda: self.context, self.rejections.append, self._done, lock_balances=self._lock
        )

    def _lock(self, until_s: float) -> None:
        self.locked_until_s = until_s

    def _done(self) -> None:
        self.done += 1

    async def place(self, order: NewOrderRequest) -> OrderRecord:
        await self.clock.sleep(0.02)
        self.placed.append(order)
        if self.failures:
            raise self.failures.pop(0)
        self.open.append(order.client_order_id)
        return record(1)

    async def cancel_order(self, order_id: int | None, client_order_id: str = "") -> OrderRecord:
        assert order_id is None
        await self.clock.sleep(0.02)
        if self.cancel_failures and client_order_id not in self.open:
            raise self.cancel_failures.pop(0)
        if client_order_id not in self.open:
            raise RequestRefused(-2011, "Unknown order sent.")
        self.open.remove(client_order_id)
        if self.cancel_failures:
            raise self.cancel_failures.pop(0)
        return record(1)


Story = Callable[[Desk], Awaitable[None]]


def tell(story: Story) -> Desk:
    """A story beside the writer, and half a minute for everything to come to rest."""

    async def live(clock: VirtualClock) -> Desk:
        desk = Desk(clock)
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(desk.writer.run())
            await story(desk)
            await clock.sleep(30)
            writing.cancel()
        assert desk.open == []
        assert dict(desk.writer.maybe_open) == {}
        return desk

    return run_virtual(live, start_unix_ms=0)


@pytest.mark.parametrize(
    ("regime", "side"), [(Regime.BASE, Side.SELL), (Regime.QUOTE, Side.BUY)], ids=["base", "quote"]
)
def test_an_anchor_without_a_fill_is_written_down(regime: Regime, side: Side) -> None:
    async def story(desk: Desk) -> None:
        desk.context = replace(SCENE, regime=regime, anchor_price=2512.34)
        desk.writer.on_event(MOVED)

    desk = tell(story)
    (order,) = desk.placed
    own = own_id(order.client_order_id)
    assert own is not None
    assert (own.number, own.ticks, order.side) == (NUMBER, 251_234, side)
    assert order.price is not None
    assert abs(order.price / 2500 - 1) > D("0.09")
    assert (desk.done, desk.rejections) == (1, [])


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(RegimeSet(Regime.BASE, Regime.QUOTE, 2500.0, Origin.EXIT), id="an exit of ours has fills"),
        pytest.param(Funded(Regime.BASE, Holdings(D(1), D(0))), id="no new anchor"),
    ],
)
def test_other_news_need_no_marker(event: object) -> None:
    async def story(desk: Desk) -> None:
        desk.writer.on_event(event)

    assert tell(story).placed == []


def test_it_waits_for_its_moment_and_then_writes_what_is_true_then() -> None:
    async def story(desk: Desk) -> None:
        desk.context = None
        desk.writer.on_event(MOVED)
        await desk.clock.sleep(10)
        assert desk.writer.pending
        assert desk.placed == []
        desk.context = replace(SCENE, anchor_price=2600.0)
        await desk.clock.sleep(1)
        assert not desk.writer.pending

    (order,) = tell(story).placed
    assert order.client_order_id == str(marker_id(NUMBER, 2600.0, D("0.01")))


def test_an_exit_of_ours_makes_a_waiting_marker_needless() -> None:
    async def story(desk: Desk) -> None:
        desk.context = None
        desk.writer.request()
        await desk.clock.sleep(1)
        desk.writer.on_event(RegimeSet(Regime.BASE, Regime.QUOTE, 2500.0, Origin.EXIT))
        desk.context = SCENE

    assert tell(story).placed == []


def test_a_rejection_is_told_once() -> None:
    async def story(desk: Desk) -> None:
        desk.failures = [RequestRefused(-2010, "MAX_NUM_ORDERS")]
        desk.writer.request()

    desk = tell(story)
    assert len(desk.placed) == 1
    assert ["MAX_NUM_ORDERS" in reason for reason in desk.rejections] == [True]


def test_with_too_little_to_set_some_aside_nothing_is_sent() -> None:
    async def story(desk: Desk) -> None:
        desk.context = replace(SCENE, can_spare=lambda _: False)
        desk.writer.request()

    desk = tell(story)
    assert desk.placed == []
    assert len(desk.rejections) == 1


@pytest.mark.parametrize("trouble", [OutcomeUnknown("timeout"), SessionLost("closed")], ids=["silence", "lost"])
def test_an_interrupted_marker_is_in_the_end_written_and_gone(trouble: Exception) -> None:
    async def story(desk: Desk) -> None:
        desk.failures = [trouble]
        desk.writer.request()

    desk = tell(story)
    assert desk.rejections == []
    assert 1 <= len(desk.placed) <= 2


def test_a_marker_whose_cancel_was_done_and_never_answered_is_known_to_be_gone_soon() -> None:
    """Also where the anchor that it told has been overtaken since."""

    async def story(desk: Desk) -> None:
        desk.cancel_failures = [SessionLost("closed"), SessionLost("not connected")]
        desk.writer.request()
        await desk.clock.sleep(0.1)
        desk.writer.on_event(RegimeSet(Regime.BASE, Regime.QUOTE, 2500.0, Origin.EXIT))
        await desk.clock.sleep(5)
        assert dict(desk.writer.maybe_open) == {}

    assert len(tell(story).placed) == 1


def test_while_a_marker_has_funds_locked_it_says_so_but_not_for_long() -> None:
    async def story(desk: Desk) -> None:
        desk.writer.request()
        await desk.clock.sleep(0.03)
        assert desk.locked_until_s > desk.clock.now_s()
        await desk.clock.sleep(0.3)
        assert desk.locked_until_s <= desk.clock.now_s()

    tell(story)


def test_a_marker_that_will_not_go_keeps_no_exit_waiting() -> None:
    async def story(desk: Desk) -> None:
        desk.failures = [OutcomeUnknown("timeout")]
        desk.writer.request()
        await desk.clock.sleep(1.6)
        assert desk.locked_until_s <= desk.clock.now_s()

    tell(story)
