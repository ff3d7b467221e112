"""Heat map of a sweep: a page with the objective for each pair of values of the first two varied settings.

It is a plain HTML table: each cell has the mean over all combinations with its two values, as a number and as a colour.
The page has no script and loads nothing. Its content security policy allows only its own style, by its hash.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from statistics import fmean
from typing import Final

from trailingedge.notifications.event_messages import counted
from trailingedge.report.page_assets import hash_source, resource
from trailingedge.report.tables import NO_VALUE
from trailingedge.sweep.influence import rated_trials, value_groups
from trailingedge.sweep.objective import Objective
from trailingedge.sweep.ranking import RankedTrial, SweepResult

_SHADES: Final = 7  # from the worst to the best
_WORST: Final = (201, 58, 48)  # red, and blue: every eye can tell them apart
_BEST: Final = (31, 111, 235)
_LEAST_ALPHA: Final = 0.06
_STRONGEST_ALPHA: Final = 0.6

_LEGEND: Final = (
    "each cell: the mean of all combinations with these two values, and their number if more than one; "
    "blue is better, red is worse, within each table"
)


def heatmap_page(result: SweepResult, axes: tuple[str, str], title: str, method: str, days: str) -> str:
    """Return the complete HTML text. `axes` are the settings of the rows and of the columns.

    `method` says how trials were run and ranked, `days` on which days winners are chosen and tested.
    """
    style = f"{resource('page.css')}\n{_style()}"
    fold, objective = result.last, result.judgement.objective
    rows = rated_trials(fold)
    tested = [row for row in rows if row.out_score is not None]
    parts = [_table(rows, axes, {row.number: row.in_sample.score for row in rows}, objective, "Days chosen on")]
    if tested:
        scores = {row.number: row.out_score for row in tested}
        finite = {number: score for number, score in scores.items() if score is not None and abs(score) < float("inf")}
        parts.append(_table(rows, axes, finite, objective, "Days tested on"))
    policy = f"default-src 'none'; style-src {hash_source(_inside(style))}"
    notes = [
        f"{counted(result.tried, 'combination')}; {method}",
        days,
        _LEGEND,
    ]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            f"<title>{escape(title)} · Trailing Edge</title>",
            f"<style>{_inside(style)}</style>",
            "</head>",
            "<body>",
            "<header>",
            '<p class="eyebrow">Trailing Edge · sweep</p>',
            f"<h1>{escape(title)}</h1>",
            *(f'<p class="note">{escape(note)}</p>' for note in notes),
            "</header>",
            "<main>",
            *parts,
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _inside(style: str) -> str:
    return f"\n{style}\n"


def _style() -> str:
    """Return the style sheet. Each shade is a class, because the page's policy allows no style attributes."""
    lines = [
        ".heat { overflow-x: auto; } .heat table { border-collapse: separate; border-spacing: 2px; width: auto; }",
        ".heat th, .heat td { padding: .35rem .6rem; text-align: right; white-space: nowrap; }",
    ]
    middle = _SHADES // 2
    for shade in range(_SHADES):
        colour = ", ".join(map(str, _WORST if shade < middle else _BEST))
        alpha = _LEAST_ALPHA + (_STRONGEST_ALPHA - _LEAST_ALPHA) * abs(shade - middle) / middle
        lines.append(f".shade-{shade} {{ background: rgba({colour}, {alpha:.2f}); }}")
    return "\n".join(lines)


def _table(
    trials: Sequence[RankedTrial],
    axes: tuple[str, str],
    scores: Mapping[int, float],
    objective: Objective,
    heading: str,
) -> str:
    down, across = (value_groups([row.point[name] for row in trials]) for name in axes)
    cells: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for row in trials:
        if row.number in scores:
            cells[down[row.point[axes[0]]], across[row.point[axes[1]]]].append(scores[row.number])
    means = {place: fmean(found) for place, found in cells.items()}
    low, high = min(means.values(), default=0.0), max(means.values(), default=0.0)
    if objective.text(low) == objective.text(high):
        high = low  # all cells read the same: a difference that nobody sees has no colour
    columns = list(dict.fromkeys(across.values()))
    lines = [
        f'<section class="heat"><h2>{escape(heading)} <span class="unit">{escape(objective.words)}</span></h2>',
        f'<p class="note">rows {escape(axes[0])}, columns {escape(axes[1])}</p>',
        "<table><tr><td></td>",
        *(f'<th scope="col">{escape(column)}</th>' for column in columns),
        "</tr>",
    ]
    for label in dict.fromkeys(down.values()):
        lines.append(f'<tr><th scope="row">{escape(label)}</th>')
        for column in columns:
            found = cells.get((label, column))
            if found is None:
                lines.append(f"<td>{NO_VALUE}</td>")
                continue
            mean = means[label, column]
            shade = round((mean - low) / (high - low) * (_SHADES - 1)) if high > low else _SHADES // 2
            several = f' <span class="unit">({len(found)})</span>' if len(found) > 1 else ""
            lines.append(f'<td class="shade-{shade}">{escape(objective.text(mean))}{several}</td>')
        lines.append("</tr>")
    return "\n".join([*lines, "</table></section>"])
