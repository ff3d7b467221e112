"""HTML report: one self-contained page with headline, charts, tables and settings.

The page loads nothing from the network and no other file. Text and tables are plain HTML and can be read without
scripts; `page.js` draws the charts from the columns that `column_codec` packs into the page.
"""

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import Final

from trailingedge.accounting.performance import measure
from trailingedge.model.client_order_ids import own_id
from trailingedge.model.market import Regime, Side
from trailingedge.notifications import event_messages, result_messages
from trailingedge.report.column_codec import Column, pack_columns
from trailingedge.report.equity_curves import Equity, equity
from trailingedge.report.model import RunReport
from trailingedge.report.tables import (
    Table,
    date_text,
    days_table,
    exits_table,
    shown_gaps,
    timestamp,
    wins_text,
)

_TIME_MS: Final = 100.0  # resolution of drawn times; a pixel is longer than that
_DRAWDOWN: Final = 1e-6
_COLLAPSE_ABOVE_ROWS: Final = 60  # rows; a longer table starts collapsed
_REGIME_CODES: Final = {None: 0.0, Regime.BASE: 1.0, Regime.QUOTE: 2.0}
_SIDE_CODES: Final = {Side.BUY: 0.0, Side.SELL: 1.0}


def page(report: RunReport) -> str:
    """The complete HTML text."""
    exits = exits_table(report)
    parts = {
        "title": escape(f"{report.symbol}, {_dates(report)}"),
        "heading": escape(report.symbol),
        "dates": escape(f"{timestamp(report.from_ms)} to {timestamp(report.to_ms)} UTC{_mode_note(report)}"),
        "verdict": escape(_headline(report)),
        "figures": _figures(report),
        "base": escape(report.base_asset),
        "quote": escape(report.quote_asset),
        "gaps": _gaps(shown_gaps(report.gaps)),
        "won": escape(result_messages.WON_MEANING),
        "exits": _table(exits, exits_of=report) if report.exits else "<p>No exits.</p>",
        "exits_open": "" if len(exits.rows) > _COLLAPSE_ABOVE_ROWS else " open",
        "exits_count": str(len(exits.rows)),
        "days": _table(days_table(report)),
        "settings": _settings(report),
        "style": stylesheet(),
        "script": _resource("page.js"),
        "data": _data(report),
    }
    parts |= {
        f"word_{word}": escape(meaning[0].upper() + meaning[1:]) for word, meaning in event_messages.GLOSSARY.items()
    }
    text = _resource("page.html")
    # One pass over the template, so that inserted text is never searched for {{names}} itself.
    pieces = text.split("{{")
    return pieces[0] + "".join(parts[name] + rest for name, _, rest in (piece.partition("}}") for piece in pieces[1:]))


def stylesheet() -> str:
    """Return the style of the report, which the live page of `watch --web` has, too."""
    return _resource("page.css")


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _dates(report: RunReport) -> str:
    first, last = date_text(report.from_ms), date_text(report.to_ms)
    return first if first == last else f"{first} to {last}"


def _mode_note(report: RunReport) -> str:
    """Return a note that the run was a simulation or a backtest; "" for every other run."""
    match report.mode:
        case "sim":
            return " · simulated market time, no real money"
        case "replay":
            return " · a backtest on recorded markets: no money was at stake, and no order was sent"
        case _:
            return ""


def _headline(report: RunReport) -> str:
    performance, symbol, results = measure(report.results), report.rules, report.results
    first, last = (event_messages.notional(symbol, mark.value) for mark in (results.first, results.last))
    base, half = event_messages.percent(performance.hold_base_frac), event_messages.percent(performance.hold_half_frac)
    moved = f" {result_messages.transfers_text(symbol, results.transfers)} are no result." if results.transfers else ""
    return (
        f"The account went from {first} to {last}, that is {event_messages.percent(performance.result_frac)}.{moved} "
        f"Holding {report.base_asset} instead would have brought {base}, holding {report.quote_asset} "
        f"{event_messages.percent(performance.hold_quote_frac)}, half of each {half}."
    )


