from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.simulator.exchange_builders import an_exchange, buy, sell, take_user_events, tick

from trailingedge.core.clock import ManualClock
from trailingedge.model.market import OrderStatus, Side
from trailingedge.simulator.errors import ExchangeError
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.klines import Interval
from trailingedge.simulator.orders import (
    CancelOrder,
    CancelRestriction,
    NewOrder,
    OrderType,
    Peg,
    SelfTradeMode,
    TimeInForce,
)
from trailingedge.simulator.payloads import MarketEvent, UserEvent

POSITION = ("outboundAccountPosition", "")


def limit(
    side: Side, price: str | None, quantity: str, time_in_force: TimeInForce = TimeInForce.GTC, **more: Any
) -> NewOrder:
    amount = None if price is None else Decimal(price)
    return NewOrder(side, OrderType.LIMIT, Decimal(quantity), amount, time_in_force, **more)


def payloads(exchange: Exchange) -> list[dict[str, Any]]:
    return [event.payload for event in exchange.take_events() if isinstance(event, UserEvent)]


def test_a_resting_order_publishes_a_new_report_and_then_the_balances() -> None:
    exchange = an_exchange()
    exchange.order_entry.place(exchange.account(), sell(quantity="4"))
    report, position = payloads(exchange)
    assert (report["x"], report["X"], report["w"], report["c"]) == ("NEW", "NEW", True, report["c"])
    assert (report["l"], report["n"], report["N"], report["t"]) == ("0.00000000", "0", None, -1)
    assert report["E"] == position["E"] == report["T"] == report["W"] == exchange.engine.market_ms
    assert position["B"] == [
        {"a": "ETH", "f": "6.00000000", "l": "4.00000000"},
        {"a": "FDUSD", "f": "1000.00000000", "l": "0.00000000"},
    ]


@pytest.mark.parametrize(
    ("new_order", "events", "status"),
    [
        pytest.param(
            limit(Side.BUY, "100.10", "2"), [("NEW", "NEW"), ("TRADE", "FILLED"), POSITION], "FILLED", id="takes all"
        ),
        pytest.param(
            limit(Side.BUY, "100.10", "4"),
            [("NEW", "NEW"), ("TRADE", "PARTIALLY_FILLED"), POSITION],
            "PARTIALLY_FILLED",
            id="takes what is there and rests",
        ),
        pytest.param(
            limit(Side.BUY, "100.10", "4", TimeInForce.IOC),
            [("NEW", "NEW"), ("TRADE", "PARTIALLY_FILLED"), ("EXPIRED", "EXPIRED"), POSITION],
            "EXPIRED",
            id="takes what is there and no more",
        ),
        pytest.param(
            limit(Side.BUY, "100.10", "4", TimeInForce.FOK),
            [("NEW", "NEW"), ("EXPIRED", "EXPIRED"), POSITION],
            "EXPIRED",
            id="all or nothing",
        ),
        pytest.param(
            NewOrder(Side.SELL, OrderType.MARKET, Decimal(3)),
            [("NEW", "NEW"), ("TRADE", "PARTIALLY_FILLED"), ("EXPIRED", "EXPIRED"), POSITION],
            "EXPIRED",
            id="a market order with too little to take",
        ),
        pytest.param(
            NewOrder(Side.BUY, OrderType.MARKET, quote_quantity=Decimal(100)),
            [("NEW", "NEW"), ("TRADE", "FILLED"), POSITION],
            "FILLED",
            id="a market order for so much quote",
        ),
    ],
)
def test_orders_that_take_publish_their_events_in_order(
    new_order: NewOrder, events: list[tuple[str, str]], status: str
) -> None:
    exchange = an_exchange()
    order, _ = exchange.order_entry.place(exchange.account(), new_order)
    assert take_user_events(exchange) == events
    assert order.status.value == status
    assert exchange.audit_log.taker_fills == sum(event[0] == "TRADE" for event in events)


