"""The status: `StatusView`, a snapshot of the bot's state, and its forms as a line of text and as data for machines.

The line of text is the answer to the hotkey 's' and to Telegram's /status. It is also printed once a minute as the
heartbeat. `console.status_panel` shows the same snapshot as a block of rows, and `explain` describes it in sentences.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Final

from trailingedge.accounting.session_results import SessionResults
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import ZERO, Balance, BookTop, Regime, Side, SymbolRules, format_on_grid, format_plain
from trailingedge.notifications.event_messages import (
    EXIT_NAMES,
    AnyNumber,
    counted,
    distance,
    duration,
    figure,
    held_asset,
    percent,
    price,
    quantity,
)
from trailingedge.notifications.level_history import LevelSample
from trailingedge.notifications.risk_messages import breaker_name
from trailingedge.notifications.session_heading import heading
from trailingedge.risk.circuit_breakers import BreakerTrip
from trailingedge.strategy.blocks import TradeBlock
from trailingedge.strategy.decide import Decision
from trailingedge.strategy.state import ReentryGate, ShutBy

STATUS_VERSION: Final = 1
SHOW_AGE_FROM_S: Final = 2.0  # the line mentions the age of data from this one on


class QuoteObstacle(Enum):
    """The reasons why an exit has no order on the book, or why its order does not follow the price, in words."""

    HALTED = "the exchange does not trade this pair now"
    NO_ACCOUNT = "there is no account connection"
    NO_MARKET = "there is no fresh market data to set a price by"
    IN_DOUBT = "the last request was not answered; the exchange is being asked what became of it"
    IN_FLIGHT = "the order was just sent"
    REFUSED = "the exchange rejected the last order"
    BALANCES = "the last fill is not in the balances yet"
    BUDGET = "the exchange's order limit is nearly used up; the order moves less often"


@dataclass(frozen=True, slots=True)
class ExitView:
    """The exit in progress: the sale or buy-back, and its order on the book.

    `price`, `remaining` and `client_order_id` belong to its order; they are None without an order. `filled` and
    `filled_quote` sum all orders of the exit, `replaces` counts its cancel-replaces. `reject_text` is the
    exchange's reason if `obstacle` is REFUSED, else None. If `ending` is set, the exit is being cancelled.
    """

    kind: ExitKind
    side: Side
    age_s: float
    filled: Decimal = ZERO
    filled_quote: Decimal = ZERO
    price: Decimal | None = None
    remaining: Decimal | None = None
    client_order_id: str | None = None
    obstacle: QuoteObstacle | None = None
    reject_text: str | None = None
    ending: ExitEndReason | None = None
    replaces: int = 0


@dataclass(frozen=True, slots=True)
class StatusView:
    """All values of the status. A value that does not apply or is not known yet is None.

    All prices are quote per base in both regimes. `trails_from` is the price at which the gain becomes large enough for
    the trail, `take_profit` the price at which the trail takes the profit. `stop` is compared with the bid while base
    is held, and with candle closes while quote is held; it is None while it is not checked. `stop_at_once` is the price
    at which the loss is HARD_STOP_MAX_FRAC. If `closes_alone`, take-profit and hard stop are compared only with candle
    closes. `without_price` is true if no book is known, so that no level can be checked. `base` and `quote` are the
    account's balances, including the reserves. `trading_paused` is true if no profit is taken and nothing is bought,
    for any cause. `decision` is the strategy's last one, from which the levels come; it is None before the first tick.
    `results` are None before the first valuation. `samples` are the prices and levels of the last hours.
    """

    mode: str
    rules: SymbolRules
    phase: str
    regime: Regime | None = None
    top: BookTop | None = None
    anchor: AnyNumber | None = None
    high: AnyNumber | None = None
    value: AnyNumber | None = None  # of all that is held, in quote
    gain_frac: float | None = None
    high_frac: float | None = None
    base: Balance | None = None
    quote: Balance | None = None
    reserve_base: Decimal = ZERO
    reserve_quote: Decimal = ZERO
    trailing: bool = False
    trails_from: AnyNumber | None = None
    take_profit: AnyNumber | None = None
    stop: AnyNumber | None = None
    stop_frac: float | None = None
    stop_confirm_s: float = 0.0
    stop_at_once: AnyNumber | None = None
    closes_alone: bool = False
    kline_interval: str = ""
    lower: AnyNumber | None = None
    mid: AnyNumber | None = None
    upper: AnyNumber | None = None
    squeezed: bool = False
    gate_open: bool | None = None
    gate: ReentryGate | None = None  # set only while the gate is shut
    active_exit: ExitView | None = None
    market_ms: int = 0
    data_age_s: float | None = None
    without_price: bool = False
    account_proven: bool = True
    reconnects: int = 0
    trading_paused: bool = False
    paused: bool = False
    trips: tuple[BreakerTrip, ...] = ()
    halted: bool = False
    halt_reason: str | None = None
    decision: Decision | None = None
    reject_text: str | None = None  # the exchange's reason if it rejected the last order
    results: SessionResults | None = None
    uptime_s: float | None = None
    samples: tuple[LevelSample, ...] = ()

    @property
    def data_is_known(self) -> bool:
        """Whether any market data has arrived since the start."""
        return self.data_age_s is not None and isfinite(self.data_age_s)

    @property
    def not_judged_reason(self) -> str | None:
        """The reason why no level is checked now, and so not the hard stop either.

        It is None while levels are checked.
        """
        if not self.account_proven:
            return "no account connection"
        if self.without_price or (self.data_age_s is not None and not self.data_is_known):
            return "no market data"
        return None

    @property
    def exit_blocks(self) -> tuple[TradeBlock, ...]:
        """The reasons why the strategy cannot start an exit by itself.

        They are those of its last decision, and those that arose since then.
        """
        decided = () if self.decision is None else self.decision.exit_blocks
        since = {
            TradeBlock.HALTED: self.halted,
            TradeBlock.NO_BOOK: self.not_judged_reason is not None,
            TradeBlock.PAUSED: self.trading_paused,
        }
        return tuple(block for block in TradeBlock if block in decided or since.get(block))

    @property
    def locked(self) -> dict[str, Decimal]:
        """The amounts that open orders lock, by asset."""
        return {each.asset: each.locked for each in (self.base, self.quote) if each is not None and each.locked}

    @property
    def exit_side_price(self) -> Decimal | None:
        """The price that the levels are compared with.

        It is the bid while base is held, and the ask while quote is held.
        """
        if self.top is None or self.regime is None:
            return None
        return self.top.bid if self.regime is Regime.BASE else self.top.ask


def status(view: StatusView) -> str:
    """Return the status in one line.

    It has the position, pauses, price, value, gain, next levels, the order, and what is wrong.
    """
    rules = view.rules
    parts = [heading(view.mode, rules.symbol), position(view)]
    parts += pause_reasons(view)
    if view.top is not None:
        bid, ask = (figure(side, rules.tick_size) for side in (view.top.bid, view.top.ask))
        parts.append(f"{bid}/{ask} {rules.quote_asset}")
    if view.value is not None:
        parts.append(f"value {price(rules, view.value)}")
    if view.anchor is not None:
        gain = f" ({gain_since(view)})" if view.gain_frac is not None else ""
        parts.append(f"anchor {figure(view.anchor, rules.tick_size)}{gain}")
    parts += triggers(view)
    if view.active_exit is not None:
        parts.append(exit_summary(rules, view.active_exit, view.top))
    if view.reject_text is not None:
        parts.append(rejection(view.reject_text))
    if view.data_age_s is not None and not view.data_is_known:
        parts.append("no market data")
    elif view.data_age_s is not None and view.data_age_s >= SHOW_AGE_FROM_S:
        silent = view.without_price or view.not_judged_reason is not None
        parts.append(f"no market data for {view.data_age_s:.0f} s" if silent else f"data {view.data_age_s:.0f} s old")
    if not view.account_proven:
        parts.append("no account connection")
    if view.reconnects:
        parts.append(f"reconnects {view.reconnects}")
    return " | ".join(parts)


def rejection(reject_text: str) -> str:
    """Return the words for an order that the exchange rejected, with its reason."""
    return f"{QuoteObstacle.REFUSED.value} ({reject_text.rstrip('.')})"


def position(view: StatusView) -> str:
    """Return the asset held and the activity: "holding ETH, watching"."""
    return f"holding {held_asset(view.rules, view.regime)}, {activity(view)}"


def activity(view: StatusView) -> str:
    """Return what the bot does now: "selling (take-profit)"."""
    if view.active_exit is not None:
        verb = "selling" if view.active_exit.side is Side.SELL else "buying back"
        return f"{verb} ({EXIT_NAMES[view.active_exit.kind]})"
    return "gate shut" if view.gate is not None else view.phase


def gain_since(view: StatusView) -> str:
    """Return the gain since the anchor with its unit: "+0.40 % in FDUSD".

    The text is empty while the gain is not known.
    """
    return "" if view.gain_frac is None else f"{percent(view.gain_frac)} in {gain_asset(view)}"


def gain_asset(view: StatusView) -> str:
    """Return the asset in which the gain is measured: the asset that the next exit would bring."""
    return view.rules.quote_asset if view.regime is Regime.BASE else view.rules.base_asset


def pause_reasons(view: StatusView) -> list[str]:
    """Return the reasons why the bot neither takes profits nor buys now; empty if there are none."""
    # A pause without one of these causes is the strategy's own, a minute after a buy that exceeded the balance.
    found = ["halted"] if view.halted else []
    found += ["paused"] if view.paused else []
    found += [f"breaker: {breaker_name(trip.breaker)}" for trip in view.trips]
    return found or (["buying paused for a minute"] if view.trading_paused else [])


def triggers(view: StatusView) -> list[str]:
    """Return the prices at which the bot acts next, each with its distance from the present price."""
    sells = view.regime is Regime.BASE
    found = []
    # A level that cannot act now is left out. The hard stop of the base asset is the exception: it is active during a
    # pause, and without data it is shown with a warning.
    free = not view.exit_blocks
    if free and view.take_profit is not None:
        found.append(f"{'sells' if sells else 'buys back'} at {trigger(view, view.take_profit, falling=sells)}")
    elif free and not view.trailing and view.trails_from is not None:
        found.append(f"take-profit trails from {trigger(view, view.trails_from, falling=not sells)}")
    if view.gate is not None and view.mid is not None:
        found.append(f"gate opens at {a_close(view)} {gate_side(view.gate)} {level(view, view.mid)}")
    elif view.stop is not None and sells:
        unchecked = " NOT CHECKED NOW" if view.not_judged_reason else ""
        at = "at " if view.closes_alone else ""
        found.append(f"hard stop {at}{trigger(view, view.stop, falling=True)}{unchecked}")
    elif view.stop is not None:
        found.append(quote_stop(view, view.stop))
    return found


def level(view: StatusView, value: AnyNumber | None) -> str:
    """Return a price and how far it is from the current one: "2475.25, -0.60 % from here"."""
    if value is None:
        return "–"
    # The distance is measured in the price, also while quote is held: a distance in the unit value (1 / price) would
    # have the opposite sign and another size, and could not be compared with a chart.
    shown, now = figure(value, view.rules.tick_size), view.exit_side_price
    return shown if now is None or not isfinite(value) else f"{shown}, {distance(value, now)}"


def a_close(view: StatusView) -> str:
    """Return the words for the close of a candle of the strategy: "a 15m close"."""
    return f"a {view.kline_interval or 'candle'} close"


def trigger(view: StatusView, value: AnyNumber, *, falling: bool) -> str:
    """Return the price at which the take-profit or the hard stop acts, and whether a candle has to close there.

    `falling` tells whether the price has to fall to it.
    """
    return (
        f"{a_close(view)} {'≤' if falling else '≥'} {level(view, value)}" if view.closes_alone else level(view, value)
    )


def quote_stop(view: StatusView, stop: AnyNumber) -> str:
    """Return the text on the stop while quote is held: the gate shuts when a candle closes beyond this price."""
    return f"no buy-back after {a_close(view)} ≥ {level(view, stop)}"


def gate_side(gate: ReentryGate) -> str:
    """Return the side of the channel's middle on which a candle must close to open the gate."""
    return "above" if gate.shut_by is ShutBy.HARD_STOP else "below"


