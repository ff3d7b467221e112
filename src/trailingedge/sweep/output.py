"""Output of a sweep as text: the ranking, the folds, and how far the winner can be trusted."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from statistics import fmean
from typing import Final

from trailingedge.backtest.paths import Scenario
from trailingedge.notifications.event_messages import counted, percent
from trailingedge.report.robustness import Walk
from trailingedge.report.tables import NO_VALUE, Table, shown_gaps, timestamp
from trailingedge.report.terminal import USUAL_WIDTH, columns, wrapped
from trailingedge.simulator.feeds.historical import RecordedMarket
from trailingedge.sweep.influence import influence_lines, influences
from trailingedge.sweep.objective import Judgement, Objective
from trailingedge.sweep.ranking import FoldResult, RankedTrial, SweepResult
from trailingedge.sweep.search_space import Combination
from trailingedge.sweep.significance import daily_gains, deflated_sharpe_of, t_value
from trailingedge.sweep.walk_forward import Folds

DEFAULT_ROWS: Final = 15  # rows of the table
_LEFT_OUT_SHOWN: Final = 5
# Correlations of the ranks before and after: nearer to 0 than the first, the past says almost nothing.
_MIN_AGREEMENT: Final = 0.3
_STRONG_AGREEMENT: Final = 0.7


def sweep_text(
    result: SweepResult,
    folds: Folds,
    markets: Sequence[RecordedMarket],
    scenario: Scenario,
    gaps: Sequence[str],
    shown: int = DEFAULT_ROWS,
    width: int = USUAL_WIDTH,
) -> str:
    """The result as text, in lines of at most `width` characters."""
    last, asset = result.last, held_asset(markets)
    span = f"from {timestamp(folds.from_ms)} to {timestamp(folds.to_ms)} UTC"
    lines = [
        f"sweep {', '.join(market.symbol for market in markets)}: {counted(result.tried, 'combination')} {span}",
        f"  {method_text(result.judgement, scenario, markets)}",
        *(f"  note: {gap}" for gap in shown_gaps(gaps)),
        *_invalid_lines(result),
        "",
        heading_text(folds, last),
    ]
    lines = [part for line in lines for part in wrapped(line, width)]
    lines += columns(_table(result, asset, shown), width)
    if len(markets) > 1:
        lines += ["", "the winner on each market", *columns(_markets_table(result, markets), width)]
    if mattered := influences(last):
        lines += ["", "which setting mattered: rank correlation, and mean for each value (in-sample)"]
        for line in influence_lines(mattered, result.judgement.objective):
            lines += wrapped(f"  {line}", width)
    if folds.count:
        heading = "folds: each winner, tested on the days after those it was chosen on"
        lines += ["", heading, *columns(_folds_table(result, folds, asset), width)]
    lines += ["", "how far to trust this"]
    lines += [part for sentence in reliability(result, asset) for part in wrapped(f"  {sentence}", width)]
    lines += ["", *wrapped(_winner_line(last), width)]
    return "\n".join(lines)


def method_text(judgement: Judgement, scenario: Scenario, markets: Sequence[RecordedMarket]) -> str:
    """Return how trials were run and ranked, as one line."""
    scenario = scenario.of_market(markets[0])
    paths = {
        Walk.RANDOM: "one random path within the candles",
        Walk.STRAIGHT: "one straight path within the candles (--paths N for random ones)",
        Walk.OPPOSITE: "one straight path within the candles, in the opposite order",
        Walk.RECORDED: "every recorded trade or quote",
    }[scenario.walk]
    if scenario.paths > 1:
        paths = f"{scenario.paths} random paths within the candles, of which the {judgement.choice.value} counts"
    mean = f", the mean of {len(markets)} markets" if len(markets) > 1 else ""
    objective = judgement.objective
    return f"ranked by {objective.words} ({objective.value}){mean}; {paths}; latency {scenario.latency_ms} ms each way"


def held_asset(markets: Sequence[RecordedMarket]) -> str:
    assets = {market.base_asset for market in markets}
    return assets.pop() if len(assets) == 1 else "base"


def reliability(result: SweepResult, asset: str) -> Iterator[str]:
    """Yield sentences that say how far the winner can be trusted; the last one is the conclusion."""
    last, tried = result.last, result.tried
    tested = f"{counted(tried, 'combination')} were tested"
    if last.all_equal:
        yield f"{tested} and gave exactly the same result: the varied settings make no difference on these days."
        if last.winner.out_of_sample_frac is None:
            yield "There are fewer than two whole days; give more."
        return
    yield f"{tested}. The best of many is partly luck."
    if last.tied_with_winner:
        others = counted(len(last.tied_with_winner), "other")
        yield f"The winner and {others} have exactly the same result; the winner only comes first in the list."
    if last.winner.out_of_sample_frac is None or result.walk_forward_frac is None:
        yield (
            "There are fewer than two whole days, so the winner was not tested on other days than it was chosen on: "
            "its rank may be chance. Give more days."
        )
        return
    objective = result.judgement.objective
    before, after = percent(last.winner.in_sample_frac), percent(last.winner.out_of_sample_frac)
    best = "the most of all"
    if objective is not Objective.RESULT:
        before = f"{before} ({objective.words} {objective.text(last.winner.in_sample.score)})"
        after = f"{after} ({objective.words} {objective.text(last.winner.out_score)})"
        best = "ranked best of"
    shared = f", with {counted(len(last.tied_with_winner), 'other')}" if last.tied_with_winner else ""
    yield f"The winner made {before} on the days it was chosen on, {best} {tried}{shared}."
    yield f"On the days after, it made {after}, {_winner_place(last, tried)}."
    walk_forward = percent(result.walk_forward_frac)
    unchanged, held = _percent_or_nothing(result.unchanged_frac), _percent_or_nothing(result.hold_base_frac)
    yield (
        f"Over {_fold_count(result)} the winners made {walk_forward} on days they were not chosen on; "
        f"the unchanged settings made {unchanged}, holding {asset} made {held}."
    )
    agreement = result.rank_agreement
    if agreement is not None:
        yield f"Ranks before and after correlate by {agreement:+.2f}: {_agreement_words(agreement)}."
    gains = daily_gains(result)
    if (value := t_value(gains)) is not None:
        yield (
            f"On {counted(len(gains), 'day')} the winners were not chosen on, they made {percent(fmean(gains))} a day "
            f"beside the unchanged settings: t value {value:+.2f}; below 2 it may be chance."
        )
    if (chance := deflated_sharpe_of(result)) is not None:
        yield (
            f"The winner's deflated Sharpe ratio is {chance:.2f}: the probability that the winner is better than "
            f"luck alone makes the best of {tried}. Usually at least 0.95 is required."
        )
    yield _conclusion(result)


def _agreement_words(agreement: float) -> str:
    """Return in words what the correlation of in-sample and out-of-sample ranks means, by its sign and size."""
    if abs(agreement) < _MIN_AGREEMENT:
        return "the past tells almost nothing about the days after"
    strong = abs(agreement) >= _STRONG_AGREEMENT
    if agreement > 0:
        return (
            f"the ranks are {'nearly the same' if strong else 'similar'}: settings that were good before were good "
            "after"
        )
    return f"the ranks are {'nearly' if strong else 'rather'} reversed: settings that were good before were bad after"


def _winner_place(fold: FoldResult, tried: int) -> str:
    """Return in words the winner's out-of-sample rank, and how many other trials have the same rank."""
    if fold.out_of_sample_ties == tried - 1:
        return "as did all others"
    ties = fold.out_of_sample_ties
    shared = f", together with {counted(ties, 'other')} that did the same" if ties else ""
    return f"which was {_ordinal(fold.winner.out_rank)} of {tried}{shared}"


