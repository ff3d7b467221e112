"""A sweep's verdict in words and for machines, from the same numbers."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from trailingedge.accounting.summary_json import iso_time
from trailingedge.notifications.messages import counted, percent
from trailingedge.report.tables import NO_VALUE, Table, shown_gaps, timestamp
from trailingedge.report.terminal import USUAL_WIDTH, columns, wrapped
from trailingedge.simulator.feeds.recorded import RecordedMarket
from trailingedge.sweep.ranking import FoldResult, RankedTrial, SweepResult
from trailingedge.sweep.search_space import Combination
from trailingedge.sweep.walk_forward import Folds

SWEEP_RESULT_VERSION: Final = 1
DEFAULT_ROWS: Final = 15  # rows of the table
_LEFT_OUT_SHOWN: Final = 5
_MIN_AGREEMENT: Final = 0.3  # ranks before and after; below that the past said next to nothing


def sweep_text(
    verdict: SweepResult,
    folds: Folds,
    market: RecordedMarket,
    gaps: Sequence[str],
    shown: int = DEFAULT_ROWS,
    width: int = USUAL_WIDTH,
) -> str:
    """The whole of it, in lines of at most `width` letters."""
    last, asset = verdict.last, market.base_asset
    span = f"from {timestamp(folds.from_ms)} to {timestamp(folds.to_ms)} UTC"
    lines = [
        f"sweep {market.symbol}: {counted(verdict.tried, 'combination')} {span}",
        *(f"  missing: {gap}" for gap in shown_gaps(gaps)),
        *_invalid_lines(verdict),
        "",
        _heading(folds, last),
    ]
    lines = [part for line in lines for part in wrapped(line, width)]
    lines += columns(_table(last, asset, shown), width)
    if folds.count:
        heading = "folds: each winner on the days after those it was chosen on"
        lines += ["", heading, *columns(_folds_table(verdict, folds, asset), width)]
    lines += ["", "what that is worth"]
    lines += [part for sentence in reliability(verdict, asset) for part in wrapped(f"  {sentence}", width)]
    lines += ["", *wrapped(_winner_line(last), width)]
    return "\n".join(lines)


def sweep_json(verdict: SweepResult, folds: Folds, market: RecordedMarket, gaps: Sequence[str]) -> dict[str, object]:
    """The whole of it, ready for JSON."""
    last = verdict.last
    return {
        "version": SWEEP_RESULT_VERSION,
        "symbol": market.symbol,
        "from": iso_time(folds.from_ms),
        "to": iso_time(folds.to_ms),
        "tried": verdict.tried,
        "left_out": len(verdict.invalid),
        "left_out_settings": [{"settings": dict(each.combination), "why": each.reason} for each in verdict.invalid],
        "table": [_row_data(row) for row in last.rows],
        "hold_base_frac": {"in_sample": last.hold_in_frac, "out_of_sample": last.hold_out_frac},
        "folds": [_fold_data(fold, folds) for fold in verdict.folds] if folds.count else [],
        "winner": dict(last.winner.combination),
        "as_good_as_winner": [dict(row.combination) for row in last.tied_with_winner],
        "walk_forward": {
            "result_frac": verdict.walk_forward_frac,
            "unchanged_frac": verdict.unchanged_frac,
            "hold_base_frac": verdict.hold_base_frac,
        },
        "overfitting": {
            "rank_agreement": verdict.rank_agreement,
            "folds_no_better_than_median": verdict.folds_below_median if folds.count else None,
            "words": list(reliability(verdict, market.base_asset)),
        },
        "gaps": list(gaps),
    }


def reliability(verdict: SweepResult, asset: str) -> Iterator[str]:
    """How far the winner can be trusted, in sentences, of which the last is the conclusion."""
    last, tried = verdict.last, verdict.tried
    many = f"{counted(tried, 'combination')} were tried"
    if last.all_equal:
        yield f"{many} and came to exactly the same: what was varied made no difference on these days."
        if last.winner.out_of_sample_frac is None:
            yield "They are fewer than two whole days; give more."
        return
    yield f"{many}. The best of many owes some of it to luck."
    if last.tied_with_winner:
        others = counted(len(last.tied_with_winner), "other")
        yield f"The winner is no better than {others} that made exactly the same; it was only named first."
    if last.winner.out_of_sample_frac is None or verdict.walk_forward_frac is None:
        yield (
            "There are fewer than two whole days, so nothing was judged on other days than it was chosen on: "
            "whatever stands first here may stand there by chance. Give more days."
        )
        return
    before, after = percent(last.winner.in_sample_frac), percent(last.winner.out_of_sample_frac)
    most = f", with {counted(len(last.tied_with_winner), 'other')}" if last.tied_with_winner else ""
    yield f"The winner made {before} on the days it was chosen on, the most of all {tried}{most}."
    yield f"On the days after it made {after}, {_place(last, tried)}."
    walked = percent(verdict.walk_forward_frac)
    yield (
        f"Over {_folds_of(verdict)} the winners made {walked} on days they were not chosen on; the settings as they "
        f"were made {_said(verdict.unchanged_frac)}, holding {asset} {_said(verdict.hold_base_frac)}."
    )
    if verdict.rank_agreement is not None:
        said = "something" if verdict.rank_agreement >= _MIN_AGREEMENT else "next to nothing"
        yield f"Ranks before and after agree by {verdict.rank_agreement:+.2f} of 1: the past says {said} of the days after."
    yield _conclusion(verdict)


def _winner_place(fold: FoldResult, tried: int) -> str:
    """Where the winner came out, and who made the same there."""
    if fold.out_of_sample_ties == tried - 1:
        return "as did all others"
    shared = (
        ""
        if not fold.out_of_sample_ties
        else f", together with {counted(fold.out_of_sample_ties, 'other')} that made the same"
    )
    return f"which was {_nth(fold.winner.out_rank)} of {tried}{shared}"


def _conclusion(verdict: SweepResult) -> str:
    """What follows from all of it. It speaks of all folds, and says where the last one differs from them."""
    below, count = verdict.folds_below_median, len(verdict.folds)
    if below == count == 1:
        return "That is no better than half of all that was tried: do not trust it."
    if below:
        which = f"all {count}" if below == count else f"{below} of {count}"
        whether = "though not in the last" if verdict.last.in_better_half else "the last among them"
        beside = "" if below == count else f", {whether},"
        return f"In {which} folds{beside} the winner did no better than half of all that was tried: do not trust it."
    if verdict.rank_agreement is None or verdict.rank_agreement < _MIN_AGREEMENT:
        return "The winners came out in the better half, but the best before is not as a rule the best after."
    if (verdict.walk_forward_frac or 0.0) <= max(verdict.unchanged_frac or 0.0, 0.0):
        return "The winners held their places, and still made no more than changing nothing, or doing nothing."
    stretches = "one stretch" if count == 1 else f"{count} stretches"
    few = "which is little" if count == 1 else "which are few"
    return f"The winners held up on {stretches} of days they had not seen, {few}; judge them on more."


def _winner_line(last: FoldResult) -> str:
    """What to write on a command line for it."""
    if last.all_equal:
        return "no winner: all came to the same"
    flags = " ".join(f"--set {name}={value}" for name, value in last.winner.combination.items())
    others = f" (and {len(last.tied_with_winner)} as good)" if last.tied_with_winner else ""
    return f"the winner{others}: {flags or 'the settings as they were'}"


def _invalid_lines(verdict: SweepResult) -> Iterator[str]:
    """By reason, the first of them by name."""
    for why, each in groupby(sorted(verdict.invalid, key=lambda each: each.reason), key=lambda each: each.reason):
        named = [_combination_text(left_out.combination) for left_out in each]
        yield f"  left out, for the settings contradict each other: {counted(len(named), 'combination')}. {why}"
        yield from (f"    {name}" for name in named[:_LEFT_OUT_SHOWN])
        if len(named) > _LEFT_OUT_SHOWN:
            yield f"    and {len(named) - _LEFT_OUT_SHOWN} more, which are in the JSON"


def _heading(folds: Folds, last: FoldResult) -> str:
    if not folds.count:
        return "all that was tried, chosen on all days and judged on none; equal results share a rank"
    began, chosen_until = folds.from_ms, folds.part_bounds(last.number + 1)[0]
    judged_until = folds.part_bounds(last.number + 1)[1]
    days = f"chosen on {_days(began, chosen_until)}, judged on {_days(chosen_until, judged_until)}"
    return f"{days}; equal results share a rank (=); exits and drawdown are of the days judged on"


def _table(fold: FoldResult, asset: str, shown: int) -> Table:
    before, after = _tied_ranks([row.in_rank for row in fold.rows]), _tied_ranks([row.out_rank for row in fold.rows])
    rows = [_row_cells(fold, row, before, after) for row in fold.rows[:shown]]
    if fold.unchanged not in fold.rows[:shown]:
        rows.append(_row_cells(fold, fold.unchanged, before, after))
    held = (percent(fold.hold_in_frac), _percent_or_nothing(fold.hold_out_frac))
    rows.append((NO_VALUE, *held, NO_VALUE, NO_VALUE, NO_VALUE, NO_VALUE, f"holding {asset}"))
    headings = ("rank", "chosen on", "judged on", "rank there", f"vs {asset}", "exits", "drawdown", "settings")
    return Table(headings, tuple(rows), frozenset(headings) - {"settings"})


def _tied_ranks(ranks: Sequence[int | None]) -> frozenset[int | None]:
    """Ranks that more than one has."""
    return frozenset(rank for rank, count in Counter(ranks).items() if count > 1)


def _row_cells(
    fold: FoldResult, row: RankedTrial, before: frozenset[int | None], after: frozenset[int | None]
) -> tuple[str, ...]:
    chosen, judged = row.in_sample_frac, row.out_of_sample_frac
    if judged is None or fold.hold_out_frac is None:
        against = chosen - fold.hold_in_frac
    else:
        against = judged - fold.hold_out_frac
    return (
        _rank(row.in_rank, before),
        percent(chosen),
        _percent_or_nothing(judged),
        _rank(row.out_rank, after),
        percent(against),
        str(row.exits),
        percent(-row.drawdown_frac),
        _combination_text(row.combination) + (" (halted)" if row.halted else ""),
    )


def _rank(rank: int | None, tied: frozenset[int | None]) -> str:
    """ "2", or "2=" where others have it too."""
    return NO_VALUE if rank is None else f"{rank}{'=' if rank in tied else ''}"


def _folds_table(verdict: SweepResult, folds: Folds, asset: str) -> Table:
    headings = ("judged on", "before", "there", "rank there", "unchanged", f"holding {asset}", "winner")
    rows = [
        (
            _days_text(*folds.part_bounds(fold.number + 1)),
            percent(fold.winner.in_sample_frac),
            _percent_or_nothing(fold.winner.out_of_sample_frac),
            f"{_rank(fold.winner.out_rank, _tied([row.out_rank for row in fold.rows]))} of {verdict.tried}",
            _percent_or_nothing(fold.unchanged.out_of_sample_frac),
            _percent_or_nothing(fold.hold_out_frac),
            _combination_text(fold.winner.combination),
        )
        for fold in verdict.folds
    ]
    return Table(headings, tuple(rows), frozenset(headings) - {"judged on", "winner"})


def _row_data(row: RankedTrial) -> dict[str, object]:
    return {
        "settings": dict(row.combination),
        "in_sample_frac": row.in_sample_frac,
        "in_sample_rank": row.in_rank,
        "out_of_sample_frac": row.out_of_sample_frac,
        "out_of_sample_rank": row.out_rank,
        "exits": row.exits,
        "max_drawdown_frac": row.drawdown_frac,
        "halted": row.halted,
    }


def _fold_data(fold: FoldResult, folds: Folds) -> dict[str, object]:
    judged = folds.part_bounds(fold.number + 1)
    return {
        "chosen_from": iso_time(folds.from_ms),
        "judged_from": iso_time(judged[0]),
        "judged_to": iso_time(judged[1]),
        "winner": _row_data(fold.winner),
        "unchanged": _row_data(fold.unchanged),
        "hold_base_frac": {"in_sample": fold.hold_in_frac, "out_of_sample": fold.hold_out_frac},
        "median_out_of_sample_frac": fold.median_out_frac,
        "rank_agreement": fold.rank_agreement,
    }


def _combination_text(combination: Combination) -> str:
    return " ".join(f"{name}={value}" for name, value in combination.items()) or "as they were"


def _days_text(from_ms: int, to_ms: int) -> str:
    """From the first moment to the last, by day where they are midnights."""
    begins, ends = timestamp(from_ms), timestamp(to_ms)
    return f"{begins.removesuffix(' 00:00:00')} to {ends.removesuffix(' 00:00:00')}"


def _percent_or_nothing(fraction: float | None) -> str:
    return NO_VALUE if fraction is None else percent(fraction)


def _ordinal(rank: int | None) -> str:
    number = rank or 0
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _fold_count(verdict: SweepResult) -> str:
    return "the one fold" if len(verdict.folds) == 1 else f"{len(verdict.folds)} folds"
