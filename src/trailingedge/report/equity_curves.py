"""Equity curves of a run report, with one value for each sample: the change of the account, and the change if the
assets had been held without trading.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trailingedge.report.model import RunReport


@dataclass(frozen=True, slots=True)
class Equity:
    """Equity curves of a run: the change since the start at each sample, as a fraction.

    `account` does not include transfers. `hold_base` and `hold_half` are the changes if base, or half base and half
    quote, had been held; holding quote changes nothing. `drawdown` is the change of the account from its highest value
    so far, as a fraction of that value; never positive.
    """

    times_ms: tuple[int, ...]
    account: tuple[float, ...]
    hold_base: tuple[float, ...]
    hold_half: tuple[float, ...]
    drawdown: tuple[float, ...]


def equity(report: RunReport) -> Equity:
    """The equity curves at each sample."""
    bid = float(report.results.first.bid)
    held = [each.bid / bid - 1.0 if bid else 0.0 for each in report.samples]
    growth = [each.growth for each in report.samples]
    return Equity(
        times_ms=tuple(each.time_ms for each in report.samples),
        account=tuple(each - 1.0 for each in growth),
        hold_base=tuple(held),
        hold_half=tuple(each / 2.0 for each in held),
        drawdown=tuple(_drawdown(growth)),
    )


def _drawdown(growth: Sequence[float]) -> Iterable[float]:
    peak = 1.0
    for each in growth:
        peak = max(peak, each)
        yield each / peak - 1.0
