"""Recovery: leftovers are cancelled and named, foreign orders never touched, the last session continues."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.execution.order_builders import NUMBER, RULES, D, own, record
from tests.reconciliation.account_histories import Past, at
from tests.strategy.strategy_harness import DEFAULTS as PARAMS

from trailingedge.core.clock import Clock
from trailingedge.core.errors import OutcomeUnknown, ProtocolViolation, RequestRefused, SessionLost
from trailingedge.indicators.donchian import DonchianChannel
from trailingedge.model.account_position import AccountPosition
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import AccountTrade, Balance, BookTop, Kline, OrderRecord, OrderStatus, Regime, Side
from trailingedge.reconciliation.backfill import BackfillSpec, interval_length_ms
from trailingedge.reconciliation.recovery import RecoveredState, RecoveryContext, cancel_leftovers, recover
from trailingedge.simulator.virtual_loop import run_virtual
from trailingedge.strategy.inputs import Holdings
from trailingedge.strategy.state import Phase, ShutBy, StrategyState


class Book:
    """Open orders of an account. `troubles` befall the cancels in turn; True: the order goes all the same."""

    def __init__(self, *orders: OrderRecord, troubles: Sequence[tuple[Exception | None, bool]] = ()) -> None:
        self.orders = {order.order_id: order for order in orders}
        self.cancelled: list[int] = []
        self._failures = list(troubles)

    async def open_orders(self) -> Sequence[OrderRecord]:
        return tuple(self.orders.values())

    async def cancel_order(self, order_id: int | None, client_order_id: str = "") -> OrderRecord:
        assert order_id is not None
        assert not client_order_id
        trouble, goes = self._failures.pop(0) if self._failures else (None, True)
        order = self.orders[order_id]
        if goes:
            del self.orders[order_id]
            self.cancelled.append(order_id)
        if trouble is not None:
            raise trouble
        return order

    async def order_status(self, order_id: int | None, client_order_id: str = "") -> OrderRecord:
        assert order_id is not None
        assert not client_order_id
        gone = order_id in self.cancelled
        return record(order_id, status=OrderStatus.CANCELED if gone else OrderStatus.NEW)


class LaggingBook(Book):
    """Lists an order only once, although it stays open."""

    listed = False

    async def open_orders(self) -> Sequence[OrderRecord]:
        listed = () if self.listed else tuple(self.orders.values())
        self.listed = True
        return listed


def clear(book: Book) -> tuple[int, list[int]]:
    """How many there were, and which were named."""
    named: list[int] = []

    async def run(clock: Clock) -> int:
        return await cancel_leftovers(book, clock, lambda order: named.append(order.order_id))

    return run_virtual(run, start_unix_ms=0), named


def test_an_empty_book_needs_nothing() -> None:
    assert clear(Book()) == (0, [])


def test_ours_go_and_others_stay() -> None:
    book = Book(
        record(1, client_order_id=own()),
        record(2, client_order_id="mine"),
        record(3, client_order_id="TE-j-1"),
        record(4, client_order_id="TE-unknown-1"),
        record(5, client_order_id="te-t-1"),
    )
    assert clear(book) == (2, [1, 3])
    assert sorted(book.orders) == [2, 4, 5]


@pytest.mark.parametrize("silence", [OutcomeUnknown("timeout"), ProtocolViolation("{")], ids=["silence", "garbage"])
def test_one_whose_answer_got_lost_is_named_once_it_is_gone(silence: Exception) -> None:
    assert clear(Book(record(1), troubles=[(silence, True)])) == (1, [1])


def test_one_that_did_not_hear_us_is_asked_again() -> None:
    book = Book(record(1), troubles=[(OutcomeUnknown("timeout"), False)])
    assert clear(book) == (1, [1])
    assert book.cancelled == [1]


def test_one_that_did_not_hear_us_is_asked_again_though_the_list_lacks_it() -> None:
    book = LaggingBook(record(1), troubles=[(OutcomeUnknown("timeout"), False)])
    assert clear(book) == (1, [1])
    assert book.cancelled == [1]


def test_one_that_never_hears_us_is_not_gone_because_the_list_lacks_it() -> None:
    with pytest.raises(OutcomeUnknown, match=own()):
        clear(LaggingBook(record(1), troubles=[(OutcomeUnknown("timeout"), False)] * 9))


def test_one_that_went_by_itself_is_not_ours_to_name() -> None:
    assert clear(Book(record(1), troubles=[(RequestRefused(-2011, "Unknown order sent."), True)])) == (0, [])


def test_one_that_will_not_go_ends_it() -> None:
    stubborn = [(RequestRefused(-1008, "busy"), False)] * 9
    with pytest.raises(OutcomeUnknown, match=own()):
        clear(Book(record(1), troubles=stubborn))


def test_a_lost_connection_ends_it_and_says_which_order_it_was(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SessionLost):
        clear(Book(record(1), troubles=[(SessionLost("closed"), True)]))
    assert own() in caplog.text


def test_those_to_keep_stay() -> None:
    book = Book(record(1), record(2, client_order_id="TE-j-1"))

    async def run(clock: Clock) -> int:
        return await cancel_leftovers(book, clock, lambda _: None, keep=lambda order: order.order_id == 1)

    assert run_virtual(run, start_unix_ms=0) == 1
    assert sorted(book.orders) == [1]


# --- The whole recovery -------------------------------------------------------------------------


class Market:
    """Klines that stand still at 100, and what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []

    async def __call__(self, interval: str, from_ms: int, until_ms: int) -> Sequence[Kline]:
        self.asked.append((interval, from_ms, until_ms))
        length = interval_length_ms(interval)
        first = from_ms + -from_ms % length
        price = D(100)
        opens = range(first, until_ms - length + 2, length)
        return [Kline(open_ms, open_ms + length - 1, price, price, price, price) for open_ms in opens]


