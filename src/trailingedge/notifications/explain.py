"""The answer to `why`: in two or three sentences, why the bot trades or does not, and at which prices that changes.

All functions are pure; they take the status, and the decision of the strategy that it shows. The first sentence says
what the bot does or does not do, and why. The others say what may happen next: a price, its distance from the present
price, and the rule for that price in brackets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Regime, Side
from trailingedge.notifications.account_messages import locked_elsewhere
from trailingedge.notifications.event_messages import (
    END_REASONS,
    EXIT_NAMES,
    FLIP,
    RESUME,
    AnyNumber,
    duration,
    elapsed,
    figure,
    order,
    percent,
    price,
    quantity,
)
from trailingedge.notifications.risk_messages import breaker_until, measured
from trailingedge.notifications.status import (
    ExitView,
    QuoteObstacle,
    StatusView,
    a_close,
    gain_asset,
    gate_side,
    level,
    quote_stop,
)
from trailingedge.strategy.blocks import TradeBlock
from trailingedge.strategy.decide import Decision
from trailingedge.strategy.state import ShutBy
from trailingedge.strategy.trailing_take_profit import MinGain, Trail
from trailingedge.strategy.unit_value import price_at

_PURPOSES: Final[Mapping[ExitKind, str]] = {
    ExitKind.TAKE_PROFIT: "to take profit",
    ExitKind.MANUAL: "on your command",
    ExitKind.BREAKOUT: "on a breakout",
    ExitKind.FLUSH: "after the hard stop",
    ExitKind.ESCAPE: "as a taker, the last resort",
}


@dataclass(frozen=True, slots=True)
class _DirectionWords:
    """The words for one direction of an exit: a sale, or a buy-back."""

    doing: str
    act: str
    acts: str
    side: str
    best: str
    deal: str


_SELLING: Final = _DirectionWords("selling", "sell", "sells", "bid", "best bid", "sale")
_BUYING: Final = _DirectionWords("buying back", "buy back", "buys back", "ask", "lowest ask", "buy-back")


def why(view: StatusView) -> str:
    """Return the answer to the operator's question `why`."""
    decision = view.decision
    if decision is None or decision.state.funded is None:
        return "Not trading yet: the bot is still starting."
    # The first function that returns sentences gives the answer. They are in the order of the strategy's own table:
    # obstacles to all trading come first, waiting for a price comes last.
    sentences = (
        _halted(view)
        or _exiting(view, decision)
        or _unfunded(view, decision)
        or _without_data(view, decision)
        or _gated(view, decision)
        or _stopping(view, decision)
        or _paused(view, decision)
        or _watching(view, decision)
    )
    return " ".join(sentences)


def _words(view: StatusView) -> _DirectionWords:
    return _SELLING if view.regime is Regime.BASE else _BUYING


def _figure(view: StatusView, value: AnyNumber | None) -> str:
    """Return a price without its unit, because the sentence has named the unit already."""
    return "–" if value is None else figure(value, view.rules.tick_size)


# --- obstacles to all trading, or nearly all ----------------------------------------------------------


def _halted(view: StatusView) -> list[str]:
    if not view.halted:
        return []
    reason = f" ({view.halt_reason})" if view.halt_reason else ""
    return [
        f"Not trading: halted by a safety rule{reason}.",
        f"There are no orders, not even from the hard stop, until you resume with {RESUME}.",
    ]


def _unfunded(view: StatusView, decision: Decision) -> list[str]:
    if TradeBlock.UNFUNDED not in view.exit_blocks:
        return []
    rules, holdings = view.rules, decision.holdings
    has = "nothing"
    if holdings is not None:
        has = f"{quantity(rules, holdings.base)} and {price(rules, holdings.quote)}"
    sentence = f"Not trading: there are {has} to trade, and an order needs {price(rules, rules.min_notional)}"
    if rules.min_quantity:
        sentence += f" and {quantity(rules, rules.min_quantity)}"
    reserves, locked = _reserves(view), locked_elsewhere(rules, view.locked)
    others = [f"{reserves} kept back."] if reserves else []
    others += [f"{locked}."] if locked else []
    return [f"{sentence}.", *(others or ["It goes on after a deposit."])]