def _figures(report: RunReport) -> str:
    performance, whole, rejected = measure(report.results), report.results.whole, report.results.rejected
    rate = performance.win_rate
    share = "" if rate is None else f" ({rate * 100:.0f}\N{NO-BREAK SPACE}%)"
    refused = ", ".join(f"{code}: {count}" for code, count in sorted(rejected.items()))
    lasted = event_messages.duration(performance.max_drawdown_s)
    shown = (
        (f"Result in {report.quote_asset}", event_messages.percent(performance.result_frac), "after fees"),
        (f"Holding {report.base_asset}", event_messages.percent(performance.hold_base_frac), "for comparison"),
        (f"Holding {report.quote_asset}", event_messages.percent(performance.hold_quote_frac), "for comparison"),
        ("Half of each", event_messages.percent(performance.hold_half_frac), "for comparison"),
        ("Deepest drawdown", event_messages.percent(-performance.max_drawdown_frac), f"the longest lasted {lasted}"),
        ("Round trips", str(performance.round_trips), "a buy and the sale that followed it"),
        ("Won", f"{wins_text(performance.won, performance.round_trips)}{share}", result_messages.WON_MEANING),
        ("Profit factor", result_messages.factor(performance), "gains divided by losses"),
        ("Exits", str(len(report.exits)), f"{whole.fills} fills, {whole.replaces} replaces"),
        (
            "Fees",
            event_messages.amounts(report.rules, whole.fees),
            "rounded; exact fees are in the table of exits" if whole.fees else "were paid",
        ),
        ("Rejected orders", refused or "none", "by the exchange, code: count" if refused else "by the exchange"),
    )
    return "".join(
        f"<div><dt>{escape(name)}</dt><dd>{_coloured(value) if number == 0 else escape(value)}</dd>"
        f"<dd>{escape(note)}</dd></div>"
        for number, (name, value, note) in enumerate(shown)
    )


def _gaps(gaps: Sequence[str]) -> str:
    if not gaps:
        return ""
    listed = "".join(f"<li>{escape(gap)}</li>" for gap in gaps)
    return f'<section class="gaps"><h2>What is missing</h2><ul>{listed}</ul></section>'


def _table(table: Table, exits_of: RunReport | None = None) -> str:
    """An HTML table. On a narrow screen each row becomes a card, so each cell carries its heading as an attribute."""
    kinds = [' class="number"' if heading in table.numeric else "" for heading in table.headings]
    head = "".join(f"<th{kind}>{escape(heading)}</th>" for kind, heading in zip(kinds, table.headings, strict=True))
    rows = []
    for index, row in enumerate(table.rows):
        if len(row) == 1:
            rows.append(f'<tr class="whole"><td colspan="{len(kinds)}">{escape(row[0])}</td></tr>')
            continue
        cells = [
            f'<td{kind} data-label="{escape(heading)}">{_cell(heading, cell)}</td>'
            for kind, heading, cell in zip(kinds, table.headings, row, strict=True)
        ]
        if exits_of is not None:
            ended = f'<button type="button" class="go" data-exit="{index}">{escape(row[0])}</button>'
            cells[0] = f'<td data-label="{escape(table.headings[0])}">{ended}</td>'
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _cell(heading: str, cell: str) -> str:
    return _coloured(cell) if heading == "result" else escape(cell)


def _coloured(share: str) -> str:
    """The percentage as HTML, coloured by its sign."""
    if share[:1] not in "+-" or share.startswith("+0.00"):
        return escape(share)
    gained = "loss" if share.startswith("-") else "gain"
    return f'<span class="{gained}">{escape(share)}</span>'


def _settings(report: RunReport) -> str:
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in report.settings.items() if value
    )
    return f"<table>{rows}</table>"


# --- chart data ---


