"""How things stand, as a value, as one line for people and as data for machines.

The line is for 's', the heartbeat and the phone; the terminal's block (`console/block.py`) shows the same
value row by row, and `why.py` explains it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Final

from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import ZERO, Balance, BookTop, Regime, Side, SymbolRules, format_on_grid, format_plain
from trailingedge.notifications.messages import EXIT_NAMES, AnyNumber, figure, held_asset, percent, quantity
from trailingedge.notifications.risk_messages import breaker_name
from trailingedge.notifications.titles import heading
from trailingedge.risk.circuit_breakers import BreakerTrip
from trailingedge.strategy.blocks import TradeBlock, exit_blocks
from trailingedge.strategy.state import Phase, ReentryGate, ShutBy

STATUS_VERSION: Final = 1
SHOW_AGE_FROM_S: Final = 2.0  # younger data needs no mention


class QuoteObstacle(Enum):
    """Why an exit has no order on the book, or one that does not follow the price, as people read it."""

    HALTED = "the exchange has halted trading in this pair"
    NO_ACCOUNT = "the account connection is away"
    NO_MARKET = "the market data is too old to set a price by"
    IN_DOUBT = "the exchange left a request unanswered and is being asked what became of it"
    IN_FLIGHT = "the order has just been sent"
    REFUSED = "the exchange refused the last order"
    BALANCES = "the balances do not show the last fill yet"
    BUDGET = "the exchange's limit of orders is nearly used up, so the order moves less often"


@dataclass(frozen=True, slots=True)
class ExitView:
    """The exit in progress. `price`, `rest` and `client_order_id` are of its order; None while there is none.

    `filled` and `filled_quote` sum the whole chase; `refusal` is what the exchange said of the last order
    where that was no. With `ending` set the exit is being withdrawn.
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


@dataclass(frozen=True, slots=True)
class StatusView:
    """What there is to show; None where it does not apply or is not known yet.

    All prices are quote per base, whichever asset is held. `arms_at` is where a gain becomes worth
    protecting, `take_profit` where the trail exits once it is armed. `stop` is judged by the bid while base
    is held and by candle closes while quote is; None while nothing watches it. `unpriced`: there is no book
    that a trigger could be judged by. `base` and `quote` are the whole account's, the reserves included.
    `held`: nothing is bought and no profit taken, for whichever reason.
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
    lower: AnyNumber | None = None
    mid: AnyNumber | None = None
    upper: AnyNumber | None = None
    squeezed: bool = False
    gate_open: bool | None = None
    gate: ReentryGate | None = None  # the shut one
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

    @property
    def data_is_known(self) -> bool:
        """Some market data has been heard."""
        return self.data_age_s is not None and isfinite(self.data_age_s)

    @property
    def not_judged_reason(self) -> str | None:
        """Why no trigger is judged now, the hard stop of the base asset neither; None when all are."""
        if not self.account_proven:
            return "account away"
        if self.without_price or (self.data_age_s is not None and not self.data_is_known):
            return "market silent" if self.data_is_known else "no market data"
        return None

    @property
    def exit_blocks(self) -> tuple[TradeBlock, ...]:
        """What keeps the strategy from an exit of its own accord, by the facts that are shown."""
        return exit_blocks(
            halted=self.halted,
            exiting=self.active_exit is not None,
            funded=self.phase != Phase.UNFUNDED.value,
            has_book=self.not_judged_reason is None,
            gate_shut=self.gate is not None,
            paused=self.trading_paused,
        )

    @property
    def locked(self) -> dict[str, Decimal]:
        """What orders hold, by asset."""
        return {held.asset: held.locked for held in (self.base, self.quote) if held is not None and held.locked}

    @property
    def exit_side_price(self) -> Decimal | None:
        """What the triggers are compared with: the bid while base is held, the ask while quote is."""
        if self.top is None or self.regime is None:
            return None
        return self.top.bid if self.regime is Regime.BASE else self.top.ask


def status(view: StatusView) -> str:
    """What one wants to know at a glance, in that order."""
    rules = view.rules
    parts = [heading(view.mode, rules.symbol), position(view)]
    parts += pause_reasons(view)
    if view.top is not None:
        bid, ask = (figure(side, rules.tick_size) for side in (view.top.bid, view.top.ask))
        parts.append(f"{bid}/{ask} {rules.quote_asset}")
    if view.value is not None:
        parts.append(f"value {figure(view.value, rules.tick_size)}")
    if view.anchor is not None:
        gain = f" ({gain_since(view)})" if view.gain_frac is not None else ""
        parts.append(f"anchor {figure(view.anchor, rules.tick_size)}{gain}")
    parts += triggers(view)
    if view.active_exit is not None:
        parts.append(exit_summary(rules, view.active_exit, view.top))
    if view.data_age_s is not None and not view.data_is_known:
        parts.append("no market data")
    elif view.data_age_s is not None and view.data_age_s >= SHOW_AGE_FROM_S:
        parts.append(f"data {view.data_age_s:.0f} s old")
    if not view.account_proven:
        parts.append("account connection away")
    if view.reconnects:
        parts.append(f"reconnects {view.reconnects}")
    return " | ".join(parts)


def position(view: StatusView) -> str:
    """What is held and what we are about: "holding ETH, watching"."""
    held = f"holding {held_asset(view.rules, view.regime)}"
    return f"{held}, {activity(view)}"


def activity(view: StatusView) -> str:
    """What we are about: "selling (take-profit)"."""
    if view.active_exit is not None:
        verb = "selling" if view.active_exit.side is Side.SELL else "buying"
        return f"{verb} ({EXIT_NAMES[view.active_exit.kind]})"
    return "gate shut" if view.gate is not None else view.phase


def gain_since(view: StatusView) -> str:
    """The gain since the anchor and what it is counted in: "+0.40 % in FDUSD"; empty where none is known."""
    return "" if view.gain_frac is None else f"{percent(view.gain_frac)} in {gain_asset(view)}"


def gain_asset(view: StatusView) -> str:
    """What a gain is counted in: the other asset, that which is held would turn into more of."""
    return view.rules.quote_asset if view.regime is Regime.BASE else view.rules.base_asset


def pause_reasons(view: StatusView) -> list[str]:
    """Whatever keeps the bot from trading of its own accord."""
    found = ["halted"] if view.halted else []
    found += ["paused"] if view.paused else []
    found += [f"breaker: {breaker_name(trip.breaker)}" for trip in view.trips]
    return found or (["held"] if view.trading_paused else [])


def triggers(view: StatusView) -> list[str]:
    """The prices at which something happens next."""
    rules, sells = view.rules, view.regime is Regime.BASE
    told = []
    free = not view.exit_blocks
    if free and view.take_profit is not None:
        told.append(f"{'sells' if sells else 'buys'} at {figure(view.take_profit, rules.tick_size)}")
    elif free and not view.trailing and view.trails_from is not None:
        told.append(f"take-profit trails from {figure(view.trails_from, rules.tick_size)}")
    if view.gate is not None and view.mid is not None:
        told.append(f"gate opens at a close {gate_side(view.gate)} {figure(view.mid, rules.tick_size)}")
    elif view.stop is not None and sells:
        told.append(
            f"hard stop {figure(view.stop, rules.tick_size)}{' NOT JUDGED NOW' if view.not_judged_reason else ''}"
        )
    elif view.stop is not None:
        told.append(f"a close at {figure(view.stop, rules.tick_size)} shuts the gate")
    return told


def gate_side(gate: ReentryGate) -> str:
    """The side of the channel's middle on which a candle has to close."""
    return "above" if gate.shut_by is ShutBy.HARD_STOP else "below"


