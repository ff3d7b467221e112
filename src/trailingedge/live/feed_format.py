"""Feed format: the lines that the daemon sends after `subscribe`. Each is a JSON object with `version` and `type`.

- `state`, sent first, when the start is over, and after lost lines: `program`, `time`, `starting`, `status`, `panel`,
  `history`, `orders`, `log`.
- `status`, once a second, and after each event: `starting`, `status`, `panel`.
- `prices`, if the best prices have changed, at most four a second: `time`, `bid`, `ask`, `value`, `gain_frac`, `high`,
  `take_profit`, `stop`.
- `order`, an order was placed, replaced or cancelled: `time`, `change` (one of these words), `client_order_id`, `side`,
  `price`, `quantity`.
- `fill`, an order filled in part or in full: as `order`, but without `change`, and with `quote` and `remaining`.
- `event`, another change of state: `time`, `name`, one of `EVENT_NAMES`.
- `log`, a line that the daemon shows: `time` of the wall, `level`, `text`.
- `lost`: `lines`, the number of lines that this client was too slow to read. A `state` follows.
- `end`, sent when the daemon ends: `reason`.

Amounts and prices are strings, fractions numbers, times ISO 8601 in UTC: the market's, except in a log line. `starting`
is the step of the start that waits, and null from then on; until trading begins, `status` and `panel` are null.
`status` has the fields of `trailing-edge status --json`. `panel` holds the words of the terminal's panel. `history` has
the prices and levels of the last hours as `columns` and `rows`; `orders` are the last lines of the types `order` and
`fill`, `log` those of `log`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from trailingedge.core import foreign_json
from trailingedge.core.errors import TrailingEdgeError
from trailingedge.core.foreign_json import UnreadableJson
from trailingedge.core.printable import printable, printable_lines
from trailingedge.execution.order_events import OrderCancelled, OrderFilled, OrderPlaced, OrderReplaced
from trailingedge.execution.trader_events import AccountBack, AccountLost, MarketFresh, MarketStale, TraderEvent
from trailingedge.model.market import format_plain
from trailingedge.notifications.level_history import LevelSample
from trailingedge.notifications.panel_content import PanelCell, PanelContent, PanelLevel, TextStyle
from trailingedge.risk.circuit_breakers import BreakerLifted, BreakerTripped
from trailingedge.strategy.strategy_events import (
    BrokeOut,
    ExitEnded,
    ExitEnding,
    ExitStarted,
    Funded,
    GateOpened,
    GateShut,
    HardStopTriggered,
    RegimeSet,
    Squeezed,
    Unfunded,
)

FEED_VERSION: Final = 1
HISTORY_COLUMNS: Final = tuple(name if name != "market_ms" else "time" for name in LevelSample._fields)
# The values of `name` of an `event`.
EVENT_NAMES: Final[Mapping[type, str]] = {
    ExitStarted: "exit_started",
    ExitEnding: "exit_ending",
    ExitEnded: "exit_ended",
    HardStopTriggered: "hard_stop",
    GateShut: "gate_shut",
    GateOpened: "gate_open",
    BrokeOut: "breakout",
    Squeezed: "squeeze",
    RegimeSet: "anchor_set",
    Funded: "funded",
    Unfunded: "unfunded",
    MarketStale: "market_stale",
    MarketFresh: "market_fresh",
    AccountLost: "account_lost",
    AccountBack: "account_back",
    BreakerTripped: "breaker_tripped",
    BreakerLifted: "breaker_lifted",
}

ORDER_EVENTS: Final = (OrderPlaced, OrderReplaced, OrderFilled, OrderCancelled)

FeedLine = dict[str, Any]


class UnreadableFeed(TrailingEdgeError):
    """Raised for a line that no daemon of this version sends."""


def line(kind: str, **fields: object) -> FeedLine:
    """Return a line of the type `kind`."""
    return {"version": FEED_VERSION, "type": kind, **fields}


def encode(fields: FeedLine) -> bytes:
    """Return a line as the bytes that are sent."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), default=str).encode() + b"\n"


def parse(text: bytes) -> FeedLine:
    """Return the fields of a line that was sent. Raises UnreadableFeed for any other text, or for another version."""
    try:
        fields = foreign_json.parse(text)
    except UnreadableJson as error:
        raise UnreadableFeed(str(error)) from error
    if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
        raise UnreadableFeed("this is no line of a subscription")
    if fields.get("version") != FEED_VERSION:
        raise UnreadableFeed(f"the daemon sends version {fields.get('version')} of its lines, this program reads 1")
    return fields


