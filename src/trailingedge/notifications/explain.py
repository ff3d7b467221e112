"""The answer to `why`: two or three sentences that say why the bot trades or does not trade, and at which prices that
changes.

The first sentence of an answer says what the bot does or does not do, and why. The others say what may happen next: a
price, its distance from the present price, and the rule for that price in brackets. All functions are pure. They take
the status and the strategy's last decision.
"""

from collections.abc import Mapping
from typing import Final

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Regime, Side
from trailingedge.notifications.event_messages import END_REASONS, EXIT_NAMES, duration, order, percent, price, quantity
from trailingedge.notifications.status import (
    ExitView,
    QuoteObstacle,
    StatusView,
    a_close,
    gain_asset,
    level,
    rejection,
    trigger,
)
from trailingedge.notifications.trade_block_texts import BLOCK_TEXTS, bare_price, direction_words, stop_sentence
from trailingedge.strategy.blocks import TradeBlock
from trailingedge.strategy.decide import Decision
from trailingedge.strategy.trailing_take_profit import MinGain, Trail
from trailingedge.strategy.unit_value import price_at

_PURPOSES: Final[Mapping[ExitKind, str]] = {
    ExitKind.TAKE_PROFIT: "to take profit",
    ExitKind.MANUAL: "on your command",
    ExitKind.BREAKOUT: "on a breakout",
    ExitKind.FLUSH: "after the hard stop",
    ExitKind.ESCAPE: "as a taker, the last resort",
}
# While one of these holds, the answer is about it, and not about a hard stop that waits for its confirmation.
_WITHOUT_STOP: Final = frozenset(
    {TradeBlock.HALTED, TradeBlock.EXIT_IN_PROGRESS, TradeBlock.UNFUNDED, TradeBlock.NO_BOOK}
)


def why(view: StatusView) -> str:
    """Return the answer to the operator's question `why`."""
    decision = view.decision
    if decision is None or decision.state.funded is None:
        return "Not trading yet: the bot is still starting."
    sentences = _blocked(view, decision) or _watching(view, decision)
    if view.reject_text is not None and view.active_exit is None:
        sentences = [*sentences, f"Note that {rejection(view.reject_text)}: the next one may be rejected as well."]
    return " ".join(sentences)


def _blocked(view: StatusView, decision: Decision) -> list[str]:
    """Explain that the hard stop is about to sell, or else the most severe reason not to trade; "" if there is none."""
    blocks = view.exit_blocks
    if _WITHOUT_STOP.isdisjoint(blocks) and (stopping := _stopping(view, decision)):
        return stopping
    for block in blocks:
        answer = BLOCK_TEXTS[block].answer or _exiting
        if sentences := answer(view, decision):
            return sentences
    return []


def _stopping(view: StatusView, decision: Decision) -> list[str]:
    """Explain that the bid has reached the hard stop and must stay there for the confirmation time."""
    if decision.stop_breach_ms is None or view.stop is None or view.exit_side_price is None:
        return []
    bid, stop = price(view.rules, view.exit_side_price), bare_price(view, view.stop)
    lasted = f"{decision.stop_breach_ms / 1000:.1f} s; it sells after {view.stop_confirm_s:g} s"
    return [f"About to sell everything: the bid {bid} has been at or below the hard stop {stop} for {lasted}."]


# --- watching -------------------------------------------------------------------------------------


def _watching(view: StatusView, decision: Decision) -> list[str]:
    trail, words = decision.trail, direction_words(view)
    if trail is None:
        return [f"Not {words.doing}: no price is known."]
    sentences = _trailing(view, decision, trail) if trail.armed else _not_trailing(view, decision, trail)
    return [*sentences, stop_sentence(view)]


