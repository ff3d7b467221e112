"""Results codec: converts the results of a run to JSON values and back, for the file of a saved run.

Amounts are strings. Reading raises LookupError, TypeError or ValueError for a value of another form, because the file
may come from anybody.
"""

from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any

from trailingedge.accounting.metrics import Drawdown
from trailingedge.accounting.results import EquityPoint, FinishedExit, RunResults, Transfer
from trailingedge.accounting.round_trips import RoundTrip
from trailingedge.core import number_text
from trailingedge.core.number_text import id_number, shown, time_ms
from trailingedge.core.printable import LONGEST_MESSAGE, printable
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import Side, format_plain
from trailingedge.model.market_names import is_market_name


def encode_results(results: RunResults) -> dict[str, object]:
    """Return the results as JSON values."""
    return {
        "base_asset": results.base_asset,
        "quote_asset": results.quote_asset,
        "marks": [_encode_mark(mark) for mark in results.marks],
        "exits": [_encode_exit(finished) for finished in results.exits],
        "round_trips": [_encode_trip(trip) for trip in results.round_trips],
        "transfers": [_encode_transfer(each) for each in results.transfers],
        "max_drawdown_frac": results.drawdown.max_frac,
        "longest_drawdown_ms": results.drawdown.longest_ms,
        "longest_drawdown_from_ms": results.drawdown.longest_from_ms,
        "under_water_ms": results.drawdown.under_water_ms,
        "in_base_ms": results.in_base_ms,
        "traded": format_plain(results.traded),
        "rejected": {str(code): count for code, count in results.rejected.items()},
        "unpriced": list(results.unpriced),
    }


def decode_results(data: Mapping[str, Any]) -> RunResults:
    """Return the results that `encode_results` has written."""
    marks = tuple(map(_decode_mark, data["marks"]))
    exits = tuple(map(_decode_exit, data["exits"]))
    trips = tuple(map(_decode_trip, data["round_trips"]))
    transfers = tuple(map(_decode_transfer, data["transfers"]))
    if len(marks) < 2 or any(after.market_ms < before.market_ms for before, after in pairwise(marks)):
        raise ValueError("marks: fewer than two, or not in order of time")
    return RunResults(
        base_asset=market_name(data["base_asset"]),
        quote_asset=market_name(data["quote_asset"]),
        marks=marks,
        exits=exits,
        round_trips=trips,
        transfers=transfers,
        drawdown=Drawdown(
            number_text.finite(data["max_drawdown_frac"]),
            id_number(data["longest_drawdown_ms"]),
            id_number(data["under_water_ms"]),
            time_ms(data["longest_drawdown_from_ms"]),
        ),
        in_base_ms=id_number(data["in_base_ms"]),
        traded=amount(data["traded"]),
        rejected={number_text.parse_integer(code): id_number(count) for code, count in data["rejected"].items()},
        unpriced=tuple(map(market_name, data["unpriced"])),
    )


def _encode_mark(mark: EquityPoint) -> dict[str, object]:
    return {
        "market_ms": mark.market_ms,
        "bid": format_plain(mark.bid),
        "value": format_plain(mark.value),
        "growth": mark.growth,
        "transferred": format_plain(mark.transferred),
        "exits": mark.exits,
        "round_trips": mark.round_trips,
        "transfers": mark.transfers,
        "fills": mark.fills,
        "replaces": mark.replaces,
        "fees": _amounts(mark.fees),
    }


def _decode_mark(data: Mapping[str, Any]) -> EquityPoint:
    return EquityPoint(
        market_ms=time_ms(data["market_ms"]),
        bid=amount(data["bid"]),
        value=amount(data["value"]),
        growth=number_text.finite(data["growth"]),
        transferred=amount(data["transferred"]),
        exits=id_number(data["exits"]),
        round_trips=id_number(data["round_trips"]),
        transfers=id_number(data["transfers"]),
        fills=id_number(data["fills"]),
        replaces=id_number(data["replaces"]),
        fees=_read_amounts(data["fees"]),
    )


