"""Equity curves of a run report, with one value for each sample: the account, and holding instead."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trailingedge.report.model import RunReport


@dataclass(frozen=True, slots=True)
class Equity:
    """Equity curves in quote, with one value for each sample of a run.

    `account` is what the first value has grown to, transfers left out. `hold_base`, `hold_quote` and `hold_half` are
    what it would be worth if held in base, in quote, or half in each. `drawdown` is the change of the account from its
    highest value so far, as a fraction of that value; never positive.
    """

    times_ms: tuple[int, ...]
    account: tuple[float, ...]
    hold_base: tuple[float, ...]
    hold_quote: tuple[float, ...]
    hold_half: tuple[float, ...]
    drawdown: tuple[float, ...]


def equity(report: RunReport) -> Equity:
    """The equity curves at each sample."""
    first = report.results.first
    value, bid = float(first.value), float(first.bid)
    held = [each.bid / bid if bid else 1.0 for each in report.samples]
    growth = [each.growth for each in report.samples]
    return Equity(
        times_ms=tuple(each.time_ms for each in report.samples),
        account=tuple(value * each for each in growth),
        hold_base=tuple(value * each for each in held),
        hold_quote=(value,) * len(held),
        hold_half=tuple(value * (1.0 + each) / 2.0 for each in held),
        drawdown=tuple(_drawdown(growth)),
    )


def _drawdown(growth: Sequence[float]) -> Iterable[float]:
    peak = 1.0
    for each in growth:
        peak = max(peak, each)
        yield each / peak - 1.0