def _reserves(view: StatusView) -> str:
    """Return the subject and the verb of the sentence "RESERVE_BASE … is kept back"; "" without reserves."""
    rules = view.rules
    reserves = [f"RESERVE_BASE {quantity(rules, view.reserve_base)}"] if view.reserve_base else []
    reserves += [f"RESERVE_QUOTE {price(rules, view.reserve_quote)}"] if view.reserve_quote else []
    return f"{' and '.join(reserves)} {'is' if len(reserves) == 1 else 'are'}" if reserves else ""


def _without_data(view: StatusView, decision: Decision) -> list[str]:
    """Explain that no level is checked because the price or the account connection is missing."""
    if not view.account_proven:
        return [
            "Not trading: there is no account connection, so no order can be sent.",
            f"No level is checked until it returns{_nor_the_stop(view)}.",
        ]
    if decision.unit_value is not None:
        return []
    silent = f" for {view.data_age_s:.0f} s" if view.data_is_known else ""
    return [f"Not trading: no market data{silent}.", f"No level is checked until it returns{_nor_the_stop(view)}."]


def _nor_the_stop(view: StatusView) -> str:
    return ", not even the hard stop" if view.regime is Regime.BASE else ""


def _paused(view: StatusView, decision: Decision) -> list[str]:
    """Explain a pause: by the operator, by a breaker, or after a buy that failed because the balance was too small."""
    if TradeBlock.PAUSED not in view.exit_blocks:
        return []
    if view.paused:
        because = f"trading is paused, resume with {RESUME}"
    elif view.trips:
        because = "; ".join(f"{measured(trip)}, paused {breaker_until(trip.breaker)}" for trip in view.trips)
    else:
        because = "the balance is only just enough for an order and the last try failed; the next one is in a minute"
    doing = "taking profit" if view.regime is Regime.BASE else "buying back"
    return [f"Not {doing}: {because}.", *_after_the_pause(view, decision), _stop(view)]


def _after_the_pause(view: StatusView, decision: Decision) -> list[str]:
    """Describe the take-profit that applies after the pause."""
    trail, words = decision.trail, _words(view)
    if trail is None or decision.trail_arms_at_price is None:
        return []
    if trail.due:
        return [f"After that it {words.acts} at once: the {words.side} is past the trail."]
    if trail.trigger_value is not None and trail.drawdown < trail.callback:
        return [f"After that it {words.acts} at {level(view, decision.take_profit_price)} (the trail)."]
    if trail.armed:
        return []
    return [f"After that the take-profit trails from {level(view, decision.trail_arms_at_price)}."]


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
    first = f"Not buying back: the gate is shut {since}."
    if view.paused:
        return [first, _opens(view, decision), "Trading is paused as well."]
    if view.trips:
        return [first, _opens(view, decision), "A breaker pauses trading as well."]
    return [first, _opens(view, decision), f"{FLIP} buys anyway."]


def _opens(view: StatusView, decision: Decision) -> str:
    gate, state = decision.gate, decision.state
    if gate is None or decision.gate_price is None:
        return "It can open once there are enough candles for the channel."
    by_stop = gate.shut_by is ShutBy.HARD_STOP
    side, other = gate_side(gate), "below" if by_stop else "above"
    # Only candles that closed after the gate was shut count; before the first of them, `gate.price` serves as a close.
    closed_since = state.last_close_ms > gate.shut_ms
    before = state.last_close if closed_since else gate.price
    last = f"the last close was {_figure(view, before)}" if closed_since else "none has closed since"
    middle = f"It opens at {a_close(view)} {side} {level(view, decision.gate_price)} (the channel's middle)"
    # The gate opens on a cross of the middle, so a close on the other side has to come first.
    passed = before > decision.gate_price if by_stop else before < decision.gate_price
    return f"{middle}, after an earlier close at or {other} it; {last}." if passed else f"{middle}; {last}."


