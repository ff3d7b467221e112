"""Run report from the account's history at the exchange: orders, trades, balances and candles.

Orders say which exits there were, trades what they brought, balances where the account stands now. The strategy is
run over the candles once more for anchor, high, trail, stop and gate. Trades that are not ours belong to no exit, but
they changed the balances, so they count in the account's value.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Final

from trailingedge.accounting.statistics import FinishedExit, result_frac, slippage_frac
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
from trailingedge.notifications.messages import counted
from trailingedge.reconciliation.exit_history import HistoricalExit, find_markers, group_into_exits
from trailingedge.reconciliation.exit_ledger import exit_id
from trailingedge.reconciliation.timeline import TimelineEntry, entry_order_id, position_changes
from trailingedge.report.model import Candle, Fill, OrderLogEntry, RunReport, Sample
from trailingedge.report.strategy_series import StrategyPoint, StrategySeries
from trailingedge.strategy.inputs import StrategyParams

_ONE_MOMENT_MS: Final = 1
# The exchange's lists hold neither of these.
_UNWRITTEN: Final = (
    "the exchange's lists show neither rejected orders nor deposits and withdrawals: a deposit counts as if it had "
    "been there from the beginning"
)


@dataclass(frozen=True, slots=True)
class AccountHistory:
    """All that was read from the exchange, each sequence oldest first, from some time before `from_ms` until now.

    `base` and `quote` are the present balances, `bid` is the price at `to_ms`. `openings` holds the price at the
    beginning of each exit, by exit number. `gaps` says in words what could not be read.
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


def exits_between(past: AccountHistory) -> list[HistoricalExit]:
    """Our exits that were in progress at some time of the reported period."""
    found = group_into_exits(past.orders, past.trades)
    return [each for each in found if each.ended_ms >= past.from_ms and each.began_ms <= past.to_ms]


def build_report(past: AccountHistory) -> RunReport:
    """The run report of the account from `from_ms` to `to_ms`."""
    every = group_into_exits(past.orders, past.trades)
    chapters: list[TimelineEntry] = sorted(
        [*every, *find_markers(past.orders, past.rules.tick_size)], key=entry_order_id
    )
    in_hand = next((each for each in reversed(every) if each.open_order is not None), None)
    fold = StrategySeries(position_changes(chapters, in_hand, past.rules), every, past.params, past.channel)
    stances = [stance for stance in fold.over(past.klines) if _within(past, stance.kline.open_ms)]
    purse = _BalanceTracker(past)
    first_bid = stances[0].kline.open if stances else past.bid
    first_value = purse.value(first_bid)
    moments = _samples(past, stances, purse, _first_regime(every))
    exits = [each for each in exits_between(past) if each.open_order is None]
    finished = tuple(_finished(each, past, fold.anchors.get(each.number)) for each in exits)
    orders = sorted(
        (event for each in exits_between(past) for event in _order_log(each) if _within(past, event.time_ms)),
        key=lambda event: event.time_ms,
    )
    return RunReport(
        symbol=past.rules.symbol,
        base_asset=past.rules.base_asset,
        quote_asset=past.rules.quote_asset,
        tick_size=past.rules.tick_size,
        from_ms=past.from_ms,
        to_ms=past.to_ms,
        settings=past.settings,
        exits=finished,
        fills=tuple(_fills(past)),
        orders=tuple(orders),
        candles=tuple(_candle(stance.kline) for stance in stances),
        samples=tuple(moments),
        replaces=sum(event.what == "replaced" for event in orders),
        rejected={},
        first_bid=first_bid,
        last_bid=past.bid,
        first_value=first_value,
        last_value=purse.value(past.bid),
        max_drawdown_frac=_max_drawdown(float(first_value), [moment.value for moment in moments]),
        gaps=(*past.gaps, *_gaps(past, finished, overdrawn=purse.overdrawn), _UNWRITTEN),
    )


def _within(past: AccountHistory, time_ms: int) -> bool:
    return past.from_ms <= time_ms <= past.to_ms


# --- exits, fills, orders ---


