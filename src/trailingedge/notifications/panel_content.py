"""Panel content: the texts of the status panel with their styles, without a layout.

The function `panel_content` describes a `StatusView` in words. The daemon's terminal and `trailing-edge watch` show the
same content: `console.status_panel` lays it out for a given width, and the control socket sends it as JSON to `watch`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Final

from trailingedge.model.market import Regime, Side
from trailingedge.notifications.event_messages import AnyNumber, amounts, counted, duration, figure, percent
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
    status,
    trigger,
)
from trailingedge.notifications.trade_block_texts import brief_reason

_REAL_MONEY: Final = "live"
_MARKET_OF_ITS_OWN: Final = "sim"  # the mode whose market time is not the wall's


class TextStyle(Enum):
    """The style of a text: how much it is emphasised, and whether it is good or bad news."""

    PLAIN = "plain"
    FAINT = "faint"
    STRONG = "strong"
    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class PanelCell:
    """A label and its text."""

    label: str
    text: str
    style: TextStyle = TextStyle.PLAIN


@dataclass(frozen=True, slots=True)
class PanelLevel:
    """A price that the chart marks: the anchor, the trailing level or the stop."""

    name: str
    price: float
    style: TextStyle = TextStyle.PLAIN


@dataclass(frozen=True, slots=True)
class PanelContent:
    """The content of the panel.

    `titles` has the heading in several lengths, longest first; `health` is the text to its right.

    Two of the `pairs` may share a row; each of `rows` has a row of its own. `line` is the whole status in one line. The
    chart draws `levels`, and `samples`, which are prices by market time in milliseconds.
    """

    titles: tuple[str, ...]
    title_style: TextStyle
    health: str
    health_style: TextStyle
    reconnects: int
    pairs: tuple[tuple[PanelCell, PanelCell], ...]
    rows: tuple[PanelCell, ...]
    line: str
    price_decimals: int = 2
    levels: tuple[PanelLevel, ...] = ()
    samples: tuple[tuple[int, float], ...] = ()


def panel_content(view: StatusView) -> PanelContent:
    """Return the panel's content for `view`: the position, the next levels, the order, and the results."""
    pairs = [
        (PanelCell("price", _price(view)), PanelCell("holding", _holding(view))),
        *_results(view),
        (_anchor(view), PanelCell("channel", _channel(view))),
        # While quote is held a stop sells nothing: it shuts the gate.
        (
            PanelCell("take-profit", _take_profit(view)),
            _cell("gate" if view.regime is Regime.QUOTE else "hard stop", *_stop(view)),
        ),
        *_counts(view),
    ]
    health, health_style = _health(view)
    return PanelContent(
        titles=_titles(view),
        title_style=TextStyle.WARNING if view.mode == _REAL_MONEY else TextStyle.STRONG,
        health=health,
        health_style=health_style,
        reconnects=view.reconnects,
        pairs=tuple(pairs),
        rows=(_cell("order", *_order(view)), *_pauses(view)),
        line=status(view),
        price_decimals=len(figure(0, view.rules.tick_size).partition(".")[2]),
        levels=_levels(view),
        samples=tuple(_samples(view)),
    )


def _samples(view: StatusView) -> Iterator[tuple[int, float]]:
    """Yield the prices of the chart.

    The last price is the present one, which is newer than the sample of its minute.
    """
    for sample in view.samples:
        yield sample.market_ms, float(sample.bid)
    if view.samples and view.top is not None and view.market_ms > view.samples[-1].market_ms:
        yield view.market_ms, float(view.top.bid)


def _titles(view: StatusView) -> tuple[str, ...]:
    """Return the heading in several lengths.

    That real money is traded, or that trading is paused, is written in capitals.
    """
    pair = heading(view.mode.upper() if view.mode == _REAL_MONEY else view.mode, view.rules.symbol)
    held = _held_up(view)
    pair = f"{pair} · {held}" if held else pair
    return f"{pair} · {position(view)}", f"{pair} · {activity(view)}", pair


def _held_up(view: StatusView) -> str:
    """Return in a few words why trading is halted or paused; "" while it is not."""
    if view.halted:
        return "HALTED"
    if view.paused:
        return "PAUSED"
    return "PAUSED BY A BREAKER" if view.trips else ""


def _health(view: StatusView) -> tuple[str, TextStyle]:
    """Return the age of the data, or name the missing data or connection."""
    if not view.account_proven:
        return "no account connection", TextStyle.BAD
    if view.data_age_s is None or not view.data_is_known:
        return "no market data", TextStyle.BAD
    late = TextStyle.WARNING if view.not_judged_reason is None else TextStyle.BAD
    return f"data {view.data_age_s:.1f} s old", late if view.data_age_s >= SHOW_AGE_FROM_S else TextStyle.PLAIN


