"""Result ledger: computes the results of an account from its fills, exits, transfers and valuations.

Returns are time-weighted. Any change of the balances between two valuations that is not from our own fills is a
transfer. It is valued at the later valuation's bid and is not counted as growth. So a return does not depend on whether
a deposit or the balance that contains it becomes known first.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from trailingedge.accounting.metrics import DrawdownTracker
from trailingedge.accounting.results import EquityPoint, FinishedExit, RunResults, Transfer
from trailingedge.accounting.round_trips import EndedExit, RoundTrip, RoundTripLedger
from trailingedge.core.time_units import DAY_MS
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import ZERO, Side


class ResultLedger:
    """The account's results since the first call of `mark_to_market`."""

    def __init__(self, base_asset: str, quote_asset: str) -> None:
        self.base_asset, self.quote_asset = base_asset, quote_asset
        self.exits: list[FinishedExit] = []
        self.transfers: list[Transfer] = []
        self.fills = 0
        self.replaces = 0
        self.fees: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
        self.rejected: Mapping[int, int] = {}
        self.from_ms = self.to_ms = 0
        self.last_bid = self.last_value = ZERO
        self._trips = RoundTripLedger(base_asset, quote_asset)
        self._drawdown = DrawdownTracker()
        self._marks: list[EquityPoint] = []  # the first valuation, and the last one of each finished day
        self._tomorrow_ms = 0
        self._base = self._quote = ZERO  # as last valued
        self._own_base = self._own_quote = ZERO  # how our fills have moved the balances since then
        self._growth = self._grown = 1.0  # now, and at the last transfer
        self._value_then = ZERO  # right after that transfer
        self._transferred = ZERO  # what transfers have added to the value, as valued
        self._in_base_ms = 0
        self._traded = ZERO

    @property
    def first(self) -> EquityPoint | None:
        """The first valuation; None before it."""
        return self._marks[0] if self._marks else None

    @property
    def round_trips(self) -> list[RoundTrip]:
        """The finished round trips, oldest first."""
        return self._trips.trips

    def round_trip_of(self, finished: FinishedExit) -> RoundTrip | None:
        """Return the round trip that the newest exit ended; None if that exit ended no round trip."""
        trips = self._trips.trips
        return trips[-1] if trips and trips[-1].sales[-1] == finished.number else None

    def growth_at(self, value: float) -> float:
        """Return the growth of the account, without transfers, if it is worth `value` now: 1.02 is a gain of 2 %."""
        return self._grown * value / float(self._value_then) if self._value_then > ZERO else self._growth

    def cut_day_at(self, market_ms: int) -> None:
        """End the day if `market_ms` is later than the day, so that later events count for the next day."""
        if self._marks and market_ms >= self._tomorrow_ms:
            self._marks.append(self.equity_point())
            self._tomorrow_ms = (market_ms // DAY_MS + 1) * DAY_MS

    def on_fill(
        self, side: Side, base: Decimal, quote: Decimal, fee: Decimal, fee_asset: str | None, market_ms: int
    ) -> None:
        """Add a fill of an order of ours."""
        self.cut_day_at(market_ms)
        self.fills += 1
        self._traded += quote
        bought, paid = (base, -quote) if side is Side.BUY else (-base, quote)
        self._own_base += bought
        self._own_quote += paid
        if fee and fee_asset is not None:
            self.fees[fee_asset] += fee
            if fee_asset == self.base_asset:
                self._own_base -= fee
            elif fee_asset == self.quote_asset:
                self._own_quote -= fee

    def on_exit(self, finished: FinishedExit) -> FinishedExit:
        """Count a finished exit. Returns the exit; for a buy-back, with the fraction of base gained."""
        finished = replace(finished, brought_frac=self._trips.on_exit(finished, finished.kind))
        self.exits.append(finished)
        return finished

    def on_asset_transfer(self, asset: str, delta: Decimal, market_ms: int) -> None:
        """Add a deposit of `asset`, or a withdrawal if `delta` is negative."""
        self._transfer("deposit" if delta > ZERO else "withdrawal", {asset: delta}, market_ms)

    def on_foreign_fill(
        self, base: Decimal, quote: Decimal, fee: Decimal, fee_asset: str | None, market_ms: int
    ) -> None:
        """Add a fill of an order that is not ours.

        `base` and `quote` are the amounts before the fee: positive if received, negative if paid.
        """
        moved = {self.base_asset: base, self.quote_asset: quote}
        if fee and fee_asset is not None:
            moved[fee_asset] = moved.get(fee_asset, ZERO) - fee
        self._transfer("foreign fill", moved, market_ms)

    def _transfer(self, kind: str, amounts: Mapping[str, Decimal], market_ms: int) -> None:
        self.cut_day_at(market_ms)
        base, quote = (amounts.get(asset, ZERO) for asset in (self.base_asset, self.quote_asset))
        of_the_pair = any(asset in amounts for asset in (self.base_asset, self.quote_asset))
        value = base * self.last_bid + quote if of_the_pair and self.last_bid else None
        self.transfers.append(Transfer(market_ms, kind, dict(amounts), value))
        if base and self._marks:
            self._trips.on_transfer(base, self.last_bid, market_ms)

    def mark_to_market(self, market_ms: int, bid: Decimal, base: Decimal, quote: Decimal) -> None:
        """Value the account at `bid`. Called at intervals; a drawdown between two valuations is not seen."""
        value = base * bid + quote
        # Before the first valuation there is nothing to compare with; fills that came earlier belong to it.
        if not self._marks:
            self._begin(market_ms, bid, base, quote)
        self.cut_day_at(market_ms)
        if self._base * self.last_bid > self._quote:
            self._in_base_ms += max(0, market_ms - self.to_ms)
        moved_base, moved_quote = base - self._base - self._own_base, quote - self._quote - self._own_quote
        self._base, self._quote, self._own_base, self._own_quote = base, quote, ZERO, ZERO
        if moved_base or moved_quote:
            moved = moved_base * bid + moved_quote
            before = value - moved
            self._transferred += moved
            self._growth = self._grown = self.growth_at(float(max(before, ZERO)))
            self._value_then = value
        self._growth = self.growth_at(float(value))
        self.to_ms, self.last_bid, self.last_value = market_ms, bid, value
        self._drawdown.add(market_ms, self._growth)

    def unmoved_values(self) -> tuple[float, float]:
        """Return two values of the account, in quote. A valuation strictly between them changes no drawdown."""
        low, high = self._drawdown.unmoved
        scale = float(self._value_then) / self._grown if self._grown else 0.0
        return low * scale, high * scale

    def _begin(self, market_ms: int, bid: Decimal, base: Decimal, quote: Decimal) -> None:
        self.from_ms = self.to_ms = market_ms
        self.last_bid, self.last_value = bid, base * bid + quote
        self._base, self._quote, self._own_base, self._own_quote = base, quote, ZERO, ZERO
        self._value_then = self.last_value
        self._tomorrow_ms = (market_ms // DAY_MS + 1) * DAY_MS
        self._trips.open(base, quote, bid, market_ms)
        self._marks.append(EquityPoint(market_ms, bid, self.last_value))

    def equity_point(self) -> EquityPoint:
        """Return the counts as they are now, with the value and the bid of the last valuation."""
        return EquityPoint(
            market_ms=self.to_ms,
            bid=self.last_bid,
            value=self.last_value,
            growth=self._growth,
            transferred=self._transferred,
            exits=len(self.exits),
            round_trips=len(self._trips.trips),
            transfers=len(self.transfers),
            fills=self.fills,
            replaces=self.replaces,
            fees=dict(self.fees),
        )

    def results(self) -> RunResults:
        """Return the results so far."""
        return RunResults(
            base_asset=self.base_asset,
            quote_asset=self.quote_asset,
            marks=(*self._marks, self.equity_point()) if self._marks else (),
            exits=tuple(self.exits),
            round_trips=tuple(self._trips.trips),
            transfers=tuple(self.transfers),
            drawdown=self._drawdown.drawdown(),
            in_base_ms=self._in_base_ms,
            traded=self._traded,
            rejected=dict(sorted(self.rejected.items())),
            unpriced=tuple(sorted(self._trips.unpriced)),
        )

    def restore(self, exits: Iterable[tuple[EndedExit, ExitKind]]) -> None:
        """Take over the exits of earlier runs, oldest first. The next exits are matched with them."""
        self._trips.restore(exits)
