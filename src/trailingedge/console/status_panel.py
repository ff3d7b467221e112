"""The status panel as rows of styled text that fit a given width. `console.screen` draws the rows."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from trailingedge.model.market import Regime, Side
from trailingedge.notifications.event_messages import AnyNumber, figure, percent
from trailingedge.notifications.risk_messages import breaker_until, measured
from trailingedge.notifications.session_heading import heading
from trailingedge.notifications.status import (
    SHOW_AGE_FROM_S,
    StatusView,
    a_close,
    activity,
    exit_summary,
    gain_since,
    gate_side,
    level,
    position,
    quote_stop,
    rejection,
    trigger,
)
from trailingedge.notifications.trade_block_texts import brief_reason

LABEL_WIDTH: Final = 13
CELL_GAP: Final = 3  # columns between two cells of a row
UPDATE_OVERDUE_S: Final = 3.0  # the status comes once a second; when it is older than this, the main loop is stuck


class TextStyle(Enum):
    """How much a piece of text stands out."""

    PLAIN = "plain"
    FAINT = "faint"
    STRONG = "strong"
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class StyledText:
    """A piece of text in one style."""

    text: str
    style: TextStyle = TextStyle.PLAIN


PanelRow = tuple[StyledText, ...]


def as_lines(view: StatusView, width: int, quiet_s: float = 0.0) -> list[str]:
    """The rows as bare text, none of them wider than `width` columns."""
    return [text_of(row) for row in panel_rows(view, width, quiet_s)]


def panel_rows(view: StatusView, width: int, quiet_s: float = 0.0) -> list[PanelRow]:
    """Return the rows: a heading, the position and the next levels. `quiet_s` is the age of `view` in seconds.

    Two cells share a row if each fits into half of the width.
    """
    left = [_cell("price", _price(view)), _cell("anchor", *_anchor(view)), _cell("take-profit", _take_profit(view))]
    # While quote is held a stop sells nothing: it shuts the gate.
    stop = "gate" if view.regime is Regime.QUOTE else "hard stop"
    right = [_cell("holding", _holding(view)), _cell("channel", _channel(view)), _cell(stop, *_stop(view))]
    body = [*_paired(left, right, width), _cell("order", *_order(view)), *_pauses(view)]
    return [*_head(view, width, quiet_s), *(fit(row, width) for row in body)]


def starting_rows(title: str, width: int) -> list[PanelRow]:
    """The panel before there is a status to show."""
    return _ruled((title,), StyledText("starting"), width)


def text_of(row: PanelRow) -> str:
    """A row without its styles."""
    return "".join(span.text for span in row)


def fit(row: PanelRow, width: int) -> PanelRow:
    """Cut `row` to `width` columns. An ellipsis at the end shows that something was cut."""
    if columns(text_of(row)) <= width:
        return row
    room = width - 1
    kept: list[StyledText] = []
    for span in row:
        text = _cut(span.text, room)
        kept.append(StyledText(text, span.style))
        room -= columns(text)
        if text != span.text:
            break
    return (*kept, StyledText("…"[: max(0, width)]))


def _cut(text: str, room: int) -> str:
    """The beginning of `text`, as much as fits into `room` columns."""
    while text and columns(text) > room:
        text = text[:-1]
    return text


def columns(text: str) -> int:
    """The width of `text` on a terminal: East Asian letters take two columns, combining marks none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


# --- rows -----------------------------------------------------------------------------------------


def _head(view: StatusView, width: int, quiet_s: float) -> list[PanelRow]:
    """Return the heading: the title and the age of the data.

    On a narrow screen the title is shortened. If that is not enough, the age gets its own row.
    """
    pair = heading(view.mode, view.rules.symbol)
    titles = (f"{pair} · {position(view)}", f"{pair} · {activity(view)}", pair)
    return _ruled(titles, _health(view, quiet_s), width)


def _ruled(titles: Sequence[str], right: StyledText, width: int) -> list[PanelRow]:
    """Return a full-width line with a title and `right`. It uses the longest of `titles` that leaves room."""
    for title in titles:
        rule = width - columns(title) - columns(right.text) - 8
        if rule >= 1:
            left = (
                StyledText("── ", TextStyle.FAINT),
                StyledText(title, TextStyle.STRONG),
                StyledText(f" {'─' * rule} ", TextStyle.FAINT),
            )
            return [(*left, right, StyledText(" ──", TextStyle.FAINT))]
    rest = max(0, width - columns(titles[-1]) - 4)
    alone = (
        StyledText("── ", TextStyle.FAINT),
        StyledText(titles[-1], TextStyle.STRONG),
        StyledText(f" {'─' * rest}", TextStyle.FAINT),
    )
    return [fit(alone, width), fit((StyledText(" "), right), width)]


def _health(view: StatusView, quiet_s: float) -> StyledText:
    """Return the age of the data, or name the missing data or connection."""
    reconnects = f" · reconnects {view.reconnects}" if view.reconnects else ""
    # First of all: if the status is old, all the rest on the panel is old as well.
    if quiet_s >= UPDATE_OVERDUE_S:
        return StyledText(f"not updated for {quiet_s:.0f} s{reconnects}", TextStyle.BAD)
    if not view.account_proven:
        return StyledText(f"no account connection{reconnects}", TextStyle.BAD)
    if view.data_age_s is None or not view.data_is_known:
        return StyledText(f"no market data{reconnects}", TextStyle.BAD)
    late = TextStyle.WARNING if view.not_judged_reason is None else TextStyle.BAD
    tone = late if view.data_age_s >= SHOW_AGE_FROM_S else TextStyle.PLAIN
    return StyledText(f"data {view.data_age_s:.1f} s old{reconnects}", tone)