def exit_summary(rules: SymbolRules, active: ExitView, top: BookTop | None) -> str:
    """Return the exit in progress in one line.

    It has the order, the best price of its side, the amount filled, the age and the number of
    replaces.
    """
    moved = f", {counted(active.replaces, 'replace')}" if active.replaces else ""
    progress = f"{quantity(rules, active.filled)} filled, {duration(active.age_s)}{moved}"
    if active.price is None or active.remaining is None:
        return f"{active.side.value} without an order, {progress}"
    at = figure(active.price, rules.tick_size)
    best = "" if top is None else f" (best {figure(top.best(active.side), rules.tick_size)})"
    return f"{active.side.value} {quantity(rules, active.remaining)} at {at}{best}, {progress}"


# --- for machines ---


def as_data(view: StatusView) -> dict[str, object]:
    """Return the status for machines.

    Amounts and prices are strings on the symbol's grid, times are ISO 8601 in UTC.
    """
    rules, top = view.rules, view.top
    # Scripts depend on these names and shapes, so "armed" stays, although texts for people say "trailing".
    return {
        "version": STATUS_VERSION,
        "mode": view.mode,
        "symbol": rules.symbol,
        "time": _iso(view.market_ms),
        "phase": view.phase,
        "holding": None if view.regime is None else held_asset(rules, view.regime),
        "bid": _price(rules, None if top is None else top.bid),
        "ask": _price(rules, None if top is None else top.ask),
        "anchor": _price(rules, view.anchor),
        "high": _price(rules, view.high),
        "gain_frac": view.gain_frac,
        "value": _price(rules, view.value),
        "balances": _balances(view),
        "take_profit": {
            "armed": view.trailing,
            "arms_at": _price(rules, view.trails_from),
            "exits_at": _price(rules, view.take_profit),
            "judged_by": _trigger_price(view),
        },
        "hard_stop": {"price": _price(rules, view.stop), "distance_frac": view.stop_frac, "judged_by": _judge(view)},
        "channel": {
            "lower": _price(rules, view.lower),
            "mid": _price(rules, view.mid),
            "upper": _price(rules, view.upper),
            "squeezed": view.squeezed,
        },
        "gate": _gate(view),
        "exit": None if view.active_exit is None else _exit(rules, view.active_exit),
        "paused": view.paused,
        "breakers": [trip.breaker.value for trip in view.trips],
        "halted": view.halted,
        "halt_reason": view.halt_reason,
        "refusal": view.reject_text,
        "data_age_s": round(view.data_age_s or 0.0, 3) if view.data_is_known else None,
        "account_connected": view.account_proven,
        "reconnects": view.reconnects,
        "results": None if view.results is None else _results(rules, view.results),
        "uptime_s": None if view.uptime_s is None else round(view.uptime_s),
    }


