"""Run report from the account's history at the exchange: orders, trades, balances and candles.

The exits are found in the orders, their results are computed from the trades, and the balances are the account's
present state. A run of the strategy over the candles gives anchor, high, trail, stop and gate. Trades of orders that
are not ours belong to no exit: they count as transfers and are not part of the result.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Final

from trailingedge.accounting.result_ledger import ResultLedger
from trailingedge.accounting.results import FinishedExit
from trailingedge.accounting.statistics import anchor_gain_frac
from trailingedge.indicators.donchian import DonchianChannel
from trailingedge.model.client_order_ids import is_own
from trailingedge.model.intent import ExitEndReason
from trailingedge.model.market import (
    ZERO,
    AccountTrade,
    Kline,
    OrderRecord,
    OrderStatus,
    Regime,
    Side,
    SymbolRules,
    format_plain,
)
from trailingedge.notifications.event_messages import counted
from trailingedge.reconciliation.anchor_timeline import TimelineEntry, entry_order_id, position_changes
from trailingedge.reconciliation.exit_ledger import exit_id
from trailingedge.reconciliation.history_types import ExitHistory, HistoricalExit, find_markers, group_into_exits
from trailingedge.report.model import Candle, Fill, OrderLogEntry, RunReport, Sample
from trailingedge.report.strategy_series import StrategyPoint, StrategySeries
from trailingedge.strategy.inputs import StrategyParams

_ONE_MOMENT_MS: Final = 1
# This gap applies to every report from the account.
_UNWRITTEN: Final = (
    "the exchange's lists show neither rejected orders nor deposits and withdrawals: a deposit counts as if it had "
    "been there from the beginning"
)


@dataclass(frozen=True, slots=True)
class AccountHistory:
    """The data read from the exchange, from some time before `from_ms` until now; each sequence is oldest first.

    `base` and `quote` are the present balances, `bid` is the price at `to_ms`. `openings` has the market price at the
    beginning of each exit, by exit number. `gaps` has a sentence for each part of the data that could not be read.
    """

    rules: SymbolRules
    params: StrategyParams
    channel: Callable[[], DonchianChannel]
    settings: Mapping[str, str]
    from_ms: int
    to_ms: int
    orders: Sequence[OrderRecord]
    trades: Sequence[AccountTrade]
    klines: Sequence[Kline]
    base: Decimal
    quote: Decimal
    bid: Decimal
    openings: Mapping[int, Decimal]
    gaps: tuple[str, ...] = ()


def exits_between(history: AccountHistory) -> list[HistoricalExit]:
    """Our exits that were in progress at some time of the reported period."""
    found = group_into_exits(history.orders, history.trades)
    return [each for each in found if each.ended_ms >= history.from_ms and each.began_ms <= history.to_ms]


def build_report(history: AccountHistory) -> RunReport:
    """The run report of the account from `from_ms` to `to_ms`."""
    every = group_into_exits(history.orders, history.trades)
    entries: list[TimelineEntry] = sorted(
        [*every, *find_markers(history.orders, history.rules.tick_size)], key=entry_order_id
    )
    active = next((each for each in reversed(every) if each.open_order is not None), None)
    series = StrategySeries(position_changes(entries, active, history.rules), every, history.params, history.channel)
    points = [point for point in series.over(history.klines) if _within(history, point.kline.open_ms)]
    exits = [each for each in exits_between(history) if each.open_order is None]
    account = _Account(history, [_finished(each, history, series.anchors.get(each.number)) for each in exits], every)
    moments = _samples(history, points, account, _first_regime(every))
    orders = sorted(
        (event for each in exits_between(history) for event in _order_log(each) if _within(history, event.time_ms)),
        key=lambda event: event.time_ms,
    )
    account.ledger.replaces = sum(event.what == "replaced" for event in orders)
    results = account.ledger.results()
    return RunReport(
        symbol=history.rules.symbol,
        tick_size=history.rules.tick_size,
        settings=history.settings,
        results=results,
        fills=tuple(_fills(history)),
        orders=tuple(orders),
        candles=tuple(_candle(point.kline) for point in points),
        samples=tuple(moments),
        gaps=(*history.gaps, *_gaps(history, results.exits, overdrawn=account.overdrawn), _UNWRITTEN),
    )


def _within(history: AccountHistory, time_ms: int) -> bool:
    return history.from_ms <= time_ms <= history.to_ms


# --- exits, fills, orders ---


def _finished(exit_: HistoricalExit, history: AccountHistory, anchor: float | None) -> FinishedExit:
    """Return the result of an exit.

    An unfinished exit counts as "cancelled", because the exchange does not store why an exit ended.
    """
    cause = ExitEndReason.CANCELLED
    if exit_.is_finished(history.rules):
        cause = ExitEndReason.FILLED if exit_.orders[-1].status is OrderStatus.FILLED else ExitEndReason.DUST
    fees: dict[str, Decimal] = {}
    for fill in exit_.fills:
        if fill.commission:
            fees[fill.commission_asset] = fees.get(fill.commission_asset, ZERO) + fill.commission
    brought = history.rules.quote_asset if exit_.side is Side.SELL else history.rules.base_asset
    paid = fees.get(brought, ZERO)
    return FinishedExit(
        kind=exit_.kind,
        side=exit_.side,
        number=exit_.number,
        cause=cause,
        started_ms=exit_.began_ms,
        ended_ms=exit_.last_fill_ms if exit_.base and cause is not ExitEndReason.CANCELLED else exit_.ended_ms,
        base=exit_.base,
        quote=exit_.quote,
        replaces=sum(event.what == "replaced" for event in _order_log(exit_)),
        fees=fees,
        mid_price=history.openings.get(exit_.number),
        anchor_gain_frac=anchor_gain_frac(exit_.side, exit_.base, exit_.quote, paid, anchor),
    )


def _order_log(exit_: HistoricalExit) -> Iterable[OrderLogEntry]:
    """Yield the log entries of an exit's orders: placed, replaced and withdrawn.

    An order that was created in the same millisecond in which the order before was cancelled is the new order of a
    cancel-replace. It is logged as "replaced". Any other order is logged as "placed".
    """
    before: OrderRecord | None = None
    for order in exit_.orders:
        at_ms = order.time_ms if order.created_ms is None else order.created_ms
        gone = before is not None and before.status is OrderStatus.CANCELED and not before.filled_quantity
        replaced = gone and before is not None and at_ms - before.time_ms <= _ONE_MOMENT_MS
        yield _log_entry(order, at_ms, "replaced" if replaced else "placed", exit_.side)
        before = order
    last = exit_.orders[-1]
    if last.status is not None and last.status.final and last.status is not OrderStatus.FILLED:
        yield _log_entry(last, last.time_ms, "withdrawn", exit_.side)


def _log_entry(order: OrderRecord, time_ms: int, what: str, side: Side) -> OrderLogEntry:
    return OrderLogEntry(time_ms, what, side, order.pegged_price or order.price, order.quantity, order.client_order_id)


def _fills(history: AccountHistory) -> Iterable[Fill]:
    names = {order.order_id: order.client_order_id for order in history.orders}
    for trade in history.trades:
        own = exit_id(names.get(trade.order_id, ""))
        if own is None or not _within(history, trade.time_ms):
            continue
        yield Fill(
            time_ms=trade.time_ms,
            trade_id=trade.trade_id,
            order_id=trade.order_id,
            number=own.number,
            kind=own.kind,
            side=trade.side,
            price=trade.price,
            quantity=trade.quantity,
            quote=trade.quote_quantity,
            commission=trade.commission,
            commission_asset=trade.commission_asset,
            is_maker=trade.is_maker,
        )


# --- the account ---


class _Account:
    """Goes through the period's trades, and gives fills, exits and valuations to a `ResultLedger`.

    The balances at the beginning are the present balances minus all trades since then. The exits before the period are
    needed because the first sale and the first buy-back of the period are matched with them.
    """

    def __init__(
        self, history: AccountHistory, finished: Sequence[FinishedExit], every: Sequence[HistoricalExit]
    ) -> None:
        self.ledger = ResultLedger(history.rules.base_asset, history.rules.quote_asset)
        self._rules = history.rules
        self._names = {order.order_id: order.client_order_id for order in history.orders}
        self._trades = deque(trade for trade in history.trades if trade.time_ms >= history.from_ms)
        self._exits = deque(sorted(finished, key=lambda each: each.ended_ms))
        changes = [self._change(trade) for trade in self._trades]
        self.base = history.base - sum((base for base, _ in changes), ZERO)
        self.quote = history.quote - sum((quote for _, quote in changes), ZERO)
        self.overdrawn = min(self.base, self.quote) < ZERO
        past = ExitHistory(exits=tuple(each for each in every if each.ended_ms < history.from_ms))
        self.ledger.restore(past.ended_exits(None))

    def begin(self, market_ms: int, bid: Decimal) -> None:
        """Value the account at the beginning, before its first trade."""
        self.ledger.mark_to_market(market_ms, bid, max(self.base, ZERO), max(self.quote, ZERO))

    def end(self, market_ms: int, bid: Decimal) -> None:
        """Value the account at the end.

        Before that, add all exits, also an exit that was in progress at the end and ended later.
        """
        while self._exits:
            self.ledger.on_exit(self._exits.popleft())
        self.value_at(market_ms, bid)

    def value_at(self, market_ms: int, bid: Decimal) -> Decimal:
        """Apply all trades and ended exits up to `market_ms`, and return the account's value in quote at that time.

        If funds were withdrawn later, the balance computed for an earlier time may be negative. It then counts as zero.
        """
        while self._trades and self._trades[0].time_ms <= market_ms:
            self._take(self._trades.popleft())
        while self._exits and self._exits[0].ended_ms <= market_ms:
            self.ledger.cut_day_at(self._exits[0].ended_ms)
            self.ledger.on_exit(self._exits.popleft())
        base, quote = max(self.base, ZERO), max(self.quote, ZERO)
        self.ledger.mark_to_market(market_ms, bid, base, quote)
        return base * bid + quote

    def _take(self, trade: AccountTrade) -> None:
        base, quote = self._change(trade)
        self.base, self.quote = self.base + base, self.quote + quote
        self.overdrawn = self.overdrawn or min(self.base, self.quote) < ZERO
        fee, fee_asset, at_ms = trade.commission, trade.commission_asset, trade.time_ms
        if is_own(self._names.get(trade.order_id, "")):
            self.ledger.on_fill(trade.side, trade.quantity, trade.quote_quantity, fee, fee_asset, at_ms)
        else:
            sign = 1 if trade.side is Side.BUY else -1
            self.ledger.on_foreign_fill(sign * trade.quantity, -sign * trade.quote_quantity, fee, fee_asset, at_ms)

    def _change(self, trade: AccountTrade) -> tuple[Decimal, Decimal]:
        sign = 1 if trade.side is Side.BUY else -1
        base, quote = sign * trade.quantity, -sign * trade.quote_quantity
        if trade.commission_asset == self._rules.base_asset:
            base -= trade.commission
        if trade.commission_asset == self._rules.quote_asset:
            quote -= trade.commission
        return base, quote


def _samples(
    history: AccountHistory, points: Sequence[StrategyPoint], account: _Account, first_regime: Regime | None
) -> list[Sample]:
    """Return a sample for each close, and one more for `to_ms` if `to_ms` is after the last close.

    `first_regime` is used for samples before the first anchor.
    """
    first_bid = points[0].kline.open if points else history.bid
    account.begin(history.from_ms, first_bid)
    moments = [_sample(point, point.kline.close_ms, point.kline.close, account, first_regime) for point in points]
    if points and points[-1].kline.close_ms < history.to_ms:
        moments.append(_sample(points[-1], history.to_ms, history.bid, account, first_regime))
    account.end(history.to_ms, history.bid)
    return moments


def _sample(point: StrategyPoint, time_ms: int, bid: Decimal, account: _Account, first_regime: Regime | None) -> Sample:
    value = float(account.value_at(time_ms, bid))
    return Sample.at(time_ms, float(bid), value, account.ledger.growth_at(value), point.levels, first_regime)


def _first_regime(exits: Sequence[HistoricalExit]) -> Regime | None:
    return exits[0].sold_regime if exits else None


def _candle(kline: Kline) -> Candle:
    return Candle(kline.open_ms, float(kline.open), float(kline.high), float(kline.low), float(kline.close))


# --- what is missing ---


def _gaps(history: AccountHistory, finished: Sequence[FinishedExit], *, overdrawn: bool) -> Iterable[str]:
    yield from _foreign_fills(history)
    unfinished = sum(each.cause is ExitEndReason.CANCELLED for each in finished)
    if unfinished:
        yield f"the exchange does not say why {counted(unfinished, 'exit')} ended unfinished: shown as cancelled"
    unpriced = sum(each.slippage_frac is None for each in finished if each.base)
    if unpriced:
        yield f"for {counted(unpriced, 'exit')} the price at the beginning is unknown, and so is the slippage"
    missing = [
        (before.close_ms + 1, after.open_ms)
        for before, after in pairwise(history.klines)
        if after.open_ms > max(before.close_ms + 1, history.from_ms)
    ]
    if missing:
        yield f"the exchange's candles have {counted(len(missing), 'gap')}"
    if overdrawn:
        yield (
            "a balance computed backwards from today falls below zero: there was a withdrawal, and the values "
            "before it are wrong"
        )


def _foreign_fills(history: AccountHistory) -> Iterable[str]:
    names = {order.order_id: order.client_order_id for order in history.orders}
    others = [
        trade
        for trade in history.trades
        if _within(history, trade.time_ms) and not is_own(names.get(trade.order_id, ""))
    ]
    if not others:
        return
    base = history.rules.base_asset
    sides = [
        f"{format_plain(amount)} {base} {word}"
        for side, word in ((Side.BUY, "bought"), (Side.SELL, "sold"))
        if (amount := sum((trade.quantity for trade in others if trade.side is side), ZERO))
    ]
    sentence = f"{counted(len(others), 'fill')} of other orders ({', '.join(sides)})"
    yield f"{sentence}: they are listed as transfers, and do not count in exits, ledger and return"