def _finished(past_exit: HistoricalExit, past: AccountHistory, anchor: float | None) -> FinishedExit:
    """The exit as a result. The exchange keeps no reason for an unfinished exit, so its reason is "cancelled"."""
    cause = ExitEndReason.CANCELLED
    if past_exit.is_finished(past.rules):
        cause = ExitEndReason.FILLED if past_exit.orders[-1].status is OrderStatus.FILLED else ExitEndReason.DUST
    fees: dict[str, Decimal] = {}
    for fill in past_exit.fills:
        if fill.commission:
            fees[fill.commission_asset] = fees.get(fill.commission_asset, ZERO) + fill.commission
    brought = past.rules.quote_asset if past_exit.side is Side.SELL else past.rules.base_asset
    paid = fees.get(brought, ZERO)
    average = past_exit.quote / past_exit.base if past_exit.base else None
    return FinishedExit(
        kind=past_exit.kind,
        side=past_exit.side,
        number=past_exit.number,
        cause=cause,
        started_ms=past_exit.began_ms,
        ended_ms=past_exit.last_fill_ms
        if past_exit.base and cause is not ExitEndReason.CANCELLED
        else past_exit.ended_ms,
        base=past_exit.base,
        quote=past_exit.quote,
        replaces=sum(event.what == "replaced" for event in _order_log(past_exit)),
        fees=fees,
        slippage_frac=slippage_frac(past_exit.side, past.openings.get(past_exit.number), average),
        result_frac=result_frac(past_exit.side, past_exit.base, past_exit.quote, paid, anchor),
    )


def _order_log(past_exit: HistoricalExit) -> Iterable[OrderLogEntry]:
    """What happened to the orders of an exit.

    A cancel-replace cancels the old order and creates the new one in the same millisecond; if only the cancel
    succeeded, the next order comes later and counts as placed.
    """
    before: OrderRecord | None = None
    for order in past_exit.orders:
        at_ms = order.time_ms if order.created_ms is None else order.created_ms
        gone = before is not None and before.status is OrderStatus.CANCELED and not before.filled_quantity
        replaced = gone and before is not None and at_ms - before.time_ms <= _ONE_MOMENT_MS
        yield _log_entry(order, at_ms, "replaced" if replaced else "placed", past_exit.side)
        before = order
    last = past_exit.orders[-1]
    if last.status is not None and last.status.final and last.status is not OrderStatus.FILLED:
        yield _log_entry(last, last.time_ms, "withdrawn", past_exit.side)


def _log_entry(order: OrderRecord, time_ms: int, what: str, side: Side) -> OrderLogEntry:
    return OrderLogEntry(time_ms, what, side, order.pegged_price or order.price, order.quantity, order.client_order_id)


def _fills(past: AccountHistory) -> Iterable[Fill]:
    names = {order.order_id: order.client_order_id for order in past.orders}
    for trade in past.trades:
        own = exit_id(names.get(trade.order_id, ""))
        if own is None or not _within(past, trade.time_ms):
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


class _BalanceTracker:
    """The account's balances from `from_ms` on: today's balances minus all trades since, which are applied again."""

    def __init__(self, past: AccountHistory) -> None:
        self._rules = past.rules
        self._trades = [trade for trade in past.trades if trade.time_ms >= past.from_ms]
        self._next = 0
        changes = [self._change(trade) for trade in self._trades]
        self.base = past.base - sum((base for base, _ in changes), ZERO)
        self.quote = past.quote - sum((quote for _, quote in changes), ZERO)
        self.overdrawn = min(self.base, self.quote) < ZERO

    def value(self, bid: Decimal) -> Decimal:
        """In quote. A balance that was traced back to below zero counts as zero: a withdrawal came later."""
        return max(self.base, ZERO) * bid + max(self.quote, ZERO)

    def apply_trades_until(self, market_ms: int) -> None:
        """Apply the trades up to that time."""
        while self._next < len(self._trades) and self._trades[self._next].time_ms <= market_ms:
            base, quote = self._change(self._trades[self._next])
            self.base, self.quote, self._next = self.base + base, self.quote + quote, self._next + 1
            self.overdrawn = self.overdrawn or min(self.base, self.quote) < ZERO

    def _change(self, trade: AccountTrade) -> tuple[Decimal, Decimal]:
        sign = 1 if trade.side is Side.BUY else -1
        base, quote = sign * trade.quantity, -sign * trade.quote_quantity
        if trade.commission_asset == self._rules.base_asset:
            base -= trade.commission
        if trade.commission_asset == self._rules.quote_asset:
            quote -= trade.commission
        return base, quote