def _conclusion(result: SweepResult) -> str:
    """Return the conclusion from all folds as one sentence.

    The sentence says if the last fold differs from the other folds.
    """
    # The cases go from bad to good: a winner below the median outweighs all other numbers.
    below, count = result.folds_below_median, len(result.folds)
    if below == count == 1:
        return "On the days after, the winner did no better than half of all combinations: do not trust it."
    if below:
        which = f"all {count}" if below == count else f"{below} of {count}"
        whether = "but not in the last" if result.last.in_better_half else "the last among them"
        beside = "" if below == count else f", {whether},"
        return f"In {which} folds{beside} the winner did no better than half of all combinations: do not trust it."
    if result.rank_agreement is None or result.rank_agreement < _MIN_AGREEMENT:
        return (
            "The winners came out in the better half, but the settings that were best before are usually not the "
            "best after."
        )
    if (result.walk_forward_frac or 0.0) <= max(result.unchanged_frac or 0.0, 0.0):
        return (
            "The winners stayed in the better half, but gained no more than the unchanged settings did, or nothing "
            "at all."
        )
    periods = "one period" if count == 1 else f"{count} periods"
    few = "which is little" if count == 1 else "which are few"
    return f"The winners held up in {periods} that they were not chosen on, {few}; test them on more days."


