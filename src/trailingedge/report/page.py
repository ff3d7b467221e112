"""HTML report: one self-contained page with the result and its reasons, charts, tables and settings.

The page loads nothing from the network and no other file. Its content security policy allows only its own script and
style, by their hashes. Text, tables and bars are plain HTML and can be read without scripts. The script `page.js` draws
the charts from the numbers that `page_data` has put into the page. It also lets the user sort and filter the tables.
All figures are computed here in Python, none in the script.
"""

from collections.abc import Sequence
from html import escape
from typing import Final

from trailingedge.accounting.performance import Performance, measure
from trailingedge.notifications import event_messages, metric_texts, result_messages
from trailingedge.report import page_tables
from trailingedge.report.model import RunReport
from trailingedge.report.page_assets import chart_script, hash_source, resource, stylesheet
from trailingedge.report.page_data import chart_data
from trailingedge.report.robustness import robustness_texts
from trailingedge.report.tables import (
    date_text,
    days_table,
    exits_table,
    months_table,
    reasons_table,
    shown_gaps,
    timestamp,
    transfers_table,
)
from trailingedge.report.trip_tables import result_bins

# Settings that decide when it sells and buys back, in the order in which they take part.
DECIDING: Final = (
    "FEE",
    "KLINE_INTERVAL",
    "DONCHIAN_WINDOW",
    "DONCHIAN_GAIN_MULTIPLIER",
    "MIN_GAIN_TRIGGER_FRAC_BASE",
    "MIN_GAIN_TRIGGER_FRAC_QUOTE",
    "GAIN_SCALE_FRAC_BASE",
    "GAIN_SCALE_FRAC_QUOTE",
    "START_FACTOR",
    "MIN_FACTOR",
    "HARD_STOP_THRESHOLD_FRAC",
    "HARD_STOP_CONFIRM_SEC",
    "HARD_STOP_MAX_FRAC",
    "BREAKOUT_ENTRY",
    "BREAKOUT_EXIT",
    "TRIGGER_ON",
)


def page(report: RunReport) -> str:
    """The complete HTML text."""
    found = measure(report.results)
    style, script = stylesheet(), f"{chart_script()}\n{resource('page.js')}"
    parts = {
        "policy": f"default-src 'none'; style-src {_line(style)}; script-src {_line(script)}",
        "title": escape(f"{report.symbol}, {_dates(report)}"),
        "heading": escape(report.symbol),
        "dates": escape(f"{timestamp(report.from_ms)} to {timestamp(report.to_ms)} UTC{_mode_note(report)}"),
        "verdict": escape(_verdict(report, found)),
        "result": page_tables.coloured(event_messages.percent(found.result_frac)),
        "result_band": _result_band(report),
        "base": escape(report.base_asset),
        "quote": escape(report.quote_asset),
        "comparison": page_tables.comparison(report, found),
        "why": page_tables.why(report, found),
        "why_note": escape(_why_note(report, found)),
        "deciding": _settings(report, _deciding(report)),
        "metrics": page_tables.metric_tiles(metric_texts.metrics(report.rules, report.results)),
        "gaps": _robustness(report) + _gaps(shown_gaps(report.gaps)),
        "drawdown": escape(_longest_drawdown(report)),
        **_sections(report),
        "style": style,
        "script": script,
        "data": chart_data(report),
    }
    parts |= {f"word_{word}": escape(_sentence(meaning)) for word, meaning in event_messages.GLOSSARY.items()}
    text = resource("page.html")
    # One pass over the template, so that inserted text is never searched for {{names}} itself.
    pieces = text.split("{{")
    return pieces[0] + "".join(parts[name] + rest for name, _, rest in (piece.partition("}}") for piece in pieces[1:]))


