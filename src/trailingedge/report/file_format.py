"""File format of a saved run report: gzipped JSON with a version, amounts as strings.

Candles and samples are stored as columns, because there are many of them. Everything else is stored
as one object each. The names in the file are the field names of `report/model.py`, except that the
samples are stored under `moments`.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from trailingedge.config import OPTIONS
from trailingedge.core import bounded_files, foreign_json, number_text, private_files
from trailingedge.core.errors import ConfigError
from trailingedge.core.foreign_json import UnreadableJson
from trailingedge.core.number_text import id_number, time_ms
from trailingedge.core.printable import printable
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Regime, Side, format_plain
from trailingedge.report.model import Candle, EquityBand, Fill, OrderLogEntry, RunReport, Sample
from trailingedge.report.results_codec import (
    amount,
    decode_results,
    encode_results,
    flag,
    fraction,
    market_name,
    text,
)
from trailingedge.report.robustness import robustness_from_json, robustness_json

FORMAT: Final = "trailing-edge story"
REPORT_VERSION: Final = 2
SUFFIX: Final = ".story.json.gz"
_GZIP: Final = b"\x1f\x8b"
_LONGEST_QUOTED: Final = 200  # characters of a damaged file in an error message
_MOST_BYTES: Final = 512 << 20  # unpacked; a year of minutes has some 100 MB
_MOST_OBJECTS: Final = 10_000_000  # a list or an object takes up to forty times its text in memory

_CANDLE: Final = ("open_ms", "open", "high", "low", "close")
_MOMENT: Final = (
    "time_ms",
    "bid",
    "value",
    "growth",
    "regime",
    "anchor",
    "high",
    "trail",
    "stop",
    "upper",
    "mid",
    "lower",
    "gate_shut",
)
_BAND: Final = ("times_ms", "p5", "median", "p95")


def save(report: RunReport, path: Path) -> None:
    """Write the report atomically. Raises ConfigError if the file cannot be written."""
    written = json.dumps(_encode_report(report), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        private_files.replace(path, gzip.compress(written.encode(), mtime=0))
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}; choose a file that this user may write"]) from error


def load(path: Path) -> RunReport:
    """Read a saved report. Raises ConfigError naming the file, the fault and the remedy."""
    remedy = "write it again with backtest --save"
    try:
        read = bounded_files.read_gzip(path, _MOST_BYTES)
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            raise ConfigError([f"{path}: {_gzip_problem(path)}; {remedy}"]) from error
        raise ConfigError(
            [f"{path}: {error.strerror}; name a recorded session, or a file written by backtest --save"]
        ) from error
    except bounded_files.TooLarge as error:
        raise ConfigError([f"{path}: not a saved report: {error}; {remedy}"]) from error
    except EOFError as error:
        raise ConfigError([f"{path}: truncated, its end is missing; {remedy}"]) from error
    except zlib.error as error:
        raise ConfigError([f"{path}: damaged ({error}); {remedy}"]) from error
    if not read:
        raise ConfigError([f"{path}: truncated, it is empty; {remedy}"])
    if read.count(b"{") + read.count(b"[") > _MOST_OBJECTS:
        raise ConfigError([f"{path}: not a saved report: it has more than {_MOST_OBJECTS} objects; {remedy}"])
    try:
        data = foreign_json.parse(read)
    except UnreadableJson as error:
        raise ConfigError([f"{path}: not a saved report: {error}; {remedy}"]) from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ConfigError([f"{path}: not a saved report; name a recorded session, or what backtest --save wrote"])
    if data.get("version") != REPORT_VERSION:
        mine = f"version {printable(str(data.get('version')), _LONGEST_QUOTED)}, this program reads {REPORT_VERSION}"
        raise ConfigError([f"{path}: {mine}; {remedy} of this program, or use the program that wrote it"])
    try:
        return _decode_report(data)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        what = printable(f"{type(error).__name__}: {error}", _LONGEST_QUOTED)
        raise ConfigError([f"{path}: incomplete report ({what}); {remedy}"]) from error


def _gzip_problem(path: Path) -> str:
    with path.open("rb") as file:
        begins_well = file.read(len(_GZIP)) == _GZIP
    return "damaged, its checksum is wrong" if begins_well else "not a saved report: it is not gzip"


def _encode_report(report: RunReport) -> dict[str, object]:
    return {
        "format": FORMAT,
        "version": REPORT_VERSION,
        "symbol": report.symbol,
        "tick_size": format_plain(report.tick_size),
        "settings": dict(report.settings),
        "results": encode_results(report.results),
        "fills": [_encode_fill(fill) for fill in report.fills],
        "orders": [_encode_order(event) for event in report.orders],
        "candles": _columns(_CANDLE, report.candles),
        "moments": _columns(_MOMENT, report.samples),
        "gaps": list(report.gaps),
        "mode": report.mode,
        "band": None if report.band is None else {name: list(getattr(report.band, name)) for name in _BAND},
        "robustness": None if report.robustness is None else robustness_json(report.robustness),
    }


def _decode_report(data: Mapping[str, Any]) -> RunReport:
    return RunReport(
        symbol=market_name(data["symbol"]),
        tick_size=amount(data["tick_size"]),
        settings=_shareable_settings(data["settings"]),
        results=decode_results(data["results"]),
        fills=tuple(map(_decode_fill, data["fills"])),
        orders=tuple(map(_decode_order, data["orders"])),
        candles=tuple(_rows(_CANDLE, data["candles"], _decode_candle)),
        samples=tuple(_rows(_MOMENT, data["moments"], _decode_sample)),
        gaps=tuple(map(text, data["gaps"])),
        mode=text(data["mode"]),
        band=None if data["band"] is None else _decode_band(data["band"]),
        robustness=robustness_from_json(data["robustness"], text) if data["robustness"] else None,
    )


def _decode_band(data: Mapping[str, Any]) -> EquityBand:
    times, *shares = (data[name] for name in _BAND)
    band = EquityBand(tuple(map(time_ms, times)), *(tuple(map(number_text.finite, each)) for each in shares))
    if {len(band.times_ms)} != {len(band.p5), len(band.median), len(band.p95)}:
        raise ValueError("the columns of the band differ in length")
    return band


def _shareable_settings(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the shareable settings of a saved report. Older files also contain settings that are not shareable.

    A setting that this version does not know is kept: the version that wrote the report knew it to be shareable.
    """
    hidden = {name for name, option in OPTIONS.items() if not option.shareable}
    return {text(name): text(value) for name, value in settings.items() if name not in hidden}


