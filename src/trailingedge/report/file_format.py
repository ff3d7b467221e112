"""A story in a file, so that it can be told again: JSON in gzip, amounts as strings, with a version.

Candles and moments, of which there are many, are columns; everything else is one object each. The names in
the file are those of the fields, so that a reader needs nothing but `story.py` beside it.
"""

import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

from trailingedge.accounting.statistics import FinishedExit
from trailingedge.config import OPTIONS
from trailingedge.core.errors import ConfigError
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import Regime, Side, plain
from trailingedge.report.model import Candle, Fill, OrderLogEntry, RunReport, Sample

FORMAT: Final = "trailing-edge story"
VERSION: Final = 1
SUFFIX: Final = ".story.json.gz"
_GZIP: Final = b"\x1f\x8b"

_CANDLE: Final = ("open_ms", "open", "high", "low", "close")
_MOMENT: Final = (
    "time_ms",
    "bid",
    "value",
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


def save(story: RunReport, path: Path) -> None:
    """Write it down, whole or not at all. Raises ConfigError where the file cannot be written."""
    text = json.dumps(_written(story), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            beside.write_bytes(gzip.compress(text.encode(), mtime=0))
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}; choose a file that this user may write"]) from error


def load(path: Path) -> RunReport:
    """Read it. Raises ConfigError naming the file, what is wrong with it and what to do."""
    remedy = "write it again with replay --save"
    try:
        text = gzip.decompress(path.read_bytes())
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            raise ConfigError([f"{path}: {_what_no_gzip_is(path)}; {remedy}"]) from error
        raise ConfigError([f"{path}: {error.strerror}; name a file that replay --save has written"]) from error
    except EOFError as error:
        raise ConfigError([f"{path}: truncated, its end is missing; {remedy}"]) from error
    except zlib.error as error:
        raise ConfigError([f"{path}: damaged ({error}); {remedy}"]) from error
    if not text:
        raise ConfigError([f"{path}: truncated, there is nothing in it; {remedy}"])
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"{path}: not a saved story, for it is not JSON; {remedy}"]) from error
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise ConfigError([f"{path}: not a saved story; name a file that replay --save has written"])
    if told.get("version") != VERSION:
        mine = f"version {told.get('version')}, this program reads {VERSION}"
        raise ConfigError([f"{path}: {mine}; {remedy} of this program, or use the one that wrote it"])
    try:
        return _read(told)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise ConfigError([f"{path}: not a whole story ({type(error).__name__}: {error}); {remedy}"]) from error


def _what_no_gzip_is(path: Path) -> str:
    with path.open("rb") as file:
        begins_well = file.read(len(_GZIP)) == _GZIP
    return "damaged, its sum is wrong" if begins_well else "not a saved story, for it is not gzip"


def _written(story: RunReport) -> dict[str, object]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "symbol": story.symbol,
        "base_asset": story.base_asset,
        "quote_asset": story.quote_asset,
        "tick_size": plain(story.tick_size),
        "from_ms": story.from_ms,
        "to_ms": story.to_ms,
        "settings": dict(story.settings),
        "exits": [_written_exit(finished) for finished in story.exits],
        "fills": [_written_fill(fill) for fill in story.fills],
        "orders": [_written_order(event) for event in story.orders],
        "candles": _columns(_CANDLE, story.candles),
        "moments": _columns(_MOMENT, story.moments),
        "replaces": story.replaces,
        "rejected": {str(code): count for code, count in story.rejected.items()},
        "first_bid": plain(story.first_bid),
        "last_bid": plain(story.last_bid),
        "first_value": plain(story.first_value),
        "last_value": plain(story.last_value),
        "max_drawdown_frac": story.max_drawdown_frac,
        "gaps": list(story.gaps),
        "mode": story.mode,
    }


def _read(told: Mapping[str, Any]) -> RunReport:
    return RunReport(
        symbol=_text(told["symbol"]),
        base_asset=_text(told["base_asset"]),
        quote_asset=_text(told["quote_asset"]),
        tick_size=_amount(told["tick_size"]),
        from_ms=int(told["from_ms"]),
        to_ms=int(told["to_ms"]),
        settings=_told(told["settings"]),
        exits=tuple(map(_read_exit, told["exits"])),
        fills=tuple(map(_read_fill, told["fills"])),
        orders=tuple(map(_read_order, told["orders"])),
        candles=tuple(_rows(_CANDLE, told["candles"], _read_candle)),
        moments=tuple(_rows(_MOMENT, told["moments"], _read_moment)),
        replaces=int(told["replaces"]),
        rejected={int(code): int(count) for code, count in told["rejected"].items()},
        first_bid=_amount(told["first_bid"]),
        last_bid=_amount(told["last_bid"]),
        first_value=_amount(told["first_value"]),
        last_value=_amount(told["last_value"]),
        max_drawdown_frac=float(told["max_drawdown_frac"]),
        gaps=tuple(map(_text, told["gaps"])),
        mode=_text(told.get("mode", "")),  # older ones do not say
    )


