"""Test of a backtest against the daemon on the simulated exchange: both get the same fills."""

import dataclasses
from decimal import Decimal
from pathlib import Path

import pytest
from tests.backtest import market_files
from tests.simulation.simulated_day import simulate

from trailingedge.backtest.engine import Backtest
from trailingedge.backtest.inputs import build_inputs
from trailingedge.backtest.market_loader import load_columns
from trailingedge.config import Settings, settings_without_secrets
from trailingedge.core.errors import ExitCode
from trailingedge.model.market import Side
from trailingedge.model.pricing_mode import Pricing
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.feeds.historical import RecordedMarket, open_market

D = Decimal
MINUTES = 92  # a rally, a crash and the recovery
GIVEN = {"ETH": D(1), "FDUSD": D(0)}
LIVELY = dataclasses.replace(
    Settings(),
    donchian_window=10,
    hard_stop_threshold_frac=0.003,
    hard_stop_donchian_multiplier=0.2,
    min_gain_trigger_frac_base=0.004,
    min_gain_trigger_frac_quote=0.004,
    breakout_entry=True,
    exit_pricing=Pricing.JOIN,
    fee=D("0.0001"),
)

Filled = list[tuple[int, Side, Decimal, Decimal]]


def by_the_daemon(market: RecordedMarket, settings: Settings) -> Filled:
    terms = dataclasses.replace(ExchangeSpec(), maker_fee=settings.fee or D(0))
    day = simulate(1, MINUTES / 60, source=market, latency_s=0.0, balances=GIVEN, settings=settings, spec=terms)
    assert (day.code, day.faults()) == (ExitCode.OK, [])
    trades = day.exchange.account().trades
    return [(trade.time_ms, trade.side, trade.price, trade.quantity) for trade in trades]


def by_the_replay(market: RecordedMarket, settings: Settings) -> Filled:
    replay = Backtest(build_inputs(market, settings_without_secrets(settings), GIVEN))
    replay.run(load_columns(market))
    story = replay.recorder.build_report({}, ())
    return [(fill.time_ms, fill.side, fill.price, fill.quantity) for fill in story.fills]


@pytest.mark.parametrize(
    ("write", "settings"),
    [
        pytest.param(market_files.write_klines, Settings(), id="klines"),
        pytest.param(market_files.write_trades, Settings(), id="trades"),
        pytest.param(market_files.write_quotes, LIVELY, id="quotes, lively settings"),
    ],
)
def test_the_fills_are_the_daemons(write: market_files.Write, settings: Settings, tmp_path: Path) -> None:
    market = open_market([write(tmp_path, 7, MINUTES)])
    # Where ticks follow closely, the market moves on while a daemon starts: both begin from the same price.
    settings = dataclasses.replace(settings, anchor_price=next(iter(market)).bid)
    filled = by_the_daemon(market, settings)
    assert by_the_replay(market, settings) == filled
    assert {side for _, side, _, _ in filled} == {Side.BUY, Side.SELL}
