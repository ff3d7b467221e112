"""Comparison of a session with a backtest of its own recorded market: lists the exits of both side by side.

The session's side is the report of its replay (`session_replay`). The backtest has the session's settings, rules, fee,
candles, state and free balances, and the latency that the session measured.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from trailingedge.accounting.results import FinishedExit
from trailingedge.backtest.as_market.request_latency import RequestLatency
from trailingedge.backtest.as_market.session_market import SessionMarket, read_session_market
from trailingedge.backtest.engine import Backtest
from trailingedge.backtest.inputs import BacktestInputs
from trailingedge.config import settings_without_secrets
from trailingedge.core.errors import ConfigError
from trailingedge.live.factory import backtest_params
from trailingedge.model.market import RateLimit
from trailingedge.notifications.event_messages import counted
from trailingedge.report.model import RunReport
from trailingedge.report.progress import InterruptRequest, ProgressBar, replay_progress
from trailingedge.session_replay.record_decoder import settings_from_header
from trailingedge.session_replay.session_report import report_of_session
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.feeds.columns import TickColumns

MATCHED_WITHIN_MS: Final = 300_000
_OF_THE_RECORD: Final = ("SYMBOL", "BASE_ASSET", "QUOTE_ASSET", "KLINE_INTERVAL")

_UNKNOWN: Final = (
    (
        "the record does not show which orders are ahead of ours at a price: in the backtest an order queues "
        "behind the whole recorded quantity"
    ),
    (
        "our own orders are taken out of the recorded book; where ours was the only order at the best price, the "
        "best price without it is a guess"
    ),
    "other traders may have reacted to our orders; the backtest places different orders in the same recorded market",
)
# Calls of the core that the backtest does not repeat.
_NOT_REPEATED: Final = {
    "on_transfer": "deposit or withdrawal",
    "update_rules": "change of the rules",
    "accept_change": "change of the settings",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """An exit of the session beside the exit of the backtest that matches it. One of them may be missing."""

    live: FinishedExit | None
    simulated: FinishedExit | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A session and the backtest of its market. `latency_ms` is the one-way latency of the backtest.

    `measured` is the latency of the session, None if no request was answered. `unknown` has a sentence for each reason
    why the comparison is incomplete. `changed_settings` are the settings in which the backtest differs from the
    session.
    """

    path: Path
    live: RunReport
    simulated: RunReport
    pairs: tuple[Pair, ...]
    latency_ms: int
    measured: RequestLatency | None
    unknown: tuple[str, ...]
    changed_settings: Mapping[str, str]
    halt_reason: str | None

    @property
    def matched(self) -> int:
        return sum(pair.live is not None and pair.simulated is not None for pair in self.pairs)


def compare_session(
    path: Path,
    overrides: Mapping[str, str],
    latency_ms: int | None,
    bar: ProgressBar,
    stopped: InterruptRequest,
) -> Comparison:
    """Backtest the market of a session, and compare. Without `latency_ms` the measured latency is used.

    Raises ConfigError for a record that cannot be compared, and KeyboardInterrupt after Ctrl-C.
    """
    market = read_session_market(path, bar, stopped)
    if latency_ms is None and market.latency is None:
        raise ConfigError([f"{path}: 0 answered requests, so no latency was measured; give one with --latency MS"])
    inputs = _inputs(path, market, overrides)
    live = report_of_session(path, replay_progress(bar, stopped))
    if stopped():
        raise KeyboardInterrupt
    one_way_ms = latency_ms
    if one_way_ms is None:
        one_way_ms = 0 if market.latency is None else market.latency.one_way_ms
    bar.show(1.0, "backtest of the session's market")
    backtest = Backtest(inputs, stopped=stopped, latency_ms=one_way_ms)
    backtest.continue_from(market.start.history, market.state)
    backtest.run(_pieces(backtest, market, live.to_ms))
    if stopped():
        raise KeyboardInterrupt
    simulated = backtest.recorder.build_report(inputs.params.shareable_settings, ())
    return Comparison(
        path=path,
        live=live,
        simulated=simulated,
        pairs=match_exits(live.exits, simulated.exits),
        latency_ms=one_way_ms,
        measured=market.latency,
        unknown=(*live.gaps, *_missing(market), *_UNKNOWN),
        changed_settings=dict(overrides),
        halt_reason=backtest.halt_reason,
    )