def _stop(view: StatusView) -> str:
    """Describe the stop: the hard stop while base is held, the shutting of the gate while quote is held."""
    if view.stop is None or view.stop_frac is None:
        return "There is no stop to check."
    if view.regime is Regime.BASE:
        falls = f"stays there for {elapsed(view.stop_confirm_s)}" if view.stop_confirm_s else "falls to it"
        return f"Hard stop {level(view, view.stop)}: it sells everything when the bid {falls}."
    stop = quote_stop(view, view.stop)
    return f"{stop[0].upper()}{stop[1:]} (the gate shuts)."


def _stopping(view: StatusView, decision: Decision) -> list[str]:
    """Explain that the bid is at the hard stop and has to stay there for the confirmation time."""
    if decision.stop_breach_ms is None or view.stop is None or view.exit_side_price is None:
        return []
    bid, stop = price(view.rules, view.exit_side_price), _figure(view, view.stop)
    lasted = f"{decision.stop_breach_ms / 1000:.1f} s of the {view.stop_confirm_s:g} s that it takes"
    return [f"About to sell everything: the bid {bid} has been at or below the hard stop {stop} for {lasted}."]


# --- watching -------------------------------------------------------------------------------------


def _watching(view: StatusView, decision: Decision) -> list[str]:
    trail, words = decision.trail, _words(view)
    if trail is None:
        return [f"Not {words.doing}: there is no price to decide by."]
    sentences = _trailing(view, decision, trail) if trail.armed else _not_trailing(view, decision, trail)
    return [*sentences, _stop(view)]


def _not_trailing(view: StatusView, decision: Decision, trail: Trail) -> list[str]:
    words, rules = _words(view), view.rules
    now = price(rules, view.exit_side_price or 0)
    first = (
        f"Not {words.doing}: the {words.side} is {now}, the {words.best} since the anchor "
        f"{_figure(view, view.anchor)} was {_figure(view, view.high)}."
    )
    if decision.trail_arms_at_price is None:
        return [first, "No gain is enough to trail while the channel is as wide as the price."]
    rule = _rule(view, trail.min_gain)
    if view.regime is Regime.BASE:  # only here is the gain a percentage of the price
        rule = f"a gain of {percent(trail.min_gain.value / decision.state.anchor)}, {rule}"
    return [first, f"The take-profit trails from {level(view, decision.trail_arms_at_price)} ({rule})."]


def _rule(view: StatusView, least: MinGain) -> str:
    """Name the rule that determines the minimum gain: the setting, the fees, or the channel's width."""
    if least.value == least.static:
        return f"MIN_GAIN_TRIGGER_FRAC_{'BASE' if view.regime is Regime.BASE else 'QUOTE'}"
    return "for both fees and BUFFER" if least.value == least.fees else "for the channel's width"


def _trailing(view: StatusView, decision: Decision, trail: Trail) -> list[str]:
    words, regime = _words(view), decision.regime or Regime.BASE
    now = price(view.rules, view.exit_side_price or 0)
    gain = f"{percent(trail.gain / decision.state.anchor)} in {gain_asset(view)}"
    best = f"The {words.best} was {_figure(view, view.high)}, a gain of {gain}."
    trigger = price_at(regime, trail.high - trail.callback)
    at, pays = _figure(view, trigger), _figure(view, price_at(regime, trail.break_even))
    if trail.due:
        return [
            (f"About to {words.act}: the {words.side} {now} has reached the trail at {at}; waiting for the balances.")
        ]
    if trail.trigger_value is None:
        return [
            (
                f"Not {words.doing} yet: a {words.deal} at the trail, {at}, would not pay both fees, "
                f"but a {words.deal} at {pays} would; the {words.side} is {now}."
            ),
            best,
        ]
    if trail.drawdown >= trail.callback:
        return [
            (
                f"Not {words.doing}: the {words.side} {now} is past the trail at {at} and past {pays}, "
                f"where a {words.deal} still pays both fees; it {words.acts} once the {words.side} is back in between."
            )
        ]
    return [
        f"Not {words.doing} yet: the {words.side} is {now}; it {words.acts} at {level(view, trigger)} (the trail).",
        best,
    ]


