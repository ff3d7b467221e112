"""What follows from a story: totals, days, how often it won, and the account against having done nothing.

Every telling takes its numbers from here or from the story itself, and computes none of its own.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trailingedge.market import ZERO, SymbolRules
from trailingedge.report.story import Fill, Story
from trailingedge.results import Totals
from trailingedge.tally import FinishedExit, growth

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class HitRate:
    """Of the exits whose result is known, how many won something since their anchor."""

    won: int
    judged: int

    @property
    def frac(self) -> float | None:
        return self.won / self.judged if self.judged else None


@dataclass(frozen=True, slots=True)
class Day:
    """A day by UTC, or the part of it that the story has seen.

    `exits` are those that ended in it. `value` is the account in quote at its end; the fractions are of the value,
    and of the price, at its beginning, so that those of all days multiply to the whole.
    """

    from_ms: int
    to_ms: int
    exits: tuple[FinishedExit, ...]
    fills: int
    fees: Mapping[str, Decimal]
    value: float
    result_frac: float
    hold_base_frac: float

    @property
    def hits(self) -> HitRate:
        return hit_rate(self.exits)


@dataclass(frozen=True, slots=True)
class Equity:
    """Curves over the moments of a story, in quote: the account, and what the first value would be worth untouched.

    `drawdown` is how far the account stood below its best so far, as a fraction of that, 0 or negative.
    """

    times_ms: tuple[int, ...]
    account: tuple[float, ...]
    hold_base: tuple[float, ...]
    hold_quote: tuple[float, ...]
    drawdown: tuple[float, ...]


def totals(story: Story) -> Totals:
    """The whole of it."""
    return Totals(
        exits=len(story.exits),
        fills=len(story.fills),
        replaces=story.replaces,
        fees=fees(story.fills),
        rejected=story.rejected,
        result_frac=growth(story.first_value, story.last_value),
        hold_base_frac=growth(story.first_bid, story.last_bid),
        max_drawdown_frac=story.max_drawdown_frac,
    )


def fees(fills: Iterable[Fill]) -> dict[str, Decimal]:
    """What was paid in each asset."""
    paid: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for fill in fills:
        if fill.commission:
            paid[fill.commission_asset] += fill.commission
    return dict(paid)


def hit_rate(exits: Iterable[FinishedExit]) -> HitRate:
    """A result of nothing is no win."""
    known = [finished.result_frac for finished in exits if finished.result_frac is not None]
    return HitRate(sum(result > 0 for result in known), len(known))


def days(story: Story) -> tuple[Day, ...]:
    """Every day from the first to the last, the quiet ones too."""
    first, last = story.from_ms // DAY_MS, max(story.to_ms, story.from_ms) // DAY_MS
    exits: defaultdict[int, list[FinishedExit]] = defaultdict(list)
    fills: defaultdict[int, list[Fill]] = defaultdict(list)
    # What is dated outside, by a clock that disagrees, still belongs to the whole.
    for finished in story.exits:
        exits[min(max(finished.ended_ms // DAY_MS, first), last)].append(finished)
    for fill in story.fills:
        fills[min(max(fill.time_ms // DAY_MS, first), last)].append(fill)
    moments_ms = [moment.time_ms for moment in story.moments]
    found = []
    value, bid = float(story.first_value), float(story.first_bid)
    for day in range(first, last + 1):
        began_value, began_bid = value, bid
        if day == last:
            value, bid = float(story.last_value), float(story.last_bid)
        elif upto := bisect_right(moments_ms, (day + 1) * DAY_MS - 1):
            moment = story.moments[upto - 1]
            value, bid = moment.value, moment.bid
        found.append(
            Day(
                from_ms=max(day * DAY_MS, story.from_ms),
                to_ms=min((day + 1) * DAY_MS, story.to_ms),
                exits=tuple(exits[day]),
                fills=len(fills[day]),
                fees=fees(fills[day]),
                value=value,
                result_frac=_growth(began_value, value),
                hold_base_frac=_growth(began_bid, bid),
            )
        )
    return tuple(found)


def equity(story: Story) -> Equity:
    """The account at each moment, from the first value on."""
    first_value, first_bid = float(story.first_value), float(story.first_bid)
    account = [moment.value for moment in story.moments]
    return Equity(
        times_ms=tuple(moment.time_ms for moment in story.moments),
        account=tuple(account),
        hold_base=tuple(first_value * (1 + _growth(first_bid, moment.bid)) for moment in story.moments),
        hold_quote=(first_value,) * len(account),
        drawdown=tuple(_drawdown(first_value, account)),
    )


def rules(story: Story) -> SymbolRules:
    """What the texts need to know of the symbol. Its lot is as fine as any fill shows."""
    decimals = max((_decimals(fill.quantity) for fill in story.fills), default=0)
    return SymbolRules(
        symbol=story.symbol,
        base_asset=story.base_asset,
        quote_asset=story.quote_asset,
        tick_size=story.tick_size,
        step_size=Decimal(1).scaleb(-decimals),
    )


def _drawdown(first_value: float, account: Sequence[float]) -> Iterable[float]:
    peak = first_value
    for value in account:
        peak = max(peak, value)
        yield _growth(peak, value)


def _decimals(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _growth(first: float, last: float) -> float:
    return last / first - 1.0 if first else 0.0