def _encode_exit(finished: FinishedExit) -> dict[str, object]:
    return {
        "kind": finished.kind.value,
        "side": finished.side.value,
        "number": finished.number,
        "cause": finished.cause.value,
        "started_ms": finished.started_ms,
        "ended_ms": finished.ended_ms,
        "base": format_plain(finished.base),
        "quote": format_plain(finished.quote),
        "replaces": finished.replaces,
        "fees": _amounts(finished.fees),
        "mid_price": None if finished.mid_price is None else format_plain(finished.mid_price),
        "anchor_gain_frac": finished.anchor_gain_frac,
        "brought_frac": finished.brought_frac,
    }


def _decode_exit(data: Mapping[str, Any]) -> FinishedExit:
    return FinishedExit(
        kind=ExitKind(data["kind"]),
        side=Side(data["side"]),
        number=id_number(data["number"]),
        cause=ExitEndReason(data["cause"]),
        started_ms=time_ms(data["started_ms"]),
        ended_ms=time_ms(data["ended_ms"]),
        base=amount(data["base"]),
        quote=amount(data["quote"]),
        replaces=id_number(data["replaces"]),
        fees=_read_amounts(data["fees"]),
        mid_price=None if data["mid_price"] is None else amount(data["mid_price"]),
        anchor_gain_frac=fraction(data["anchor_gain_frac"]),
        brought_frac=fraction(data["brought_frac"]),
    )


def _encode_trip(trip: RoundTrip) -> dict[str, object]:
    return {
        "buys": list(trip.buys),
        "sales": list(trip.sales),
        "kind": trip.kind.value,
        "opened_ms": trip.opened_ms,
        "closed_ms": trip.closed_ms,
        "base": format_plain(trip.base),
        "cost": format_plain(trip.cost),
        "proceeds": format_plain(trip.proceeds),
        "fees": format_plain(trip.fees),
    }


def _decode_trip(data: Mapping[str, Any]) -> RoundTrip:
    trip = RoundTrip(
        buys=tuple(map(id_number, data["buys"])),
        sales=tuple(map(id_number, data["sales"])),
        kind=ExitKind(data["kind"]),
        opened_ms=time_ms(data["opened_ms"]),
        closed_ms=time_ms(data["closed_ms"]),
        base=amount(data["base"]),
        cost=amount(data["cost"]),
        proceeds=amount(data["proceeds"]),
        fees=amount(data["fees"]),
    )
    if not trip.sales or trip.cost <= 0:
        raise ValueError("a round trip without a sale or a cost")
    return trip


def _encode_transfer(transfer: Transfer) -> dict[str, object]:
    return {
        "time_ms": transfer.time_ms,
        "kind": transfer.kind,
        "amounts": _amounts(transfer.amounts),
        "value": None if transfer.value is None else format_plain(transfer.value),
    }


def _decode_transfer(data: Mapping[str, Any]) -> Transfer:
    return Transfer(
        time_ms=time_ms(data["time_ms"]),
        kind=text(data["kind"]),
        amounts=_read_amounts(data["amounts"]),
        value=None if data["value"] is None else amount(data["value"]),
    )


def _amounts(amounts: Mapping[str, Decimal]) -> dict[str, str]:
    return {asset: format_plain(value) for asset, value in amounts.items()}


def _read_amounts(data: Mapping[str, Any]) -> dict[str, Decimal]:
    return {market_name(asset): amount(value) for asset, value in data.items()}


def amount(value: object) -> Decimal:
    """Return the amount in a string. A number is refused: read as a float, it could differ from the saved amount."""
    return number_text.parse_calculated(text(value))


def fraction(value: object) -> float | None:
    """Return a finite number, or None."""
    return None if value is None else number_text.finite(value)


def flag(value: object) -> bool:
    """Return a boolean; anything else is refused."""
    if not isinstance(value, bool):
        raise TypeError(f"neither true nor false: {shown(value)}")
    return value


def text(value: object) -> str:
    """Return a text from the file, with unprintable characters escaped."""
    if not isinstance(value, str):
        raise TypeError(f"not a text: {shown(value)}")
    return printable(value, LONGEST_MESSAGE)


def market_name(value: object) -> str:
    """Return the name of a symbol or an asset.

    Other text is refused: in the CSV ledger it might be a formula.
    """
    name = text(value)
    if not is_market_name(name):
        raise ValueError(f"not a name of a symbol or an asset: {name!r}")
    return name