# --- an exit in progress --------------------------------------------------------------------------


def _exiting(view: StatusView, decision: Decision) -> list[str]:
    active = view.active_exit
    if active is None:
        return []
    if active.ending is not None:
        return _ending(view, active, END_REASONS[active.ending])
    stopping = _stopping(view, decision)
    return [f"{_progress(view, active)}: {_order(view, active)}.", *(stopping or _what_ends_it(view, active))]


def _ending(view: StatusView, active: ExitView, reason: str) -> list[str]:
    """Describe the steps that remain before an ending exit is over; no other exit can start until then."""
    over = f"The {EXIT_NAMES[active.kind]} is ending ({reason})"
    # While an exit is ending, the strategy starts nothing else, not even the hard stop.
    last = ["The hard stop is not checked until then."] if view.regime is Regime.BASE else []
    if active.price is not None and active.remaining is not None:
        if view.account_proven:
            return [f"{over}: its order is being cancelled.", *last]
        left = order(view.rules, active.side, active.remaining, active.price)
        return [
            f"{over}, but there is no account connection: the order {left} may still fill until it can be cancelled.",
            *last,
        ]
    if not view.account_proven:
        waits = "the account connection returns"
    elif view.not_judged_reason:
        waits = "market data returns"
    else:
        return [f"{over}: no order is left on the book; it ends at once.", *last]
    return [f"{over}: no order is left on the book; it is over when {waits}.", *last]


def _progress(view: StatusView, active: ExitView) -> str:
    doing = "Selling" if active.side is Side.SELL else "Buying back"
    filled = f"{quantity(view.rules, active.filled)} filled so far" if active.filled else "nothing filled so far"
    return f"{doing} {_PURPOSES.get(active.kind, EXIT_NAMES[active.kind])} for {duration(active.age_s)}, {filled}"


def _order(view: StatusView, active: ExitView) -> str:
    """Describe the order: its price, and what delays its placement or its fill."""
    rules, obstacle = view.rules, active.obstacle
    trouble = "" if obstacle is None else obstacle.value
    if obstacle is QuoteObstacle.REFUSED and active.reject_text:
        trouble = f"{trouble} ({active.reject_text})"
    if active.price is None or active.remaining is None:
        return f"no order is on the book, {trouble or 'one is about to be placed'}"
    resting = f"the order for {quantity(rules, active.remaining)} is at {price(rules, active.price)}"
    if trouble:
        return f"{resting}; {trouble}"
    if view.top is None:
        return resting
    best = view.top.best(active.side)
    side, taker = ("ask", "buyer") if active.side is Side.SELL else ("bid", "seller")
    # A SELL priced above the best ask, or a BUY priced below the best bid, has to follow the best price.
    if (best < active.price) if active.side is Side.SELL else (best > active.price):
        return f"{resting}, and follows the best {side}, {_figure(view, best)}"
    return f"{resting}, the best {side}; being post-only, it waits for a {taker}"


def _what_ends_it(view: StatusView, active: ExitView) -> list[str]:
    """Describe the stop that can end the exit, and whether it is checked now."""
    if view.stop is None:
        return []
    if active.side is Side.SELL:
        stop = _figure(view, view.stop)
        if not view.account_proven:
            return [f"The hard stop at {stop} is not checked until the account connection returns."]
        if view.not_judged_reason:
            return [f"The hard stop at {stop} is not checked until market data returns."]
        return [f"The hard stop takes over at a bid ≤ {level(view, view.stop)}."]
    stop = level(view, view.stop)
    return [f"{a_close(view)[0].upper()}{a_close(view)[1:]} ≥ {stop}, cancels the buy-back and shuts the gate."]
