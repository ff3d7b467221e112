"""Report of a recorded session, collected by an observer while the session is replayed."""

from dataclasses import dataclass, field
from pathlib import Path

from trailingedge.accounting.statistics import RunStatistics
from trailingedge.config import TradingMode
from trailingedge.core.errors import ConfigError
from trailingedge.execution.trading_core import TradingCore
from trailingedge.model.market import ZERO, Balance, ExecutionReport, Kline, Regime
from trailingedge.model.market_state import StateView
from trailingedge.report.model import Candle, Fill, OrderLogEntry, RunReport, Sample
from trailingedge.report.order_log import fill_of, order_log_entry
from trailingedge.session_replay.replayed_core import ReplayedSession
from trailingedge.session_replay.run import ReplayProgress, ReplayResult, replay_session
from trailingedge.strategy.chart_levels import ChartLevels, chart_levels


def report_of_session(path: Path, on_progress: ReplayProgress = lambda *_: True) -> RunReport:
    """Replay the session and return its report.

    The report ends at the end of the record, or when `on_progress` returns False. Raises
    ConfigError if the session never traded. Raises KeyboardInterrupt if the replay was stopped
    before the session was ready to trade.
    """
    sessions: list[ReplayedSession] = []
    observer = _ReportObserver(sessions)
    replayed = replay_session(path, observer=observer, sessions=sessions, on_progress=on_progress)
    settings, core = replayed.shareable_settings, sessions[0].core
    if core is None or not sessions[0].statistics.from_ms:
        if replayed.stopped_at is not None:
            raise KeyboardInterrupt
        raise ConfigError([f"{path}: the session ended before it was ready to trade; there is nothing to report"])
    return RunReport(
        symbol=core.rules.symbol,
        tick_size=core.rules.tick_size,
        settings=settings,
        results=sessions[0].statistics.results(),
        fills=tuple(observer.fills),
        orders=tuple(observer.orders),
        candles=tuple(observer.candles),
        samples=tuple(observer.samples),
        gaps=tuple(_gaps(replayed)),
        mode=TradingMode.SIM.value if settings["TRADING_MODE"] == TradingMode.SIM.value else "",
    )


def _gaps(replayed: ReplayResult) -> list[str]:
    """Return a sentence for each thing that is missing in the report."""
    gaps = [] if replayed.incomplete_reason is None else [f"the record is incomplete: {replayed.incomplete_reason}"]
    if replayed.stopped_at is not None:
        gaps.append(f"stopped at {replayed.stopped_at * 100:.0f} % of the record; later events are missing")
    if replayed.difference is not None:
        gaps.append("ends where the replay differs from the record; see trailing-edge replay")
    return gaps


@dataclass
class _ReportObserver:
    """Collects fills, order events, candles and samples from the ticks of a replayed core."""

    sessions: list[ReplayedSession]
    fills: list[Fill] = field(default_factory=list)
    orders: list[OrderLogEntry] = field(default_factory=list)
    candles: list[Candle] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    def on_report(self, report: ExecutionReport) -> None:
        fill = fill_of(report)
        if fill is not None:
            self.fills.append(fill)

    def on_tick(self, trader: TradingCore, view: StateView) -> None:
        for event in trader.events:
            order = order_log_entry(event, view.market_ms)
            if order is not None:
                self.orders.append(order)
        for kline in view.closed_klines:
            self.candles.append(
                Candle(kline.open_ms, float(kline.open), float(kline.high), float(kline.low), float(kline.close))
            )
            self.samples.append(_sample_at(trader, view, kline, self.sessions[0].statistics))


def _sample_at(trader: TradingCore, view: StateView, kline: Kline, statistics: RunStatistics) -> Sample:
    """One point of the report's curves, at the close of `kline`."""
    rules, decision = trader.rules, trader.decision
    bid, ask = (kline.close, kline.close) if view.top is None else (view.top.bid, view.top.ask)
    base, quote = (view.balances.get(asset) or Balance(asset, ZERO) for asset in (rules.base_asset, rules.quote_asset))
    value = float(base.total * bid + quote.total)
    levels = ChartLevels()
    if decision is not None:
        state, kind = decision.state, None if decision.state.exit is None else decision.state.exit.kind
        price = float(bid if decision.regime is Regime.BASE else ask)
        levels = chart_levels(state, kind, state.high, price, decision.channel, trader.strategy_params)
    return Sample.at(kline.close_ms, float(bid), value, statistics.growth_at(value), levels)
