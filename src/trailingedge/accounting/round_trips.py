"""Round trips: a buy and the sale that followed it, in quote, net of commission; and the base gained by each buy-back.

"Won", the win rate and the profit factor count round trips. A sale is matched with the newest buys first
(`model.lots`), as in the circuit breakers. What the account holds at its first valuation counts as bought at that
valuation's price, so that a run that begins with one ETH completes a round trip with its first sale. A position that is
not sold yet is no round trip. A deposit counts as bought at the bid of that time; a withdrawal removes the newest lots.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Protocol

from trailingedge.model.intent import ExitKind
from trailingedge.model.lots import OpenBuy, add_buy, fees_in_quote, match_sale
from trailingedge.model.market import ZERO, Side

_ALL_SPENT: Final = Decimal("0.98")  # what is left of a sale's proceeds is what rounding to the step leaves


class EndedExit(Protocol):
    """An ended exit of this run, or of an earlier run (read from the account's history)."""

    @property
    def number(self) -> int: ...

    @property
    def side(self) -> Side: ...

    @property
    def base(self) -> Decimal: ...

    @property
    def quote(self) -> Decimal: ...

    @property
    def fees(self) -> Mapping[str, Decimal]: ...

    @property
    def ended_ms(self) -> int: ...


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """A buy and the sale that followed it. Amounts are in quote, `base` is the base sold. Times are market time.

    `buys` and `sales` are the numbers of the exits. Base held at the start, or deposited, has no buy. `kind` is that of
    the sale that ended the round trip. `cost` is what was paid, `proceeds` what was received, both net of commission;
    `fees` are the commissions in quote.
    """

    buys: tuple[int, ...]
    sales: tuple[int, ...]
    kind: ExitKind
    opened_ms: int
    closed_ms: int
    base: Decimal
    cost: Decimal
    proceeds: Decimal
    fees: Decimal

    @property
    def result(self) -> Decimal:
        return self.proceeds - self.cost

    @property
    def result_frac(self) -> float:
        """The result as a fraction of the cost."""
        return float(self.result / self.cost)

    @property
    def won(self) -> bool:
        """Whether the proceeds of the round trip are larger than its cost. A result of exactly zero is no win."""
        return self.result > ZERO

    @property
    def held_ms(self) -> int:
        return max(0, self.closed_ms - self.opened_ms)


def ended_by(round_trips: Iterable[RoundTrip]) -> dict[int, RoundTrip]:
    """Return each round trip by the number of the sale that ended it."""
    return {trip.sales[-1]: trip for trip in round_trips}


@dataclass(slots=True)
class _Sales:
    """The sales since the last buy: base sold, and quote received."""

    base: Decimal = ZERO
    quote: Decimal = ZERO
    at_start: bool = False  # not sold by us: the quote that the account held when it was first valued


class RoundTripLedger:
    """Matches sales with buys, and buy-backs with the sales before them. `trips` are the finished round trips.

    `unpriced` names the assets, other than base and quote, in which commissions were paid. These commissions count as
    zero, because no price is known.
    """

    def __init__(self, base_asset: str, quote_asset: str) -> None:
        self.trips: list[RoundTrip] = []
        self.unpriced: frozenset[str] = frozenset()
        self._assets = (base_asset, quote_asset)
        self._lots: tuple[OpenBuy, ...] = ()
        self._parts: list[RoundTrip] = []  # sales of a position of which most is not sold yet
        self._sales = _Sales()

    def restore(self, exits: Iterable[tuple[EndedExit, ExitKind]]) -> None:
        """Take over the buys and sales of earlier runs, oldest first.

        The round trips that they finished are not counted in this run.
        """
        for exit_, kind in exits:
            self.on_exit(exit_, kind)
        self.trips.clear()

    def open(self, base: Decimal, quote: Decimal, bid: Decimal, market_ms: int) -> None:
        """Make the lots agree with the balances at the first valuation.

        If the account holds more base than the lots that `restore` took over, the rest is added as bought at `bid`. If
        it holds less, the oldest lots are reduced. If there was no sale before, the quote counts as proceeds of a sale
        at `bid`.
        """
        held = sum((lot.base for lot in self._lots), ZERO)
        if base > held:
            cost = (base - held) * bid
            if cost:
                self._lots = (OpenBuy(base - held, cost, cost, bought_ms=market_ms), *self._lots)
        else:
            self._take_oldest(held - base)
        if not self._sales.base and quote > ZERO and bid:
            self._sales = _Sales(quote / bid, quote, at_start=True)

    def on_exit(self, exit_: EndedExit, kind: ExitKind) -> float | None:
        """Add an ended exit. For a buy-back, return the base gained as a fraction of the base sold before.

        Returns None for a sale, and for a buy without a sale before.
        """
        if exit_.base <= ZERO:
            return None
        fees, unpriced = fees_in_quote(exit_.side, exit_.base, exit_.quote, exit_.fees, self._assets)
        self.unpriced |= unpriced
        if exit_.side is Side.BUY:
            return self._buy(exit_, fees)
        self._sell(exit_, kind, fees)
        return None

    def on_transfer(self, base: Decimal, bid: Decimal, market_ms: int) -> None:
        """Add a deposit of `base`, or a withdrawal if it is negative."""
        if base > ZERO and bid:
            cost = base * bid
            self._lots = (*self._lots, OpenBuy(base, cost, cost, bought_ms=market_ms))
        elif base < ZERO:
            self._lots = match_sale(self._lots, -base).lots

    def _buy(self, exit_: EndedExit, fees: Decimal) -> float | None:
        # A commission in base was never received, so it must not be expected back from the sale.
        base = exit_.base - exit_.fees.get(self._assets[0], ZERO)
        if base <= ZERO:
            return None
        cost = exit_.quote + fees
        lot = OpenBuy(base, cost, cost, exit_.number, exit_.ended_ms)
        self._lots = add_buy(self._lots, lot)
        sales = self._sales
        brought = _brought_frac(base, cost, sales)
        # A buy-back in several exits: each is compared with its share of the sales.
        if sales.quote > cost and cost < sales.quote * _ALL_SPENT:
            left = 1 - cost / sales.quote
            self._sales = _Sales(sales.base * left, sales.quote * left, sales.at_start)
        else:
            self._sales = _Sales()
        return brought

    def _sell(self, exit_: EndedExit, kind: ExitKind, fees: Decimal) -> None:
        proceeds = exit_.quote - fees
        sales = self._sales
        before = _Sales() if sales.at_start else sales
        self._sales = _Sales(before.base + exit_.base, before.quote + proceeds)
        match = match_sale(self._lots, exit_.base)
        self._lots = match.lots
        # Mostly base of unknown origin: its cost is not known, so neither gain nor loss is counted.
        if not match.has_known_cost:
            return
        # The part that most of the sold base comes from says since when it was held.
        held, _ = max(match.sold, key=lambda part: part[1])
        buys = dict.fromkeys(lot.number for lot, _ in reversed(match.sold) if lot.number)
        part = RoundTrip(
            buys=tuple(buys),
            sales=(exit_.number,),
            kind=kind,
            opened_ms=held.bought_ms,
            closed_ms=exit_.ended_ms,
            base=match.matched,
            cost=match.cost,
            proceeds=match.share_of(proceeds),
            fees=match.share_of(fees),
        )
        self._parts.append(part)
        if match.complete:
            self.trips.append(_joined(self._parts))
            self._parts = []

    def _take_oldest(self, base: Decimal) -> None:
        """Remove the quantity `base` from the oldest lots, because the account holds less base than the lots."""
        lots = list(self._lots)
        while lots and base >= lots[0].base:
            base -= lots.pop(0).base
        if lots and base > ZERO:
            left = 1 - base / lots[0].base
            first = lots[0]
            lots[0] = replace(first, base=first.base - base, cost=first.cost * left, stake=first.stake * left)
        self._lots = tuple(lots)


def _brought_frac(base: Decimal, cost: Decimal, sales: _Sales) -> float | None:
    """Return the gain of a buy-back: `base`, the base bought, divided by the base sold before, minus 1.

    If the buy-back costs only a part of the proceeds of the sales, it is compared with the same part of the base sold.
    """
    if not sales.base or not sales.quote or not cost:
        return None
    share = cost / sales.quote
    if _ALL_SPENT <= share <= 1:
        share = Decimal(1)
    return float(base / (sales.base * share)) - 1.0


def _joined(parts: list[RoundTrip]) -> RoundTrip:
    """Join the parts in which a position was sold into one round trip."""
    if len(parts) == 1:
        return parts[0]
    last = parts[-1]
    return replace(
        last,
        buys=tuple(dict.fromkeys(number for part in parts for number in part.buys)),
        sales=tuple(number for part in parts for number in part.sales),
        opened_ms=max(parts, key=lambda part: part.base).opened_ms,
        base=sum((part.base for part in parts), ZERO),
        cost=sum((part.cost for part in parts), ZERO),
        proceeds=sum((part.proceeds for part in parts), ZERO),
        fees=sum((part.fees for part in parts), ZERO),
    )