def back(
    past: Past, *, base: str = "1", quote: str = "0", seconds: float = 600, market: Market | None = None
) -> tuple[RecoveredState, Market, list[str]]:
    """What is recovered, what of the market was asked for, and which leftovers were named."""
    fetch, named = market or Market(), []
    locked = {Side.SELL: D(0), Side.BUY: D(0)}
    for order in past.orders:
        if order.status is not None and not order.status.final and order.side is not None:
            sells = order.side is Side.SELL
            locked[order.side] += order.remaining if sells else order.remaining * order.price
    past.held_balances = (
        Balance("ETH", D(base) - locked[Side.SELL], locked[Side.SELL]),
        Balance("FDUSD", D(quote) - locked[Side.BUY], locked[Side.BUY]),
    )
    book = BookTop(D("100.00"), D("100.01"))
    lens = BackfillSpec("1m", 4, lambda: DonchianChannel(3, 1))
    ground = RecoveryContext(RULES, PARAMS, lens, D(0), D(0), lambda: book, lambda: at(seconds))

    async def run(clock: Clock) -> RecoveredState:
        return await recover(past, fetch, ground, clock, lambda order: named.append(order.client_order_id))

    return run_virtual(run, start_unix_ms=0), fetch, named


def test_a_first_start_finds_nothing_and_asks_for_no_klines() -> None:
    recovered, market, named = back(Past())
    assert recovered.state == StrategyState()
    assert (recovered.active_exit, recovered.alerts, recovered.marker_needed) == (None, (), False)
    assert (market.asked, named) == ([], [])