def _paired(left: Sequence[PanelRow], right: Sequence[PanelRow], width: int) -> list[PanelRow]:
    """Pair the cells of `left` and `right`. A pair gets one row if both cells fit side by side, else two rows."""
    half = (width - CELL_GAP) // 2
    rows: list[PanelRow] = []
    for pair in zip(left, right, strict=True):
        fits = all(columns(text_of(cell)) <= half for cell in pair)
        rows += [_beside(*pair, half)] if fits else pair
    return rows


def _beside(one: PanelRow, other: PanelRow, half: int) -> PanelRow:
    return (*one, StyledText(" " * (half - columns(text_of(one)) + CELL_GAP)), *other)


def _cell(name: str, text: str, tone: TextStyle = TextStyle.PLAIN) -> PanelRow:
    return (StyledText(f" {name:<{LABEL_WIDTH - 1}}", TextStyle.FAINT), StyledText(text, tone))


# --- cells ----------------------------------------------------------------------------------------


def _figure(view: StatusView, value: AnyNumber | None) -> str:
    return "–" if value is None else figure(value, view.rules.tick_size)


def _price(view: StatusView) -> str:
    if view.top is None:
        return "not known"
    return f"bid {_figure(view, view.top.bid)} · ask {_figure(view, view.top.ask)} {view.rules.quote_asset}"


def _holding(view: StatusView) -> str:
    grids = ((view.base, view.rules.step_size), (view.quote, view.rules.tick_size))
    assets = [f"{figure(each.total, grid)} {each.asset}" for each, grid in grids if each is not None]
    if view.value is not None:
        assets.append(f"value {_figure(view, view.value)}")
    return " · ".join(assets) or "–"


def _anchor(view: StatusView) -> tuple[str, TextStyle]:
    if view.anchor is None:
        return "–", TextStyle.PLAIN
    parts = [_figure(view, view.anchor)]
    parts += [f"now {gain_since(view)}"] if view.gain_frac is not None else []
    parts += [f"best {percent(view.high_frac)}"] if view.high_frac is not None else []
    gain = round(view.gain_frac or 0.0, 4)
    return " · ".join(parts), TextStyle.GOOD if gain > 0 else TextStyle.BAD if gain < 0 else TextStyle.PLAIN


def _take_profit(view: StatusView) -> str:
    acts = "sells" if view.regime is Regime.BASE else "buys back"
    blocked = brief_reason(view)
    if blocked is not None:
        return blocked
    if view.take_profit is not None:
        return f"trailing, {acts} at {trigger(view, view.take_profit, falling=view.regime is Regime.BASE)}"
    if view.trailing:
        return (
            "trailing, but a sale would not pay both fees yet"
            if view.regime is Regime.BASE
            else "trailing, but a buy would not pay both fees yet"
        )
    if view.trails_from is None:
        return "–"
    return f"trails from {trigger(view, view.trails_from, falling=view.regime is Regime.QUOTE)}"


def _stop(view: StatusView) -> tuple[str, TextStyle]:
    if view.gate is not None:
        return f"shut until {a_close(view)} {gate_side(view.gate)} {level(view, view.mid)}", TextStyle.WARNING
    if view.stop is None:
        return "–", TextStyle.PLAIN
    if view.not_judged_reason is not None and view.regime is Regime.BASE:
        return f"{_figure(view, view.stop)} NOT CHECKED, {view.not_judged_reason}", TextStyle.BAD
    return _watched_stop(view, view.stop), TextStyle.PLAIN


def _watched_stop(view: StatusView, stop: AnyNumber) -> str:
    return f"sells at {trigger(view, stop, falling=True)}" if view.regime is Regime.BASE else quote_stop(view, stop)


def _channel(view: StatusView) -> str:
    if view.mid is None:
        return "too few candles yet"
    edges = " · ".join(_figure(view, edge) for edge in (view.lower, view.mid, view.upper))
    squeezed = " · squeeze" if view.squeezed else ""
    return edges + squeezed + (" · gate open" if view.gate_open else "")


def _order(view: StatusView) -> tuple[str, TextStyle]:
    if view.active_exit is None:
        return "none", TextStyle.PLAIN
    return exit_summary(view.rules, view.active_exit, view.top), TextStyle.STRONG


def _pauses(view: StatusView) -> list[PanelRow]:
    """Return the rows that say why trading is held up: waiting exit, rejected order, halt, pause, breaker."""
    found: list[PanelRow] = []
    if view.active_exit is not None and view.active_exit.obstacle is not None:
        refused = view.active_exit.reject_text
        obstacle = view.active_exit.obstacle.value if refused is None else rejection(refused)
        found.append(_cell("waits", obstacle, TextStyle.WARNING))
    elif view.reject_text is not None:
        found.append(_cell("rejected", rejection(view.reject_text), TextStyle.WARNING))
    if view.halted:
        found.append(
            _cell("HALTED", f"{view.halt_reason or 'by a safety rule'}; no hard stop, r resumes", TextStyle.BAD)
        )
    if view.paused:
        found.append(_cell("paused", f"{_active_in_pause(view)}; r resumes", TextStyle.WARNING))
    breakers = (f"{measured(trip)}, paused {breaker_until(trip.breaker)}" for trip in view.trips)
    return found + [_cell("breaker", text, TextStyle.WARNING) for text in breakers]


def _active_in_pause(view: StatusView) -> str:
    """Return what trading still does while the operator has paused it, such as "the sale goes on"."""
    if view.active_exit is not None and view.active_exit.side is Side.SELL:
        return "the sale goes on"
    return "only the hard stop is active" if view.regime is Regime.BASE else "no buy-back"