def _columns(names: Iterable[str], rows: Iterable[Candle | Sample]) -> dict[str, list[object]]:
    taken = list(rows)
    return {name: [_bare(getattr(row, name)) for row in taken] for name in names}


def _bare(value: object) -> object:
    if isinstance(value, Regime):
        return value.value
    # NaN (a channel that is not full yet) and infinity (a minimum gain that cannot be reached) are not JSON.
    return None if isinstance(value, float) and value - value != 0 else value


def _rows(names: Iterable[str], columns: Mapping[str, list[Any]], row: Callable[..., Any]) -> Iterable[Any]:
    return (row(*values) for values in zip(*(columns[name] for name in names), strict=True))


def _decode_candle(open_ms: int, *prices: float) -> Candle:
    return Candle(time_ms(open_ms), *map(number_text.finite, prices))


def _decode_sample(at_ms: int, bid: float, value: float, growth: float, regime: str | None, *rest: Any) -> Sample:
    *prices, gate_shut = rest
    anchor, high, trail, stop, upper, mid, lower = map(fraction, prices)
    held = None if regime is None else Regime(regime)
    return Sample(
        time_ms(at_ms),
        number_text.finite(bid),
        number_text.finite(value),
        number_text.finite(growth),
        held,
        anchor,
        high,
        trail,
        stop,
        upper,
        mid,
        lower,
        gate_shut=flag(gate_shut),
    )


def _encode_fill(fill: Fill) -> dict[str, object]:
    return {
        "time_ms": fill.time_ms,
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "number": fill.number,
        "kind": fill.kind.value,
        "side": fill.side.value,
        "price": format_plain(fill.price),
        "quantity": format_plain(fill.quantity),
        "quote": format_plain(fill.quote),
        "commission": format_plain(fill.commission),
        "commission_asset": fill.commission_asset,
        "is_maker": fill.is_maker,
    }


def _decode_fill(data: Mapping[str, Any]) -> Fill:
    return Fill(
        time_ms=time_ms(data["time_ms"]),
        trade_id=id_number(data["trade_id"]),
        order_id=id_number(data["order_id"]),
        number=id_number(data["number"]),
        kind=ExitKind(data["kind"]),
        side=Side(data["side"]),
        price=amount(data["price"]),
        quantity=amount(data["quantity"]),
        quote=amount(data["quote"]),
        commission=amount(data["commission"]),
        commission_asset=market_name(data["commission_asset"]) if data["commission_asset"] else "",
        is_maker=flag(data["is_maker"]),
    )


def _encode_order(event: OrderLogEntry) -> dict[str, object]:
    return {
        "time_ms": event.time_ms,
        "what": event.what,
        "side": event.side.value,
        "price": format_plain(event.price),
        "quantity": format_plain(event.quantity),
        "client_order_id": event.client_order_id,
    }


def _decode_order(data: Mapping[str, Any]) -> OrderLogEntry:
    return OrderLogEntry(
        time_ms=time_ms(data["time_ms"]),
        what=text(data["what"]),
        side=Side(data["side"]),
        price=amount(data["price"]),
        quantity=amount(data["quantity"]),
        client_order_id=text(data["client_order_id"]),
    )
