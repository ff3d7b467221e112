"""HTML of the report page's tables, bars and metrics. All text is escaped here."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from html import escape
from typing import Final

from trailingedge.accounting.performance import Performance
from trailingedge.model.market import ZERO
from trailingedge.notifications.event_messages import EXIT_NAMES, percent
from trailingedge.notifications.metric_texts import Metric, change
from trailingedge.notifications.result_messages import is_nothing, signed
from trailingedge.report.model import RunReport
from trailingedge.report.tables import Table
from trailingedge.report.trip_tables import ResultBin, trips_table

_SIGNED: Final = ("result", "mean", "holding", "half of each")  # headings of columns that are coloured by their sign


def table_html(table: Table, first_cell: Callable[[int, str], str] | None = None) -> str:
    """Return an HTML table. On a narrow screen each row becomes a card, so each cell carries its heading.

    `first_cell` makes the HTML of a row's first cell from the row's number and the cell's text.
    """
    kinds = [' class="number"' if heading in table.numeric else "" for heading in table.headings]
    labels = [f' data-label="{escape(heading)}"' for heading in table.headings]
    rows = []
    for number, row in enumerate(table.rows):
        if len(row) == 1:
            rows.append(f'<tr class="whole"><td colspan="{len(kinds)}">{escape(row[0])}</td></tr>')
            continue
        keys = [f' data-key="{key!r}"' for key in table.sort_keys[number]] if table.sort_keys else [""] * len(row)
        shown = [_cell(heading, cell) for heading, cell in zip(table.headings, row, strict=True)]
        if first_cell is not None:
            shown[0] = first_cell(number, row[0])
        cells = zip(kinds, labels, keys, shown, strict=True)
        rows.append(f"<tr>{''.join(f'<td{kind}{label}{key}>{cell}</td>' for kind, label, key, cell in cells)}</tr>")
    heads = [escape(heading) for heading in table.headings]
    if table.sort_keys:
        heads = [f'<button type="button" data-sort="{column}">{head}</button>' for column, head in enumerate(heads)]
    head = "".join(f"<th{kind}>{text}</th>" for kind, text in zip(kinds, heads, strict=True))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def go_button(kind: str) -> Callable[[int, str], str]:
    """Return a function that makes the first cell of a row a button. The button shows the row's time in the charts."""
    return lambda number, text: f'<button type="button" class="go" data-{kind}="{number}">{escape(text)}</button>'


def coloured(text: str) -> str:
    """A number as HTML, coloured by its sign."""
    if not text.startswith(("+", "-")) or is_nothing(text):
        return escape(text)
    return f'<span class="{"loss" if text.startswith("-") else "gain"}">{escape(text)}</span>'


def _cell(heading: str, cell: str) -> str:
    signed_column = heading.startswith(_SIGNED) or heading.partition("s, ")[0] in EXIT_NAMES.values()
    return coloured(cell) if signed_column else escape(cell)


def bar(low: float, high: float, value: float, *, loss: bool) -> str:
    """Return a bar from zero to `value` on a scale from `low` to `high`, which contains zero."""
    width = high - low or 1.0
    zero, end = (-low / width * 100, (value - low) / width * 100)
    left, long = min(zero, end), abs(end - zero)
    kind = "loss" if loss else "gain"
    return (
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="{kind}" x="{left:.2f}" y="1" width="{long:.2f}" height="8"></rect>'
        f'<rect class="zero" x="{min(zero, 99.5):.2f}" y="0" width=".5" height="10"></rect></svg>'
    )


def comparison(report: RunReport, found: Performance) -> str:
    """Return the table that compares the result of the run with the results of holding, on one scale."""
    rows = (
        ("this run", found.result_frac),
        (f"holding {report.base_asset}", found.hold_base_frac),
        ("half of each", found.hold_half_frac),
        (f"holding {report.quote_asset}", found.hold_quote_frac),
    )
    values = [0.0, *(value for _, value in rows)]
    low, high = min(values), max(values)
    listed = "".join(
        f'<tr><th>{escape(name)}</th><td class="number">{coloured(percent(value))}</td>'
        f"<td>{bar(low, high, value, loss=value < 0)}</td></tr>"
        for name, value in rows
    )
    return f'<table class="bars"><tbody>{listed}</tbody></table>'