def _price(rules: SymbolRules, value: AnyNumber | None) -> str | None:
    return None if value is None or not isfinite(value) else format_on_grid(Decimal(value), rules.tick_size)


def _iso(unix_ms: int) -> str | None:
    if not unix_ms:
        return None
    return (datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=unix_ms)).isoformat(timespec="milliseconds")


def _balances(view: StatusView) -> Mapping[str, object]:
    known = (balance for balance in (view.base, view.quote) if balance is not None)
    return {
        balance.asset: {"free": format_plain(balance.free), "locked": format_plain(balance.locked)} for balance in known
    }


def _results(rules: SymbolRules, results: SessionResults) -> Mapping[str, object]:
    return {
        "today": format_on_grid(results.today, rules.tick_size),
        "today_frac": results.today_frac,
        "total": format_on_grid(results.total, rules.tick_size),
        "total_frac": results.total_frac,
        "trades": results.trades,
        "wins": results.wins,
        "replaces": results.replaces,
        "fees": {asset: format_plain(fee) for asset, fee in results.fees.items() if fee},
    }


def _judge(view: StatusView) -> str | None:
    if view.stop is None:
        return None
    return "close" if view.regime is Regime.QUOTE else _trigger_price(view)


def _trigger_price(view: StatusView) -> str | None:
    if view.regime is None:
        return None
    if view.closes_alone:
        return "close"
    return "bid" if view.regime is Regime.BASE else "ask"


