"""Circuit breakers: stop new trades after too much loss.

They add up the results of our own round trips (a BUY and the SELL of the bought coins) in quote, net of commission. A
tripped breaker works like a pause: it blocks take-profit, breakout and BUY, while the hard stop stays active. The daily
breaker ends at 00:00 UTC of market time; the other breakers end when the operator resumes. All numbers are computed
from the account's fills, so a restart leads to the same state.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from math import inf
from typing import Final

from trailingedge.core.time_units import DAY_MS
from trailingedge.model.lots import OpenBuy, add_buy, fees_in_quote, match_sale
from trailingedge.model.market import ZERO, AccountTrade, ExecutionReport, Side
from trailingedge.reconciliation.exit_ledger import ExitLedger, ExitTotals

ONE: Final = Decimal(1)


class Breaker(Enum):
    """The breakers, one for each kind of loss. The value is the name of the setting."""

    DAILY_LOSS = "MAX_DAILY_LOSS_FRAC"
    DRAWDOWN = "MAX_DRAWDOWN_FRAC"
    LOSSES = "MAX_CONSECUTIVE_LOSSES"


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """The limit at which each breaker trips; 0 turns a breaker off.

    `base_asset` and `quote_asset` tell in which asset a commission was paid.
    """

    base_asset: str
    quote_asset: str
    max_daily_loss_frac: Decimal = ZERO
    max_drawdown_frac: Decimal = ZERO
    max_consecutive_losses: int = 0

    def limit_of(self, breaker: Breaker) -> Decimal:
        """The limit of one breaker."""
        match breaker:
            case Breaker.DAILY_LOSS:
                return self.max_daily_loss_frac
            case Breaker.DRAWDOWN:
                return self.max_drawdown_frac
            case Breaker.LOSSES:
                return Decimal(self.max_consecutive_losses)


@dataclass(frozen=True, slots=True)
class BreakerTrip:
    """A tripped breaker: `measured` reached `limit`. Both are fractions, or numbers of losses."""

    breaker: Breaker
    measured: Decimal
    limit: Decimal


@dataclass(frozen=True, slots=True)
class BreakerState:
    """The numbers that the breakers are computed from.

    `lots` are the unsold parts of our BUYs, oldest first. `equity` is the growth by our round trips since the drawdown
    breaker was last reset (1.02 is a gain of 2 %); `peak_equity` is its maximum. `equity_today` is the growth since
    00:00 UTC. `day` counts from 1970. `carried_result` is the result in quote of a round trip of which less than half
    is sold. `unpriced` names the assets without a known price; their commissions count as zero.
    """

    lots: tuple[OpenBuy, ...] = ()
    equity: Decimal = ONE
    peak_equity: Decimal = ONE
    equity_today: Decimal = ONE
    day: int = 0
    losses: int = 0
    carried_result: Decimal = ZERO
    trips: tuple[BreakerTrip, ...] = ()
    unpriced: frozenset[str] = frozenset()

    @property
    def tripped(self) -> frozenset[Breaker]:
        """The breakers that are tripped."""
        return frozenset(trip.breaker for trip in self.trips)

    @property
    def trading_paused(self) -> bool:
        """Whether new trades are blocked, because a breaker is tripped."""
        return bool(self.trips)

    def measured(self, breaker: Breaker) -> Decimal:
        """The number that is compared with the breaker's limit."""
        match breaker:
            case Breaker.DAILY_LOSS:
                return ONE - self.equity_today
            case Breaker.DRAWDOWN:
                return ONE - self.equity / self.peak_equity
            case Breaker.LOSSES:
                return Decimal(self.losses)


