"""Response parser: rules, klines, balances, orders, trades and commission."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailingedge.core.errors import ProtocolViolation
from trailingedge.model.market import (
    ZERO,
    AccountTrade,
    Balance,
    BookTop,
    Kline,
    OrderRecord,
    OrderStatus,
    RateLimit,
    Side,
    SymbolRules,
)
from trailingedge.websocket.event_parser import AccountPosition
from trailingedge.websocket.result_parser import (
    Commission,
    read_account,
    read_book,
    read_commission,
    read_exchange_info,
    read_klines,
    read_order,
    read_orders,
    read_server_time,
    read_trades,
)

SYMBOL = {
    "symbol": "ETHFDUSD",
    "status": "TRADING",
    "baseAsset": "ETH",
    "baseAssetPrecision": 8,
    "quoteAsset": "FDUSD",
    "quoteAssetPrecision": 8,
    "pegInstructionsAllowed": True,
}
USUAL_FILTERS: list[dict[str, Any]] = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.00000000", "tickSize": "0.01000000"},
    {"filterType": "LOT_SIZE", "minQty": "0.00010000", "maxQty": "9000.00000000", "stepSize": "0.00010000"},
    {"filterType": "ICEBERG_PARTS", "limit": 100},
    {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": "500.0", "stepSize": "0.00000000"},
    {
        "filterType": "PERCENT_PRICE_BY_SIDE",
        "bidMultiplierUp": "5",
        "bidMultiplierDown": "0.2",
        "askMultiplierUp": "6",
        "askMultiplierDown": "0.3",
        "avgPriceMins": 5,
    },
    {
        "filterType": "NOTIONAL",
        "minNotional": "5.00000000",
        "applyMinToMarket": True,
        "maxNotional": "9000000.00000000",
        "applyMaxToMarket": False,
        "avgPriceMins": 5,
    },
    {"filterType": "T_PLUS_SELL", "endTime": 5},
]
PLACED = {
    "symbol": "BTCUSDT",
    "orderId": 501,
    "orderListId": -1,
    "clientOrderId": "mm-1",
    "transactTime": 1783000000004,
    "price": "60000.00000000",
    "origQty": "0.00100000",
    "executedQty": "0.00000000",
    "origQuoteOrderQty": "0.00000000",
    "cummulativeQuoteQty": "0.00000000",
    "status": "NEW",
    "timeInForce": "GTC",
    "type": "LIMIT_MAKER",
    "side": "BUY",
    "workingTime": 1783000000004,
    "selfTradePreventionMode": "EXPIRE_MAKER",
}
RECORD = OrderRecord(
    order_id=501,
    client_order_id="mm-1",
    side=Side.BUY,
    status=OrderStatus.NEW,
    price=Decimal(60000),
    quantity=Decimal("0.001"),
    filled_quantity=Decimal(0),
    filled_quote=Decimal(0),
    time_ms=1783000000004,
    order_type="LIMIT_MAKER",
)


def rules(filters: list[dict[str, Any]], **changes: object) -> SymbolRules:
    listed, _ = read_exchange_info({"symbols": [SYMBOL | {"filters": filters} | changes]}, "ETHFDUSD")
    assert listed is not None
    return listed


def test_the_usual_filters_are_read_and_unknown_ones_tolerated() -> None:
    assert rules(USUAL_FILTERS) == SymbolRules(
        symbol="ETHFDUSD",
        base_asset="ETH",
        quote_asset="FDUSD",
        tick_size=Decimal("0.01"),
        step_size=Decimal("0.0001"),
        min_quantity=Decimal("0.0001"),
        max_quantity=Decimal(9000),
        min_price=Decimal("0.01"),
        max_price=Decimal(1000000),
        min_notional=Decimal(5),
        max_notional=Decimal(9000000),
        bid_multiplier_up=Decimal(5),
        bid_multiplier_down=Decimal("0.2"),
        ask_multiplier_up=Decimal(6),
        ask_multiplier_down=Decimal("0.3"),
        peg_allowed=True,
    )


def test_without_filters_only_the_precision_limits() -> None:
    bare = rules([], baseAssetPrecision=5, quoteAssetPrecision=3, pegInstructionsAllowed=False)
    assert (bare.tick_size, bare.step_size) == (Decimal("0.001"), Decimal("0.00001"))
    assert (bare.min_notional, bare.max_price, bare.bid_multiplier_up, bare.peg_allowed) == (ZERO, None, None, False)


def test_a_zero_disables_a_part_of_the_price_filter() -> None:
    off = rules([{"filterType": "PRICE_FILTER", "minPrice": "0.0", "maxPrice": "0.0", "tickSize": "0.00000000"}])
    assert (off.tick_size, off.min_price, off.max_price) == (Decimal("0.00000001"), ZERO, None)


def test_of_two_filters_on_one_thing_the_stricter_counts() -> None:
    both = rules(
        [
            *USUAL_FILTERS,
            {"filterType": "MIN_NOTIONAL", "minNotional": "10", "applyToMarket": True, "avgPriceMins": 5},
            {"filterType": "PERCENT_PRICE", "multiplierUp": "5.5", "multiplierDown": "0.25", "avgPriceMins": 5},
        ]
    )
    assert both.min_notional == 10
    assert (both.bid_multiplier_up, both.ask_multiplier_up) == (Decimal(5), Decimal("5.5"))
    assert (both.bid_multiplier_down, both.ask_multiplier_down) == (Decimal("0.25"), Decimal("0.3"))


def test_a_halted_symbol_is_read_as_halted() -> None:
    assert not rules(USUAL_FILTERS, status="CANCEL_ONLY").trading


def test_a_symbol_that_is_not_listed_has_no_rules() -> None:
    assert read_exchange_info({"symbols": []}, "ETHFDUSD") == (None, ())


def test_rate_limits_come_without_a_count_and_may_be_strange() -> None:
    limits = [
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
        {"rateLimitType": "CONNECTIONS", "interval": "MINUTE", "intervalNum": 5, "limit": 300},
        {"rateLimitType": "ORDERS", "interval": "FORTNIGHT", "intervalNum": 1, "limit": 1},
    ]
    _, read = read_exchange_info({"rateLimits": limits, "symbols": []}, "ETHFDUSD")
    assert read == (RateLimit("ORDERS", 10, 100), RateLimit("CONNECTIONS", 300, 300))


def test_kline_rows_are_read() -> None:
    row = [0, "10", "12", "9", "11", "5.5", 59999, "60", 7, "1", "2", "0"]
    meant = Kline(0, 59999, Decimal(10), Decimal(12), Decimal(9), Decimal(11), Decimal("5.5"))
    assert read_klines([row]) == (meant,)


@pytest.mark.parametrize(
    "row", [[], [0, "10", "9", "9", "11", "5", 1], [0.5, "1", "1", "1", "1", "1", 1], "row"], ids=str
)
def test_an_invalid_kline_row_is_a_violation(row: object) -> None:
    with pytest.raises(ProtocolViolation):
        read_klines([row])


def test_the_best_prices_are_read() -> None:
    book = {"symbol": "X", "bidPrice": "1.0", "bidQty": "2", "askPrice": "1.1", "askQty": "3"}
    assert read_book(book) == BookTop(Decimal(1), Decimal("1.1"), Decimal(2), Decimal(3))
    with pytest.raises(ProtocolViolation, match="not a book"):
        read_book(book | {"bidPrice": "0.0"})


def test_the_time_is_read() -> None:
    assert read_server_time({"serverTime": 5}) == 5


def test_balances_are_read() -> None:
    balances = [{"asset": "ETH", "free": "1.5", "locked": "0.5"}]
    meant = AccountPosition((Balance("ETH", Decimal("1.5"), Decimal("0.5")),), 7)
    assert read_account({"updateTime": 7, "balances": balances, "uid": 1}) == meant


def test_commission_is_the_sum_of_all_kinds_and_the_worse_of_both_sides() -> None:
    result = {
        "symbol": "BTCUSDT",
        "standardCommission": {"maker": "0.0001", "taker": "0.0002", "buyer": "0.0003", "seller": "0.0004"},
        "specialCommission": {"maker": "0.001", "taker": "0.002", "buyer": "0.003", "seller": "0.001"},
        "taxCommission": {"maker": "0.01", "taker": "0.02", "buyer": "0", "seller": "0"},
        "discount": {"enabledForAccount": True, "discount": "0.75"},
    }
    assert read_commission(result) == Commission(Decimal("0.0145"), Decimal("0.0256"), Decimal("0.0145"))


@pytest.mark.parametrize(
    ("discount", "lowest"),
    [
        pytest.param(
            {"enabledForAccount": True, "enabledForSymbol": True, "discount": "0.75"}, "0.00275", id="in force"
        ),
        pytest.param({"enabledForAccount": True, "enabledForSymbol": False, "discount": "0.75"}, "0.003", id="symbol"),
        pytest.param({"enabledForAccount": False, "enabledForSymbol": True, "discount": "0.75"}, "0.003", id="account"),
        pytest.param({"enabledForAccount": True, "enabledForSymbol": True}, "0.003", id="no rate"),
        pytest.param(
            {"enabledForAccount": True, "enabledForSymbol": True, "discount": "1.5"}, "0.003", id="no discount"
        ),
        pytest.param({"enabledForAccount": True, "enabledForSymbol": True, "discount": "-1"}, "0.003", id="negative"),
        pytest.param({"enabledForAccount": "yes", "enabledForSymbol": 1, "discount": "0.75"}, "0.003", id="odd flags"),
        pytest.param([], "0.003", id="no block"),
        pytest.param(None, "0.003", id="null"),
    ],
)
def test_the_discount_lowers_the_standard_commission_where_account_and_symbol_have_it(
    discount: object, lowest: str
) -> None:
    result = {
        "standardCommission": {"maker": "0.001", "taker": "0.001", "buyer": "0", "seller": "0"},
        "specialCommission": {"maker": "0.002", "taker": "0.002", "buyer": "0", "seller": "0"},
        "discount": discount,
    }
    found = read_commission(result)
    assert (found.maker, found.lowest_maker) == (Decimal("0.003"), Decimal(lowest))


def test_commission_may_lack_a_kind() -> None:
    standard = {"maker": "0.001", "taker": "0.002", "buyer": "0", "seller": "0"}
    rates = Commission(Decimal("0.001"), Decimal("0.002"), Decimal("0.001"))
    assert read_commission({"standardCommission": standard}) == rates


CANCELED = PLACED | {"origClientOrderId": "mm-1", "clientOrderId": "c-1", "status": "CANCELED", "executedQty": "0.0005"}
QUERIED = {name: value for name, value in PLACED.items() if name != "transactTime"} | {
    "stopPrice": "0.0",
    "icebergQty": "0.0",
    "time": 1783000000000,
    "updateTime": 1783000000004,
    "isWorking": True,
}
AMENDED = {
    "transactTime": 1783000000004,
    "executionId": 60,
    "amendedOrder": {
        "symbol": "BTCUSDT",
        "orderId": 501,
        "origClientOrderId": "mm-0",
        "clientOrderId": "mm-1",
        "price": "60000",
        "qty": "0.001",
        "executedQty": "0",
        "cumulativeQuoteQty": "0",
        "status": "NEW",
        "type": "LIMIT_MAKER",
        "side": "BUY",
    },
}


@pytest.mark.parametrize(
    ("result", "meant"),
    [
        pytest.param(PLACED, RECORD, id="RESULT"),
        pytest.param(PLACED | {"fills": [], "brand": "new"}, RECORD, id="FULL"),
        pytest.param(QUERIED, replace(RECORD, created_ms=1783000000000), id="status"),
        pytest.param(AMENDED, RECORD, id="amended"),
    ],
)
def test_every_shape_of_an_order_is_read(result: object, meant: OrderRecord) -> None:
    assert read_order(result) == meant


def test_an_ack_has_no_status() -> None:
    ack = {"symbol": "BTCUSDT", "orderId": 502, "orderListId": -1, "clientOrderId": "mm-2", "transactTime": 5}
    order = read_order(ack)
    assert (order.order_id, order.client_order_id, order.time_ms) == (502, "mm-2", 5)
    assert (order.status, order.side, order.filled_quote) == (None, None, None)


def test_a_cancel_is_read_under_the_orders_own_id_and_with_its_fills() -> None:
    order = read_order(CANCELED)
    assert (order.client_order_id, order.status, order.filled_quantity) == (
        "mm-1",
        OrderStatus.CANCELED,
        Decimal("0.0005"),
    )


def test_a_negative_quote_sum_means_unknown() -> None:
    assert read_order(PLACED | {"cummulativeQuoteQty": "-1.00000000"}).filled_quote is None


def test_a_pegged_order_is_read_with_its_price() -> None:
    pegged = read_order(PLACED | {"price": "0.00000000", "pegPriceType": "PRIMARY_PEG", "peggedPrice": "60000.01"})
    assert pegged.pegged_price == Decimal("60000.01")


def test_an_unknown_status_is_unrecognized() -> None:
    assert read_order(PLACED | {"status": "DREAMING"}).status is OrderStatus.UNRECOGNIZED


@pytest.mark.parametrize("result", [None, {}, [], {"orderId": "1"}, PLACED | {"side": "UP"}, PLACED | {"price": "NaN"}])
def test_an_invalid_order_is_a_violation(result: object) -> None:
    with pytest.raises(ProtocolViolation):
        read_order(result)


def test_trades_are_read() -> None:
    row = {
        "symbol": "ETHFDUSD",
        "id": 7,
        "orderId": 501,
        "orderListId": -1,
        "price": "2500",
        "qty": "0.1",
        "quoteQty": "250",
        "commission": "0.1",
        "commissionAsset": "BNB",
        "time": 5,
        "isBuyer": False,
        "isMaker": True,
        "isBestMatch": True,
    }
    assert read_trades([row]) == (
        AccountTrade(7, 501, Side.SELL, Decimal(2500), Decimal("0.1"), Decimal(250), Decimal("0.1"), "BNB", 5, True),
    )
    assert read_trades([row | {"isBuyer": True}])[0].side is Side.BUY


def test_lists_of_orders_keep_their_order() -> None:
    assert [order.order_id for order in read_orders([PLACED, PLACED | {"orderId": 502}])] == [501, 502]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
READERS: list[Callable[[object], object]] = [
    read_server_time,
    read_klines,
    read_book,
    read_account,
    read_commission,
    read_order,
    read_orders,
    read_trades,
    lambda result: read_exchange_info(result, "X"),
]


@given(read=st.sampled_from(READERS), result=json_values, change=st.sampled_from(sorted(PLACED)))
def test_garbage_is_read_or_refused(read: Callable[[object], object], result: object, change: str) -> None:
    for garbage in (result, [result], PLACED | {change: result}, {"symbols": [SYMBOL | {"filters": [result]}]}):
        with suppress(ProtocolViolation):
            read(garbage)
