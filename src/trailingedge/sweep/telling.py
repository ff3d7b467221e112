"""A sweep's verdict in words and for machines, from the same numbers."""

from collections.abc import Iterator, Sequence
from typing import Final

from trailingedge.notifications.texts import percent
from trailingedge.report.tables import NOTHING, Table, moment
from trailingedge.report.terminal import columns
from trailingedge.results import iso
from trailingedge.simulator.recorded import RecordedMarket
from trailingedge.sweep.folds import Folds
from trailingedge.sweep.space import Combination
from trailingedge.sweep.verdict import Fold, Row, Verdict

VERSION: Final = 1
SHOWN: Final = 15  # rows of the table
_AGREES: Final = 0.3  # ranks before and after; below that the past said next to nothing


def text(verdict: Verdict, folds: Folds, market: RecordedMarket, gaps: Sequence[str], shown: int = SHOWN) -> str:
    """The whole of it, in lines."""
    last, asset = verdict.last, market.base_asset
    span = f"from {moment(folds.from_ms)} to {moment(folds.to_ms)} UTC"
    lines = [
        f"sweep {market.symbol}: {verdict.tried} combinations {span}",
        *(f"  missing: {gap}" for gap in gaps),
        "",
        _heading(folds, last),
        *columns(_table(last, asset, shown)),
    ]
    if folds.count:
        lines += [
            "",
            "folds: each winner on the days after those it was chosen on",
            *columns(_folds(verdict, folds, asset)),
        ]
    lines += ["", "what that is worth", *(f"  {sentence}" for sentence in worth(verdict, asset))]
    chosen = last.winner.combination
    flags = " ".join(f"--set {name}={value}" for name, value in chosen.items())
    lines += ["", f"the winner: {flags or 'the settings as they were'}"]
    return "\n".join(lines)


def as_data(verdict: Verdict, folds: Folds, market: RecordedMarket, gaps: Sequence[str]) -> dict[str, object]:
    """The whole of it, ready for JSON."""
    last = verdict.last
    return {
        "version": VERSION,
        "symbol": market.symbol,
        "from": iso(folds.from_ms),
        "to": iso(folds.to_ms),
        "tried": verdict.tried,
        "left_out": verdict.left_out,
        "table": [_row_data(row) for row in last.rows],
        "hold_base_frac": {"in_sample": last.hold_in_frac, "out_of_sample": last.hold_out_frac},
        "folds": [_fold_data(fold, folds) for fold in verdict.folds] if folds.count else [],
        "winner": dict(last.winner.combination),
        "walk_forward": {
            "result_frac": verdict.walked_forward_frac,
            "unchanged_frac": verdict.unchanged_frac,
            "hold_base_frac": verdict.held_frac,
        },
        "overfitting": {
            "rank_agreement": verdict.agreement,
            "folds_no_better_than_median": verdict.below_median if folds.count else None,
            "words": list(worth(verdict, market.base_asset)),
        },
        "gaps": list(gaps),
    }


def worth(verdict: Verdict, asset: str) -> Iterator[str]:
    """How far the winner can be trusted, in sentences."""
    winner, tried = verdict.last.winner, verdict.tried
    left_out = f"; {verdict.left_out} more were left out because they contradict themselves" if verdict.left_out else ""
    yield f"{tried} combinations were tried{left_out}."
    yield "The best of many owes some of it to luck."
    if winner.out_of_sample_frac is None or verdict.walked_forward_frac is None:
        yield "There are fewer than two whole days, so nothing was judged on other days than it was chosen on:"
        yield "whatever stands first here may stand there by chance. Give more days."
        return
    before, after = percent(winner.in_sample_frac), percent(winner.out_of_sample_frac)
    yield f"The winner made {before} on the days it was chosen on, the most of all {tried}; on the days after it made"
    yield f"{after}, which was {_nth(winner.out_rank)} of {tried}."
    walked = percent(verdict.walked_forward_frac)
    yield f"Over {_folds_of(verdict)} the winners made {walked} on days they were not chosen on;"
    yield f"the settings as they were made {_said(verdict.unchanged_frac)}, holding {asset} {_said(verdict.held_frac)}."
    if verdict.agreement is not None:
        said = "something" if verdict.agreement >= _AGREES else "next to nothing"
        yield f"Ranks before and after agree by {verdict.agreement:+.2f} of 1: the past says {said} of the days after."
    yield _last_word(verdict)