def exit_summary(rules: SymbolRules, chase: ExitView, top: BookTop | None) -> str:
    """The order, the best price of its side, what is filled, and for how long it has been going on."""
    filled = f"{quantity(rules, chase.filled)} filled, {chase.age_s:.0f} s"
    if chase.price is None or chase.remaining is None:
        return f"{chase.side.value} without an order, {filled}"
    at = figure(chase.price, rules.tick_size)
    best = "" if top is None else f" (best {figure(top.best(chase.side), rules.tick_size)})"
    return f"{chase.side.value} {quantity(rules, chase.remaining)} at {at}{best}, {filled}"


# --- for machines ---


def as_data(view: StatusView) -> dict[str, object]:
    """The same for a machine: amounts and prices are strings on the symbol's grid, the time is ISO 8601 in UTC."""
    rules, top = view.rules, view.top
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
        },
        "hard_stop": {"price": _price(rules, view.stop), "distance_frac": view.stop_frac, "judged_by": _judge(view)},
        "channel": {
            "lower": _price(rules, view.lower),
            "mid": _price(rules, view.mid),
            "upper": _price(rules, view.upper),
            "squeezed": view.squeezed,
        },
        "gate": _gate(view),
        "exit": None if view.active_exit is None else _chase(rules, view.active_exit),
        "paused": view.paused,
        "breakers": [trip.breaker.value for trip in view.trips],
        "halted": view.halted,
        "halt_reason": view.halt_reason,
        "data_age_s": round(view.data_age_s or 0.0, 3) if view.data_is_known else None,
        "account_connected": view.account_proven,
        "reconnects": view.reconnects,
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


def _judge(view: StatusView) -> str | None:
    if view.regime is None or view.stop is None:
        return None
    return "bid" if view.regime is Regime.BASE else "close"


def _gate(view: StatusView) -> Mapping[str, object] | None:
    """None while base is held, for then there is no gate."""
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


def _chase(rules: SymbolRules, chase: ExitView) -> Mapping[str, object]:
    return {
        "kind": chase.kind.name.lower(),
        "side": chase.side.value,
        "age_s": round(chase.age_s, 3),
        "filled": format_on_grid(chase.filled, rules.step_size),
        "filled_quote": format_plain(chase.filled_quote),
        "order": None
        if chase.price is None or chase.remaining is None
        else {
            "client_order_id": chase.client_order_id,
            "price": format_on_grid(chase.price, rules.tick_size),
            "remaining": format_on_grid(chase.remaining, rules.step_size),
        },
        "waits_for": None if chase.obstacle is None else chase.obstacle.name.lower(),
        "refusal": chase.reject_text,
        "ending": None if chase.ending is None else chase.ending.value,
    }
