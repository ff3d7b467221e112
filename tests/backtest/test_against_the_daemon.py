"""Test of a backtest against the daemon on the simulated exchange: both get the same fills."""

import dataclasses
from decimal import Decimal
from pathlib import Path

import pytest
from tests.backtest import market_files
from tests.simulation.simulated_day import Day, simulate
from tests.tight_settings import TIGHT

from trailingedge.backtest.engine import Backtest
from trailingedge.backtest.inputs import build_inputs
from trailingedge.config import Settings, settings_without_secrets
from trailingedge.core.errors import ExitCode
from trailingedge.model.market import Side
from trailingedge.model.order_commands import OrderCommand, Place
from trailingedge.model.pricing_mode import Pricing
from trailingedge.model.trigger_mode import TriggerOn
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.feeds.historical import RecordedMarket, open_market
from trailingedge.simulator.feeds.market_loader import load_columns

D = Decimal
MINUTES = 92  # a rally, a crash and the recovery
GIVEN = {"ETH": D(1), "FDUSD": D(0)}
LIVELY = dataclasses.replace(
    TIGHT,
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


def simulated(market: RecordedMarket, settings: Settings, minutes: int) -> Day:
    terms = dataclasses.replace(ExchangeSpec(), maker_fee=settings.fee or D(0))
    return simulate(1, minutes / 60, source=market, latency_s=0.0, balances=GIVEN, settings=settings, spec=terms)


def by_the_daemon(market: RecordedMarket, settings: Settings) -> Filled:
    day = simulated(market, settings, MINUTES)
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
        pytest.param(market_files.write_klines, TIGHT, id="klines"),
        pytest.param(market_files.write_quotes, LIVELY, id="quotes, lively settings"),
        pytest.param(
            market_files.write_trades,
            dataclasses.replace(LIVELY, trigger_on=TriggerOn.CLOSE),
            id="trades, closes alone",
        ),
    ],
)
def test_the_fills_are_the_daemons(write: market_files.Write, settings: Settings, tmp_path: Path) -> None:
    market = open_market([write(tmp_path, 7, MINUTES)])
    # Where ticks follow closely, the market moves on while a daemon starts: both begin from the same price.
    settings = dataclasses.replace(settings, anchor_price=next(iter(market)).bid)
    filled = by_the_daemon(market, settings)
    assert by_the_replay(market, settings) == filled
    assert {side for _, side, _, _ in filled} == {Side.BUY, Side.SELL}


def test_in_a_silent_market_the_taker_escape_is_sent_when_the_daemon_sends_it(tmp_path: Path) -> None:
    market = open_market([market_files.write_silence(tmp_path, silent_s=1000)])
    # Half a second more: it must not be the daemon's tick of each second that finds it.
    settings = dataclasses.replace(LIVELY, taker_escape_after_sec=600.5, anchor_price=D(2500))
    entries = simulated(market, settings, 18).entries
    first_s, escape_s = (
        next(at_s for at_s, entry in entries if entry.startswith("placed ") and kind in entry)
        for kind in ("TE-t-", "TE-e-")
    )
    sent: list[tuple[int, OrderCommand]] = []
    replay = Backtest(build_inputs(market, settings_without_secrets(settings), GIVEN))
    execute = replay.exchange.execute

    def note_and_execute(command: OrderCommand) -> None:
        sent.append((replay.exchange.now_ms, command))
        execute(command)

    replay.exchange.execute = note_and_execute  # type: ignore[method-assign]  # to see when, not only what
    replay.run(load_columns(market))
    first_ms = sent[0][0]
    escape_ms = next(at_ms for at_ms, command in sent if isinstance(command, Place) and command.escape)
    assert (escape_ms - first_ms, round(1000 * (escape_s - first_s))) == (600_501, 600_501)