def test_an_open_exit_order_is_adopted_and_everything_else_of_ours_goes() -> None:
    past = Past()
    past.buy(0, "90.00", NUMBER)
    past.open_order(10, Side.SELL, "101.00", NUMBER + 1, ExitKind.TAKE_PROFIT, filled="0.25")
    past.open_order(11, Side.BUY, "50.00", NUMBER + 2, ExitKind.JUMPSTART)
    past.order(12, "web_1", Side.SELL, "200.00", "0.1", status=OrderStatus.NEW)
    recovered, _, named = back(past, base="0.85", quote="125")
    assert recovered.active_exit is not None
    assert recovered.active_exit.open_order == past.orders[1]
    assert named == [past.orders[2].client_order_id]
    assert past.cancelled == [102]
    assert recovered.state.phase is Phase.EXITING
    assert (recovered.state.anchor, recovered.state.high) == (90.0, 100.0)
    assert recovered.state.holdings == Holdings(D("0.75"), D(125) - D(50))  # what the foreign order locks is not ours
    assert recovered.alerts == ()


def test_of_several_open_exits_the_newest_goes_on_and_people_are_told() -> None:
    past = Past()
    past.buy(0, "90.00", NUMBER)
    past.open_order(10, Side.SELL, "101.00", NUMBER + 1, ExitKind.TAKE_PROFIT)
    past.open_order(12, Side.SELL, "102.00", NUMBER + 2, ExitKind.MANUAL)
    recovered, _, named = back(past, base="3")
    assert recovered.active_exit is not None
    assert recovered.active_exit.number == NUMBER + 2
    assert named == [own(number=NUMBER + 1)]
    assert ["2 exit orders were open" in sentence for sentence in recovered.alerts] == [True]


def test_an_unfinished_hard_stop_is_resumed_without_an_order() -> None:
    past = Past()
    past.buy(0, "105.00", NUMBER)
    past.sell(10, "100.00", NUMBER + 1, ExitKind.FLUSH, filled="0.5")
    recovered, _, _ = back(past, base="0.5", quote="50")
    assert recovered.active_exit is not None
    assert recovered.active_exit.open_order is None
    assert recovered.state.phase is Phase.FLUSHING


def test_an_exit_that_the_fold_has_ended_is_not_active() -> None:
    past = Past()
    past.sell(0, "90.00", NUMBER)
    past.buy(10, "91.00", NUMBER + 1, filled="0.2")  # the market went to 100: the QUOTE stop ended it
    recovered, _, _ = back(past, base="0.2", quote="80")
    assert recovered.active_exit is None
    assert recovered.state.gate is not None
    assert recovered.state.gate.shut_by is ShutBy.QUOTE_STOP


def test_klines_are_asked_for_from_the_anchor_on_and_a_little_before() -> None:
    past = Past()
    past.buy(0, "99.00", NUMBER)
    _, market, _ = back(past)
    assert market.asked[0] == ("1m", at(1) - 5 * 60_000, at(600))


def test_an_anchor_older_than_thirty_days_takes_daily_candles_and_an_open_gate() -> None:
    past = Past()
    past.sell(0, "101.00", NUMBER, ExitKind.FLUSH)
    recovered, market, _ = back(past, base="0", quote="101", seconds=40 * 86_400)
    assert len(market.asked) < 10
    assert market.asked[0][0] == "1d"
    assert recovered.state.regime is Regime.QUOTE
    assert recovered.state.gate is None
    assert recovered.state.high == 1 / 100
    assert ["30 days" in sentence for sentence in recovered.alerts] == [True]


def test_candles_that_the_exchange_does_not_have_any_more_are_missing_with_an_alert() -> None:
    class Forgetful(Market):
        async def __call__(self, interval: str, from_ms: int, until_ms: int) -> Sequence[Kline]:
            return await super().__call__(interval, max(from_ms, at(300)), until_ms)

    past = Past()
    past.buy(0, "99.00", NUMBER)
    recovered, _, _ = back(past, market=Forgetful())
    assert ["candles" in sentence for sentence in recovered.alerts] == [True]
    assert recovered.state.anchor == 99.0


def test_a_newer_marker_saves_an_old_anchor_but_not_its_gate() -> None:
    past = Past()
    past.sell(0, "101.00", NUMBER, ExitKind.FLUSH)
    past.marker(35 * 86_400, Side.BUY, 10_050, NUMBER + 1)
    recovered, _, _ = back(past, base="0", quote="101", seconds=40 * 86_400)
    assert recovered.state.anchor == 1 / 100.5
    assert ["gate" in sentence for sentence in recovered.alerts] == [True]