def _last_word(verdict: Verdict) -> str:
    below, count = verdict.below_median, len(verdict.folds)
    if below:
        return f"In {below} of {count} folds the winner did no better than half of all that was tried: do not trust it."
    if verdict.agreement is None or verdict.agreement < _AGREES:
        return "The winners came out in the better half, but the best before is not as a rule the best after."
    if (verdict.walked_forward_frac or 0.0) <= max(verdict.unchanged_frac or 0.0, 0.0):
        return "The winners held their places, and still made no more than changing nothing, or doing nothing."
    return f"The winners held up on {count} stretches of days they had not seen, which are few; judge them on more."


def _heading(folds: Folds, last: Fold) -> str:
    if not folds.count:
        return "all that was tried, chosen on all days and judged on none"
    began, chosen_until = folds.from_ms, folds.edges(last.number + 1)[0]
    judged_until = folds.edges(last.number + 1)[1]
    return f"chosen on {_days(began, chosen_until)}, judged on {_days(chosen_until, judged_until)}"


def _table(fold: Fold, asset: str, shown: int) -> Table:
    judged = fold.hold_out_frac is not None
    rows = [_cells(fold, row) for row in fold.rows[:shown]]
    if fold.unchanged not in fold.rows[:shown]:
        rows.append(_cells(fold, fold.unchanged))
    hold_in = percent(fold.hold_in_frac)
    rows.append(("", f"holding {asset}", hold_in, _said(fold.hold_out_frac), NOTHING, NOTHING, NOTHING, NOTHING))
    when = "judged" if judged else "all"
    headings = (
        "rank",
        "settings",
        "in-sample",
        "out-of-sample",
        "rank there",
        f"vs holding {asset}",
        f"exits ({when})",
        f"drawdown ({when})",
    )
    return Table(headings, tuple(rows), frozenset(headings) - {"settings"})


def _cells(fold: Fold, row: Row) -> tuple[str, ...]:
    before, after = row.in_sample_frac, row.out_of_sample_frac
    against = before - fold.hold_in_frac if after is None or fold.hold_out_frac is None else after - fold.hold_out_frac
    return (
        str(row.in_rank),
        _named(row.combination) + (" (halted)" if row.halted else ""),
        percent(before),
        _said(after),
        NOTHING if row.out_rank is None else str(row.out_rank),
        percent(against),
        str(row.exits),
        percent(-row.drawdown_frac),
    )


def _folds(verdict: Verdict, folds: Folds, asset: str) -> Table:
    headings = ("judged on", "winner", "in-sample", "out-of-sample", "rank there", "as they were", f"holding {asset}")
    rows = [
        (
            _days(*folds.edges(fold.number + 1)),
            _named(fold.winner.combination),
            percent(fold.winner.in_sample_frac),
            _said(fold.winner.out_of_sample_frac),
            f"{fold.winner.out_rank} of {verdict.tried}",
            _said(fold.unchanged.out_of_sample_frac),
            _said(fold.hold_out_frac),
        )
        for fold in verdict.folds
    ]
    return Table(headings, tuple(rows), frozenset(headings) - {"judged on", "winner"})


def _row_data(row: Row) -> dict[str, object]:
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


def _fold_data(fold: Fold, folds: Folds) -> dict[str, object]:
    judged = folds.edges(fold.number + 1)
    return {
        "chosen_from": iso(folds.from_ms),
        "judged_from": iso(judged[0]),
        "judged_to": iso(judged[1]),
        "winner": _row_data(fold.winner),
        "unchanged": _row_data(fold.unchanged),
        "hold_base_frac": {"in_sample": fold.hold_in_frac, "out_of_sample": fold.hold_out_frac},
        "median_out_of_sample_frac": fold.median_out_frac,
        "rank_agreement": fold.agreement,
    }


def _named(combination: Combination) -> str:
    return " ".join(f"{name}={value}" for name, value in combination.items()) or "as they were"


def _days(from_ms: int, to_ms: int) -> str:
    """From the first moment to the last, by day where they are midnights."""
    begins, ends = moment(from_ms), moment(to_ms)
    return f"{begins.removesuffix(' 00:00:00')} to {ends.removesuffix(' 00:00:00')}"


def _said(fraction: float | None) -> str:
    return NOTHING if fraction is None else percent(fraction)


def _nth(rank: int | None) -> str:
    number = rank or 0
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _folds_of(verdict: Verdict) -> str:
    return "the one fold" if len(verdict.folds) == 1 else f"{len(verdict.folds)} folds"