def test_a_market_order_in_quote_takes_the_quantity_it_pays_for() -> None:
    exchange = an_exchange()
    order, _ = exchange.order_entry.place(
        exchange.account(), NewOrder(Side.BUY, OrderType.MARKET, quote_quantity=Decimal(100))
    )
    assert order.filled == Decimal("0.9990")  # 100 / 100.10, floored to the step


def test_a_resting_order_fills_as_maker_at_its_own_price() -> None:
    exchange = an_exchange(maker_fee=Decimal("0.0001"))
    exchange.order_entry.place(exchange.account(), sell("100.10", "2", "mm-1"))
    exchange.take_events()
    exchange.on_tick(tick("100.30", "100.40", at_s=5))
    report, position = payloads(exchange)
    assert (report["x"], report["X"], report["m"], report["w"]) == ("TRADE", "FILLED", True, False)
    assert (report["L"], report["l"], report["Y"]) == ("100.10000000", "2.00000000", "200.20000000")
    assert (report["n"], report["N"]) == ("0.02002000", "FDUSD")
    assert report["T"] == position["E"] == exchange.engine.market_ms
    assert position["B"][1]["f"] == "1200.17998000"


def test_a_partly_filled_order_keeps_its_remainder_on_the_book() -> None:
    exchange = an_exchange()
    order, _ = exchange.order_entry.place(exchange.account(), sell("100.10", "2"))
    exchange.take_events()
    exchange.on_tick(tick(at_s=1, last="100.10", traded="3.5", aggressor=Side.BUY))
    assert take_user_events(exchange) == [("TRADE", "PARTIALLY_FILLED"), POSITION]
    exchange.on_tick(tick(at_s=2, last="100.10", traded="3.5", aggressor=Side.BUY))
    assert take_user_events(exchange) == [("TRADE", "FILLED"), POSITION]
    assert (order.filled, order.filled_quote) == (Decimal(2), Decimal("200.20"))


def test_a_cancel_is_reported_under_the_cancels_own_id() -> None:
    exchange = an_exchange()
    exchange.order_entry.place(exchange.account(), sell(client_order_id="mm-1"))
    exchange.take_events()
    exchange.order_entry.cancel(exchange.account(), CancelOrder(orig_client_order_id="mm-1", cancel_id="c-1"))
    report, position = payloads(exchange)
    assert (report["x"], report["X"], report["c"], report["C"]) == ("CANCELED", "CANCELED", "c-1", "mm-1")
    assert "W" not in report
    assert position["B"][0] == {"a": "ETH", "f": "10.00000000", "l": "0.00000000"}


@pytest.mark.parametrize(
    ("new_order", "text"),
    [
        pytest.param(sell("100.00"), "Order would immediately match and take.", id="a sell at the bid"),
        pytest.param(buy("100.10"), "Order would immediately match and take.", id="a buy at the ask"),
        pytest.param(sell(quantity="11"), "Account has insufficient balance for requested action.", id="no funds"),
        pytest.param(sell(client_order_id="twin"), "Duplicate order sent.", id="an open order has that id"),
        pytest.param(
            replace(sell(), peg=Peg(levels=1)),
            "Order book liquidity is too low for this pegged order.",
            id="a peg deeper than the book is known",
        ),
        pytest.param(
            NewOrder(Side.BUY, OrderType.MARKET, Decimal(20)),
            "Account has insufficient balance for requested action.",
            id="a market buy beyond the means",
        ),
    ],
)
def test_the_engine_rejects_with_its_text_and_publishes_no_event(new_order: NewOrder, text: str) -> None:
    exchange = an_exchange(quote="300")
    exchange.on_tick(tick(ask_quantity="100"))
    exchange.order_entry.place(exchange.account(), buy("99.00", "0.1", "twin"))
    exchange.take_events()
    with pytest.raises(ExchangeError) as refusal:
        exchange.order_entry.place(exchange.account(), new_order)
    assert (refusal.value.code, refusal.value.text) == (-2010, text)
    assert take_user_events(exchange) == []