def why(report: RunReport, found: Performance) -> str:
    """Return the table of the result of each kind of exit in quote; the rows add up to the whole result."""
    reasons = [(f"{EXIT_NAMES[kind]}s", each) for kind, each in found.by_reason.items() if each.trips]
    left = found.open_result
    values = [ZERO, left, *(reason.result for _, reason in reasons)]
    low, high = float(min(values)), float(max(values))

    def row(name: str, count: int | str, won: int | str, mean: str, amount: Decimal) -> str:
        return (
            f"<tr><th>{escape(name)}</th>{_numbers(str(count), str(won), mean, signed(report.rules, amount))}"
            f"<td>{bar(low, high, float(amount), loss=amount < 0)}</td></tr>"
        )

    rows = [row(name, len(each.trips), each.won, change(each.mean_frac), each.result) for name, each in reasons]
    if not is_nothing(signed(report.rules, left)):
        rows.append(row("not sold yet", "", "", "", left))
    total = _numbers(
        str(found.round_trips), str(found.won), change(found.expectancy_frac), signed(report.rules, found.result)
    )
    heads = "".join(f'<th class="number">{head}</th>' for head in ("round trips", "won", "mean"))
    return (
        f'<table class="why"><thead><tr><th>ended by</th>{heads}<th class="number">{escape(report.quote_asset)}</th>'
        f'<th></th></tr></thead><tbody>{"".join(rows)}<tr class="sum"><th>result</th>{total}<td></td></tr>'
        f"{_within(report, 'fees', found.fees)}{_within(report, 'slippage', found.slippage)}</tbody></table>"
    )


def _numbers(*texts: str) -> str:
    return "".join(f'<td class="number">{coloured(text)}</td>' for text in texts)


def _within(report: RunReport, name: str, cost: Decimal) -> str:
    """Return the table row of a cost that the rows above already include."""
    return (
        f'<tr class="within"><th colspan="4">{name}, in the sums above</th>'
        f'<td class="number">{escape(signed(report.rules, -cost))}</td><td></td></tr>'
    )


def distribution(bins: Iterable[ResultBin]) -> str:
    """Return a histogram of the round trips' results, lowest first."""
    found = list(bins)
    most = max(each.count for each in found)
    decimals = 1 if round((found[0].high - found[0].low) * 1000) % 10 else 0

    def edge(fraction: float) -> str:
        text = f"{abs(fraction) * 100:.{decimals}f}"
        return text if is_nothing(text) else f"{'-' if fraction < 0 else '+'}{text}"

    listed = "".join(
        f'<tr><th class="number">{edge(each.low)} to {edge(each.high)} %</th>'
        f'<td class="number">{each.count}</td><td>{bar(0.0, most, each.count, loss=each.high <= 1e-12)}</td></tr>'
        for each in found
    )
    return (
        '<table class="bars"><thead><tr><th class="number">result</th><th class="number">round trips</th><th></th></tr>'
        f"</thead><tbody>{listed}</tbody></table>"
    )


def metric_tiles(told: Mapping[str, Metric]) -> str:
    """Return each metric as an element that shows its meaning by click, tap or key, without a script."""
    return "".join(
        f'<details class="metric"><summary><span>{escape(each.name)}</span><b>{coloured(each.value)}</b></summary>'
        f"<p>{escape(each.meaning[0].upper() + each.meaning[1:])}.</p></details>"
        for each in told.values()
    )


def trips(report: RunReport) -> str:
    """Return the table of round trips, below buttons that filter it: one button for each reason."""
    found = report.results.round_trips
    kinds = [kind for kind in EXIT_NAMES if any(trip.kind is kind for trip in found)]
    buttons = "".join(
        f'<button type="button" data-reason="{escape(EXIT_NAMES[kind])}" aria-pressed="false">'
        f"{escape(EXIT_NAMES[kind])} {sum(trip.kind is kind for trip in found)}</button>"
        for kind in kinds
    )
    table = trips_table(report)
    options = "".join(f'<option value="{number}">{escape(name)}</option>' for number, name in enumerate(table.headings))
    return (
        '<div class="filter" id="trip-filter" hidden><div role="group" aria-label="Round trips shown">'
        f'<button type="button" data-reason="" aria-pressed="true">all {len(found)}</button>{buttons}</div>'
        f'<label>sort by <select id="trip-sort">{options}</select></label></div>'
        f'<div class="scroll tall" id="trips">{table_html(table, go_button("trip"))}</div>'
    )
