"""Tests of the backtest engine: skipping ticks and splitting results change nothing."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Final

import pytest
from tests.backtest import random_market
from tests.tight_settings import TIGHT

from trailingedge.backtest.engine import Backtest
from trailingedge.backtest.market_memo import MarketMemo
from trailingedge.model.pricing_mode import Pricing
from trailingedge.report.model import RunReport
from trailingedge.simulator.feeds.candle_path import GridPath, StraightPath
from trailingedge.simulator.feeds.columns import Columns, TickColumns
from trailingedge.simulator.feeds.random_path import RandomPath
from trailingedge.strategy.inputs import StrategyCommand

MIDNIGHT_MS: Final = 1_783_036_800_000


def market(kind: str, dice: Random) -> list[Columns]:
    if kind == "klines":
        return random_market.klines(dice, 80, swing=dice.choice((8.0, 60.0)))
    return random_market.ticks(dice, 400, swing=dice.choice((4.0, 25.0)), trades=kind == "trades")


@pytest.mark.parametrize("kind", ["klines", "trades", "quotes"])
@pytest.mark.parametrize("seed", range(5))
def test_skipped_ticks_would_have_changed_nothing(kind: str, seed: int) -> None:
    dice = Random(f"{kind} {seed}")
    settings, told = random_market.settings(dice), market(kind, dice)
    swift, swiftly = random_market.replayed(settings, told)
    slow, slowly = random_market.replayed(settings, told, thorough=True)
    assert swift == slow
    assert swiftly.cycles < slowly.cycles


@pytest.mark.parametrize("latency_ms", [0, 500, 2500])
@pytest.mark.parametrize("kind", ["random paths", "trades", "quotes"])
@pytest.mark.parametrize("seed", range(2))
def test_skipped_ticks_would_have_changed_nothing_on_random_paths_and_with_latency_either(
    kind: str, latency_ms: int, seed: int
) -> None:
    dice = Random(f"late {kind} {seed}")
    settings, told = random_market.settings(dice), market("klines" if kind == "random paths" else kind, dice)
    reports = []
    for thorough in (False, True):
        path = RandomPath(seed) if kind == "random paths" else None
        reports.append(random_market.replayed(settings, told, thorough=thorough, path=path, latency_ms=latency_ms)[0])
    assert reports[0] == reports[1]


@pytest.mark.parametrize(("path", "klines"), [(StraightPath, 120), (lambda: RandomPath(3), 25)])
@pytest.mark.parametrize("seed", range(3))
def test_bars_passed_over_at_once_and_shared_with_other_settings_change_nothing(
    path: Callable[[], GridPath], klines: int, seed: int
) -> None:
    dice, memo = Random(f"leaps {seed}"), MarketMemo()
    told = random_market.klines(dice, klines, swing=dice.choice((2.0, 5.0, 15.0)))
    for _ in range(2):
        settings = replace(random_market.settings(dice), kline_interval=dice.choice(("1m", "5m")))
        swift = Backtest(random_market.standing(settings), curves=False, path=path(), memo=memo)
        swift.run(told)
        _, slow = random_market.replayed(settings, told, thorough=True, path=path())
        assert swift.recorder.statistics.results() == slow.recorder.statistics.results()
        assert swift.recorder.parts == slow.recorder.parts


@pytest.mark.parametrize("seed", range(3))
def test_valuations_that_are_left_out_would_have_changed_no_drawdown(seed: int) -> None:
    dice = Random(f"valued {seed}")
    settings, told = random_market.settings(dice), random_market.klines(dice, 80, swing=dice.choice((5.0, 40.0)))
    few, all_ = (Backtest(random_market.standing(settings), curves=False) for _ in range(2))
    few.run(told)
    all_._stands = lambda *_: False  # type: ignore[method-assign]  # a valuation at each close
    all_.run(told)
    assert few.recorder.statistics.results().drawdown == all_.recorder.statistics.results().drawdown
    assert few.recorder.parts == all_.recorder.parts


def late(seconds: dict[int, int], latency_ms: int) -> tuple[RunReport, Backtest]:
    """A market in which a hard stop sells 1 ETH at the tenth second; `seconds` gives later bids by their second."""
    columns, bid = TickColumns(), 250_000
    for second in range(90):
        bid = 240_000 if second == 10 else seconds.get(second, bid)
        time_ms = random_market.START_MS + 1000 * second
        columns.add(time_ms, bid, 9_000, bid + 1, 9_000, bid, 0, bought=False)
    settings = replace(TIGHT, hard_stop_confirm_sec=0.0, hard_stop_threshold_frac=0.02, hard_stop_max_frac=0.03)
    return random_market.replayed(settings, [columns], balances={"ETH": Decimal(1)}, latency_ms=latency_ms)


@pytest.mark.parametrize(("latency_ms", "placed_s"), [(0, 10.0), (250, 10.5), (500, 11.0), (1000, 12.0)])
def test_an_order_rests_as_late_as_both_ways_take(latency_ms: int, placed_s: float) -> None:
    report, _ = late({}, latency_ms)
    (placed,) = [order for order in report.orders if order.what == "placed"]
    assert (placed.time_ms - random_market.START_MS) / 1000 == pytest.approx(placed_s, abs=0.002)
    assert placed.price == Decimal("2400.01")


def test_an_order_that_the_market_has_passed_meanwhile_is_rejected_and_priced_afresh() -> None:
    report, backtest = late({11: 240_050}, 600)  # the order at 2400.01 arrives after that, and would sell at 2400.50
    assert report.results.rejected == {-2010: 1}
    assert [order.price for order in report.orders if order.what == "placed"] == [Decimal("2400.51")]
    assert backtest.halt_reason is None


def test_a_cancel_replace_that_comes_too_late_finds_the_old_order_filled() -> None:
    # The price leaves at the 20th second; before the cancel-replace arrives, it comes back through the order.
    in_time, _ = late({20: 239_900, 22: 240_100}, 100)
    too_late, _ = late({20: 239_900, 22: 240_100}, 1500)
    assert [fill.price for fill in in_time.fills] == [Decimal("2399.01")]
    assert [fill.price for fill in too_late.fills] == [Decimal("2400.01")]


@pytest.mark.parametrize("kind", ["klines", "trades", "quotes"])
@pytest.mark.parametrize("seed", range(4))
def test_skipped_ticks_would_have_changed_nothing_at_the_edge_of_the_size_limits_either(kind: str, seed: int) -> None:
    dice = Random(f"edge {kind} {seed}")
    settings = replace(random_market.settings(dice), reserve_quote=Decimal(0), lot_size=None, start_paused=False)
    told = market(kind, dice)
    # Whether an order of about 5 FDUSD is possible changes with the price, and with the step that a BUY loses.
    amount = dice.choice(
        ({"ETH": Decimal("0.0020")}, {"FDUSD": Decimal("5.01")}, {"FDUSD": Decimal("5.26")}, {"ETH": Decimal("0.0021")})
    )
    limits = dice.choice(({}, {"max_quantity": Decimal("0.0020")}, {"max_notional": Decimal("5.2")}))
    swift, swiftly = random_market.replayed(settings, told, balances=amount, limits=limits)
    slow, _ = random_market.replayed(settings, told, balances=amount, limits=limits, thorough=True)
    assert swift == slow
    # No exit is armed that cannot place an order.
    assert all(exit_.base for exit_ in swift.exits)
    assert swiftly.cycles < 20_000


def test_a_backtest_in_parts_gives_the_same_result_as_in_one() -> None:
    dice = Random("parts")
    settings, told = random_market.settings(dice), random_market.klines(dice, 200, swing=30.0)
    whole, _ = random_market.replayed(settings, told)
    splits = [random_market.START_MS + minutes * 60_000 for minutes in (50, 51, 130)]
    replay = Backtest(random_market.standing(settings), splits=splits)
    replay.run(told)
    parts = replay.recorder.parts
    assert len(parts) == 4
    assert all(before.last_value == after.first_value for before, after in pairwise(parts))
    assert [part.to_ms for part in parts[:-1]] == splits
    assert (parts[0].first_value, parts[-1].last_value) == (whole.results.first.value, whole.results.last.value)
    assert sum(part.exits for part in parts) == len(whole.exits) > 0
    assert max(part.max_drawdown_frac for part in parts) <= whole.results.drawdown.max_frac + 1e-12


@pytest.mark.parametrize("seed", range(12))
def test_what_waits_for_time_is_due_at_the_same_moment_whether_ticks_are_skipped_or_not(seed: int) -> None:
    dice = Random(f"waits {seed}")
    settings = replace(
        random_market.settings(dice),
        taker_escape_after_sec=dice.choice((5.0, 30.0, 300.0)),
        manual_exit_ttl_sec=dice.choice((1.0, 30.0)),
        exit_age_alert_sec=dice.choice((2.0, 60.0)),
        max_daily_loss_frac=dice.choice((Decimal(0), Decimal("0.0005"))),
        max_consecutive_losses=dice.choice((0, 1)),
        start_paused=dice.random() < 0.2,
    )
    # Minutes before the end of the UTC day, when the daily breaker resumes trading.
    start_ms, kind = MIDNIGHT_MS - 60_000 * dice.choice((1, 5, 20)), dice.choice(("klines", "trades", "quotes"))
    if kind == "klines":
        told = random_market.klines(dice, 60, swing=30.0, start_ms=start_ms)
    else:
        told = random_market.ticks(dice, 400, swing=15.0, trades=kind == "trades", start_ms=start_ms)
    commands = [StrategyCommand.FLIP] if dice.random() < 0.7 else []
    swift, _ = random_market.replayed(settings, told, commands=commands)
    slow, _ = random_market.replayed(settings, told, commands=commands, thorough=True)
    assert swift == slow


def test_the_price_of_our_own_order_is_no_new_high_where_its_ticks_are_skipped() -> None:
    """At its own order's price the core sees the others one tick behind. The bid rises to our sale and falls again."""
    columns, books = TickColumns(), ((250_000, 250_001), (250_000, 250_005), (250_001, 250_005), (249_990, 249_991))
    for second, (bid, ask) in enumerate(books):
        columns.add(random_market.START_MS + 1000 * second, bid, 5, ask, 5, bid, 0, bought=False)
    settings = replace(TIGHT, exit_pricing=Pricing.JOIN)
    told: list[Columns] = [columns]
    swift, skipping = random_market.replayed(settings, told, commands=[StrategyCommand.FLIP])
    slow, thorough = random_market.replayed(settings, told, commands=[StrategyCommand.FLIP], thorough=True)
    assert swift == slow
    assert skipping.core.state == thorough.core.state