def _samples(
    past: AccountHistory, stances: Iterable[StrategyPoint], purse: _BalanceTracker, leaving: Regime | None
) -> list[Sample]:
    """One sample for each close, and one for a later end. Before the first anchor `leaving` is the regime."""
    moments = []
    stance = None
    for stance in stances:
        purse.apply_trades_until(stance.kline.close_ms)
        moments.append(_sample(stance, stance.kline.close_ms, stance.kline.close, purse, leaving))
    purse.apply_trades_until(past.to_ms)
    if stance is not None and stance.kline.close_ms < past.to_ms:
        moments.append(_sample(stance, past.to_ms, past.bid, purse, leaving))
    return moments


def _sample(
    stance: StrategyPoint, time_ms: int, bid: Decimal, purse: _BalanceTracker, leaving: Regime | None
) -> Sample:
    channel = stance.channel
    return Sample(
        time_ms=time_ms,
        bid=float(bid),
        value=float(purse.value(bid)),
        regime=stance.regime or leaving,
        anchor=stance.anchor,
        high=stance.high,
        trail=stance.trail,
        stop=stance.stop,
        upper=None if channel is None else channel.upper,
        mid=None if channel is None else channel.mid,
        lower=None if channel is None else channel.lower,
        gate_shut=stance.gate_shut,
    )


def _first_regime(exits: Sequence[HistoricalExit]) -> Regime | None:
    return exits[0].sold_regime if exits else None


def _candle(kline: Kline) -> Candle:
    return Candle(kline.open_ms, float(kline.open), float(kline.high), float(kline.low), float(kline.close))


def _max_drawdown(first_value: float, values: Iterable[float]) -> float:
    peak, deepest = first_value, 0.0
    for value in values:
        peak = max(peak, value)
        if peak:
            deepest = max(deepest, 1.0 - value / peak)
    return deepest


# --- what is missing ---


def _gaps(past: AccountHistory, finished: Sequence[FinishedExit], *, overdrawn: bool) -> Iterable[str]:
    yield from _foreign_fills(past)
    unfinished = sum(each.cause is ExitEndReason.CANCELLED for each in finished)
    if unfinished:
        yield f"why {counted(unfinished, 'exit')} ended unfinished is not known to the exchange: shown as cancelled"
    unpriced = sum(each.slippage_frac is None for each in finished if each.base)
    if unpriced:
        yield f"for {counted(unpriced, 'exit')} the price at the beginning is unknown, and so is the slippage"
    missing = [
        (before.close_ms + 1, after.open_ms)
        for before, after in pairwise(past.klines)
        if after.open_ms > max(before.close_ms + 1, past.from_ms)
    ]
    if missing:
        yield f"the exchange's candles have {counted(len(missing), 'gap')}"
    if overdrawn:
        yield "a balance traced back falls below zero: there was a withdrawal, and values before it are wrong"


def _foreign_fills(past: AccountHistory) -> Iterable[str]:
    names = {order.order_id: order.client_order_id for order in past.orders}
    others = [
        trade for trade in past.trades if _within(past, trade.time_ms) and not is_own(names.get(trade.order_id, ""))
    ]
    if not others:
        return
    base = past.rules.base_asset
    sides = [
        f"{format_plain(amount)} {base} {word}"
        for side, word in ((Side.BUY, "bought"), (Side.SELL, "sold"))
        if (amount := sum((trade.quantity for trade in others if trade.side is side), ZERO))
    ]
    told = f"{counted(len(others), 'fill')} of other orders ({', '.join(sides)})"
    yield f"{told}: not in exits and ledger, but in the account's value"