@pytest.mark.parametrize(
    ("status", "text"),
    [
        pytest.param("HALT", "Market is closed.", id="halted"),
        pytest.param("BREAK", "Market is closed.", id="in a break"),
        pytest.param("CANCEL_ONLY", "This order type is not possible in this trading phase.", id="cancel only"),
    ],
)
def test_a_symbol_that_does_not_trade_takes_cancels_only(status: str, text: str) -> None:
    exchange = an_exchange()
    order, _ = exchange.order_entry.place(exchange.account(), sell())
    exchange.engine.symbol_status = status
    with pytest.raises(ExchangeError, match=text):
        exchange.order_entry.place(exchange.account(), sell("100.20"))
    exchange.order_entry.cancel(exchange.account(), CancelOrder(order_id=order.order_id))
    assert order.status is OrderStatus.CANCELED


def test_an_id_is_free_again_once_its_order_is_final() -> None:
    exchange = an_exchange()
    first, _ = exchange.order_entry.place(exchange.account(), sell(client_order_id="mm-1"))
    exchange.order_entry.cancel(exchange.account(), CancelOrder(order_id=first.order_id))
    second, _ = exchange.order_entry.place(exchange.account(), sell(client_order_id="mm-1"))
    assert second.order_id > first.order_id


@pytest.mark.parametrize(
    ("target", "text"),
    [
        pytest.param(CancelOrder(order_id=999), "Unknown order sent.", id="no such order"),
        pytest.param(CancelOrder(orig_client_order_id="x"), "Unknown order sent.", id="no such client order id"),
        pytest.param(
            CancelOrder(order_id=1001, orig_client_order_id="x"),
            "Cancel order is invalid. Check origClOrdId and orderId.",
            id="ids that disagree",
        ),
        pytest.param(
            CancelOrder(order_id=1001, restriction=CancelRestriction.ONLY_PARTIALLY_FILLED),
            "Order was not canceled due to cancel restrictions.",
            id="a new order under ONLY_PARTIALLY_FILLED",
        ),
    ],
)
def test_a_wrong_cancel_is_rejected_with_its_text(target: CancelOrder, text: str) -> None:
    exchange = an_exchange()
    exchange.order_entry.place(exchange.account(), sell())
    with pytest.raises(ExchangeError) as refusal:
        exchange.order_entry.cancel(exchange.account(), target)
    assert (refusal.value.code, refusal.value.text) == (-2011, text)


def test_only_new_spares_an_order_that_is_partly_filled() -> None:
    exchange = an_exchange()
    order, _ = exchange.order_entry.place(exchange.account(), sell("100.10", "2"))
    exchange.on_tick(tick(at_s=1, last="100.10", traded="3.5", aggressor=Side.BUY))
    with pytest.raises(ExchangeError, match="cancel restrictions"):
        exchange.order_entry.cancel(
            exchange.account(), CancelOrder(order.order_id, restriction=CancelRestriction.ONLY_NEW)
        )


def test_a_peg_sets_the_price_once() -> None:
    exchange = an_exchange()
    order, _ = exchange.order_entry.place(exchange.account(), replace(sell(), price=None, peg=Peg()))
    (report, _) = payloads(exchange)
    assert (report["p"], report["gP"], report["gp"]) == ("0.00000000", "PRIMARY_PEG", "100.10000000")
    exchange.on_tick(tick("99.00", "99.10", at_s=1))
    assert order.price == Decimal("100.10")


def test_one_order_more_than_the_symbol_allows_is_rejected() -> None:
    exchange = an_exchange(max_open_orders=2)
    for price in ("100.10", "100.20"):
        exchange.order_entry.place(exchange.account(), sell(price))
    with pytest.raises(ExchangeError) as refusal:
        exchange.order_entry.place(exchange.account(), sell("100.30"))
    assert (refusal.value.code, refusal.value.text) == (-2010, "Filter failure: MAX_NUM_ORDERS")


