from decimal import Decimal

import pytest
from tests.simulator.exchange_builders import ListSource

from trailingedge.model.market import RateLimit, Side, SymbolRules
from trailingedge.simulator.exchange_spec import ExchangeSpec, format_amount
from trailingedge.websocket.result_parser import read_exchange_info


def test_a_spec_takes_pair_and_grid_from_the_source() -> None:
    source = ListSource([], "XRPETH", "XRP", "ETH", Decimal("0.00000001"), Decimal(1))
    spec = ExchangeSpec().for_source(source)
    assert (spec.symbol, spec.base_asset, spec.quote_asset) == ("XRPETH", "XRP", "ETH")
    assert (spec.tick_size, spec.min_price, spec.step_size) == (source.tick_size, source.tick_size, Decimal(1))
    assert spec.min_notional == Decimal("0.001")


RULES = SymbolRules(
    symbol="XRPETH",
    base_asset="XRP",
    quote_asset="ETH",
    tick_size=Decimal("0.00000001"),
    step_size=Decimal(1),
    min_quantity=Decimal(3),
    max_quantity=Decimal(500),
    min_price=Decimal("0.00001"),
    max_price=Decimal(9),
    min_notional=Decimal("0.001"),
    max_notional=Decimal(70),
    bid_multiplier_up=Decimal("1.1"),
    bid_multiplier_down=Decimal("0.8"),
    ask_multiplier_up=Decimal("1.2"),
    ask_multiplier_down=Decimal("0.9"),
)


def test_a_spec_takes_filters_and_limits_from_another_exchange() -> None:
    limits = [
        RateLimit("REQUEST_WEIGHT", 60, 5000),
        RateLimit("ORDERS", 10, 50),
        RateLimit("ORDERS", 86_400, 160_000),
        RateLimit("RAW_REQUESTS", 300, 61_000),
    ]
    spec = ExchangeSpec().for_rules(RULES, limits)
    rules, limits_read = read_exchange_info(
        {"rateLimits": spec.limits_json(), "symbols": [spec.symbol_json("TRADING")]}, "XRPETH"
    )
    assert rules == RULES
    assert {(limit.kind, limit.interval_s): limit.limit for limit in limits_read} == {
        ("REQUEST_WEIGHT", 60): 5000,
        ("ORDERS", 10): 50,
        ("ORDERS", 86_400): 160_000,
        ("CONNECTIONS", 300): 300,
    }


def test_what_the_other_exchange_does_not_set_stays_as_it_is() -> None:
    bare = SymbolRules("XRPETH", "XRP", "ETH", Decimal("0.01"), Decimal(1))
    spec, usual = ExchangeSpec().for_rules(bare, []), ExchangeSpec()
    assert (spec.min_price, spec.min_quantity, spec.min_notional) == (Decimal("0.01"), Decimal(1), Decimal(0))
    assert (spec.max_price, spec.max_quantity) == (usual.max_price, usual.max_quantity)
    assert spec.price_multipliers(Side.SELL) == usual.price_multipliers(Side.BUY)
    assert spec.orders_per_day == usual.orders_per_day


@pytest.mark.parametrize(
    ("amount", "text"),
    [("1", "1.00000000"), ("0.1234567891", "0.12345678"), ("0.999999999", "0.99999999"), ("1E-8", "0.00000001")],
)
def test_amounts_have_eight_decimals_and_are_rounded_down(amount: str, text: str) -> None:
    assert format_amount(Decimal(amount)) == text
