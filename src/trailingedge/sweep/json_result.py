"""Result of a sweep as JSON data."""

from collections.abc import Sequence
from math import isfinite
from typing import Final

from trailingedge.accounting.summary_json import iso_time
from trailingedge.backtest.paths import Scenario
from trailingedge.simulator.feeds.historical import RecordedMarket
from trailingedge.sweep.influence import influence_json, influences
from trailingedge.sweep.output import held_asset, reliability
from trailingedge.sweep.ranking import FoldResult, RankedTrial, SweepResult
from trailingedge.sweep.significance import daily_gains, deflated_sharpe_of, t_value
from trailingedge.sweep.walk_forward import Folds

SWEEP_RESULT_VERSION: Final = 2


def sweep_json(
    result: SweepResult, folds: Folds, markets: Sequence[RecordedMarket], scenario: Scenario, gaps: Sequence[str]
) -> dict[str, object]:
    """Return the result of a sweep as the content of a JSON object."""
    last, symbols = result.last, [market.symbol for market in markets]
    scenario = scenario.of_market(markets[0])
    return {
        "version": SWEEP_RESULT_VERSION,
        "symbols": symbols,
        "objective": result.judgement.objective.value,
        "walk": scenario.walk.value,
        "paths": scenario.paths,
        "of": result.judgement.choice.value,
        "latency_ms": scenario.latency_ms,
        "from": iso_time(folds.from_ms),
        "to": iso_time(folds.to_ms),
        "tried": result.tried,
        "left_out": len(result.invalid),
        "left_out_settings": [{"settings": dict(each.combination), "why": each.reason} for each in result.invalid],
        "table": [_row_data(row, symbols) for row in last.rows],
        "hold_base_frac": {"in_sample": last.hold_in_frac, "out_of_sample": last.hold_out_frac},
        "folds": [_fold_data(fold, folds, symbols) for fold in result.folds] if folds.count else [],
        "winner": dict(last.winner.combination),
        "as_good_as_winner": [dict(row.combination) for row in last.tied_with_winner],
        "walk_forward": {
            "result_frac": result.walk_forward_frac,
            "unchanged_frac": result.unchanged_frac,
            "hold_base_frac": result.hold_base_frac,
        },
        "influence": influence_json(influences(last)),
        "overfitting": {
            "t_value": t_value(daily_gains(result)),
            "deflated_sharpe": deflated_sharpe_of(result),
            "rank_agreement": result.rank_agreement,
            "folds_no_better_than_median": result.folds_below_median if folds.count else None,
            "words": list(reliability(result, held_asset(markets))),
        },
        "gaps": list(gaps),
    }


def _row_data(row: RankedTrial, symbols: Sequence[str]) -> dict[str, object]:
    return {
        "settings": dict(row.combination),
        "in_sample_score": _finite(row.in_sample.score),
        "in_sample_frac": row.in_sample_frac,
        "in_sample_rank": row.in_rank,
        "out_of_sample_score": _finite(row.out_score),
        "out_of_sample_frac": row.out_of_sample_frac,
        "out_of_sample_rank": row.out_rank,
        "exits": row.shown.exits,
        "max_drawdown_frac": row.shown.drawdown_frac,
        "halted": row.halted,
        "markets": {
            symbol: {
                "in_sample_score": _finite(row.in_sample.markets[number].score),
                "in_sample_frac": row.in_sample.markets[number].result_frac,
                "out_of_sample_score": _finite(row.out_of_sample.markets[number].score) if row.out_of_sample else None,
                "out_of_sample_frac": row.out_of_sample.markets[number].result_frac if row.out_of_sample else None,
            }
            for number, symbol in enumerate(symbols)
        },
    }


def _finite(score: float | None) -> float | None:
    """Return a score for JSON, which has no infinity: None if the score is infinite or not defined."""
    return score if score is not None and isfinite(score) else None


def _fold_data(fold: FoldResult, folds: Folds, symbols: Sequence[str]) -> dict[str, object]:
    judged = folds.part_bounds(folds.tested_part(fold.number))
    return {
        "chosen_from": iso_time(folds.from_ms),
        "chosen_to": iso_time(folds.part_bounds(folds.chosen_parts(fold.number))[0]),
        "judged_from": iso_time(judged[0]),
        "judged_to": iso_time(judged[1]),
        "winner": _row_data(fold.winner, symbols),
        "unchanged": _row_data(fold.unchanged, symbols),
        "hold_base_frac": {"in_sample": fold.hold_in_frac, "out_of_sample": fold.hold_out_frac},
        "median_out_of_sample_frac": fold.median_out_frac,
        "rank_agreement": fold.rank_agreement,
    }