def test_two_accounts_trade_with_each_other() -> None:
    exchange = an_exchange()
    other = exchange.open_account("other", {"FDUSD": Decimal(500)})
    maker, _ = exchange.order_entry.place(exchange.account(), sell("100.05", "1"))
    exchange.take_events()
    taker, _ = exchange.order_entry.place(other, limit(Side.BUY, "100.05", "1"))
    assert maker.status is taker.status is OrderStatus.FILLED
    events = [(event.account, event.payload["e"]) for event in exchange.take_events() if hasattr(event, "account")]
    assert events == [
        ("other", "executionReport"),
        ("other", "executionReport"),
        ("owner", "executionReport"),
        ("other", "outboundAccountPosition"),
        ("owner", "outboundAccountPosition"),
    ]


def test_an_order_never_trades_with_its_own_account() -> None:
    exchange = an_exchange()
    own, _ = exchange.order_entry.place(exchange.account(), sell("100.05", "1"))
    exchange.take_events()
    exchange.order_entry.place(exchange.account(), limit(Side.BUY, "100.05", "1"))
    assert own.status is OrderStatus.EXPIRED_IN_MATCH
    assert take_user_events(exchange)[:2] == [("NEW", "NEW"), ("TRADE_PREVENTION", "EXPIRED_IN_MATCH")]
    assert exchange.audit_log.taker_fills == 0


def prevented(report: dict[str, Any]) -> dict[str, Any]:
    return {name: report[name] for name in ("X", "v", "A", "B", "u", "U", "Cs", "pl", "pL", "pY")}


@pytest.mark.parametrize(
    ("mode", "maker_left", "taker_left", "lost"),
    [
        pytest.param(SelfTradeMode.EXPIRE_TAKER, "3", None, {"taker": "2"}, id="the taker expires"),
        pytest.param(SelfTradeMode.EXPIRE_MAKER, None, "2", {"maker": "3"}, id="the maker expires"),
        pytest.param(SelfTradeMode.EXPIRE_BOTH, None, None, {"maker": "3", "taker": "2"}, id="both expire"),
        pytest.param(SelfTradeMode.DECREMENT, "1", None, {"maker": "2", "taker": "2"}, id="both are lowered"),
        pytest.param(SelfTradeMode.TRANSFER, "1", None, {"maker": "2", "taker": "2"}, id="one account: lowered, too"),
    ],
)
def test_the_takers_mode_says_what_a_prevented_self_trade_costs(
    mode: SelfTradeMode, maker_left: str | None, taker_left: str | None, lost: dict[str, str]
) -> None:
    exchange = an_exchange()
    maker, _ = exchange.order_entry.place(exchange.account(), sell("100.05", "3"))
    exchange.take_events()
    taker, trades = exchange.order_entry.place(exchange.account(), limit(Side.BUY, "100.05", "2", self_trade_mode=mode))
    orders = {"maker": maker, "taker": taker}
    assert trades == []
    assert {name: str(order.prevented) for name, order in orders.items() if order.prevented} == lost
    for order, left in ((maker, maker_left), (taker, taker_left)):
        assert order.status is (OrderStatus.EXPIRED_IN_MATCH if left is None else OrderStatus.NEW)
        assert order.remaining == Decimal(left or 0)
    reports = {each["i"]: each for each in payloads(exchange) if each.get("x") == "TRADE_PREVENTION"}
    assert set(reports) == {orders[name].order_id for name in lost}
    for name, quantity in lost.items():
        amount = f"{Decimal(quantity):.8f}"
        assert prevented(reports[orders[name].order_id]) == {
            "X": orders[name].status.value,
            "v": 1,
            "A": amount,
            "B": amount,
            "u": -1,
            "U": (taker if name == "maker" else maker).order_id,
            "Cs": "ETHFDUSD",
            "pl": "2.00000000",
            "pL": "100.05000000",
            "pY": "200.10000000",
        }
    # What is locked is what the two orders could still trade.
    account = exchange.account()
    assert account.balance("ETH").locked == Decimal(maker_left or 0)
    assert account.balance("FDUSD").locked == Decimal(taker_left or 0) * Decimal("100.05")


