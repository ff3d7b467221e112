"""Lots: the unsold parts of our buys, and which of them a sale sells.

No other module matches sales with buys. The circuit breakers and the results ask here, so that both count the same
round trips, net of the same commissions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from trailingedge.model.market import ZERO, Side

_LOTS_KEPT: Final = 50  # older ones are dust below the minimum size


@dataclass(frozen=True, slots=True)
class OpenBuy:
    """The unsold part of one buy: `base`, and its `cost` in quote.

    `stake` is the quote amount with which the round trip began. `number` is that of the exit that bought it, 0 for base
    that was held at the start or deposited.
    """

    base: Decimal
    cost: Decimal
    stake: Decimal
    number: int = 0
    bought_ms: int = 0


@dataclass(frozen=True, slots=True)
class SaleMatch:
    """The result of matching a sale of `base` with lots.

    `lots` are the lots left, `sold` the lots sold from, newest first, each with the base sold.

    `matched` is the base sold of these lots, and `cost` what that base had cost. `stake` is the quote amount with which
    the round trip began. `complete` is False while most of the bought base is still unsold.
    """

    base: Decimal
    lots: tuple[OpenBuy, ...]
    sold: tuple[tuple[OpenBuy, Decimal], ...]
    matched: Decimal
    cost: Decimal
    stake: Decimal
    complete: bool

    @property
    def has_known_cost(self) -> bool:
        """Whether gain or loss can be counted: we bought most of the sold base ourselves, at a known price."""
        return 2 * self.matched >= self.base and self.cost > ZERO

    def share_of(self, amount: Decimal) -> Decimal:
        """Return the share of `amount` that belongs to the matched base.

        `amount` is of the whole sale, such as its proceeds.
        """
        return amount * self.matched / self.base


def add_buy(lots: Sequence[OpenBuy], buy: OpenBuy) -> tuple[OpenBuy, ...]:
    """Return `lots` with `buy` added as the newest. If there are too many lots, the oldest are left out.

    Sales take the newest lots, so an old one is a remainder that would stay for ever.
    """
    return (*lots, buy)[-_LOTS_KEPT:]


def match_sale(lots: Sequence[OpenBuy], base: Decimal) -> SaleMatch:
    """Match a sale of `base` with `lots`, which come oldest first."""
    kept, left, sold = list(lots), base, []
    bought = stake = cost = ZERO
    remainder: OpenBuy | None = None
    # The newest lots first: what is sold now was bought just before. Older lots are remainders, or were sold by hand.
    while kept and left > ZERO:
        lot = kept.pop()
        taken = min(left, lot.base)
        share = lot.cost * taken / lot.base
        bought, stake, cost, left = bought + lot.base, stake + lot.stake, cost + share, left - taken
        sold.append((lot, taken))
        if taken < lot.base:
            remainder = replace(lot, base=lot.base - taken, cost=lot.cost - share, stake=lot.cost - share)
    matched = base - left
    # A position may be sold in several exits. Only the one that passes half of what was bought ends the round trip, so
    # that one position cannot count as several losses in a row.
    complete = 2 * matched >= bought
    if remainder is not None:
        kept.append(remainder if complete else replace(remainder, stake=stake))
    return SaleMatch(base, tuple(kept), tuple(sold), matched, cost, stake, complete)


def fees_in_quote(
    side: Side,
    base: Decimal,
    quote: Decimal,
    fees: Mapping[str, Decimal],
    assets: tuple[str, str],
) -> tuple[Decimal, frozenset[str]]:
    """Return the sum of an exit's commissions in quote, and the third assets in which commissions were paid.

    `assets` are the base and the quote asset. Commissions in a third asset, such as BNB, are not in the sum: its price
    in quote is not known. Nor is a buy's commission in base, because it already reduces the bought quantity.
    """
    total, unpriced = ZERO, set()
    base_asset, quote_asset = assets
    for asset, fee in fees.items():
        if asset == quote_asset:
            total += fee
        elif asset == base_asset:
            total += fee * quote / base if side is Side.SELL else ZERO
        else:
            unpriced.add(asset)
    return total, frozenset(unpriced)
