"""Why it trades or does not, in a sentence or two, with the prices at which that changes.

Pure: the decision of the last beat and what the status shows of it become words for whoever holds the
money. The first sentence says what is (not) done and why, the second what else may happen next.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Regime, Side
from trailingedge.notifications.account_messages import locked_elsewhere
from trailingedge.notifications.messages import (
    END_REASONS,
    EXIT_NAMES,
    AnyNumber,
    figure,
    order,
    percent,
    price,
    quantity,
)
from trailingedge.notifications.risk_messages import breaker_until, measured
from trailingedge.notifications.status import ExitView, QuoteObstacle, StatusView, gain_asset, gate_side
from trailingedge.strategy.blocks import TradeBlock
from trailingedge.strategy.decide import Decision
from trailingedge.strategy.regime import price_at
from trailingedge.strategy.state import ShutBy
from trailingedge.strategy.trailing_stop import MinGain, Trail

_REASONS: Final[Mapping[ExitKind, str]] = {
    ExitKind.TAKE_PROFIT: "to take profit",
    ExitKind.MANUAL: "on your command",
    ExitKind.BREAKOUT: "on a breakout",
    ExitKind.FLUSH: "after the hard stop",
    ExitKind.ESCAPE: "as a last resort",
}


@dataclass(frozen=True, slots=True)
class _DirectionWords:
    """The words for one of the two directions: a take-profit sells into a fall, and buys back into a rise."""

    doing: str
    act: str
    acts: str
    side: str
    best: str
    turns: str
    past: str
    deal: str


_SELLING: Final = _DirectionWords("selling", "sell", "sells", "bid", "best bid", "falls", "or below", "sale")
_BUYING: Final = _DirectionWords("buying", "buy", "buys", "ask", "lowest ask", "rises", "or above", "purchase")


def why(view: StatusView, decision: Decision | None) -> str:
    """The sentences. `view` and `decision` are of the same beat; without a decision there was none yet."""
    if decision is None or decision.state.funded is None:
        return "Not trading yet: the start is not over."
    sentences = (
        _halted(view)
        or _exiting(view, decision)
        or _unfunded(view, decision)
        or _blind(view, decision)
        or _gated(view, decision)
        or _stopping(view, decision)
        or _held(view, decision)
        or _watching(view, decision)
    )
    return " ".join(sentences)


def _way(view: StatusView) -> _DirectionWords:
    return _SELLING if view.regime is Regime.BASE else _BUYING


def _level(view: StatusView, value: AnyNumber | None) -> str:
    """A price without its unit, which the sentence has named already."""
    return "–" if value is None else figure(value, view.rules.tick_size)


# --- what forbids everything, or almost -----------------------------------------------------------


def _halted(view: StatusView) -> list[str]:
    if not view.halted:
        return []
    reason = f" ({view.halt_reason})" if view.halt_reason else ""
    return [
        f"Not trading: halted by a safety rule{reason}.",
        "Nothing is armed, not even the hard stop, until you resume ('r' or /resume).",
    ]


def _unfunded(view: StatusView, decision: Decision) -> list[str]:
    if TradeBlock.UNFUNDED not in decision.exit_blocks:
        return []
    rules, holdings = view.rules, decision.holdings
    has = "nothing"
    if holdings is not None:
        has = f"{quantity(rules, holdings.base)} and {price(rules, holdings.quote)}"
    sentence = f"Not trading: an order needs at least {price(rules, rules.min_notional)}"
    if rules.min_quantity:
        sentence += f" and {quantity(rules, rules.min_quantity)}"
    sentence += f", and there are {has} to trade."
    kept, locked = _kept_back(view), locked_elsewhere(rules, view.locked)
    others = [f"{kept} kept back."] if kept else []
    others += [f"{locked}."] if locked else []
    return [sentence, *(others or ["A deposit starts it again."])]


def _kept_back(view: StatusView) -> str:
    """What the reserves take out of reach."""
    rules = view.rules
    kept = [f"RESERVE_BASE {quantity(rules, view.reserve_base)}"] if view.reserve_base else []
    kept += [f"RESERVE_QUOTE {price(rules, view.reserve_quote)}"] if view.reserve_quote else []
    return f"{' and '.join(kept)} {'is' if len(kept) == 1 else 'are'}" if kept else ""


def _blind(view: StatusView, decision: Decision) -> list[str]:
    """Nothing is judged by old data."""
    if not view.account_proven:
        return [
            "Not trading: the account connection is away, so nothing can be ordered.",
            f"No trigger is judged until it is back{_nor_the_stop(view)}.",
        ]
    if decision.unit_value is not None:
        return []
    heard = (
        f"the market has been silent for {view.data_age_s:.0f} s" if view.data_is_known else "there is no market data"
    )
    return [f"Not trading: {heard}.", f"No trigger is judged until it speaks again{_nor_the_stop(view)}."]


def _nor_the_stop(view: StatusView) -> str:
    return ", the hard stop neither" if view.regime is Regime.BASE else ""


def _held(view: StatusView, decision: Decision) -> list[str]:
    """Pause, breaker, or funds at the edge of what can be bought with."""
    if TradeBlock.PAUSED not in (*view.exit_blocks, *decision.exit_blocks):
        return []
    if view.paused:
        because = "you have paused it; 'r' or /resume goes on"
    elif view.trips:
        because = "; ".join(
            f"{measured(trip)}, so a breaker holds {breaker_until(trip.breaker)}" for trip in view.trips
        )
    else:
        because = (
            "the last try came to nothing, for the funds only just make up an order; it is tried again in a minute"
        )
    doing = "selling for profit" if view.regime is Regime.BASE else "buying"
    return [f"Not {doing}: {because}.", *_after(view, decision), _stop(view)]


def _after(view: StatusView, decision: Decision) -> list[str]:
    """Which take-profit counts once nothing holds any more."""
    trail, way = decision.trail, _way(view)
    if trail is None or decision.trail_arms_at_price is None:
        return []
    if trail.due:
        return [f"After that it {way.acts} at once, for the {way.side} is past the trail."]
    if trail.trigger_value is not None and trail.drawdown < trail.callback:
        level = _level(view, decision.take_profit_price)
        return [f"After that it {way.acts} for profit when the {way.side} {way.turns} to {level} {way.past}."]
    if trail.armed:
        return []
    return [f"After that the take-profit trails from {_level(view, decision.trail_arms_at_price)} on."]


# --- the gate and the stop ------------------------------------------------------------------------


def _gated(view: StatusView, decision: Decision) -> list[str]:
    gate = decision.gate
    if gate is None:
        return []
    rules = view.rules
    if gate.shut_by is ShutBy.HARD_STOP:
        since = f"since the hard stop sold at {price(rules, gate.price)}"
    else:
        since = f"since a candle closed at {price(rules, gate.price)}, too far above the anchor"
    first = f"Not buying: the gate is shut {since}; {_opens(view, decision)}."
    held = "It is paused besides." if view.paused else "'x' buys all the same."
    return [first, "A breaker holds besides." if view.trips and not view.paused else held]


def _opens(view: StatusView, decision: Decision) -> str:
    gate, memory = decision.gate, decision.state
    if gate is None or decision.gate_price is None:
        return "it can open once there are candles enough for the channel"
    side, other = gate_side(gate), "below" if gate.shut_by is ShutBy.HARD_STOP else "above"
    mid = f"the channel's middle, {_level(view, decision.gate_price)}"
    heard = memory.last_close_ms > gate.shut_ms
    before = memory.last_close if heard else gate.price
    passed = before > decision.gate_price if gate.shut_by is ShutBy.HARD_STOP else before < decision.gate_price
    last = f"the last one closed at {_level(view, before)}" if heard else "none has closed since"
    if passed:
        return f"it opens when a candle closes {side} {mid}, after one at it or {other}; {last}"
    return f"it opens when a candle closes {side} {mid}; {last}"


def _stop(view: StatusView) -> str:
    """What happens if it goes the wrong way."""
    if view.stop is None or view.stop_frac is None:
        return "There is no stop to judge."
    away = f"{percent(-view.stop_frac)} in {gain_asset(view)}"
    if view.regime is Regime.BASE:
        return f"The hard stop sells when the bid falls to {_level(view, view.stop)} ({away})."
    return (
        f"A candle that closes at {_level(view, view.stop)} or above shuts the gate ({away}): then nothing is bought."
    )


def _stopping(view: StatusView, decision: Decision) -> list[str]:
    """A breach that has to last before it is believed."""
    if decision.stop_breach_ms is None or view.stop is None or view.exit_side_price is None:
        return []
    bid, stop = price(view.rules, view.exit_side_price), _level(view, view.stop)
    lasted = f"{decision.stop_breach_ms / 1000:.1f} s of the {view.stop_confirm_s:g} s that it takes"
    return [f"About to sell everything: the bid {bid} has been at the hard stop {stop} or below for {lasted}."]


# --- watching -------------------------------------------------------------------------------------


def _watching(view: StatusView, decision: Decision) -> list[str]:
    trail, way = decision.trail, _way(view)
    if trail is None:
        return [f"Not {way.doing}: there is nothing to judge by."]
    return [_armed(view, decision, trail) if trail.armed else _not_armed(view, decision, trail), _stop(view)]


def _not_armed(view: StatusView, decision: Decision, trail: Trail) -> str:
    way, rules = _way(view), view.rules
    best = f"the {way.best} since the anchor {price(rules, view.anchor or 0)} was {_level(view, view.high)}"
    first = f"Not {way.doing}: {best} ({percent(trail.gain / decision.state.anchor)} in {gain_asset(view)})"
    now = f"the {way.side} is {_level(view, view.exit_side_price)}"
    if decision.trail_arms_at_price is None:
        return f"{first}, and no gain is enough while the channel is as wide as the price; {now}."
    needed = percent(trail.min_gain.value / decision.state.anchor)
    return (
        f"{first}, and the take-profit trails from {_level(view, decision.trail_arms_at_price)} on "
        f"({needed}, {_term(trail.min_gain)}); {now}."
    )


def _term(least: MinGain) -> str:
    """Which of the three terms asks for so much."""
    if least.value == least.static:
        return "the least gain set"
    return "for both fees and the buffer" if least.value == least.fees else "for the channel's width"


def _armed(view: StatusView, decision: Decision, trail: Trail) -> str:
    way, regime = _way(view), decision.regime or Regime.BASE
    now = f"the {way.side} is {price(view.rules, view.exit_side_price or 0)}"
    gain = f"{percent(trail.gain / decision.state.anchor)} in {gain_asset(view)}"
    gained = f"{gain} at the {way.best}, {_level(view, view.high)}"
    trigger = _level(view, price_at(regime, trail.high - trail.callback))
    pays = _level(view, price_at(regime, trail.break_even))
    if trail.due:
        return f"About to {way.act}: the trail at {trigger} is reached, and the balances are being settled."
    if trail.trigger_value is None:
        return (
            f"Not {way.doing} yet: it trails {gained}, but a {way.deal} at {trigger}, where the trail is, "
            f"would not pay both fees ({pays} would); {now}."
        )
    if trail.drawdown >= trail.callback:
        return (
            f"Not {way.doing}: {now}, past the trail at {trigger} and past {pays}, which pays both fees; "
            f"no profit is left to take until it is back between the two."
        )
    then = f"it {way.acts} when the {way.side} {way.turns} to {trigger} {way.past}"
    return f"Not {way.doing} yet: it trails {gained}; {then}, and {now}."


# --- an exit under way ----------------------------------------------------------------------------


def _exiting(view: StatusView, decision: Decision) -> list[str]:
    chase = view.active_exit
    if chase is None:
        return []
    if chase.ending is not None:
        return _ending(view, chase, END_REASONS[chase.ending])
    stopping = _stopping(view, decision)
    return [f"{_head(view, chase)}: {_order(view, chase)}.", *(stopping or _what_ends_it(view, chase))]


def _ending(view: StatusView, chase: ExitView, cause: str) -> list[str]:
    """What is still to happen before it is over, and that until then nothing else is."""
    over = f"The {EXIT_NAMES[chase.kind]} is over ({cause})"
    last = ["Until then the hard stop is not judged."] if view.regime is Regime.BASE else []
    if chase.price is not None and chase.remaining is not None:
        if view.account_proven:
            return [f"{over}: its order is being taken off the book.", *last]
        left = order(view.rules, chase.side, chase.remaining, chase.price)
        away = "but the exchange cannot be reached"
        return [f"{over}, {away}: the order {left} may still fill until it is taken off.", *last]
    if not view.account_proven:
        waits = "it is concluded when the account connection is back"
    elif view.not_judged_reason:
        waits = "it is concluded when the market is heard again"
    else:
        waits = "it is concluded in a moment"
    return [f"{over}: no order of it is on the book, and {waits}.", *last]


def _head(view: StatusView, chase: ExitView) -> str:
    doing = "Selling" if chase.side is Side.SELL else "Buying"
    filled = f"{quantity(view.rules, chase.filled)} filled so far" if chase.filled else "nothing filled so far"
    return f"{doing} {_REASONS.get(chase.kind, EXIT_NAMES[chase.kind])} for {chase.age_s:.0f} s, {filled}"


def _order(view: StatusView, chase: ExitView) -> str:
    """Where the order is, and what it waits for."""
    rules, obstacle = view.rules, chase.obstacle
    trouble = "" if obstacle is None else obstacle.value
    if obstacle is QuoteObstacle.REFUSED and chase.reject_text:
        trouble = f"{trouble} ({chase.reject_text})"
    if chase.price is None or chase.remaining is None:
        return f"no order is on the book, {trouble or 'one is about to be placed'}"
    rests = f"the order for {quantity(rules, chase.remaining)} is at {price(rules, chase.price)}"
    if trouble:
        return f"{rests}; {trouble}"
    if view.top is None:
        return rests
    best = view.top.best(chase.side)
    side, taker = ("ask", "buyer") if chase.side is Side.SELL else ("bid", "seller")
    if (best < chase.price) if chase.side is Side.SELL else (best > chase.price):
        return f"{rests}, and follows the best {side}, {_level(view, best)}"
    return f"{rests}, the best {side}; being post-only, it waits for a {taker}"


def _what_ends_it(view: StatusView, chase: ExitView) -> list[str]:
    """What else may happen to it."""
    if view.stop is None:
        return []
    if chase.side is Side.SELL:
        stop = _level(view, view.stop)
        if not view.account_proven:
            return [f"The hard stop at {stop} is not judged until the account connection is back."]
        if view.not_judged_reason:
            return [f"The hard stop at {stop} is not judged until the market speaks again."]
        return [f"The hard stop takes over when the bid falls to {stop}."]
    return [f"A candle that closes at {_level(view, view.stop)} or above ends it."]