def test_a_taker_trades_with_others_before_and_after_its_own_order() -> None:
    exchange = an_exchange()
    exchange.on_tick(tick("100.00", "100.05", at_s=1, ask_quantity="1"))
    own, _ = exchange.order_entry.place(exchange.account(), sell("100.06", "1"))
    other = exchange.open_account("other", {"ETH": Decimal(9)})
    exchange.order_entry.place(other, sell("100.07", "5"))
    taker, trades = exchange.order_entry.place(exchange.account(), limit(Side.BUY, "100.07", "3"))
    assert [(str(trade.price), str(trade.quantity)) for trade in trades] == [("100.05", "1"), ("100.07", "2")]
    assert (own.status, taker.status) == (OrderStatus.EXPIRED_IN_MATCH, OrderStatus.FILLED)


def test_an_order_to_be_filled_at_once_is_judged_by_what_others_offer() -> None:
    exchange = an_exchange()
    own, _ = exchange.order_entry.place(exchange.account(), sell("100.05", "2"))
    killed, trades = exchange.order_entry.place(exchange.account(), limit(Side.BUY, "100.10", "4", TimeInForce.FOK))
    assert (killed.status, trades, own.status) == (OrderStatus.EXPIRED, [], OrderStatus.NEW)
    filled, _ = exchange.order_entry.place(exchange.account(), limit(Side.BUY, "100.10", "3", TimeInForce.FOK))
    assert (filled.status, own.status) == (OrderStatus.FILLED, OrderStatus.EXPIRED_IN_MATCH)


def test_a_market_buy_must_be_able_to_pay_for_what_is_behind_its_own_order() -> None:
    exchange = an_exchange(base="10", quote="100.06")
    exchange.order_entry.place(exchange.account(), sell("100.05", "1"))
    with pytest.raises(ExchangeError, match="insufficient balance"):  # others ask 100.10
        exchange.order_entry.place(exchange.account(), NewOrder(Side.BUY, OrderType.MARKET, Decimal(1)))


def test_the_top_is_published_only_when_it_changes() -> None:
    exchange = an_exchange()

    def tops() -> list[tuple[object, object]]:
        events = [each for each in exchange.take_events() if isinstance(each, MarketEvent)]
        return [(each.payload["u"], each.payload["A"]) for each in events]

    exchange.on_tick(tick(at_s=1))
    assert tops() == []
    exchange.order_entry.place(exchange.account(), sell())
    assert tops() == [(2, "4.00000000")]
    exchange.order_entry.place(exchange.account(), sell("101.00"))
    assert tops() == []


def test_a_tick_publishes_its_klines_before_its_top() -> None:
    exchange = an_exchange()
    exchange.streams.open("ethfdusd@kline_1m")
    exchange.on_tick(tick("101.00", "101.10", at_s=60))
    exchange.on_tick(tick("102.00", "102.10", at_s=63))
    streams = [event.stream for event in exchange.take_events() if isinstance(event, MarketEvent)]
    assert streams == [
        "ethfdusd@kline_1m",  # closed
        "ethfdusd@bookTicker",
        "ethfdusd@kline_1m",  # forming
        "ethfdusd@bookTicker",
    ]


def test_the_average_is_of_the_last_minutes_trades_else_the_last_price() -> None:
    exchange = an_exchange()
    assert exchange.market.average_price() == Decimal("100.00")
    exchange.on_tick(tick(at_s=1, last="100", traded="1", aggressor=Side.BUY))
    exchange.on_tick(tick(at_s=2, last="103", traded="3", aggressor=Side.BUY))
    assert exchange.market.average_price() == Decimal("102.25")
    exchange.on_tick(tick(at_s=302, last="110"))
    assert exchange.market.average_price() == Decimal(110)


def test_manual_orders_and_transfers_are_foreign_to_sessions() -> None:
    exchange = an_exchange()
    owner = exchange.manual_trader()
    owner.deposit("ETH", Decimal(2))
    owner.withdraw("FDUSD", Decimal(1000))
    assert [payload["e"] for payload in payloads(exchange)] == ["balanceUpdate", "outboundAccountPosition"] * 2
    order = owner.place(Side.SELL, Decimal("100.20"), Decimal(1))
    assert take_user_events(exchange) == [("NEW", "NEW"), POSITION]
    assert exchange.audit_log.placed == 0
    exchange.order_entry.cancel_all(exchange.account())
    assert order.status is OrderStatus.CANCELED
    assert exchange.audit_log.foreign_cancels == 1