def match_exits(live: Sequence[FinishedExit], simulated: Sequence[FinishedExit]) -> tuple[Pair, ...]:
    """Pair the exits of one side whose starts are at most `MATCHED_WITHIN_MS` apart, the nearest first.

    Returns all exits, oldest first; one without a partner is a pair with one side missing.
    """
    near = sorted(
        (abs(one.started_ms - other.started_ms), at, beside)
        for at, one in enumerate(live)
        for beside, other in enumerate(simulated)
        if one.side is other.side and abs(one.started_ms - other.started_ms) <= MATCHED_WITHIN_MS
    )
    partners: dict[int, int] = {}
    taken: set[int] = set()
    for _, at, beside in near:
        if at not in partners and beside not in taken:
            partners[at] = beside
            taken.add(beside)
    pairs = [Pair(one, simulated[partners[at]] if at in partners else None) for at, one in enumerate(live)]
    pairs += [Pair(None, other) for beside, other in enumerate(simulated) if beside not in taken]
    return tuple(sorted(pairs, key=_started_ms))


def _started_ms(pair: Pair) -> int:
    first = pair.live or pair.simulated
    return 0 if first is None else first.started_ms


def _inputs(path: Path, market: SessionMarket, overrides: Mapping[str, str]) -> BacktestInputs:
    """Return the backtest's inputs: the session's rules and fee, and its recorded settings changed by `overrides`.

    Raises ConfigError for settings that are wrong, and for a symbol that a backtest cannot represent.
    """
    start, rules = market.start, market.start.listed
    if rules.tick_size <= 0 or 1 % rules.tick_size or 1 % rules.step_size:
        sizes = f"tick size {rules.tick_size:f} and step size {rules.step_size:f}"
        remedy = "compare a session of another symbol"
        raise ConfigError([f"{path}: {sizes}: a backtest takes only sizes that divide 1; {remedy}"])
    if fixed := [name for name in _OF_THE_RECORD if name in overrides]:
        raise ConfigError(
            [f"{name}: the recorded session has its own value; leave it out with --as-market" for name in fixed]
        )
    loaded = settings_from_header(market.header, overrides)
    if loaded.problems:
        raise ConfigError(list(loaded.problems))
    pair = {"SYMBOL": rules.symbol, "BASE_ASSET": rules.base_asset, "QUOTE_ASSET": rules.quote_asset}
    params = backtest_params({**settings_without_secrets(loaded.settings), **pair, "TRADING_MODE": "sim"})
    limits = (RateLimit("ORDERS", window.interval_s, window.limit) for window in start.windows)
    spec = replace(ExchangeSpec().for_rules(rules, limits), maker_fee=start.fee)
    # Not validated again: the session ran with these settings, even if this version would refuse them.
    if overrides and (found := [*params.problems, *params.terms.problems(spec.rules(), spec.maker_fee)]):
        raise ConfigError(found)
    owned = {
        asset: market.balances[asset] for asset in (rules.base_asset, rules.quote_asset) if asset in market.balances
    }
    return BacktestInputs(params, spec, owned)


def _pieces(backtest: Backtest, market: SessionMarket, end_ms: int) -> Iterator[TickColumns]:
    """Yield the market in pieces, up to the end of the session's report.

    Between two pieces, repeat what the operator did at that time.
    """
    columns = market.columns
    begin, end = 0, max(1, bisect_right(columns.time_ms, end_ms))
    for each in market.operator:
        if each.row >= end:
            break
        if each.row > begin:
            yield columns.part(begin, each.row)
            begin = each.row
        backtest.intervene(each.act)
    yield columns.part(begin, end)


def _missing(market: SessionMarket) -> list[str]:
    """Return a sentence for each action or event of the session that its backtest does not repeat."""
    counts = market.counts
    fills = counted(market.own_trades, "maker fill")
    found = [
        f"trades: only our own {fills} are in the record; any other order fills when the best price goes through it"
    ]
    if market.speed > 1:
        found.append(f"the market ran {market.speed} times as fast as the clock: the latency is given in market time")
    if not market.has_end:
        found.append(
            "the record has no end, because the daemon was killed or still runs; the comparison ends where the "
            "record does"
        )
    if market.state is not None and market.state.exit is not None:
        found.append("an exit was in progress when the session began; the backtest begins without that exit")
    if repeated := [counted(counts[name], noun) for name, noun in _NOT_REPEATED.items() if counts[name]]:
        found.append(f"not repeated by the backtest: {', '.join(repeated)}")
    if counts["skipped"]:
        found.append(f"{counted(counts['skipped'], 'frame')} left out of the record: the prices in them are missing")
    if counts["breaks"]:
        found.append(
            f"{counted(counts['breaks'], 'break')} of the price stream: until prices return, the backtest keeps the "
            "last book"
        )
    if counts["off grid"]:
        found.append(
            f"{counted(counts['off grid'], 'price frame')} left out, because the prices are no multiples of the "
            "tick size"
        )
    return found
