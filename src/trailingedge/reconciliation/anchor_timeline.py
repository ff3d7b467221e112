"""Anchor timeline: derives from the account's past which anchors were set, and which exit to continue.

A marker is an order of ours that was placed and cancelled only to record an anchor in its id. There
are three cases:

- An exit order of ours is open: its exit continues.
- The newest exit is unfinished and no marker is newer. The exit continues if there are funds to
  sell and if it is a hard stop or partly filled. Otherwise it is dropped.
- In all other cases the last finished exit, or a newer marker, gives the anchor.

If a fact cannot be proven, the careful value is used and an alert reports it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import AccountTrade, BookTop, Regime, SymbolRules
from trailingedge.reconciliation.history_types import (
    AnchorMarker,
    ExitHistory,
    HistoricalExit,
    changed_side,
    newest_finished,
)
from trailingedge.strategy.inputs import Holdings, StrategyParams
from trailingedge.strategy.side_change import NewAnchor, after_filled_exit, after_partial_exit, regime_after
from trailingedge.strategy.strategy_events import Origin
from trailingedge.strategy.unit_value import is_tradable

TimelineEntry = HistoricalExit | AnchorMarker


@dataclass(frozen=True, slots=True)
class CurrentPosition:
    """The present balances, prices and symbol rules. `market_ms` is the present market time."""

    rules: SymbolRules
    params: StrategyParams
    holdings: Holdings
    top: BookTop
    market_ms: int

    def tradable(self, regime: Regime) -> bool:
        """Whether we hold enough of the asset of `regime` for one order."""
        return is_tradable(regime, self.holdings, self.top, self.params)

    def exit_price(self, regime: Regime) -> float:
        """The price for leaving `regime` at once: the bid in BASE, the ask in QUOTE."""
        return float(self.top.bid if regime is Regime.BASE else self.top.ask)


@dataclass(frozen=True, slots=True)
class PositionTimeline:
    """The account's past as anchors and exits, oldest first.

    `changes` are the anchors. `exits` begin with the newest finished exit, if there is one.
    `active_exit` is the exit still in progress, or None. `alerts` are sentences for the operator.
    """

    changes: tuple[NewAnchor, ...] = ()
    exits: tuple[HistoricalExit, ...] = ()
    active_exit: HistoricalExit | None = None
    newest_number: int = 0
    alerts: tuple[str, ...] = ()

    @property
    def marker_needed(self) -> bool:
        """Whether neither an exit of ours nor a marker order proves the last anchor."""
        return bool(self.changes) and not self.changes[-1].origin.is_on_record


def reconstruct(history: ExitHistory, now: CurrentPosition) -> PositionTimeline:
    """Derive the account's past (anchors and exits) from `history` and the present position."""
    finished = newest_finished(history.exits, now.rules)
    # Older exits are covered by the newest finished one: its fills alone give the side, the anchor and the gate.
    exits = history.exits if finished is None else history.exits[history.exits.index(finished) :]
    entries: list[TimelineEntry] = sorted([*exits, *history.markers], key=entry_order_id)
    active_exit = _active_exit(entries, now)
    timeline = PositionTimeline(
        changes=tuple(position_changes(entries, active_exit, now.rules)),
        exits=exits,
        active_exit=active_exit,
        newest_number=history.newest_number,
        alerts=history.problems,
    )
    if active_exit is not None:
        return _with_side_of_exit(timeline, active_exit, history.foreign_fills, now)
    if timeline.changes:
        return _after_foreign_fills(timeline, history.foreign_fills, now)
    if history.is_empty:
        return timeline
    return _with_alert(
        timeline, "restart: the account's history has no anchor of this bot; the market price becomes the anchor"
    )


def entry_order_id(entry: TimelineEntry) -> int:
    """Return an order id of an exit or marker order. The exchange's order ids ascend, so they sort by time."""
    return entry.last_order_id if isinstance(entry, HistoricalExit) else entry.order_id


