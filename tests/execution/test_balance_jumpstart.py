"""The jumpstart: it makes the exchange push the balances and leaves no order behind."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from tests.execution.order_builders import RULES, D, record, top

from trailingedge.core.clock import Clock
from trailingedge.core.errors import OutcomeUnknown, ProtocolViolation, RequestRefused, SessionLost
from trailingedge.execution.balance_jumpstart import Jumpstart, JumpstartResult
from trailingedge.model.account_position import AccountPosition
from trailingedge.model.market import Balance, OrderRecord, Side, SymbolRules
from trailingedge.model.market_state import MarketState
from trailingedge.model.order_requests import NewOrderRequest
from trailingedge.simulator.virtual_loop import VirtualClock, run_virtual

BOOK = top("2500.00", "2500.01")
NUMBER = 1_783_000_000_000
UNKNOWN = RequestRefused(-2011, "Unknown order sent.")


class PaperAccount:
    """An account: an order that it has the funds for rests and pushes the balances, a moment later."""

    def __init__(self, clock: Clock, snapshots: MarketState, base: str, quote: str) -> None:
        self.clock = clock
        self.snapshots = snapshots
        self.held = {"ETH": D(base), "FDUSD": D(quote)}
        self.open: dict[str, NewOrderRequest] = {}
        self.placed: list[NewOrderRequest] = []
        self.cancels = 0
        self.tells = True
        self.on_place: Callable[[], None] = lambda: None
        self.on_cancel: Callable[[], None] = lambda: None
        self.asked_holds: dict[str, Decimal] = {}
        self.asked_locked: dict[str, Decimal] = {}

    async def place(self, order: NewOrderRequest) -> OrderRecord:
        await self.clock.sleep(0.01)
        self.placed.append(order)
        needed = order.quantity if order.side is Side.SELL else order.quantity * (order.price or 0)
        if needed > self.held["ETH" if order.side is Side.SELL else "FDUSD"]:
            raise RequestRefused(-2010, "Account has insufficient balance for requested action.")
        self.open[order.client_order_id] = order
        if self.tells:
            self.snapshots.on_balances([Balance(asset, amount) for asset, amount in self.held.items()], 1)
        self.on_place()
        return record(1)

    async def cancel_order(self, order_id: int | None, client_order_id: str = "") -> OrderRecord:
        assert order_id is None
        self.cancels += 1
        self.on_cancel()
        if self.open.pop(client_order_id, None) is None:
            raise UNKNOWN
        return record(1)

    async def balances(self) -> AccountPosition:
        locked, held = self.asked_locked, self.held | self.asked_holds
        balances = (
            Balance(asset, amount - locked.get(asset, D(0)), locked.get(asset, D(0)))
            for asset, amount in held.items()
            if amount
        )
        return AccountPosition(tuple(balances), 2)


class Bench:
    def __init__(self, clock: Clock, base: str = "1", quote: str = "1000", rules: SymbolRules = RULES) -> None:
        self.clock = clock
        self.snapshots = MarketState(10)
        self.account = PaperAccount(clock, self.snapshots, base, quote)
        self.told: list[tuple[str, Side]] = []
        self.jumpstart = Jumpstart(
            self.account, self.snapshots, rules, clock, lambda what, _, order: self.told.append((what, order.side))
        )

    async def run(self) -> JumpstartResult:
        result = await self.jumpstart.run(BOOK, NUMBER)
        assert self.account.open == {}
        assert self.jumpstart.maybe_open == {}
        return result


def tell(story: Callable[[VirtualClock], object]) -> None:
    run_virtual(story, start_unix_ms=0)  # type: ignore[arg-type]  # every story here is a coroutine function


def once(error: Exception) -> Callable[[], None]:
    """Raises it the first time it is called."""
    left = [error]

    def fail() -> None:
        if left:
            raise left.pop()

    return fail


def test_a_probe_buy_is_enough_where_there_is_cash() -> None:
    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock)
        assert await bench.run() == JumpstartResult(pushed=True, differs=())
        assert bench.told == [("placed", Side.BUY), ("cancelled", Side.BUY)]
        assert set(bench.snapshots.balances) == {"ETH", "FDUSD"}

    tell(story)


@pytest.mark.parametrize(
    "quote", [pytest.param("0", id="no quote"), pytest.param("4.99", id="less quote than the smallest order")]
)
def test_where_only_base_is_held_no_buy_is_sent_that_must_be_rejected(quote: str) -> None:
    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock, quote=quote)
        assert (await bench.run()).pushed
        assert bench.told == [("placed", Side.SELL), ("cancelled", Side.SELL)]
        (sent,) = bench.account.placed
        assert (sent.side, sent.price) == (Side.SELL, D("2750.02"))  # 10 % above the ask, rounded away from it

    tell(story)


def test_funds_that_other_orders_lock_do_not_count() -> None:
    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock)
        bench.account.asked_locked = {"FDUSD": D("996")}
        assert (await bench.run()).pushed
        assert [sent.side for sent in bench.account.placed] == [Side.SELL]

    tell(story)


def test_the_other_side_is_tried_where_the_funds_went_before_the_order_came() -> None:
    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock, quote="0")
        bench.account.asked_holds = {"FDUSD": D(1000)}
        assert (await bench.run()).pushed
        assert [sent.side for sent in bench.account.placed] == [Side.BUY, Side.SELL]

    tell(story)


def test_without_funds_for_either_the_account_is_asked_and_no_order_sent() -> None:
    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock, base="0", quote="2")
        assert await bench.run() == JumpstartResult(pushed=False, differs=())
        assert bench.account.placed == []
        assert bench.snapshots.balances["FDUSD"].total == 2
        assert bench.snapshots.balances["ETH"].total == 0

    tell(story)


def test_a_silent_stream_is_waited_for_and_then_asked_around() -> None:
    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock)
        bench.account.tells = False
        assert not (await bench.run()).pushed
        assert [what for what, _ in bench.told] == ["placed", "cancelled"] * 2
        assert bench.snapshots.balances["FDUSD"].total == 1000

    tell(story)


def test_a_difference_is_looked_at_twice_and_named() -> None:
    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock)
        bench.account.asked_holds = {"ETH": D("0.5")}
        assert (await bench.run()).differs == (("ETH", D(1), D("0.5")),)
        assert bench.snapshots.balances["ETH"].total == D("0.5")

    tell(story)


@pytest.mark.parametrize("silence", [OutcomeUnknown("timeout"), ProtocolViolation("{")], ids=["silence", "garbage"])
def test_an_unanswered_placement_is_cancelled_all_the_same(silence: Exception) -> None:
    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock)
        bench.account.on_place = once(silence)
        assert (await bench.run()).pushed

    tell(story)


def test_an_unanswered_placement_that_is_not_there_is_believed_only_once_it_cannot_come_any_more() -> None:
    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock)

        async def lost(order: NewOrderRequest) -> OrderRecord:
            bench.account.placed.append(order)
            raise OutcomeUnknown("timeout")

        bench.account.place = lost  # type: ignore[method-assign]
        await bench.run()
        assert clock.now_s() >= 2 * 6.0

    tell(story)


@pytest.mark.parametrize("moment", ["place", "cancel"])
def test_after_a_lost_connection_the_next_run_cancels_what_the_first_left(moment: str) -> None:
    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock)
        setattr(bench.account, f"on_{moment}", once(SessionLost("closed")))
        with pytest.raises(SessionLost):
            await bench.jumpstart.run(BOOK, NUMBER)
        (left,) = bench.jumpstart.maybe_open.values()
        assert left.side is Side.BUY
        assert bench.account.open
        await bench.jumpstart.run(BOOK, NUMBER + 1000)
        assert bench.account.open == {}
        assert bench.jumpstart.maybe_open == {}

    tell(story)


def test_what_is_left_can_be_cancelled_without_another_run() -> None:
    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock)
        bench.account.on_cancel = once(SessionLost("closed"))
        with pytest.raises(SessionLost):
            await bench.jumpstart.run(BOOK, NUMBER)
        await bench.jumpstart.cancel_all()
        assert bench.account.open == {}

    tell(story)


def test_an_order_that_will_not_go_is_an_error_that_names_it() -> None:
    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock)

        def refuse() -> None:
            raise RequestRefused(-1003, "too many requests")

        bench.account.on_cancel = refuse
        with pytest.raises(OutcomeUnknown, match="TE-j-"):
            await bench.jumpstart.run(BOOK, NUMBER)
        assert clock.now_s() > 15

    tell(story)
