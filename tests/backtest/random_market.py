"""Random markets and settings, chosen so that much happens in little time."""

import dataclasses
from collections.abc import Iterable, Mapping
from decimal import Decimal
from random import Random
from types import MappingProxyType
from typing import Final

from tests.tight_settings import TIGHT

from trailingedge.backtest.engine import Backtest
from trailingedge.backtest.inputs import BacktestInputs
from trailingedge.config import Settings, settings_without_secrets
from trailingedge.live.factory import backtest_params
from trailingedge.model.pricing_mode import Pricing
from trailingedge.model.trigger_mode import TriggerOn
from trailingedge.report.model import RunReport
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.feeds.candle_path import GridPath
from trailingedge.simulator.feeds.columns import Columns, KlineColumns, TickColumns
from trailingedge.strategy.inputs import StrategyCommand

START_MS: Final = 1_783_000_020_000  # a full minute
BALANCES: Final = MappingProxyType({"ETH": Decimal(1), "FDUSD": Decimal("200.5")})
NO_CHANGES: Final[Mapping[str, Decimal]] = MappingProxyType({})


def klines(chance: Random, count: int, *, swing: float, start_ms: int = START_MS) -> list[Columns]:
    """One-minute klines around 2500; some are missing or have no volume."""
    told: list[Columns] = []
    columns, price, open_ms = KlineColumns(), 250_000, start_ms
    for _ in range(count):
        if chance.random() < 0.02:
            open_ms += 60_000 * chance.randint(1, 3)
        walked = [price]
        for _ in range(4):
            walked.append(max(2, walked[-1] + round(chance.gauss(0.0, swing))))
        if chance.random() < 0.1:
            walked = [price] * 5
        volume = 0 if chance.random() < 0.05 else chance.choice((1, 5, 40_000, 400_000))
        columns.add(open_ms, open_ms + 59_999, walked[0], max(walked), min(walked), walked[-1], volume)
        price = walked[-1] + chance.choice((-1, 0, 0, 1))
        open_ms += 60_000
        if len(columns) == 50:
            told.append(columns)
            columns = KlineColumns()
    return [*told, columns] if columns else told


def ticks(chance: Random, count: int, *, swing: float, trades: bool, start_ms: int = START_MS) -> list[Columns]:
    """Ticks some seconds apart around 2500: a spread of one tick around each trade, or quotes with any spread."""
    told: list[Columns] = []
    columns, exact, last, time_ms = TickColumns(), 250_000.0, 250_000, start_ms + chance.randint(0, 50_000)
    bid, ask = 249_999, 250_000
    for _ in range(count):
        time_ms += chance.choice((0, 100, 1000, 2500, 9000))
        exact += chance.gauss(0.0, swing)
        if trades:
            price = last if chance.random() < 0.3 else round(exact)
            bought = price > last if price != last else chance.random() < 0.5
            last, bid = price, price - 1 if bought else price
            traded = chance.choice((0, 1, 3_000, 20_000))
            columns.add(time_ms, bid, 9_000, bid + 1, 9_000, price, traded, bought=bought and traded > 0)
        else:
            if chance.random() < 0.6:
                bid = round(exact)
                ask = bid + chance.choice((1, 1, 2, 5))
            depth = chance.choice((500, 9_000)), chance.choice((500, 9_000))
            columns.add(time_ms, bid, depth[0], ask, depth[1], bid, 0, bought=False)
        if len(columns) == 70:
            told.append(columns)
            columns = TickColumns()
    return [*told, columns] if columns else told


def settings(chance: Random) -> Settings:
    """Settings under which small price moves lead to actions."""
    # A pegged price is the exchange's own, which need not lie on a coarser tick of ours.
    price_tick = chance.choice((None, None, Decimal("0.05")))
    pricings = [pricing for pricing in Pricing if price_tick is None or pricing is not Pricing.PEG]
    return dataclasses.replace(
        TIGHT,
        kline_interval=chance.choice(("1m", "1m", "5m")),
        start_factor=chance.choice((0.3, 0.5, 0.9)),
        min_factor=chance.choice((0.1, 0.3)),
        gain_scale_frac_base=chance.choice((0.0005, 0.005)),
        gain_scale_frac_quote=chance.choice((0.0005, 0.005)),
        min_gain_trigger_frac_base=chance.choice((0.0, 0.0005, 0.002)),
        min_gain_trigger_frac_quote=chance.choice((0.0, 0.0005, 0.002)),
        buffer=chance.choice((0.0, 0.0005)),
        hard_stop_threshold_frac=chance.choice((0.0005, 0.002)),
        hard_stop_max_frac=chance.choice((0.001, 0.01)),
        hard_stop_donchian_multiplier=chance.choice((0.1, 0.5)),
        hard_stop_confirm_sec=chance.choice((0.0, 1.0, 8.0, 90.0)),
        donchian_window=chance.choice((3, 8)),
        donchian_shift=chance.choice((1, 2)),
        donchian_gain_multiplier=chance.choice((0.0, 0.1, 0.5)),
        donchian_source=chance.choice(("close", "high_low")),
        breakout_entry=chance.random() < 0.3,
        breakout_exit=chance.random() < 0.3,
        exit_pricing=chance.choice(pricings),
        hard_stop_pricing=chance.choice(pricings),
        fee=chance.choice((None, Decimal("0.0002"))),
        max_consecutive_losses=chance.choice((0, 0, 4)),
        max_daily_loss_frac=chance.choice((Decimal(0), Decimal("0.01"))),
        taker_escape_after_sec=chance.choice((0.0, 5.0, 30.0, 300.0)),
        price_tick=price_tick,
        lot_size=chance.choice((None, None, Decimal("0.001"))),
        reserve_quote=chance.choice((Decimal(0), Decimal("100.5"))),
        trigger_on=chance.choice((TriggerOn.TICK, TriggerOn.TICK, TriggerOn.CLOSE)),
    )


def standing(
    chosen: Settings, balances: Mapping[str, Decimal] = BALANCES, limits: Mapping[str, Decimal] = NO_CHANGES
) -> BacktestInputs:
    """Those balances, at the fee of the settings; `limits` are changed fields of the exchange's specification."""
    terms = dataclasses.replace(ExchangeSpec(), maker_fee=chosen.fee or Decimal(0), **limits)  # type: ignore[arg-type]  # names of amounts
    return BacktestInputs(backtest_params(settings_without_secrets(chosen)), terms, dict(balances))


def replayed(
    chosen: Settings,
    market: list[Columns],
    *,
    thorough: bool = False,
    balances: Mapping[str, Decimal] = BALANCES,
    limits: Mapping[str, Decimal] = NO_CHANGES,
    path: GridPath | None = None,
    latency_ms: int = 0,
    commands: Iterable[StrategyCommand] = (),
) -> tuple[RunReport, Backtest]:
    """The report of a backtest on that market, and the backtest; `commands` come with the first tick."""
    inputs = standing(chosen, balances, limits)
    replay = Backtest(inputs, thorough=thorough, path=path, latency_ms=latency_ms)
    for command in commands:
        replay.core.submit(command)
    replay.run(market)
    assert replay.halt_reason is None
    return replay.recorder.build_report({}, ()), replay
