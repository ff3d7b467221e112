"""Breakers: enough was lost, so nothing new is begun.

They count our own round trips, a BUY and the SELL of what it bought, in quote and net of commission. A
breaker is a hold like a pause: no take-profit, breakout or BUY, while the stop stays armed. The daily one
ends at 00:00 UTC of market time, the others when the operator resumes. Everything follows from the
account's fills, so a restart comes to the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from typing import Final

from trailingedge.core.time_units import DAY_MS
from trailingedge.model.market import ZERO, AccountTrade, ExecutionReport, Side
from trailingedge.reconciliation.exit_ledger import ExitLedger, ExitTotals

ONE: Final = Decimal(1)
_LOTS_KEPT: Final = 50  # what lies deeper is dust that no order can sell


class Breaker(Enum):
    """What can be lost too much of; each bears the name of its setting."""

    DAILY_LOSS = "MAX_DAILY_LOSS_FRAC"
    DRAWDOWN = "MAX_DRAWDOWN_FRAC"
    LOSSES = "MAX_CONSECUTIVE_LOSSES"


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """From where on each breaker holds; 0 is never. The assets tell what a commission was paid in."""

    base_asset: str
    quote_asset: str
    max_daily_loss_frac: Decimal = ZERO
    max_drawdown_frac: Decimal = ZERO
    max_consecutive_losses: int = 0

    def limit_of(self, breaker: Breaker) -> Decimal:
        match breaker:
            case Breaker.DAILY_LOSS:
                return self.max_daily_loss_frac
            case Breaker.DRAWDOWN:
                return self.max_drawdown_frac
            case Breaker.LOSSES:
                return Decimal(self.max_consecutive_losses)


@dataclass(frozen=True, slots=True)
class BreakerTrip:
    """A breaker holds: `measured` reached `limit`. Fractions, or a count of losses."""

    breaker: Breaker
    measured: Decimal
    limit: Decimal


@dataclass(frozen=True, slots=True)
class OpenBuy:
    """What is left of one BUY: `base`, and what that cost in quote. `stake` is what its round trip was begun with."""

    base: Decimal
    cost: Decimal
    stake: Decimal


@dataclass(frozen=True, slots=True)
class BreakerState:
    """The books of the breakers.

    `lots` are what our BUYs brought and no SELL has taken yet, the oldest first. `worth` is what one unit
    of quote has become since the drawdown was armed, `peak` the most of it, `worth_today` the same since
    00:00 UTC; `day` counts from 1970. `carried` is the result of a round trip that was sold for less than
    half, in quote. `unpriced` names assets whose commissions count as nothing, for want of a price.
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
        return frozenset(trip.breaker for trip in self.trips)

    @property
    def trading_paused(self) -> bool:
        """Nothing new is begun."""
        return bool(self.trips)

    def measured(self, breaker: Breaker) -> Decimal:
        """What stands against the breaker's limit now."""
        match breaker:
            case Breaker.DAILY_LOSS:
                return ONE - self.equity_today
            case Breaker.DRAWDOWN:
                return ONE - self.equity / self.peak_equity
            case Breaker.LOSSES:
                return Decimal(self.losses)


NO_PRICES: Final[Mapping[str, Decimal]] = {}


def start_day(state: BreakerState, market_ms: int) -> BreakerState:
    """`state` at that moment: a new day forgives the loss of the last."""
    day = market_ms // DAY_MS
    if day <= state.day:
        return state
    lasting = tuple(trip for trip in state.trips if trip.breaker is not Breaker.DAILY_LOSS)
    return replace(state, day=day, equity_today=ONE, trips=lasting)


def resumed(state: BreakerState) -> BreakerState:
    """The operator goes on: what holds until then is armed anew from here. The daily breaker stays."""
    if Breaker.DRAWDOWN in state.tripped:
        state = replace(state, equity=ONE, peak_equity=ONE)
    if Breaker.LOSSES in state.tripped:
        state = replace(state, losses=0)
    return replace(state, trips=tuple(trip for trip in state.trips if trip.breaker is Breaker.DAILY_LOSS))


def apply_exit(
    state: BreakerState, ended: ExitTotals, limits: BreakerLimits, prices: Mapping[str, Decimal] = NO_PRICES
) -> BreakerState:
    """`state` after an exit of ours. `prices` are those of third assets, in quote."""
    if ended.base <= ZERO:
        return state
    state = start_day(state, ended.ended_ms)
    fees, unpriced = _fees_in_quote(ended, limits, prices)
    state = replace(state, unpriced=state.unpriced | unpriced)
    if ended.side is Side.BUY:
        return _bought(state, ended, limits, fees)
    return _tripped(_sold(state, ended, fees), limits)


def recompute(
    exits: Iterable[ExitTotals], limits: BreakerLimits, market_ms: int, prices: Mapping[str, Decimal] = NO_PRICES
) -> BreakerState:
    """The state that `exits`, the oldest first, have led to by that moment.

    Nothing is bought while a breaker holds, so a later BUY proves that the operator had resumed.
    """
    state = BreakerState()
    for ended in exits:
        if ended.side is Side.BUY:
            state = resumed(state)
        state = apply_exit(state, ended, limits, prices)
    return start_day(state, market_ms)