def iso_time(unix_ms: int) -> str:
    """Return a time in ISO 8601, UTC."""
    return (datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=unix_ms)).isoformat(timespec="milliseconds")


# --- events ---


def of_event(event: TraderEvent, market_ms: int) -> FeedLine | None:
    """Return the line of a change of state; None for an event that is only logged."""
    time = iso_time(market_ms)
    match event:
        case OrderPlaced() | OrderReplaced() | OrderCancelled():
            changes = {OrderPlaced: "placed", OrderReplaced: "replaced", OrderCancelled: "cancelled"}
            return line("order", time=time, change=changes[type(event)], **_order(event))
        case OrderFilled():
            amounts = {"quote": format_plain(event.quote), "remaining": format_plain(event.remaining)}
            return line("fill", time=time, **(_order(event) | amounts))
    name = EVENT_NAMES.get(type(event))
    return None if name is None else line("event", time=time, name=name)


def _order(event: OrderPlaced | OrderReplaced | OrderCancelled | OrderFilled) -> dict[str, str]:
    price = event.quote / event.quantity if isinstance(event, OrderFilled) and event.quantity else event.price
    return {
        "client_order_id": event.client_order_id,
        "side": event.side.value,
        "price": format_plain(price),
        "quantity": format_plain(event.quantity),
    }


# --- history ---


def history_row(sample: LevelSample, decimals: int) -> str:
    """Return a sample as the JSON text of one row of `history`."""
    prices = (_price_text(price, decimals) for price in sample[1:-1])
    shut = "true" if sample.gate_shut else "false"
    return f'["{iso_time(sample.market_ms)}",{",".join(prices)},{shut}]'


def _price_text(price: Decimal | float | None, decimals: int) -> str:
    return "null" if price is None else f'"{float(price):.{decimals}f}"'


def encode_state(fields: FeedLine, rows: Sequence[str]) -> bytes:
    """Encode a `state` line. `rows` are the rows of its history, already encoded as JSON."""
    head = encode(fields)[:-2]  # without the brace and the line end
    return head + f',"history":{{"columns":{json.dumps(HISTORY_COLUMNS)},"rows":[{",".join(rows)}]}}}}\n'.encode()


def samples_of(state: FeedLine) -> tuple[tuple[int, float], ...]:
    """Return the prices in the history of a `state` line, by market time in milliseconds. Raises UnreadableFeed."""
    try:
        return tuple((unix_ms(row[0]), float(row[1])) for row in state["history"]["rows"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UnreadableFeed("the history of the daemon cannot be read") from error


def unix_ms(time: str) -> int:
    """Convert a time as a line contains it to milliseconds since 1970. Raises ValueError."""
    return round((datetime.fromisoformat(time) - datetime.fromtimestamp(0, UTC)) / timedelta(milliseconds=1))


# --- the panel ---


def of_panel(content: PanelContent) -> dict[str, object]:
    """Return the texts of the terminal's panel as JSON, without the samples of its chart."""
    return {
        "titles": content.titles,
        "title_style": content.title_style.value,
        "health": content.health,
        "health_style": content.health_style.value,
        "reconnects": content.reconnects,
        "pairs": [[_cell(one), _cell(other)] for one, other in content.pairs],
        "rows": [_cell(cell) for cell in content.rows],
        "line": content.line,
        "price_decimals": content.price_decimals,
        "levels": [[level.name, repr(level.price), level.style.value] for level in content.levels],
    }


def panel_of(fields: Mapping[str, Any], samples: Iterable[tuple[int, float]] = ()) -> PanelContent:
    """Return the panel of a `state` or `status` line, with these samples. Raises UnreadableFeed."""
    try:
        return PanelContent(
            titles=tuple(printable(title) for title in fields["titles"]),
            title_style=TextStyle(fields["title_style"]),
            health=printable(fields["health"]),
            health_style=TextStyle(fields["health_style"]),
            reconnects=int(fields["reconnects"]),
            pairs=tuple((_cell_of(one), _cell_of(other)) for one, other in fields["pairs"]),
            rows=tuple(map(_cell_of, fields["rows"])),
            line=printable_lines(fields["line"]),
            price_decimals=min(16, max(0, int(fields["price_decimals"]))),
            levels=tuple(
                PanelLevel(printable(name), float(price), TextStyle(style)) for name, price, style in fields["levels"]
            ),
            samples=tuple(samples),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableFeed("the panel of the daemon cannot be read") from error


def _cell(cell: PanelCell) -> list[str]:
    return [cell.label, cell.text, cell.style.value]


def _cell_of(fields: Sequence[str]) -> PanelCell:
    label, text, style = fields
    return PanelCell(printable(label), printable(text), TextStyle(style))