def test_the_owner_may_cancel_manual_orders() -> None:
    exchange = an_exchange()
    order = exchange.manual_trader().place(Side.SELL, Decimal("100.20"), Decimal(1))
    exchange.manual_trader().cancel(order.order_id)
    assert exchange.audit_log.foreign_cancels == 0


def test_a_first_fill_as_maker_takes_five_off_the_unfilled_orders() -> None:
    clock = ManualClock()
    exchange = an_exchange(clock=clock)
    account = exchange.account()
    for number in range(6):
        exchange.order_entry.place(account, sell(f"100.1{number}", "1"))
    exchange.on_tick(tick("100.105", "100.20", at_s=1))
    counted = account.order_counts.limits(clock.unix_ms() + 100)
    assert [limit.count for limit in counted] == [1, 1]


def test_a_tick_older_than_the_last_is_an_error() -> None:
    exchange = an_exchange()
    with pytest.raises(ValueError, match="goes back"):
        exchange.on_tick(tick(at_s=-1))


def test_before_the_first_tick_the_market_is_closed() -> None:
    exchange = an_exchange(opened=False)
    with pytest.raises(ExchangeError, match="Market is closed"):
        exchange.order_entry.place(exchange.account(), sell())


def test_an_exchange_knows_both_assets_of_its_symbol_from_the_start() -> None:
    exchange = Exchange(an_exchange().spec, ManualClock(), {"BNB": Decimal(1)})
    assert [balance.asset for balance in exchange.account().balances()] == ["ETH", "FDUSD", "BNB"]


def market_streams(exchange: Exchange) -> set[str]:
    """The market streams that had an event since the last call."""
    return {event.stream.split("@")[1] for event in exchange.take_events() if isinstance(event, MarketEvent)}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param("HALT", {"bookTicker", "kline_1m"}, id="a halt leaves the market data"),
        pytest.param("BREAK", set(), id="a break takes it all"),
        pytest.param("CANCEL_ONLY", {"bookTicker"}, id="cancel only takes the klines"),
    ],
)
def test_while_a_symbol_does_not_trade_nothing_fills(status: str, expected: set[str]) -> None:
    exchange = an_exchange()
    exchange.streams.open("ethfdusd@kline_1m")
    order, _ = exchange.order_entry.place(exchange.account(), sell("100.10"))
    exchange.take_events()
    exchange.engine.symbol_status = status
    exchange.on_tick(tick("101.00", "101.10", at_s=65, last="101.00", traded="5", aggressor=Side.BUY))
    assert (order.status, market_streams(exchange)) == (OrderStatus.NEW, expected)
    assert exchange.market.klines.rows(Interval("1m"), None, None, 1)[0].volume == 0
    exchange.engine.symbol_status = "TRADING"
    exchange.on_tick(tick("101.00", "101.10", at_s=66))
    assert order.status is OrderStatus.FILLED
    assert exchange.top().bid == Decimal("101.00")


def test_in_a_break_the_last_top_stays_published() -> None:
    exchange = an_exchange()
    before = exchange.top()
    exchange.engine.symbol_status = "BREAK"
    exchange.on_tick(tick("101.00", "101.10", at_s=1))
    assert exchange.top() == before


def test_a_partial_fill_takes_some_of_a_resting_order() -> None:
    exchange = an_exchange()
    order, _ = exchange.order_entry.place(exchange.account(), sell("100.10", "2"))
    exchange.take_events()
    exchange.engine.partial_fill(order, Decimal("0.7"))
    assert take_user_events(exchange) == [("TRADE", "PARTIALLY_FILLED"), POSITION]
    assert (order.filled, order.filled_quote) == (Decimal("0.7"), Decimal("70.07"))
    assert exchange.audit_log.taker_fills == 0