def _not_trailing(view: StatusView, decision: Decision, trail: Trail) -> list[str]:
    words, rules = direction_words(view), view.rules
    now = price(rules, view.exit_side_price or 0)
    first = (
        f"Not {words.doing}: the {words.side} is {now}, the {words.best} since the anchor "
        f"{bare_price(view, view.anchor)} was {bare_price(view, view.high)}."
    )
    if decision.trail_arms_at_price is None:
        return [first, "No gain is enough to trail while the channel is as wide as the price."]
    rule = _rule(view, trail.min_gain)
    if view.regime is Regime.BASE:  # only here is the gain a percentage of the price
        rule = f"a gain of {percent(trail.min_gain.value / decision.state.anchor)}, {rule}"
    arms_at = trigger(view, decision.trail_arms_at_price, falling=view.regime is Regime.QUOTE)
    return [first, f"The take-profit trails from {arms_at} ({rule})."]


def _rule(view: StatusView, least: MinGain) -> str:
    """Name the rule that determines the minimum gain: the setting, the fees, or the channel's width."""
    if least.value == least.static:
        return f"MIN_GAIN_TRIGGER_FRAC_{'BASE' if view.regime is Regime.BASE else 'QUOTE'}"
    return "for both fees and BUFFER" if least.value == least.fees else "for the channel's width"


def _trailing(view: StatusView, decision: Decision, trail: Trail) -> list[str]:
    words, regime = direction_words(view), decision.regime or Regime.BASE
    now = price(view.rules, view.exit_side_price or 0)
    gain = f"{percent(trail.gain / decision.state.anchor)} in {gain_asset(view)}"
    best = f"The {words.best} was {bare_price(view, view.high)}, a gain of {gain}."
    trails_at = price_at(regime, trail.high - trail.callback)
    at, pays = bare_price(view, trails_at), bare_price(view, price_at(regime, trail.break_even))
    between = f"{a_close(view)} is" if view.closes_alone else f"the {words.side} is back"
    if trail.due and view.closes_alone and decision.judged_close is None:
        return [
            (
                f"Not {words.doing} yet: the {words.side} {now} is past the trail at {at}; "
                f"it {words.acts} if {a_close(view)} is past the trail, too."
            ),
            best,
        ]
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
                f"where a {words.deal} still pays both fees; it {words.acts} once {between} between these two prices."
            )
        ]
    act_at = trigger(view, trails_at, falling=regime is Regime.BASE)
    return [
        f"Not {words.doing} yet: the {words.side} is {now}; it {words.acts} at {act_at} (the trail).",
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
    """Describe the steps that remain until an ending exit is over. No other exit can start before."""
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
        return [f"{over}: no order is left on the book; the exit ends at once.", *last]
    return [f"{over}: no order is left on the book; the exit ends when {waits}.", *last]


def _progress(view: StatusView, active: ExitView) -> str:
    doing = "Selling" if active.side is Side.SELL else "Buying back"
    filled = f"{quantity(view.rules, active.filled)} filled so far" if active.filled else "nothing filled so far"
    return f"{doing} {_PURPOSES.get(active.kind, EXIT_NAMES[active.kind])} for {duration(active.age_s)}, {filled}"


def _order(view: StatusView, active: ExitView) -> str:
    """Describe the order: its price, and the reason why it is not placed or not filled yet."""
    rules, obstacle = view.rules, active.obstacle
    trouble = "" if obstacle is None else obstacle.value
    if obstacle is QuoteObstacle.REFUSED and active.reject_text:
        trouble = rejection(active.reject_text)
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
        return f"{resting}, and follows the best {side}, {bare_price(view, best)}"
    return f"{resting}, the best {side}; being post-only, it waits for a {taker}"


def _what_ends_it(view: StatusView, active: ExitView) -> list[str]:
    """Describe the stop that can end the exit, and whether it is checked now."""
    if view.stop is None:
        return []
    if active.side is Side.SELL:
        stop = bare_price(view, view.stop)
        if not view.account_proven:
            return [f"The hard stop at {stop} is not checked until the account connection returns."]
        if view.not_judged_reason:
            return [f"The hard stop at {stop} is not checked until market data returns."]
        taken = trigger(view, view.stop, falling=True) if view.closes_alone else f"a bid ≤ {level(view, view.stop)}"
        return [f"The hard stop takes over at {taken}."]
    stop = level(view, view.stop)
    return [f"{a_close(view)[0].upper()}{a_close(view)[1:]} ≥ {stop}, cancels the buy-back and shuts the gate."]