def _winner_line(last: FoldResult) -> str:
    """Return a line with the winner's settings as command-line options (`--set NAME=value`)."""
    if last.all_equal:
        return "no winner: all results are the same"
    flags = " ".join(f"--set {name}={value}" for name, value in last.winner.combination.items())
    others = f" (and {len(last.tied_with_winner)} as good)" if last.tied_with_winner else ""
    return f"the winner{others}: {flags or 'the unchanged settings'}"


def _invalid_lines(result: SweepResult) -> Iterator[str]:
    """Yield lines about the combinations that were not tested.

    The combinations are grouped by reason; only the first few of each group are listed.
    """
    for why, each in groupby(sorted(result.invalid, key=lambda each: each.reason), key=lambda each: each.reason):
        named = [_combination_text(left_out.combination) for left_out in each]
        yield f"  not tested, because the settings do not fit together: {counted(len(named), 'combination')}. {why}"
        yield from (f"    {name}" for name in named[:_LEFT_OUT_SHOWN])
        if len(named) > _LEFT_OUT_SHOWN:
            yield f"    and {len(named) - _LEFT_OUT_SHOWN} more, see --json"


def heading_text(folds: Folds, last: FoldResult) -> str:
    """Return a line that says on which days the last winner was chosen, and on which it was tested."""
    if not folds.count:
        return "all combinations, chosen on all days and tested on none; equals share a rank (=)"
    chosen_until = folds.part_bounds(folds.chosen_parts(last.number))[0]
    chosen = _days_text(folds.from_ms, chosen_until)
    judged = _days_text(*folds.part_bounds(folds.tested_part(last.number)))
    days = f"chosen on {chosen} (in-sample), tested on {judged} (out-of-sample)"
    return f"{days}; equals share a rank (=); result, exits and drawdown are of the days tested on"


def _table(result: SweepResult, asset: str, shown: int) -> Table:
    fold, objective = result.last, result.judgement.objective
    before = _tied_ranks([row.in_rank for row in fold.rows])
    after = _tied_ranks([row.out_rank for row in fold.rows])
    rows = [_row_cells(fold, row, objective, before, after) for row in fold.rows[:shown]]
    # The unchanged settings are always shown: they are what a winner must beat.
    if fold.unchanged not in fold.rows[:shown]:
        rows.append(_row_cells(fold, fold.unchanged, objective, before, after))
    held = [objective.text(objective.of_holding(each)) for each in (fold.hold_in_frac, fold.hold_out_frac)]
    result_held = percent(fold.hold_in_frac if fold.hold_out_frac is None else fold.hold_out_frac)
    rows.append((NO_VALUE, *held, NO_VALUE, result_held, NO_VALUE, NO_VALUE, NO_VALUE, f"holding {asset}"))
    headings = (
        "rank",
        "in-sample",
        "out-of-sample",
        "rank out-of-sample",
        "result",
        f"vs {asset}",
        "exits",
        "drawdown",
        "settings",
    )
    return Table(headings, tuple(rows), frozenset(headings) - {"settings"})