def test_an_order_that_turns_up_while_we_read_is_found_by_reading_again() -> None:
    class Late(Past):
        """The successor of the order that we saw was on its way when our predecessor died."""

        async def balances(self) -> AccountPosition:
            if len(self.orders) == 2:
                self.orders[1] = replace(self.orders[1], status=OrderStatus.CANCELED)
                self.open_order(12, Side.SELL, "100.50", NUMBER + 1, ExitKind.TAKE_PROFIT)
            return await super().balances()

    past = Late()
    past.buy(0, "90.00", NUMBER)
    past.open_order(10, Side.SELL, "101.00", NUMBER + 1, ExitKind.TAKE_PROFIT)
    recovered, _, named = back(past)
    assert recovered.active_exit is not None
    assert recovered.active_exit.open_order == past.orders[2]
    assert len(recovered.active_exit.orders) == 2
    assert named == []


def test_a_past_that_the_exchange_does_not_tell_still_leaves_the_order_that_is_open() -> None:
    class Silent(Past):
        async def my_trades(self, **narrowed: Any) -> Sequence[AccountTrade]:
            raise RequestRefused(-1128, f"Combination of optional parameters invalid: {narrowed}.")

    past = Silent()
    past.buy(0, "90.00", NUMBER)
    past.open_order(10, Side.SELL, "101.00", NUMBER + 1, ExitKind.TAKE_PROFIT)
    recovered, _, _ = back(past)
    assert recovered.active_exit is not None
    assert recovered.active_exit.open_order == past.orders[1]
    assert recovered.state.anchor == 100.0
    assert recovered.marker_needed
    assert recovered.alerts


def test_a_look_up_rejected_for_a_while_is_for_the_start_to_try_again() -> None:
    past = Past()
    past.lag.add(past.buy(0, "90.00", NUMBER))
    past.rejections[100] = [-1008]
    with pytest.raises(RequestRefused, match="-1008"):
        back(past)


def test_trades_whose_order_is_never_told_of_are_no_first_start() -> None:
    past = Past()
    past.lag.add(past.buy(0, "90.00", NUMBER))
    past.rejections[100] = [-2013] * 99
    recovered, _, _ = back(past)
    assert recovered.state.regime is None
    assert ["does not show" in recovered.alerts[0], "no anchor" in recovered.alerts[1]] == [True, True]


def test_a_list_that_lags_behind_the_last_fill_is_read_again() -> None:
    class Lagging(Past):
        """The last fill shows in the balances first."""

        looks = 0

        async def my_trades(self, **narrowed: Any) -> Sequence[AccountTrade]:
            self.looks += 1
            if self.looks > 1:
                self.lag.clear()
                return await super().my_trades(**narrowed)
            return (await super().my_trades(**narrowed))[:-1]

    past = Lagging()
    past.buy(0, "90.00", NUMBER)
    past.lag.add(past.sell(10, "101.00", NUMBER + 1))
    recovered, _, _ = back(past, base="0", quote="101")
    assert recovered.state.regime is Regime.QUOTE
    assert recovered.state.anchor == 1 / 101


def test_a_withdrawal_is_believed_in_the_end() -> None:
    past = Past()
    past.buy(0, "90.00", NUMBER)
    recovered, _, _ = back(past, base="0", quote="101")
    assert (recovered.state.regime, recovered.state.anchor) == (Regime.BASE, 90.0)


def test_what_a_trade_by_hand_did_is_to_be_written_down() -> None:
    past = Past()
    past.buy(0, "90.00", NUMBER)
    past.foreign(20, Side.SELL, "97.00")
    recovered, _, _ = back(past, base="0", quote="97")
    assert recovered.state.regime is Regime.QUOTE
    assert recovered.state.anchor == 1 / 97
    assert recovered.marker_needed
