"""A story as one page of HTML that needs nothing else: no network, no other file, no explanation.

Text and tables stand in the page itself and can be read without a script. `page.js` draws the charts, from
columns that are packed into the page.
"""

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import Final

from trailingedge.model.client_order_ids import own_id
from trailingedge.model.market import Regime, Side
from trailingedge.notifications import messages
from trailingedge.report.column_codec import Column, packed
from trailingedge.report.model import RunReport
from trailingedge.report.tables import WON, Table, date, days_table, exits_table, hits, missing, moment
from trailingedge.report.totals import Equity, equity, rules, totals

_TIME_MS: Final = 100.0  # of what is drawn; a page is not that wide
_DRAWDOWN: Final = 1e-6
_LONG: Final = 60  # rows that nobody scrolls through unasked
_HELD: Final = {None: 0.0, Regime.BASE: 1.0, Regime.QUOTE: 2.0}
_SIDES: Final = {Side.BUY: 0.0, Side.SELL: 1.0}


def page(story: RunReport) -> str:
    """The whole page."""
    exits = exits_table(story)
    parts = {
        "title": escape(f"{story.symbol}, {_dates(story)}"),
        "heading": escape(story.symbol),
        "dates": escape(f"{moment(story.from_ms)} to {moment(story.to_ms)} UTC{_whose_time(story)}"),
        "verdict": escape(_verdict(story)),
        "figures": _figures(story),
        "base": escape(story.base_asset),
        "quote": escape(story.quote_asset),
        "gaps": _gaps(missing(story.gaps)),
        "won": escape(WON),
        "exits": _table(exits, exits_of=story) if story.exits else "<p>There were none.</p>",
        "exits_open": "" if len(exits.rows) > _LONG else " open",
        "exits_count": str(len(exits.rows)),
        "days": _table(days_table(story)),
        "settings": _settings(story),
        "style": _resource("page.css"),
        "script": _resource("page.js"),
        "data": _data(story),
    }
    text = _resource("page.html")
    # One pass: what is put in is never searched for places itself.
    pieces = text.split("{{")
    return pieces[0] + "".join(parts[name] + rest for name, _, rest in (piece.partition("}}") for piece in pieces[1:]))


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _dates(story: RunReport) -> str:
    first, last = date(story.from_ms), date(story.to_ms)
    return first if first == last else f"{first} to {last}"


def _whose_time(story: RunReport) -> str:
    """Nobody should look for these hours in a calendar."""
    match story.mode:
        case "sim":
            return " · simulated: no money was at stake, and the time is that of the market it played"
        case "replay":
            return " · a replay of recorded markets: no money was at stake, and no order was sent"
        case _:
            return ""


def _verdict(story: RunReport) -> str:
    told, symbol = totals(story), rules(story)
    first, last = (messages.notional(symbol, value) for value in (story.first_value, story.last_value))
    held = f"Holding {story.base_asset} instead would have brought {messages.percent(told.hold_base_frac)}"
    return (
        f"The account went from {first} to {last}, that is {messages.percent(told.result_frac)}. "
        f"{held}, holding {story.quote_asset} {messages.percent(told.hold_quote_frac)}."
    )


def _figures(story: RunReport) -> str:
    told = totals(story)
    won = told.hits
    share = "" if won.frac is None else f" ({won.frac * 100:.0f}\N{NO-BREAK SPACE}%)"
    refused = ", ".join(f"{code}: {count}" for code, count in sorted(told.rejected.items()))
    shown = (
        (f"Result in {story.quote_asset}", messages.percent(told.result_frac), "after fees"),
        (f"Holding {story.base_asset}", messages.percent(told.hold_base_frac), "for comparison"),
        (f"Holding {story.quote_asset}", messages.percent(told.hold_quote_frac), "for comparison"),
        ("Deepest drawdown", messages.percent(-told.max_drawdown_frac), "below the best so far"),
        ("Exits", str(told.exits), f"{told.fills} fills, {told.replaces} replaces"),
        ("Won", f"{hits(won)}{share}", WON),
        ("Fees", messages.amounts(rules(story), told.fees), "exact ones at each exit" if told.fees else "were paid"),
        ("Refused orders", refused or "none", "by the exchange, code: count" if refused else "by the exchange"),
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
    """On a narrow screen each row becomes a card, whose cells bear their headings themselves."""
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
    """Gain and loss in colour, beside their signs."""
    if share[:1] not in "+-" or share.startswith("+0.00"):
        return escape(share)
    gained = "loss" if share.startswith("-") else "gain"
    return f'<span class="{gained}">{escape(share)}</span>'


def _settings(story: RunReport) -> str:
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in story.settings.items() if value
    )
    return f"<table>{rows}</table>"


