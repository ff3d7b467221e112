"""Every metric equals that of an independent library, on 50 random equity curves.

The library is empyrical-reloaded, in the dependency group `metrics`: it needs pandas and SciPy, which would make each
installation for development four times as large. Without it these tests are skipped; `.ci/run` has it. What the library
does not have (trades, the length of a drawdown) is computed by its pandas instead.

    uv run --group metrics pytest tests/accounting/test_metrics_library.py
"""

import warnings
from random import Random
from typing import Any

import pytest

from trailingedge.accounting import metrics
from trailingedge.accounting.metrics import DrawdownTracker

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the library's import
    empyrical: Any = pytest.importorskip("empyrical", reason="the dependency group metrics is not installed")
    pandas: Any = pytest.importorskip("pandas")

CURVES = pytest.mark.parametrize("seed", range(50))
YEAR = {"annualization": metrics.DAYS_A_YEAR}


def curve(seed: int) -> list[float]:
    """Daily closes of 2 to 400 days, calm or wild."""
    random, closes = Random(seed), [1000.0]
    spread = random.choice((0.001, 0.01, 0.05))
    for _ in range(random.randint(2, 400)):
        closes.append(closes[-1] * (1.0 + max(-0.9, random.gauss(0.0, spread))))
    return closes


def same(ours: float | None, theirs: Any) -> bool:
    return ours is not None and ours == pytest.approx(float(theirs), rel=1e-9, abs=1e-9)


@CURVES
def test_return_and_risk_are_those_of_the_library(seed: int) -> None:
    closes = curve(seed)
    ours, theirs = metrics.daily_returns(closes), pandas.Series(closes).pct_change().dropna()
    total = metrics.total_return(closes)
    assert same(total, empyrical.cum_returns_final(theirs))
    assert same(metrics.annualised(total, len(ours)), empyrical.annual_return(theirs, **YEAR))
    assert same(metrics.volatility(ours), empyrical.annual_volatility(theirs, **YEAR))
    assert same(metrics.sharpe(ours), empyrical.sharpe_ratio(theirs, **YEAR))
    assert same(metrics.sortino(ours), empyrical.sortino_ratio(theirs, **YEAR))
    assert same(-metrics.max_drawdown(closes), empyrical.max_drawdown(theirs))
    assert same(metrics.calmar(closes), empyrical.calmar_ratio(theirs, **YEAR))


@CURVES
def test_trades_are_those_of_pandas(seed: int) -> None:
    ours = metrics.daily_returns(curve(seed))  # any returns will do
    theirs = pandas.Series(ours)
    gains, losses = theirs[theirs > 0], theirs[theirs <= 0]
    assert same(metrics.profit_factor(ours), gains.sum() / -losses.sum())
    share = len(gains) / len(theirs)
    mean_gain, mean_loss = gains.mean() if len(gains) else 0.0, losses.mean() if len(losses) else 0.0
    assert same(metrics.expectancy(ours), share * mean_gain + (1 - share) * mean_loss)
    lost = theirs <= 0
    runs = lost.groupby((lost != lost.shift()).cumsum()).sum()
    assert metrics.losing_streak(ours) == runs.max()


@CURVES
def test_drawdowns_are_as_deep_and_as_long_as_those_of_pandas(seed: int) -> None:
    closes, tracker = curve(seed), DrawdownTracker()
    for day, close in enumerate(closes):
        tracker.add(day, close)
    ours, series = tracker.drawdown(), pandas.Series(closes)
    below = series < series.cummax()
    peaks = pandas.Series(series.index).where(~below).ffill()
    ends = pandas.Series(series.index) - peaks.shift(fill_value=0)
    recovered = ends[below.shift(fill_value=False)]
    lasting = (pandas.Series(series.index) - peaks)[below]
    assert same(ours.max_frac, (1 - series / series.cummax()).max())
    assert ours.longest_ms == max(recovered.max() if len(recovered) else 0, lasting.max() if len(lasting) else 0)
    days_below = below.iloc[1:].sum() + (below.shift(fill_value=False) & ~below).sum()
    assert ours.under_water_ms == days_below