def start_day(state: BreakerState, market_ms: int) -> BreakerState:
    """Return `state` at the time `market_ms`. On a new day, the loss of the day before no longer counts."""
    day = market_ms // DAY_MS
    # Market time may step back a little after a reconnect; that does not begin a day.
    if day <= state.day:
        return state
    # The other breakers stay tripped until the operator resumes.
    lasting = tuple(trip for trip in state.trips if trip.breaker is not Breaker.DAILY_LOSS)
    return replace(state, day=day, equity_today=ONE, trips=lasting)


def resumed(state: BreakerState) -> BreakerState:
    """Return `state` after the operator resumed: all breakers but the daily one are reset."""
    if Breaker.DRAWDOWN in state.tripped:
        # Measured from the old peak, the breaker would trip again at the next loss, however small.
        state = replace(state, equity=ONE, peak_equity=ONE)
    if Breaker.LOSSES in state.tripped:
        state = replace(state, losses=0)
    return replace(state, trips=tuple(trip for trip in state.trips if trip.breaker is Breaker.DAILY_LOSS))


def apply_exit(state: BreakerState, exit_: ExitTotals, limits: BreakerLimits) -> BreakerState:
    """Return `state` after an ended exit of ours."""
    if exit_.base <= ZERO:
        return state
    state = start_day(state, exit_.ended_ms)
    assets = (limits.base_asset, limits.quote_asset)
    fees, unpriced = fees_in_quote(exit_.side, exit_.base, exit_.quote, exit_.fees, assets)
    state = replace(state, unpriced=state.unpriced | unpriced)
    if exit_.side is Side.BUY:
        return _bought(state, exit_, limits, fees)
    return _tripped(_sold(state, exit_, fees), limits)


def recompute(exits: Iterable[ExitTotals], limits: BreakerLimits, market_ms: int) -> BreakerState:
    """Compute the state at `market_ms` from `exits`, which come oldest first.

    A tripped breaker blocks every BUY. So if a BUY follows, it proves that the operator had resumed.
    """
    state = BreakerState()
    for exit_ in exits:
        if exit_.side is Side.BUY:
            # The operator must have reset any tripped breaker before this BUY. Without this line, a restart would trip
            # the breaker once more.
            state = resumed(state)
        state = apply_exit(state, exit_, limits)
    return start_day(state, market_ms)


def _bought(state: BreakerState, exit_: ExitTotals, limits: BreakerLimits, fees: Decimal) -> BreakerState:
    # A commission in base was never received, so it must not be expected back from the SELL.
    base = exit_.base - exit_.fees.get(limits.base_asset, ZERO)
    if base <= ZERO:
        return state
    cost = exit_.quote + fees
    return replace(state, lots=add_buy(state.lots, OpenBuy(base, cost, stake=cost)))


def _sold(state: BreakerState, exit_: ExitTotals, fees: Decimal) -> BreakerState:
    """Return `state` after a SELL. The SELL is matched with the newest lots first.

    Older lots are remainders, or their coins were sold by hand. If we did not buy most of the sold
    coins ourselves, their cost is unknown and no result counts. If most of the bought coins are
    still unsold, the round trip goes on.
    """
    match = match_sale(state.lots, exit_.base)
    state = replace(state, lots=match.lots)
    # Mostly coins that were deposited or bought by hand: their cost is not known, so neither gain nor loss is counted.
    if not match.has_known_cost:
        return state
    result = match.share_of(exit_.quote - fees) - match.cost
    # The result carried over may be that of a much larger older lot: then only this sale's own stake can be lost here.
    at_stake = match.stake + state.carried_result
    if at_stake <= ZERO:
        at_stake = match.stake
    # Relative to the stake, so that deposits and withdrawals between round trips do not count as gain or loss.
    growth = max(ZERO, ONE + result / at_stake)
    equity, carried = state.equity * growth, state.carried_result + result
    state = replace(
        state, equity=equity, peak_equity=max(state.peak_equity, equity), equity_today=state.equity_today * growth
    )
    if not match.complete:
        return replace(state, carried_result=carried)
    return replace(state, carried_result=ZERO, losses=state.losses + 1 if carried < ZERO else 0)