def _sections(report: RunReport) -> dict[str, str]:
    """Return the HTML of the tables below the charts."""
    trips, exits = report.results.round_trips, exits_table(report)
    moved = f"<h2>Transfers</h2>{_scroll('transfers', page_tables.table_html(transfers_table(report)))}"
    return {
        "won": escape(_sentence(metric_texts.WON_MEANING)),
        "trips": page_tables.trips(report) if trips else "<p>No round trips.</p>",
        "distribution": page_tables.distribution(result_bins(report)) if trips else "<p>No round trips.</p>",
        "reasons": _scroll("reasons", page_tables.table_html(reasons_table(report))),
        "months": _scroll("months", page_tables.table_html(months_table(report))),
        "days": _scroll("days", page_tables.table_html(days_table(report))),
        "transfers": f"<section>{moved}</section>" if report.results.transfers else "",
        "exits_count": str(len(exits.rows)),
        "exits": _scroll("exits", page_tables.table_html(exits, page_tables.go_button("exit")))
        if report.exits
        else "<p>No exits.</p>",
        "settings": _settings(report, tuple(report.settings)),
    }


def _line(text: str) -> str:
    # A browser hashes what stands between the tags, and the template puts a line break on both sides.
    return hash_source(f"\n{text}\n")


def _scroll(name: str, table: str) -> str:
    return f'<div class="scroll" id="{name}">{table}</div>'


def _dates(report: RunReport) -> str:
    first, last = date_text(report.from_ms), date_text(report.to_ms)
    return first if first == last else f"{first} to {last}"


def _mode_note(report: RunReport) -> str:
    """Return a note that the run was a simulation or a backtest; "" for every other run."""
    match report.mode:
        case "sim":
            return " · simulated market time, no real money"
        case "backtest" | "replay":  # the former name, in saved reports
            return " · a backtest: no money was at stake, and no order was sent"
        case _:
            return ""


def _verdict(report: RunReport, found: Performance) -> str:
    rules, results = report.rules, report.results
    first, last = (event_messages.notional(rules, mark.value) for mark in (results.first, results.last))
    moved = (
        f" {result_messages.transfers_text(rules, results.transfers)} are not part of the result."
        if results.transfers
        else ""
    )
    reasons = ""
    if results.round_trips:
        reasons = (
            f" By reason: {result_messages.why(rules, found)}; these sums include "
            f"{result_messages.costs(rules, found)}."
        )
    return (
        f"The account went from {first} to {last}, that is {event_messages.percent(found.result_frac)}.{moved}{reasons}"
    )


def _why_note(report: RunReport, found: Performance) -> str:
    """Return a note on the gain of the buy-backs, and on commissions that no result includes."""
    results = report.results
    notes = result_messages.buy_backs(report.rules, found)
    notes += event_messages.unpriced_fees(report.rules, results.whole.fees, results.unpriced)
    return " ".join(f"{_sentence(note)}." for note in notes)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _longest_drawdown(report: RunReport) -> str:
    longest = report.results.drawdown
    if not longest.longest_ms:
        return ""
    lasted = event_messages.duration(longest.longest_ms / 1000)
    since, until = longest.longest_from_ms, longest.longest_from_ms + longest.longest_ms
    return f"The longest, shaded: {lasted}, from {timestamp(since)} to {timestamp(until)} UTC."


def _result_band(report: RunReport) -> str:
    """Return the note with the band of the result over all paths; "" if there is only one path."""
    if report.robustness is None or len(report.robustness.figures) < 2:
        return ""
    band = report.robustness.band("result_frac")
    median, low, high = (event_messages.percent(each) for each in (band.median, band.p5, band.p95))
    paths = len(report.robustness.figures)
    return f'<p class="note">this is path {report.robustness.listed} of {paths}: median {median}, {low} to {high}</p>'


def _robustness(report: RunReport) -> str:
    if report.robustness is None:
        return ""
    listed = "".join(f"<li>{escape(line.strip())}</li>" for line in robustness_texts(report.robustness))
    return f'<section class="gaps"><h2>How sure this is</h2><ul>{listed}</ul></section>'


def _gaps(gaps: Sequence[str]) -> str:
    if not gaps:
        return ""
    listed = "".join(f"<li>{escape(gap)}</li>" for gap in gaps)
    return f'<section class="gaps"><h2>What is missing</h2><ul>{listed}</ul></section>'


def _deciding(report: RunReport) -> tuple[str, ...]:
    return tuple(name for name in DECIDING if report.settings.get(name) != "false")


def _settings(report: RunReport, names: Sequence[str]) -> str:
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(report.settings[name])}</td></tr>"
        for name in names
        if report.settings.get(name)
    )
    return f"<table>{rows}</table>"