def _levels(view: StatusView) -> tuple[PanelLevel, ...]:
    found = (
        ("anchor", view.anchor, TextStyle.PLAIN),
        ("trail", view.take_profit, TextStyle.GOOD),
        ("stop", view.stop, TextStyle.BAD),
    )
    return tuple(
        PanelLevel(name, float(price), style) for name, price, style in found if price is not None and isfinite(price)
    )


# --- cells ----------------------------------------------------------------------------------------


def _cell(label: str, text: str, style: TextStyle = TextStyle.PLAIN) -> PanelCell:
    return PanelCell(label, text, style)


def _results(view: StatusView) -> Sequence[tuple[PanelCell, PanelCell]]:
    """Return the result of today and of the whole session; nothing before the first valuation."""
    results = view.results
    if results is None:
        return ()
    today = _change(view, "today", results.today, results.today_frac)
    return ((today, _change(view, "since start", results.total, results.total_frac)),)


def _change(view: StatusView, label: str, money: Decimal, share: float) -> PanelCell:
    grid = view.rules.tick_size
    shown = Decimal(figure(money, grid))
    style = TextStyle.GOOD if shown > 0 else TextStyle.BAD if shown < 0 else TextStyle.PLAIN
    sign = "+" if shown >= 0 else ""
    return PanelCell(label, f"{sign}{figure(shown + 0, grid)} {view.rules.quote_asset}, {percent(share)}", style)


def _counts(view: StatusView) -> Sequence[tuple[PanelCell, PanelCell]]:
    """Return trades, fees, uptime and, if it differs from the wall clock, the market's time."""
    results = view.results
    if results is None:
        return ()
    trades = f"{counted(results.trades, 'trade')}, {results.wins} won" if results.trades else "none"
    up = "–" if view.uptime_s is None else rough_duration(view.uptime_s)
    clock = (
        PanelCell("market time", clock_minute(view.market_ms, "%m-%d %H:%M"))
        if view.mode == _MARKET_OF_ITS_OWN
        else None
    )
    pairs = [(PanelCell("trades", trades), PanelCell("fees", amounts(view.rules, results.fees)))]
    return (*pairs, (PanelCell("running for", up), clock or PanelCell("replaces", str(results.replaces))))


def rough_duration(seconds: float) -> str:
    """Return a duration by its two largest units: "3 d 4 h", "5 min 12 s"."""
    return " ".join(duration(seconds).split(" ")[:4])


def clock_minute(unix_ms: int, form: str = "%H:%M") -> str:
    """Return a time of the market in UTC, to the minute."""
    return (datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=unix_ms)).strftime(form)


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


def _anchor(view: StatusView) -> PanelCell:
    if view.anchor is None:
        return PanelCell("anchor", "–")
    parts = [_figure(view, view.anchor)]
    parts += [f"now {gain_since(view)}"] if view.gain_frac is not None else []
    parts += [f"best {percent(view.high_frac)}"] if view.high_frac is not None else []
    gain = round(view.gain_frac or 0.0, 4)
    style = TextStyle.GOOD if gain > 0 else TextStyle.BAD if gain < 0 else TextStyle.PLAIN
    return PanelCell("anchor", " · ".join(parts), style)


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
    if view.gate is not None and view.mid is None:
        return "shut until there are enough candles for the channel", TextStyle.WARNING
    if view.gate is not None:
        return f"shut until {a_close(view)} {gate_side(view.gate)} {level(view, view.mid)}", TextStyle.WARNING
    if view.stop is None:
        return "–", TextStyle.PLAIN
    if view.not_judged_reason is not None and view.regime is Regime.BASE:
        return f"{_figure(view, view.stop)} NOT CHECKED, {view.not_judged_reason}", TextStyle.BAD
    if view.regime is not Regime.BASE:
        return quote_stop(view, view.stop), TextStyle.PLAIN
    now = view.exit_side_price
    if now is not None and now <= view.stop and not view.closes_alone and view.active_exit is None:
        stays = duration(view.stop_confirm_s)
        return f"reached {_figure(view, view.stop)}, sells if it stays for {stays}", TextStyle.BAD
    return f"sells at {trigger(view, view.stop, falling=True)}", TextStyle.PLAIN


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


def _pauses(view: StatusView) -> list[PanelCell]:
    """Return the rows on what delays or stops trading: waiting exit, rejected order, halt, pause, breaker."""
    found: list[PanelCell] = []
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
    """Return what stays active while the operator has paused trading, such as "the sale goes on"."""
    if view.active_exit is not None and view.active_exit.side is Side.SELL:
        return "the sale goes on"
    return "only the hard stop is active" if view.regime is Regime.BASE else "no buy-back"
