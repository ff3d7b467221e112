"""Chart data of the report page: the columns and times that `page.js` draws, as one JSON text."""

import json
from collections.abc import Iterable, Iterator
from typing import Final

from trailingedge.model.client_order_ids import own_id
from trailingedge.model.market import Regime, Side
from trailingedge.notifications import event_messages
from trailingedge.report.column_codec import encode_column
from trailingedge.report.equity_curves import equity
from trailingedge.report.model import RunReport

_TIME_MS: Final = 100.0  # resolution of drawn times; a pixel is longer than that
_FRACTION: Final = 1e-5  # a thousandth of a percent; two decimals are shown
_REGIME_CODES: Final = {None: 0.0, Regime.BASE: 1.0, Regime.QUOTE: 2.0}
_SIDE_CODES: Final = {Side.BUY: 0.0, Side.SELL: 1.0}

ColumnValues = Iterable[float | None]
Columns = dict[str, dict[str, object]]


def chart_data(report: RunReport) -> str:
    """Return everything that the charts draw, as JSON text that is safe inside a script element."""
    longest = report.results.drawdown
    data = {
        "base": report.base_asset,
        "quote": report.quote_asset,
        "fromMs": report.from_ms,
        "toMs": report.to_ms,
        "priceDecimals": len(event_messages.figure(0, report.tick_size).partition(".")[2]),
        "exits": [[finished.started_ms, finished.ended_ms] for finished in report.exits],
        "trips": [[trip.opened_ms, trip.closed_ms] for trip in report.results.round_trips],
        "longestDrawdown": [longest.longest_from_ms, longest.longest_from_ms + longest.longest_ms],
        "candles": _candles(report),
        "samples": _samples(report),
        "band": _band(report),
        "rests": _rests(report),
        "fills": _fills(report),
    }
    # A script element ends at the first "</script", wherever it stands; JSON reads the escape as the same letter.
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _columns(unit: float, **columns: ColumnValues) -> Columns:
    return {name: encode_column(values, unit) for name, values in columns.items()}


def _candles(report: RunReport) -> Columns:
    candles = report.candles
    return _columns(_TIME_MS, ms=[candle.open_ms for candle in candles]) | _columns(
        float(report.tick_size),
        open=[candle.open for candle in candles],
        top=[candle.high for candle in candles],
        bottom=[candle.low for candle in candles],
        close=[candle.close for candle in candles],
    )


def _samples(report: RunReport) -> Columns:
    samples, curves = report.samples, equity(report)
    prices = ("anchor", "high", "trail", "stop", "upper", "mid", "lower")
    return (
        _columns(_TIME_MS, ms=[each.time_ms for each in samples])
        | _columns(float(report.tick_size), **{name: [getattr(each, name) for each in samples] for name in prices})
        | _columns(
            1.0,
            held=[_REGIME_CODES[each.regime] for each in samples],
            gate=[float(each.gate_shut) for each in samples],
        )
        | _columns(
            _FRACTION,
            account=curves.account,
            holdBase=curves.hold_base,
            holdHalf=curves.hold_half,
            drawdown=curves.drawdown,
        )
    )


def _band(report: RunReport) -> Columns | None:
    band = report.band
    if band is None:
        return None
    return _columns(_TIME_MS, ms=band.times_ms) | _columns(_FRACTION, p5=band.p5, median=band.median, p95=band.p95)


def _rests(report: RunReport) -> Columns:
    rests = sorted(_resting_orders(report))
    return _columns(_TIME_MS, **{"from": [each[0] for each in rests], "to": [each[1] for each in rests]}) | {
        "price": encode_column([each[2] for each in rests], float(report.tick_size)),
        "side": encode_column([each[3] for each in rests], 1.0),
    }


def _fills(report: RunReport) -> Columns:
    index = {finished.number: float(place) for place, finished in enumerate(report.exits)}
    fills = sorted(report.fills, key=lambda fill: fill.time_ms)
    return {
        "ms": encode_column([fill.time_ms for fill in fills], _TIME_MS),
        "price": encode_column([float(fill.price) for fill in fills], float(report.tick_size)),
        "side": encode_column([_SIDE_CODES[fill.side] for fill in fills], 1.0),
        "exit": encode_column([index.get(fill.number) for fill in fills], 1.0),
    }


def _resting_orders(report: RunReport) -> Iterator[tuple[int, int, float, float]]:
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