def _fees_in_quote(
    ended: ExitTotals, limits: BreakerLimits, prices: Mapping[str, Decimal]
) -> tuple[Decimal, frozenset[str]]:
    """What was paid beside base and quote traded; and in which assets it is not known how much that is.

    A BUY's commission in base is none of it: that much less was bought.
    """
    fees, unpriced = ZERO, set()
    for asset, fee in ended.fees.items():
        if asset == limits.quote_asset:
            fees += fee
        elif asset == limits.base_asset:
            fees += fee * ended.quote / ended.base if ended.side is Side.SELL else ZERO
        elif asset in prices:
            fees += fee * prices[asset]
        else:
            unpriced.add(asset)
    return fees, frozenset(unpriced)


def _bought(state: BreakerState, ended: ExitTotals, limits: BreakerLimits, fees: Decimal) -> BreakerState:
    base = ended.base - ended.fees.get(limits.base_asset, ZERO)
    if base <= ZERO:
        return state
    cost = ended.quote + fees
    lots = (*state.lots, OpenBuy(base, cost, stake=cost))
    return replace(state, lots=lots[-_LOTS_KEPT:])


def _sold(state: BreakerState, ended: ExitTotals, fees: Decimal) -> BreakerState:
    """A SELL against the newest lots: what left by another hand must have been the older ones.

    Where most of what was sold had not been bought by us, there is no cost to compare with. Where most of
    what we had bought is still to be sold, the round trip goes on.
    """
    lots, left = list(state.lots), ended.base
    held = stake = cost = ZERO
    rest: OpenBuy | None = None
    while lots and left > ZERO:
        lot = lots.pop()
        taken = min(left, lot.base)
        share = lot.cost * taken / lot.base
        held, stake, cost, left = held + lot.base, stake + lot.stake, cost + share, left - taken
        if taken < lot.base:
            rest = OpenBuy(lot.base - taken, lot.cost - share, stake=lot.cost - share)
    matched = ended.base - left
    over = 2 * matched >= held
    if rest is not None:
        lots.append(rest if over else replace(rest, stake=stake))
    state = replace(state, lots=tuple(lots))
    at_stake = stake + state.carried_result
    if 2 * matched < ended.base or at_stake <= ZERO:
        return state
    result = (ended.quote - fees) * matched / ended.base - cost
    growth = max(ZERO, ONE + result / at_stake)
    worth, carried = state.equity * growth, state.carried_result + result
    state = replace(
        state, equity=worth, peak_equity=max(state.peak_equity, worth), equity_today=state.equity_today * growth
    )
    if not over:
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
    """Enough was lost."""

    trip: BreakerTrip


@dataclass(frozen=True, slots=True)
class BreakerLifted:
    """A breaker holds no more."""

    breaker: Breaker


@dataclass(frozen=True, slots=True)
class FeeUnpriced:
    """Commissions in this asset count as nothing: its price in quote is not known."""

    asset: str


BreakerEvent = BreakerTripped | BreakerLifted | FeeUnpriced


class CircuitBreakers:
    """The state and the fills that move it. `news` collects what changed, each once, for whoever tells people."""

    def __init__(self, limits: BreakerLimits, prices: Mapping[str, Decimal] = NO_PRICES) -> None:
        self.limits = limits
        self.prices = prices
        self.state = BreakerState()
        self.events: list[BreakerEvent] = []
        self._ledger = ExitLedger()

    @property
    def trading_paused(self) -> bool:
        """Nothing new is begun."""
        return self.state.trading_paused

    def restore(self, exits: Iterable[ExitTotals], market_ms: int) -> None:
        """Begin with the history: `exits` that are over, the oldest first, without the one that goes on."""
        self._change_state(recompute(exits, self.limits, market_ms, self.prices))

    def continue_exit(self, side: Side, fills: Iterable[tuple[int, AccountTrade]]) -> None:
        """An exit of an earlier run goes on: `fills` are what it had traded, each with its number."""
        for number, trade in fills:
            self._ledger.on_trade(number, trade)
        if side is Side.BUY:
            self.resume()  # it could not have been begun while a breaker held

    def on_report(self, report: ExecutionReport) -> None:
        """An execution report; only fills of our exits count."""
        self._ledger.on_report(report)
        self._count_late_fills()

    def on_trade(self, number: int, trade: AccountTrade) -> None:
        """A fill of the exit `number` that was missed as an event."""
        self._ledger.on_trade(number, trade)
        self._count_late_fills()

    def on_exit_ended(self, number: int) -> None:
        """The exit `number` is over."""
        ended = self._ledger.close(number)
        if ended is not None:
            self._change_state(apply_exit(self.state, ended, self.limits, self.prices))

    def _count_late_fills(self) -> None:
        """What is learned of an exit when it is long over still was gained or lost."""
        for number in self._ledger.late:
            self.on_exit_ended(number)

    def tick(self, market_ms: int) -> None:
        """Time passes: the day may be over."""
        if market_ms // DAY_MS > self.state.day:
            self._change_state(start_day(self.state, market_ms))

    def resume(self) -> None:
        """The operator goes on; the daily breaker is not his to lift."""
        if self.state.trading_paused:
            self._change_state(resumed(self.state))

    def _change_state(self, state: BreakerState) -> None:
        before, self.state = self.state, state
        self.events += (BreakerTripped(trip) for trip in state.trips if trip not in before.trips)
        self.events += (BreakerLifted(trip.breaker) for trip in before.trips if trip.breaker not in state.tripped)
        self.events += (FeeUnpriced(asset) for asset in sorted(state.unpriced - before.unpriced))
