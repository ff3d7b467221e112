"""What follows from a story: totals, days, how often it won, and the account against having done nothing.

Every telling takes its numbers from here or from the story itself, and computes none of its own.
"""

import dataclasses
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trailingedge.accounting.statistics import FinishedExit, growth, hit_rate
from trailingedge.accounting.summary_json import DayTotals, Totals
from trailingedge.model.client_order_ids import ClientOrderId
from trailingedge.model.market import ZERO, SymbolRules
from trailingedge.report.model import Fill, RunReport

DAY_MS: Final = 86_400_000


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


def totals(story: RunReport) -> Totals:
    """The whole of it."""
    return Totals(
        exits=len(story.exits),
        hits=hit_rate(story.exits),
        fills=len(story.fills),
        replaces=story.replaces,
        fees=fees(story.fills),
        rejected=story.rejected,
        first_value=story.first_value,
        value=story.last_value,
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


def days(story: RunReport) -> tuple[DayTotals, ...]:
    """Every day by UTC from the first to the last, the quiet ones too; those without a market stand together.

    An exit belongs to the day in which it ended. The fractions of all days multiply to the whole.
    """
    first, last = story.from_ms // DAY_MS, max(story.to_ms, story.from_ms) // DAY_MS
    exits: defaultdict[int, list[FinishedExit]] = defaultdict(list)
    fills: defaultdict[int, list[Fill]] = defaultdict(list)
    # What is dated outside, by a clock that disagrees, still belongs to the whole.
    for finished in story.exits:
        exits[min(max(finished.ended_ms // DAY_MS, first), last)].append(finished)
    for fill in story.fills:
        fills[min(max(fill.time_ms // DAY_MS, first), last)].append(fill)
    moments_ms = [moment.time_ms for moment in story.moments]
    seen = {first, last, *(time_ms // DAY_MS for time_ms in moments_ms), *exits, *fills}
    found: list[DayTotals] = []
    value, bid = story.first_value, float(story.first_bid)
    for day in range(first, last + 1):
        began_value, began_bid = value, bid
        if day == last:
            value, bid = story.last_value, float(story.last_bid)
        elif upto := bisect_right(moments_ms, (day + 1) * DAY_MS - 1):
            moment = story.moments[upto - 1]
            value, bid = Decimal(moment.value), moment.bid
        to_ms = min((day + 1) * DAY_MS, story.to_ms)
        if day not in seen and not found[-1].seen:
            found[-1] = dataclasses.replace(found[-1], to_ms=to_ms)
            continue
        found.append(
            DayTotals(
                from_ms=max(day * DAY_MS, story.from_ms),
                to_ms=to_ms,
                exits=len(exits[day]),
                hits=hit_rate(exits[day]),
                fills=len(fills[day]),
                fees=fees(fills[day]),
                value=value,
                result_frac=_growth(float(began_value), float(value)),
                hold_base_frac=_growth(began_bid, bid),
                seen=day in seen,
            )
        )
    return tuple(found)


def exit_ids(story: RunReport) -> dict[int, str]:
    """By their numbers, what the orders of exits are called; of one that was upgraded, by what it became."""
    under_way = {fill.number: str(ClientOrderId(fill.kind, fill.number)) for fill in story.fills}
    return under_way | {finished.number: finished.id for finished in story.exits}


def equity(story: RunReport) -> Equity:
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


def rules(story: RunReport) -> SymbolRules:
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
