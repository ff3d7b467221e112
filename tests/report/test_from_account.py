"""What the exchange's books tell becomes the same story that was seen as it happened."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.execution.order_builders import NUMBER, RULES, D
from tests.reconciliation.account_histories import Past, at
from tests.strategy.strategy_harness import DEFAULTS as PARAMS

from trailingedge.indicators.donchian import DonchianChannel
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import Kline, OrderStatus, Regime, Side
from trailingedge.report.from_account import AccountHistory, build_report
from trailingedge.report.model import RunReport

MINUTES = 10


def candles(*closes: str) -> list[Kline]:
    """One a minute from the beginning on; the last close lasts."""
    every = [*closes, *[closes[-1]] * (MINUTES - len(closes))]
    opens = [every[0], *every[:-1]]
    return [
        Kline(at(60 * i), at(60 * i + 60) - 1, D(o), max(D(o), D(c)), min(D(o), D(c)), D(c))
        for i, (o, c) in enumerate(zip(opens, every, strict=True))
    ]


def told(
    past: Past,
    klines: Sequence[Kline],
    *,
    base: str = "1",
    quote: str = "0",
    from_s: float = 0,
    openings: dict[int, Decimal] | None = None,
) -> RunReport:
    """The story of ten minutes, at whose end the account holds that much."""
    return build_report(
        AccountHistory(
            rules=RULES,
            params=PARAMS,
            channel=lambda: DonchianChannel(2, 1, rolling=100),
            settings={},
            from_ms=at(from_s),
            to_ms=at(600),
            orders=past.orders,
            trades=past.trades,
            klines=klines,
            base=D(base),
            quote=D(quote),
            bid=klines[-1].close,
            openings=openings or {},
        )
    )


def test_an_exit_is_made_of_its_orders_and_fills() -> None:
    past = Past()
    past.marker(5, Side.SELL, 10_000, NUMBER)  # the anchor: 100.00
    past.sell(70, "103.00", NUMBER + 1, filled="0")
    past.sell(71, "102.00", NUMBER + 1)
    report = told(past, candles("100", "102"), base="0", quote="102", openings={NUMBER + 1: D("102.50")})
    (sold,) = report.exits
    assert (sold.kind, sold.side, sold.cause) == (ExitKind.TAKE_PROFIT, Side.SELL, ExitEndReason.FILLED)
    assert (sold.started_ms, sold.ended_ms, sold.average) == (at(70), at(72), D(102))
    assert (sold.replaces, report.results.last.replaces) == (1, 1)
    assert [event.what for event in report.orders] == ["placed", "replaced"]
    assert sold.anchor_gain_frac == pytest.approx(0.02)
    assert sold.slippage_frac == pytest.approx(0.5 / 102.5)
    assert [(fill.number, fill.kind, fill.price) for fill in report.fills] == [
        (NUMBER + 1, ExitKind.TAKE_PROFIT, D(102))
    ]


def test_the_next_exit_is_measured_from_the_last_ones_average() -> None:
    past = Past()
    past.sell(70, "102.00", NUMBER)
    past.buy(200, "100.00", NUMBER + 1, quantity="1.02")
    sold, bought = told(past, candles("100", "102", "100"), base="1.02", quote="0").exits
    assert sold.anchor_gain_frac is None  # nobody knows what it was bought for
    assert bought.anchor_gain_frac == pytest.approx(0.02)


def test_fees_are_taken_from_what_the_exit_brought() -> None:
    past = Past()
    past.marker(5, Side.SELL, 10_000, NUMBER)
    past.sell(70, "102.00", NUMBER + 1)
    past.trades[0] = replace(past.trades[0], commission=D(1))
    (sold,) = told(past, candles("100"), base="0", quote="101").exits
    assert sold.fees == {"FDUSD": D(1)}
    assert sold.anchor_gain_frac == pytest.approx(0.01)


def test_after_a_partial_fill_the_rest_is_placed_anew_and_not_replaced() -> None:
    past = Past()
    past.sell(70, "102.00", NUMBER, filled="0.4")
    past.sell(80, "101.00", NUMBER, quantity="0.6")
    report = told(past, candles("100"), base="0", quote="101.4")
    assert [event.what for event in report.orders] == ["placed", "placed"]
    assert (report.results.last.replaces, report.exits[0].replaces, report.exits[0].base) == (0, 0, D(1))


def test_where_only_the_cancel_of_a_replace_came_true_the_next_order_was_placed_afresh() -> None:
    past = Past()
    past.sell(70, "102.00", NUMBER, filled="0")  # gone at 71
    past.sell(71.2, "101.00", NUMBER)
    assert [event.what for event in told(past, candles("100"), base="0", quote="101").orders] == ["placed", "placed"]


def test_an_exit_that_ended_unfinished_is_shown_as_cancelled_and_that_this_is_a_guess() -> None:
    past = Past()
    past.sell(70, "102.00", NUMBER, filled="0")
    report = told(past, candles("100"))
    (ended,) = report.exits
    assert (ended.cause, ended.base) == (ExitEndReason.CANCELLED, D(0))
    assert ended.average is None
    assert ended.anchor_gain_frac is None
    assert report.orders[-1].what == "withdrawn"
    assert any("the exchange does not say why 1 exit ended unfinished" in gap for gap in report.gaps)


def test_an_exit_under_way_is_no_exit_yet_but_its_fills_are_there() -> None:
    past = Past()
    past.open_order(500, Side.SELL, "102.00", NUMBER, ExitKind.TAKE_PROFIT, filled="0.4")
    report = told(past, candles("100"), base="0.6", quote="40.8")
    assert report.exits == ()
    assert [fill.quantity for fill in report.fills] == [D("0.4")]
    assert [event.what for event in report.orders] == ["placed"]


def test_others_are_left_out_of_exits_and_ledger_and_counted() -> None:
    past = Past()
    past.foreign(30, Side.BUY, "99.00", "0.5")
    past.foreign(40, Side.BUY, "99.00", "0.5")
    past.sell(70, "102.00", NUMBER, quantity="2")
    report = told(past, candles("100", "102"), base="0", quote="204")
    assert [fill.number for fill in report.fills] == [NUMBER]
    assert any(gap.startswith("2 fills of other orders (1 ETH bought)") for gap in report.gaps)
    # Without them the account held one ETH and the 99 that they took.
    assert report.results.first.value == D(1) * 100 + 99


def test_the_value_is_traced_back_from_what_the_account_holds_now() -> None:
    past = Past()
    past.sell(70, "102.00", NUMBER)
    report = told(past, candles("100", "102", "90"), base="0", quote="102")
    assert (report.results.first.bid, report.results.first.value, report.results.last.value) == (D(100), D(100), D(102))
    assert [moment.value for moment in report.samples] == [100.0] + [102.0] * 10
    assert report.results.drawdown.max_frac == 0.0
    assert not any("there was a withdrawal" in gap for gap in report.gaps)


def test_what_was_withdrawn_shows_as_a_balance_below_nothing_and_is_told() -> None:
    past = Past()
    past.buy(200, "100.00", NUMBER, quantity="1")
    report = told(past, candles("100"), base="0", quote="0")  # where is the one that was bought?
    assert any("there was a withdrawal" in gap for gap in report.gaps)
    assert min(moment.value for moment in report.samples) >= 0


def test_only_what_lies_within_the_time_is_told_but_what_came_before_gives_the_anchor() -> None:
    past = Past()
    past.sell(70, "102.00", NUMBER)
    past.buy(400, "100.00", NUMBER + 1, quantity="1.02")
    report = told(past, candles("100", "102", "100"), base="1.02", quote="0", from_s=300)
    (bought,) = report.exits
    assert bought.anchor_gain_frac == pytest.approx(0.02)
    assert [fill.side for fill in report.fills] == [Side.BUY]
    assert report.candles[0].open_ms == at(300)
    assert report.samples[0].anchor == pytest.approx(102.0)


def test_a_dusty_end_is_told_as_such() -> None:
    past = Past()
    past.sell(70, "102.00", NUMBER, quantity="1", filled="0.99")
    (sold,) = told(past, candles("100"), base="0.01", quote="100.98").exits
    assert sold.cause is ExitEndReason.DUST
    assert past.orders[0].status is OrderStatus.CANCELED


def test_an_account_that_did_nothing_has_a_story_too() -> None:
    report = told(Past(), candles("100", "102"))
    assert (report.exits, report.fills, report.results.last.value) == ((), (), D(102))
    assert {moment.regime for moment in report.samples} == {None}


def test_before_the_first_anchor_it_holds_what_it_sells_first() -> None:
    past = Past()
    past.buy(400, "100.00", NUMBER)
    report = told(past, candles("100"), base="1", quote="0")
    assert report.samples[0].regime is Regime.QUOTE
    assert report.samples[0].anchor is None