def _markets_table(result: SweepResult, markets: Sequence[RecordedMarket]) -> Table:
    """The winner's figures on each market, beside those of the unchanged settings."""
    fold, objective = result.last, result.judgement.objective
    winner, unchanged = fold.winner, fold.unchanged
    headings = ("market", "in-sample", "out-of-sample", "result", "unchanged", "exits")
    rows = []
    for number, market in enumerate(markets):
        out = None if winner.out_of_sample is None else winner.out_of_sample.markets[number].score
        rows.append(
            (
                market.symbol,
                objective.text(winner.in_sample.markets[number].score),
                objective.text(out),
                percent(winner.shown.markets[number].result_frac),
                percent(unchanged.shown.markets[number].result_frac),
                str(winner.shown.markets[number].exits),
            )
        )
    return Table(headings, tuple(rows), frozenset(headings[1:]))


def _tied_ranks(ranks: Sequence[int | None]) -> frozenset[int | None]:
    """Return the ranks that several trials share."""
    return frozenset(rank for rank, count in Counter(ranks).items() if count > 1)


def _row_cells(
    fold: FoldResult,
    row: RankedTrial,
    objective: Objective,
    before: frozenset[int | None],
    after: frozenset[int | None],
) -> tuple[str, ...]:
    # Against holding the base asset on the same days, because a rising market makes every combination look good.
    held = fold.hold_in_frac if fold.hold_out_frac is None else fold.hold_out_frac
    return (
        _rank(row.in_rank, before),
        objective.text(row.in_sample.score),
        objective.text(row.out_score),
        _rank(row.out_rank, after),
        percent(row.shown.result_frac),
        percent(row.shown.result_frac - held),
        str(row.shown.exits),
        percent(-row.shown.drawdown_frac),
        _combination_text(row.combination) + (" (halted)" if row.halted else ""),
    )


def _rank(rank: int | None, tied: frozenset[int | None]) -> str:
    """Return a rank as text: "2", or "2=" if other trials have the same rank."""
    return NO_VALUE if rank is None else f"{rank}{'=' if rank in tied else ''}"


def _folds_table(result: SweepResult, folds: Folds, asset: str) -> Table:
    objective = result.judgement.objective
    headings = (
        "tested on",
        "in-sample",
        "out-of-sample",
        "rank out-of-sample",
        "unchanged",
        f"holding {asset}",
        "winner",
    )
    rows = [
        (
            _days_text(*folds.part_bounds(folds.tested_part(fold.number))),
            objective.text(fold.winner.in_sample.score),
            objective.text(fold.winner.out_score),
            f"{_rank(fold.winner.out_rank, _tied_ranks([row.out_rank for row in fold.rows]))} of {result.tried}",
            objective.text(fold.unchanged.out_score),
            objective.text(objective.of_holding(fold.hold_out_frac)),
            _combination_text(fold.winner.combination),
        )
        for fold in result.folds
    ]
    return Table(headings, tuple(rows), frozenset(headings) - {"tested on", "winner"})


def _combination_text(combination: Combination) -> str:
    return " ".join(f"{name}={value}" for name, value in combination.items()) or "unchanged"


def _days_text(from_ms: int, to_ms: int) -> str:
    """Return two times as "… to …". A time at midnight is shown as a date only."""
    begins, ends = timestamp(from_ms), timestamp(to_ms)
    return f"{begins.removesuffix(' 00:00:00')} to {ends.removesuffix(' 00:00:00')}"


def _percent_or_nothing(fraction: float | None) -> str:
    return NO_VALUE if fraction is None else percent(fraction)


def _ordinal(rank: int | None) -> str:
    number = rank or 0
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _fold_count(result: SweepResult) -> str:
    return "the one fold" if len(result.folds) == 1 else f"{len(result.folds)} folds"