def _data(report: RunReport) -> str:
    curves, tick = equity(report), float(report.tick_size)
    money = 10.0 ** (len(str(int(abs(report.results.first.value)))) - 7)
    header = {
        "base": report.base_asset,
        "quote": report.quote_asset,
        "fromMs": report.from_ms,
        "toMs": report.to_ms,
        "priceDecimals": len(event_messages.figure(0, report.tick_size).partition(".")[2]),
        "holdQuote": float(report.results.first.value),
        "exits": [[finished.started_ms, finished.ended_ms] for finished in report.exits],
    }
    return pack_columns(
        header,
        {**_candles(report, tick), **_lines(report, tick), **_equity(curves, money), **_orders(report, tick)},
    )


def _candles(report: RunReport, tick: float) -> dict[str, Column]:
    candles = report.candles
    return {
        "candleMs": Column([candle.open_ms for candle in candles], _TIME_MS),
        "open": Column([candle.open for candle in candles], tick),
        "top": Column([candle.high for candle in candles], tick),
        "bottom": Column([candle.low for candle in candles], tick),
        "close": Column([candle.close for candle in candles], tick),
    }


def _lines(report: RunReport, tick: float) -> dict[str, Column]:
    moments = report.samples
    return {
        "anchor": Column([each.anchor for each in moments], tick),
        "high": Column([each.high for each in moments], tick),
        "trail": Column([each.trail for each in moments], tick),
        "stop": Column([each.stop for each in moments], tick),
        "upper": Column([each.upper for each in moments], tick),
        "mid": Column([each.mid for each in moments], tick),
        "lower": Column([each.lower for each in moments], tick),
        "held": Column([_REGIME_CODES[each.regime] for each in moments], 1.0),
        "gate": Column([float(each.gate_shut) for each in moments], 1.0),
    }


def _equity(curves: Equity, money: float) -> dict[str, Column]:
    return {
        "momentMs": Column(curves.times_ms, _TIME_MS),
        "account": Column(curves.account, money),
        "holdBase": Column(curves.hold_base, money),
        "drawdown": Column(curves.drawdown, _DRAWDOWN),
    }


def _orders(report: RunReport, tick: float) -> dict[str, Column]:
    index = {finished.number: float(place) for place, finished in enumerate(report.exits)}
    rests = sorted(_resting_orders(report))
    fills = sorted(report.fills, key=lambda fill: fill.time_ms)
    return {
        "restFrom": Column([each[0] for each in rests], _TIME_MS),
        "restTo": Column([each[1] for each in rests], _TIME_MS),
        "restPrice": Column([each[2] for each in rests], tick),
        "restSide": Column([each[3] for each in rests], 1.0),
        "fillMs": Column([fill.time_ms for fill in fills], _TIME_MS),
        "fillPrice": Column([float(fill.price) for fill in fills], tick),
        "fillSide": Column([_SIDE_CODES[fill.side] for fill in fills], 1.0),
        "fillExit": Column([index.get(fill.number) for fill in fills], 1.0),
    }


def _resting_orders(report: RunReport) -> Iterable[tuple[int, int, float, float]]:
    """Yield start, end, price and side of each resting order.

    An order rests until it is replaced or cancelled, or until its exit ends.
    """
    over: dict[int, int] = {}
    for fill in report.fills:
        over[fill.number] = max(over.get(fill.number, 0), fill.time_ms)
    for finished in report.exits:
        over[finished.number] = max(over.get(finished.number, 0), finished.ended_ms)
    events = sorted(report.orders, key=lambda event: event.time_ms)
    resting: dict[int, tuple[int, float, float]] = {}
    for event in events:
        own = own_id(event.client_order_id)
        number = 0 if own is None else own.number
        before = resting.pop(number, None)
        if before is not None:
            yield before[0], event.time_ms, before[1], before[2]
        if event.what != "withdrawn":
            resting[number] = (event.time_ms, float(event.price), _SIDE_CODES[event.side])
    for number, (since_ms, price, side) in resting.items():
        yield since_ms, max(since_ms, over.get(number, report.to_ms)), price, side