def _told(settings: Mapping[str, Any]) -> dict[str, str]:
    """The settings that may be shown: older files also hold some that are not shareable.

    A name that this version does not know stays: it was shareable for the version that wrote it.
    """
    hidden = {name for name, option in OPTIONS.items() if not option.shareable}
    return {_text(name): _text(value) for name, value in settings.items() if name not in hidden}


def _columns(names: Iterable[str], rows: Iterable[Candle | Sample]) -> dict[str, list[object]]:
    taken = list(rows)
    return {name: [_bare(getattr(row, name)) for row in taken] for name in names}


def _bare(value: object) -> object:
    if isinstance(value, Regime):
        return value.value
    # Neither of the two is JSON: a channel that does not exist yet, a gain that can never suffice.
    return None if isinstance(value, float) and value - value != 0 else value


def _rows(names: Iterable[str], columns: Mapping[str, list[Any]], row: Callable[..., Any]) -> Iterable[Any]:
    return (row(*values) for values in zip(*(columns[name] for name in names), strict=True))


def _read_candle(open_ms: int, *prices: float) -> Candle:
    return Candle(int(open_ms), *map(float, prices))


def _read_moment(time_ms: int, bid: float, value: float, regime: str | None, *rest: Any) -> Sample:
    *prices, gate_shut = rest
    anchor, high, trail, stop, upper, mid, lower = (None if price is None else float(price) for price in prices)
    held = None if regime is None else Regime(regime)
    return Sample(
        int(time_ms),
        float(bid),
        float(value),
        held,
        anchor,
        high,
        trail,
        stop,
        upper,
        mid,
        lower,
        gate_shut=bool(gate_shut),
    )


def _written_exit(finished: FinishedExit) -> dict[str, object]:
    return {
        "kind": finished.kind.value,
        "side": finished.side.value,
        "number": finished.number,
        "cause": finished.cause.value,
        "started_ms": finished.started_ms,
        "ended_ms": finished.ended_ms,
        "base": plain(finished.base),
        "quote": plain(finished.quote),
        "replaces": finished.replaces,
        "fees": {asset: plain(fee) for asset, fee in finished.fees.items()},
        "slippage_frac": finished.slippage_frac,
        "result_frac": finished.result_frac,
    }


def _read_exit(told: Mapping[str, Any]) -> FinishedExit:
    return FinishedExit(
        kind=ExitKind(told["kind"]),
        side=Side(told["side"]),
        number=int(told["number"]),
        cause=ExitEndReason(told["cause"]),
        started_ms=int(told["started_ms"]),
        ended_ms=int(told["ended_ms"]),
        base=_amount(told["base"]),
        quote=_amount(told["quote"]),
        replaces=int(told["replaces"]),
        fees={_text(asset): _amount(fee) for asset, fee in told["fees"].items()},
        slippage_frac=_fraction(told["slippage_frac"]),
        result_frac=_fraction(told["result_frac"]),
    )


def _written_fill(fill: Fill) -> dict[str, object]:
    return {
        "time_ms": fill.time_ms,
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "number": fill.number,
        "kind": fill.kind.value,
        "side": fill.side.value,
        "price": plain(fill.price),
        "quantity": plain(fill.quantity),
        "quote": plain(fill.quote),
        "commission": plain(fill.commission),
        "commission_asset": fill.commission_asset,
        "is_maker": fill.is_maker,
    }


def _read_fill(told: Mapping[str, Any]) -> Fill:
    return Fill(
        time_ms=int(told["time_ms"]),
        trade_id=int(told["trade_id"]),
        order_id=int(told["order_id"]),
        number=int(told["number"]),
        kind=ExitKind(told["kind"]),
        side=Side(told["side"]),
        price=_amount(told["price"]),
        quantity=_amount(told["quantity"]),
        quote=_amount(told["quote"]),
        commission=_amount(told["commission"]),
        commission_asset=_text(told["commission_asset"]),
        is_maker=bool(told["is_maker"]),
    )


def _written_order(event: OrderLogEntry) -> dict[str, object]:
    return {
        "time_ms": event.time_ms,
        "what": event.what,
        "side": event.side.value,
        "price": plain(event.price),
        "quantity": plain(event.quantity),
        "client_order_id": event.client_order_id,
    }


def _read_order(told: Mapping[str, Any]) -> OrderLogEntry:
    return OrderLogEntry(
        time_ms=int(told["time_ms"]),
        what=_text(told["what"]),
        side=Side(told["side"]),
        price=_amount(told["price"]),
        quantity=_amount(told["quantity"]),
        client_order_id=_text(told["client_order_id"]),
    )


def _amount(value: object) -> Decimal:
    """A string alone: an amount that has been a float is not the one that was saved."""
    try:
        amount = Decimal(_text(value))
    except InvalidOperation as error:
        raise ValueError(f"no amount: {value!r}") from error
    if not amount.is_finite():
        raise ValueError(f"no amount: {value!r}")
    return amount


def _fraction(value: float | None) -> float | None:
    return None if value is None else float(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"no text: {value!r}")
    return value
