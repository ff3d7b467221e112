"""Objective of a sweep: the figure by which trials are ranked, and how it is combined over paths and markets.

For every objective, larger is better. Metrics are those of `accounting.metrics`, computed over all parts of the days in
question as one span. A trial without a defined metric, such as the Sharpe ratio of an account that never changed, ranks
last.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate, chain
from math import prod
from operator import mul
from statistics import fmean
from typing import Final

from trailingedge.accounting import metrics
from trailingedge.notifications.event_messages import percent
from trailingedge.report.tables import NO_VALUE
from trailingedge.sweep.trial import PartResult, RunOutcome, TrialOutcome

UNDEFINED: Final = -math.inf  # ranks last
NO_LOSS: Final = math.inf  # the profit factor of gains alone


class Objective(Enum):
    """Names of the objectives, as on the command line."""

    EXCESS_5050 = "excess_5050"
    RESULT = "result"
    SHARPE = "sharpe"
    SORTINO = "sortino"
    CALMAR = "calmar"
    PROFIT_FACTOR = "profit_factor"
    DRAWDOWN = "drawdown"

    @property
    def words(self) -> str:
        return {
            Objective.EXCESS_5050: "excess over half base, half quote",
            Objective.RESULT: "result",
            Objective.SHARPE: "Sharpe ratio",
            Objective.SORTINO: "Sortino ratio",
            Objective.CALMAR: "Calmar ratio",
            Objective.PROFIT_FACTOR: "profit factor",
            Objective.DRAWDOWN: "deepest drawdown",
        }[self]

    @property
    def is_fraction(self) -> bool:
        return self in (Objective.EXCESS_5050, Objective.RESULT, Objective.DRAWDOWN)

    def text(self, score: float | None) -> str:
        """Return a score as text: a change in percent, or a ratio."""
        if score is None or score == UNDEFINED:
            return NO_VALUE
        if score == NO_LOSS:
            return "no loss"
        return percent(score) if self.is_fraction else f"{score:.2f}"

    def score(self, parts: Sequence[PartResult]) -> float:
        """Return the objective over these consecutive parts of the days."""
        found = _SCORES[self](parts)
        return UNDEFINED if found is None else found

    def of_holding(self, hold_frac: float | None) -> float | None:
        """Return the objective of holding base.

        None if it cannot be computed from the first and the last price alone.
        """
        if hold_frac is None or self not in (Objective.EXCESS_5050, Objective.RESULT):
            return None
        return hold_frac if self is Objective.RESULT else hold_frac / 2


def _result(parts: Sequence[PartResult]) -> float:
    return prod(part.growth for part in parts) - 1.0  # gains compound


def _holding(parts: Sequence[PartResult]) -> float:
    return prod(part.hold for part in parts) - 1.0


def _closes(parts: Sequence[PartResult]) -> list[float]:
    return list(accumulate((1.0 + each for each in _returns(parts)), mul, initial=1.0))


def _returns(parts: Sequence[PartResult]) -> list[float]:
    return list(chain.from_iterable(part.returns for part in parts))


def _drawdown(parts: Sequence[PartResult]) -> float:
    """Return the deepest drawdown, within a part or over all parts.

    Within a part the account is valued every minute. Over all parts, the daily closes are used.
    """
    return max(metrics.max_drawdown(_closes(parts)), *(part.drawdown_frac for part in parts), 0.0)


def _profit_factor(parts: Sequence[PartResult]) -> float | None:
    trips = list(chain.from_iterable(part.trips for part in parts))
    return NO_LOSS if trips and min(trips) > 0.0 else metrics.profit_factor(trips)


_SCORES: Final[Mapping[Objective, Callable[[Sequence[PartResult]], float | None]]] = {
    Objective.EXCESS_5050: lambda parts: _result(parts) - _holding(parts) / 2,
    Objective.RESULT: _result,
    Objective.SHARPE: lambda parts: metrics.sharpe(_returns(parts)),
    Objective.SORTINO: lambda parts: metrics.sortino(_returns(parts)),
    Objective.CALMAR: lambda parts: metrics.calmar(_closes(parts)),
    Objective.PROFIT_FACTOR: _profit_factor,
    Objective.DRAWDOWN: lambda parts: -_drawdown(parts),
}


class PathChoice(Enum):
    """The path that counts if there are several.

    It is the one with the median score (of two in the middle, the lower one), or the worst.
    """

    MEDIAN = "median"
    WORST = "worst"


@dataclass(frozen=True, slots=True)
class Judgement:
    """How trials are judged: by which objective, and on which of their paths."""

    objective: Objective = Objective.EXCESS_5050
    choice: PathChoice = PathChoice.MEDIAN

    def over(self, outcome: TrialOutcome, begin: int, end: int | None) -> "SpanFigures":
        """Return the figures of a trial over the parts `begin` to `end` - 1."""
        chosen = [self._chosen(outcome.of_market(market), begin, end) for market in range(outcome.markets)]
        return SpanFigures(tuple(self._figures(run.parts[begin:end]) for run in chosen))

    def _chosen(self, runs: Sequence[RunOutcome], begin: int, end: int | None) -> RunOutcome:
        if len(runs) == 1:
            return runs[0]
        ordered = sorted(runs, key=lambda run: self.objective.score(run.parts[begin:end]))
        return ordered[0 if self.choice is PathChoice.WORST else (len(ordered) - 1) // 2]

    def _figures(self, parts: Sequence[PartResult]) -> "MarketFigures":
        return MarketFigures(
            score=self.objective.score(parts),
            result_frac=_result(parts),
            hold_frac=_holding(parts),
            drawdown_frac=_drawdown(parts),
            exits=sum(part.exits for part in parts),
            returns=tuple(_returns(parts)),
        )


@dataclass(frozen=True, slots=True)
class MarketFigures:
    """Figures of one trial on one market, on the path that counts. `returns` are daily changes of the account."""

    score: float
    result_frac: float
    hold_frac: float
    drawdown_frac: float
    exits: int
    returns: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SpanFigures:
    """Figures of one trial over some days: means over its markets, and the sum of the exits."""

    markets: tuple[MarketFigures, ...]

    @property
    def score(self) -> float:
        scores = [each.score for each in self.markets]
        return UNDEFINED if UNDEFINED in scores else fmean(scores)

    @property
    def result_frac(self) -> float:
        return fmean(each.result_frac for each in self.markets)

    @property
    def hold_frac(self) -> float:
        return fmean(each.hold_frac for each in self.markets)

    @property
    def drawdown_frac(self) -> float:
        return fmean(each.drawdown_frac for each in self.markets)

    @property
    def exits(self) -> int:
        return sum(each.exits for each in self.markets)

    @property
    def returns(self) -> tuple[float, ...]:
        """Return the daily returns averaged over the markets.

        The days of the markets are aligned at the last day, and the shortest market gives the number of days.
        """
        days = min(len(each.returns) for each in self.markets)
        of_days = zip(*(each.returns[len(each.returns) - days :] for each in self.markets), strict=True)
        return tuple(map(fmean, of_days))


USUAL_JUDGEMENT: Final = Judgement()