def _gate(view: StatusView) -> Mapping[str, object] | None:
    """Return the gate for machines; None while base is held, because there is no gate then."""
    if view.gate is None:
        return None if view.gate_open is None else {"open": view.gate_open}
    gate = view.gate
    return {
        "open": False,
        "shut_by": "flush" if gate.shut_by is ShutBy.HARD_STOP else "stop",
        "shut_at": _price(view.rules, gate.price),
        "shut_time": _iso(gate.shut_ms),
        "opens_at_close": gate_side(gate),
        "opens_at": _price(view.rules, view.mid),
    }


def _exit(rules: SymbolRules, active: ExitView) -> Mapping[str, object]:
    return {
        "kind": active.kind.name.lower(),
        "side": active.side.value,
        "age_s": round(active.age_s, 3),
        "filled": format_on_grid(active.filled, rules.step_size),
        "filled_quote": format_plain(active.filled_quote),
        "order": None
        if active.price is None or active.remaining is None
        else {
            "client_order_id": active.client_order_id,
            "price": format_on_grid(active.price, rules.tick_size),
            "remaining": format_on_grid(active.remaining, rules.step_size),
        },
        "waits_for": None if active.obstacle is None else active.obstacle.name.lower(),
        "refusal": active.reject_text,
        "ending": None if active.ending is None else active.ending.value,
    }
