"""Over closed candles: where anchor, high, trail, stop and gate stood, and what each exit is measured against."""

import pytest
from tests.execution.order_builders import NUMBER, RULES
from tests.reconciliation.account_histories import Past
from tests.report.test_from_account import candles
from tests.strategy.strategy_harness import DEFAULTS as PARAMS

from trailingedge.indicators.donchian import DonchianChannel
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Regime, Side
from trailingedge.reconciliation.anchor_timeline import TimelineEntry, position_changes
from trailingedge.reconciliation.history_types import find_markers, group_into_exits
from trailingedge.report.strategy_series import StrategySeries
from trailingedge.strategy.chart_levels import ChartLevels


def folded(past: Past, *closes: str) -> tuple[list[ChartLevels], dict[int, float]]:
    """The levels over ten minutes, and the anchors of the exits."""
    exits = group_into_exits(past.orders, past.trades)
    chapters: list[TimelineEntry] = [*find_markers(past.orders, RULES.tick_size), *exits]
    fold = StrategySeries(
        position_changes(chapters, None, RULES), exits, PARAMS, lambda: DonchianChannel(2, 1, rolling=100)
    )
    return [point.levels for point in fold.over(candles(*closes))], fold.anchors


def noted() -> Past:
    """It holds base, come into at 100."""
    past = Past()
    past.marker(5, Side.SELL, 10_000, NUMBER)
    return past


def test_the_high_rises_with_the_candles_and_stop_and_anchor_stay() -> None:
    levels, _ = folded(noted(), "100", "101", "103", "102")
    assert {each.anchor for each in levels} == {100.0}
    assert [each.high for each in levels[:4]] == [100.0, 101.0, 103.0, 103.0]
    assert all(each.stop is not None and each.stop < 100 for each in levels)


def test_a_trail_appears_once_the_gain_is_worth_it_and_lies_below_the_high() -> None:
    levels, _ = folded(noted(), "100", "100", "103")
    assert levels[0].trail is None
    trail = levels[-1].trail
    assert trail is not None
    assert 100 < trail < 103


def test_what_is_held_after_a_sale_is_seen_from_the_other_side() -> None:
    past = noted()
    past.sell(130, "103.00", NUMBER + 1)
    levels, anchors = folded(past, "100", "103", "103", "101")
    assert [each.regime for each in levels[:3]] == [Regime.BASE, Regime.BASE, Regime.QUOTE]
    assert levels[3].high == pytest.approx(101)  # the best price to buy at is the lowest
    assert levels[3].stop is not None
    assert levels[3].stop > 103
    assert anchors == {NUMBER + 1: pytest.approx(100.0)}


def test_a_flush_shuts_the_gate_until_a_close_crosses_the_middle_and_that_is_a_new_anchor() -> None:
    past = noted()
    past.sell(130, "97.00", NUMBER + 1, kind=ExitKind.FLUSH)
    past.buy(500, "98.50", NUMBER + 2, quantity="0.98")
    levels, anchors = folded(past, "100", "97", "96", "96", "96", "96", "99")
    assert [each.gate_shut for each in levels[1:7]] == [False, True, True, True, True, False]
    assert levels[3].trail is levels[3].stop is None  # nobody judges them
    assert levels[6].anchor == pytest.approx(99)
    assert anchors[NUMBER + 2] == pytest.approx(99)


def test_an_exit_after_the_last_candle_is_measured_too() -> None:
    past = noted()
    past.sell(5000, "103.00", NUMBER + 1)
    _, anchors = folded(past, "100")
    assert anchors == {NUMBER + 1: pytest.approx(100.0)}


def test_without_any_anchor_only_the_channel_is_known() -> None:
    levels, anchors = folded(Past(), "100", "101", "102")
    last = levels[-1]
    assert (last.regime, last.anchor, last.stop, anchors) == (None, None, None, {})
    assert last.channel is not None
