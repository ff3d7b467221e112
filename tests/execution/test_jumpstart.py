"""The jumpstart makes the exchange tell the balances, and leaves nothing behind, whatever happens to it."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.execution.builders import RULES, D, record, top

from trailingedge.clock import Clock
from trailingedge.errors import OutcomeUnknown, ProtocolViolation, RequestRefused, SessionLost
from trailingedge.execution.deep import DeepOrder, deep_order
from trailingedge.execution.jumpstart import Jumpstart, JumpstartResult
from trailingedge.market import Balance, BookTop, OrderRecord, Side, SymbolRules
from trailingedge.simulator.virtual_loop import VirtualClock, run_virtual
from trailingedge.snapshots import Snapshots
from trailingedge.websocket.messages import AccountPosition
from trailingedge.websocket.requests import NewOrder

BOOK = top("2500.00", "2500.01")
NUMBER = 1_783_000_000_000
UNKNOWN = RequestRefused(-2011, "Unknown order sent.")


class PaperAccount:
    """An account: an order that it has the funds for rests and pushes the balances, a moment later."""

    def __init__(self, clock: Clock, snapshots: Snapshots, base: str, quote: str) -> None:
        self.clock = clock
        self.snapshots = snapshots
        self.held = {"ETH": D(base), "FDUSD": D(quote)}
        self.open: dict[str, NewOrder] = {}
        self.placed: list[NewOrder] = []
        self.cancels = 0
        self.tells = True
        self.on_place: Callable[[], None] = lambda: None
        self.on_cancel: Callable[[], None] = lambda: None
        self.asked_holds: dict[str, Decimal] = {}

    async def place(self, order: NewOrder) -> OrderRecord:
        await self.clock.sleep(0.01)
        self.placed.append(order)
        needed = order.quantity if order.side is Side.SELL else order.quantity * (order.price or 0)
        if needed > self.held["ETH" if order.side is Side.SELL else "FDUSD"]:
            raise RequestRefused(-2010, "Account has insufficient balance for requested action.")
        self.open[order.client_order_id] = order
        if self.tells:
            self.snapshots.hear_balances([Balance(asset, amount) for asset, amount in self.held.items()], 1)
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
        held = self.held | self.asked_holds
        return AccountPosition(tuple(Balance(asset, amount) for asset, amount in held.items() if amount), 2)


class Bench:
    def __init__(self, clock: Clock, base: str = "1", quote: str = "1000", rules: SymbolRules = RULES) -> None:
        self.clock = clock
        self.snapshots = Snapshots(10)
        self.account = PaperAccount(clock, self.snapshots, base, quote)
        self.told: list[tuple[str, Side]] = []
        self.jumpstart = Jumpstart(
            self.account, self.snapshots, rules, clock, lambda what, _, order: self.told.append((what, order.side))
        )

    async def run(self) -> JumpstartResult:
        result = await self.jumpstart.run(BOOK, NUMBER)
        assert self.account.open == {}
        assert self.jumpstart.left == {}
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


def test_a_deep_buy_is_enough_where_there_is_cash() -> None:
    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock)
        assert await bench.run() == JumpstartResult(pushed=True, differs=())
        assert bench.told == [("placed", Side.BUY), ("cancelled", Side.BUY)]
        assert set(bench.snapshots.balances) == {"ETH", "FDUSD"}

    tell(story)


def test_a_deep_sell_follows_where_the_buy_is_refused() -> None:
    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock, quote="0")
        assert (await bench.run()).pushed
        assert bench.told == [("placed", Side.SELL), ("cancelled", Side.SELL)]

    tell(story)


def test_without_funds_for_either_the_account_is_asked() -> None:
    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock, base="0", quote="2")
        assert await bench.run() == JumpstartResult(pushed=False, differs=())
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
        bench = Bench(clock, quote="0")

        async def lost(order: NewOrder) -> OrderRecord:
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
        (left,) = bench.jumpstart.left.values()
        assert left.side is Side.BUY
        assert bench.account.open
        await bench.jumpstart.run(BOOK, NUMBER + 1000)
        assert bench.account.open == {}
        assert bench.jumpstart.left == {}

    tell(story)


def test_what_is_left_can_be_withdrawn_without_another_run() -> None:
    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock)
        bench.account.on_cancel = once(SessionLost("closed"))
        with pytest.raises(SessionLost):
            await bench.jumpstart.run(BOOK, NUMBER)
        await bench.jumpstart.withdraw()
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


# --- The order itself -------------------------------------------------------------------------


def test_it_is_ten_percent_away_and_as_small_as_may_be() -> None:
    assert deep_order(Side.BUY, BOOK, RULES) == DeepOrder(Side.BUY, D("2250.00"), D("0.0023"))
    assert deep_order(Side.SELL, BOOK, RULES) == DeepOrder(Side.SELL, D("2750.02"), D("0.0019"))


def test_it_stays_inside_a_tight_percent_price_filter() -> None:
    tight = replace(
        RULES,
        bid_multiplier_up=D("1.1"),
        bid_multiplier_down=D("0.95"),
        ask_multiplier_up=D("1.05"),
        ask_multiplier_down=D("0.9"),
    )
    buy, sell = deep_order(Side.BUY, BOOK, tight), deep_order(Side.SELL, BOOK, tight)
    assert BOOK.mid * D("0.95") < buy.price < BOOK.bid
    assert BOOK.ask < sell.price < BOOK.mid * D("1.05")


@given(
    ticks=st.integers(20, 10**9),
    spread=st.integers(1, 50),
    tick=st.sampled_from(["0.00000001", "0.01", "0.05", "1"]),
    step=st.sampled_from(["0.00001", "0.0001", "0.1", "1"]),
    least=st.sampled_from(["0.0001", "5", "10"]),
    side=st.sampled_from(Side),
)
def test_it_passes_the_filters_and_never_takes(
    ticks: int, spread: int, tick: str, step: str, least: str, side: Side
) -> None:
    rules = replace(
        RULES,
        tick_size=D(tick),
        step_size=D(step),
        min_quantity=D(step),
        min_price=D(tick),
        max_price=None,
        min_notional=D(least),
        bid_multiplier_up=D(5),
        bid_multiplier_down=D("0.2"),
        ask_multiplier_up=D(5),
        ask_multiplier_down=D("0.2"),
    )
    book = BookTop(ticks * D(tick), (ticks + spread) * D(tick))
    order = deep_order(side, book, rules)
    assert rules.breach(order.price, order.quantity) is None
    low, high = rules.percent_bounds(side, book.mid)
    assert low <= order.price <= (high or order.price)
    assert order.price < book.ask if side is Side.BUY else order.price > book.bid