def _tripped(state: BreakerState, limits: BreakerLimits) -> BreakerState:
    fresh = tuple(
        BreakerTrip(breaker, state.measured(breaker), limits.limit_of(breaker))
        for breaker in Breaker
        if breaker not in state.tripped and ZERO < limits.limit_of(breaker) <= state.measured(breaker)
    )
    return replace(state, trips=state.trips + fresh)


@dataclass(frozen=True, slots=True)
class BreakerTripped:
    """A breaker tripped."""

    trip: BreakerTrip


@dataclass(frozen=True, slots=True)
class BreakerLifted:
    """A breaker no longer pauses trading."""

    breaker: Breaker


@dataclass(frozen=True, slots=True)
class FeeUnpriced:
    """Commissions in this asset count as zero: its price in quote is not known."""

    asset: str


BreakerEvent = BreakerTripped | BreakerLifted | FeeUnpriced


class CircuitBreakers:
    """Keeps the breakers' state and updates it from fills. `events` collects each change once."""

    def __init__(self, limits: BreakerLimits) -> None:
        self.limits = limits
        self.state = BreakerState()
        self.events: list[BreakerEvent] = []
        self._ledger = ExitLedger()

    @property
    def trading_paused(self) -> bool:
        """Whether new trades are blocked, because a breaker is tripped."""
        return bool(self.state.trips)

    def restore(self, exits: Iterable[ExitTotals], market_ms: int) -> None:
        """Compute the state from the finished `exits` of the past, which come oldest first.

        An exit that is still in progress is not among `exits`.
        """
        self._change_state(recompute(exits, self.limits, market_ms))

    def continue_exit(self, side: Side, fills: Iterable[tuple[int, AccountTrade]]) -> None:
        """Continue an exit of an earlier run.

        `fills` are its fills so far, each with the exit's number.
        """
        for number, trade in fills:
            self._ledger.on_trade(number, trade)
        if side is Side.BUY:
            self.resume()  # a BUY is not begun while a breaker is tripped, so the operator had resumed

    def on_report(self, report: ExecutionReport) -> None:
        """Add the fill in an execution report; only fills of our exits count."""
        self._ledger.on_report(report)
        self._count_late_fills()

    def on_trade(self, number: int, trade: AccountTrade) -> None:
        """Add a fill of the exit `number` from the trade list, because its report may be missing."""
        self._ledger.on_trade(number, trade)
        self._count_late_fills()

    def on_exit_ended(self, number: int) -> None:
        """Add the result of the ended exit `number` to the state."""
        exit_ = self._ledger.close(number)
        if exit_ is not None:
            self._change_state(apply_exit(self.state, exit_, self.limits))

    def _count_late_fills(self) -> None:
        """Count fills that became known only after their exit was counted, because their gain or loss is real, too."""
        for number in self._ledger.late:
            self.on_exit_ended(number)

    @property
    def ends_ms(self) -> float:
        """The market time at which the daily breaker ends; infinity while it is not tripped."""
        return (self.state.day + 1) * DAY_MS if Breaker.DAILY_LOSS in self.state.tripped else inf

    def tick(self, market_ms: int) -> None:
        """Reset the daily breaker on a new day."""
        if market_ms // DAY_MS > self.state.day:
            self._change_state(start_day(self.state, market_ms))

    def resume(self) -> None:
        """Reset all breakers but the daily one, because the operator resumes."""
        if self.state.trading_paused:
            self._change_state(resumed(self.state))

    def _change_state(self, state: BreakerState) -> None:
        before, self.state = self.state, state
        self.events += (BreakerTripped(trip) for trip in state.trips if trip not in before.trips)
        self.events += (BreakerLifted(trip.breaker) for trip in before.trips if trip.breaker not in state.tripped)
        self.events += (FeeUnpriced(asset) for asset in sorted(state.unpriced - before.unpriced))