# --- what is drawn ---


def _data(story: RunReport) -> str:
    curves, tick = equity(story), float(story.tick_size)
    money = 10.0 ** (len(str(int(abs(story.first_value)))) - 7)
    header = {
        "base": story.base_asset,
        "quote": story.quote_asset,
        "fromMs": story.from_ms,
        "toMs": story.to_ms,
        "priceDecimals": len(messages.figure(0, story.tick_size).partition(".")[2]),
        "holdQuote": float(story.first_value),
        "exits": [[finished.started_ms, finished.ended_ms] for finished in story.exits],
    }
    return packed(
        header,
        {**_candles(story, tick), **_lines(story, tick), **_equity(curves, money), **_orders(story, tick)},
    )


def _candles(story: RunReport, tick: float) -> dict[str, Column]:
    candles = story.candles
    return {
        "candleMs": Column([candle.open_ms for candle in candles], _TIME_MS),
        "open": Column([candle.open for candle in candles], tick),
        "top": Column([candle.high for candle in candles], tick),
        "bottom": Column([candle.low for candle in candles], tick),
        "close": Column([candle.close for candle in candles], tick),
    }


def _lines(story: RunReport, tick: float) -> dict[str, Column]:
    moments = story.moments
    return {
        "anchor": Column([each.anchor for each in moments], tick),
        "high": Column([each.high for each in moments], tick),
        "trail": Column([each.trail for each in moments], tick),
        "stop": Column([each.stop for each in moments], tick),
        "upper": Column([each.upper for each in moments], tick),
        "mid": Column([each.mid for each in moments], tick),
        "lower": Column([each.lower for each in moments], tick),
        "held": Column([_HELD[each.regime] for each in moments], 1.0),
        "gate": Column([float(each.gate_shut) for each in moments], 1.0),
    }


def _equity(curves: Equity, money: float) -> dict[str, Column]:
    return {
        "momentMs": Column(curves.times_ms, _TIME_MS),
        "account": Column(curves.account, money),
        "holdBase": Column(curves.hold_base, money),
        "drawdown": Column(curves.drawdown, _DRAWDOWN),
    }


def _orders(story: RunReport, tick: float) -> dict[str, Column]:
    index = {finished.number: float(place) for place, finished in enumerate(story.exits)}
    rests = sorted(_rests(story))
    fills = sorted(story.fills, key=lambda fill: fill.time_ms)
    return {
        "restFrom": Column([each[0] for each in rests], _TIME_MS),
        "restTo": Column([each[1] for each in rests], _TIME_MS),
        "restPrice": Column([each[2] for each in rests], tick),
        "restSide": Column([each[3] for each in rests], 1.0),
        "fillMs": Column([fill.time_ms for fill in fills], _TIME_MS),
        "fillPrice": Column([float(fill.price) for fill in fills], tick),
        "fillSide": Column([_SIDES[fill.side] for fill in fills], 1.0),
        "fillExit": Column([index.get(fill.number) for fill in fills], 1.0),
    }


def _rests(story: RunReport) -> Iterable[tuple[int, int, float, float]]:
    """Where an order rested, and from when to when: until it moved, was withdrawn, or its exit was over."""
    over: dict[int, int] = {}
    for fill in story.fills:
        over[fill.number] = max(over.get(fill.number, 0), fill.time_ms)
    for finished in story.exits:
        over[finished.number] = max(over.get(finished.number, 0), finished.ended_ms)
    events = sorted(story.orders, key=lambda event: event.time_ms)
    resting: dict[int, tuple[int, float, float]] = {}
    for event in events:
        own = own_id(event.client_order_id)
        number = 0 if own is None else own.number
        before = resting.pop(number, None)
        if before is not None:
            yield before[0], event.time_ms, before[1], before[2]
        if event.what != "withdrawn":
            resting[number] = (event.time_ms, float(event.price), _SIDES[event.side])
    for number, (since_ms, price, side) in resting.items():
        yield since_ms, max(since_ms, over.get(number, story.to_ms)), price, side