def _active_exit(entries: Sequence[TimelineEntry], now: CurrentPosition) -> HistoricalExit | None:
    """Return the exit to continue; None if there is no such exit."""
    for entry in reversed(entries):
        if isinstance(entry, HistoricalExit) and entry.open_order is not None:
            return entry
    newest = entries[-1] if entries else None
    # A marker newer than every exit means that the side was set after it, for example by hand.
    if not isinstance(newest, HistoricalExit) or newest.is_finished(now.rules) or not now.tradable(newest.sold_regime):
        return None
    # A take-profit that never filled is for the strategy to judge again at today's price. A hard stop is not: the loss
    # it answered to is still there.
    return newest if newest.kind is ExitKind.FLUSH or newest.base else None


def position_changes(
    entries: Sequence[TimelineEntry], active_exit: HistoricalExit | None, rules: SymbolRules
) -> list[NewAnchor]:
    """Return the anchors that `entries` (exits and marker orders) set.

    Entries and anchors come oldest first.
    """
    changes = []
    # Each entry is judged with the one after it: what an unfinished exit led to shows in what the next exit sold.
    for entry, later in pairwise([*entries, None]):
        match entry:
            case AnchorMarker():
                changes.append(NewAnchor(entry.time_ms, entry.regime, float(entry.price), Origin.MARKER))
            case HistoricalExit() if entry is not active_exit and entry.base:
                # Unfinished and not going on: what is left was too small to trade, or the next exit shows the side.
                to_the_end = entry.is_finished(rules) or later is None
                if to_the_end:
                    changes.append(after_filled_exit(entry.kind, entry.side, entry.average_price, entry.last_fill_ms))
                elif isinstance(later, HistoricalExit) and changed_side(entry, later):
                    half = after_partial_exit(
                        entry.sold_regime, regime_after(entry.side), entry.average_price, entry.ended_ms
                    )
                    if half is not None:
                        changes.append(half)
    return changes


def _with_side_of_exit(
    timeline: PositionTimeline, active_exit: HistoricalExit, foreign_fills: Sequence[AccountTrade], now: CurrentPosition
) -> PositionTimeline:
    """Return `timeline` with a last anchor in the regime that `active_exit` sells.

    An anchor is added if the last one is missing or belongs to the other regime. A foreign fill
    gives its price. Without such a fill, the market's price is taken and an alert says so.
    """
    regime = active_exit.sold_regime
    last = timeline.changes[-1] if timeline.changes else None
    if last is not None and last.regime is regime:
        return timeline
    # A foreign fill older than the last anchor is already in it.
    since_ms = 0 if last is None else last.market_ms
    fill = _newest_fill_into(foreign_fills, regime, since_ms)
    if fill is not None:
        return replace(timeline, changes=(*timeline.changes, _change_by_foreign_fill(fill, regime)))
    change = NewAnchor(now.market_ms, regime, now.exit_price(regime), Origin.MARKET)
    changed = _with_alert(
        timeline,
        "restart: the account's history has no anchor for the exit in progress; the market price becomes the anchor",
    )
    return replace(changed, changes=(*timeline.changes, change))


def _after_foreign_fills(
    timeline: PositionTimeline, foreign_fills: Sequence[AccountTrade], now: CurrentPosition
) -> PositionTimeline:
    """Return `timeline`. If a trade by hand exchanged our holdings for the other asset, add its anchor.

    The fill of this trade gives the anchor. If no such fill is known, nothing is added: the first
    tick notices the change and sets the anchor.
    """
    last = timeline.changes[-1]
    # Still there, or everything withdrawn: no change of side.
    if now.tradable(last.regime) or not now.tradable(last.regime.other):
        return timeline
    fill = _newest_fill_into(foreign_fills, last.regime.other, last.market_ms)
    if fill is None:
        return timeline
    return replace(timeline, changes=(*timeline.changes, _change_by_foreign_fill(fill, last.regime.other)))


def _newest_fill_into(foreign_fills: Sequence[AccountTrade], regime: Regime, since_ms: int) -> AccountTrade | None:
    """Return the newest foreign fill since `since_ms` that brought us into `regime`, or None."""
    side = regime.other.exit_side
    return next((fill for fill in reversed(foreign_fills) if fill.side is side and fill.time_ms >= since_ms), None)


def _change_by_foreign_fill(fill: AccountTrade, regime: Regime) -> NewAnchor:
    return NewAnchor(fill.time_ms, regime, float(fill.price), Origin.OUTSIDE)


def _with_alert(timeline: PositionTimeline, text: str) -> PositionTimeline:
    return replace(timeline, alerts=(*timeline.alerts, text))
