"""Texts of the trade blocks: why no take-profit and no buy-back can happen now, for the panel and for `why`.

Each `TradeBlock` is a reason why no order is placed. Its entry in `BLOCK_TEXTS` has all texts about it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from trailingedge.model.market import Regime
from trailingedge.model.order_size import largest_order_is_too_small
from trailingedge.notifications.account_messages import locked_elsewhere, no_order_possible
from trailingedge.notifications.event_messages import FLIP, RESUME, AnyNumber, elapsed, figure, price, quantity
from trailingedge.notifications.risk_messages import breaker_until, measured
from trailingedge.notifications.status import StatusView, a_close, gate_side, level, quote_stop, trigger
from trailingedge.strategy.blocks import TradeBlock
from trailingedge.strategy.decide import Decision
from trailingedge.strategy.evaluation_context import UNFUNDED_MARGIN
from trailingedge.strategy.state import ShutBy


@dataclass(frozen=True, slots=True)
class DirectionWords:
    """The words for one direction of an exit: a sale, or a buy-back."""

    doing: str
    act: str
    acts: str
    side: str
    best: str
    deal: str


_SELLING: Final = DirectionWords("selling", "sell", "sells", "bid", "best bid", "sale")
_BUYING: Final = DirectionWords("buying back", "buy back", "buys back", "ask", "lowest ask", "buy-back")


@dataclass(frozen=True, slots=True)
class BlockText:
    """The words for one `TradeBlock`. `brief` returns the words for the panel's take-profit line.

    `answer` returns the sentences of the command `why`. It is None for an exit in progress, which
    `explain` describes.
    """

    brief: Callable[[StatusView], str]
    answer: Callable[[StatusView, Decision], list[str]] | None


def brief_reason(view: StatusView) -> str | None:
    """Return the most severe reason why no take-profit can happen now, in a few words; None if one can happen."""
    return next((BLOCK_TEXTS[block].brief(view) for block in view.exit_blocks), None)


def direction_words(view: StatusView) -> DirectionWords:
    words = _SELLING if view.regime is Regime.BASE else _BUYING
    return replace(words, best="highest close" if words is _SELLING else "lowest close") if view.closes_alone else words


def bare_price(view: StatusView, value: AnyNumber | None) -> str:
    """Return a price without its unit, for a sentence that has named the unit already."""
    return "–" if value is None else figure(value, view.rules.tick_size)


def stop_sentence(view: StatusView) -> str:
    """Describe the stop: the hard stop while base is held, the shutting of the gate while quote is held."""
    if view.stop is None or view.stop_frac is None:
        return "There is no stop to check."
    if view.regime is Regime.BASE:
        if view.closes_alone:
            return f"Hard stop: it sells everything after {trigger(view, view.stop, falling=True)}."
        falls = f"stays there for {elapsed(view.stop_confirm_s)}" if view.stop_confirm_s else "falls to it"
        # The largest loss takes a second; it is named where the stop itself takes longer and is nearer.
        if view.stop_at_once is not None and view.stop_at_once < view.stop and view.stop_confirm_s > 1:
            falls += f", or falls to {level(view, view.stop_at_once)}"
        return f"Hard stop {level(view, view.stop)}: it sells everything when the bid {falls}."
    stop = quote_stop(view, view.stop)
    return f"{stop[0].upper()}{stop[1:]} (the gate shuts)."


# --- the answers of `why`, the most severe block first -------------------------------------------


def _halted(view: StatusView, _: Decision) -> list[str]:
    if not view.halted:  # resumed since the decision
        return []
    reason = f" ({view.halt_reason})" if view.halt_reason else ""
    return [
        f"Not trading: halted by a safety rule{reason}.",
        f"There are no orders, not even from the hard stop, until you resume with {RESUME}.",
    ]


def _unfunded(view: StatusView, decision: Decision) -> list[str]:
    rules, holdings = view.rules, decision.holdings
    has = "nothing"
    if holdings is not None:
        has = f"{quantity(rules, holdings.base)} and {price(rules, holdings.quote)}"
    if view.top is not None and largest_order_is_too_small(rules, view.top.bid):
        return [f"Not trading: {no_order_possible(rules, view.top.bid)}."]
    sentence = f"Not trading: there are {has} to trade, and an order needs {price(rules, rules.min_notional)}"
    if rules.min_quantity:
        sentence += f" and {quantity(rules, rules.min_quantity)}"
    reserves, locked = _reserves(view), locked_elsewhere(rules, view.locked)
    others = [f"{reserves} kept back."] if reserves else []
    others += [f"{locked}."] if locked else []
    if holdings is not None and view.top is not None:
        worth = max(holdings.quote, holdings.base * view.top.bid)
        if worth >= rules.min_notional:  # nearly enough: the sentence alone would look like a contradiction
            sentence += f", and at least {UNFUNDED_MARGIN:.0%} more than that to start again"
    return [f"{sentence}.", *(others or ["Trading goes on after a deposit."])]


def _reserves(view: StatusView) -> str:
    """Return the subject and the verb of the sentence "RESERVE_BASE … is kept back"; "" without reserves."""
    rules = view.rules
    reserves = [f"RESERVE_BASE {quantity(rules, view.reserve_base)}"] if view.reserve_base else []
    reserves += [f"RESERVE_QUOTE {price(rules, view.reserve_quote)}"] if view.reserve_quote else []
    return f"{' and '.join(reserves)} {'is' if len(reserves) == 1 else 'are'}" if reserves else ""


def _without_data(view: StatusView, _: Decision) -> list[str]:
    """Explain that no level is checked because the price or the account connection is missing."""
    if not view.account_proven:
        return [
            "Not trading: there is no account connection, so no order can be sent.",
            f"No level is checked until the connection returns{_nor_the_stop(view)}.",
        ]
    silent = f" for {view.data_age_s:.0f} s" if view.data_is_known else ""
    unchecked = f"No level is checked until market data returns{_nor_the_stop(view)}."
    return [f"Not trading: no market data{silent}.", unchecked]


def _nor_the_stop(view: StatusView) -> str:
    return ", not even the hard stop" if view.regime is Regime.BASE else ""


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
        return "The gate can open once there are enough candles for the channel."
    by_stop = gate.shut_by is ShutBy.HARD_STOP
    side, other = gate_side(gate), "below" if by_stop else "above"
    # Only candles that closed after the gate was shut count; before the first of them, `gate.price` serves as a close.
    closed_since = state.last_close_ms > gate.shut_ms
    before = state.last_close if closed_since else gate.price
    last = (
        f"the last close was {bare_price(view, before)}" if closed_since else "no candle has closed since the gate shut"
    )
    middle = f"The gate opens at {a_close(view)} {side} {level(view, decision.gate_price)} (the channel's middle)"
    # The gate opens on a cross of the middle, so a close on the other side has to come first.
    passed = before > decision.gate_price if by_stop else before < decision.gate_price
    first = f", but only after a close at or {other} the middle" if passed else ""
    return f"{middle}{first}; {last}."


def _paused(view: StatusView, decision: Decision) -> list[str]:
    """Explain a pause: by the operator, by a breaker, or after a buy that failed because the balance was too small."""
    if view.paused:
        because = f"trading is paused, resume with {RESUME}"
    elif view.trips:
        because = "; ".join(f"{measured(trip)}, paused {breaker_until(trip.breaker)}" for trip in view.trips)
    else:
        because = (
            "the balance is only just enough for an order, and the last attempt failed; the next attempt is in a minute"
        )
    doing = "taking profit" if view.regime is Regime.BASE else "buying back"
    return [f"Not {doing}: {because}.", *_afterwards(view, decision), stop_sentence(view)]


def _afterwards(view: StatusView, decision: Decision) -> list[str]:
    """Describe the take-profit that applies once trading is no longer blocked."""
    trail, words = decision.trail, direction_words(view)
    if trail is None or decision.trail_arms_at_price is None:
        return []
    if trail.due:
        when = f"at {a_close(view)} past the trail" if view.closes_alone else "at once"
        return [f"After the pause it {words.acts} {when}; the {words.side} is past the trail now."]
    if decision.take_profit_price is not None and trail.drawdown < trail.callback:
        falling = view.regime is Regime.BASE
        at = trigger(view, decision.take_profit_price, falling=falling)
        return [f"After the pause it {words.acts} at {at} (the trail)."]
    if trail.armed:
        return []
    arms_at = trigger(view, decision.trail_arms_at_price, falling=view.regime is Regime.QUOTE)
    return [f"After the pause the take-profit trails from {arms_at}."]


# UNSETTLED has none: it lasts milliseconds, and neither a decision nor a status has it.
BLOCK_TEXTS: Final[Mapping[TradeBlock, BlockText]] = {
    TradeBlock.HALTED: BlockText(lambda _: "off while halted", _halted),
    TradeBlock.EXIT_IN_PROGRESS: BlockText(lambda _: "–", None),
    TradeBlock.UNFUNDED: BlockText(lambda _: "off while unfunded", _unfunded),
    TradeBlock.NO_BOOK: BlockText(
        lambda view: f"not checked, {view.not_judged_reason or 'no market data'}", _without_data
    ),
    TradeBlock.GATE_SHUT: BlockText(lambda _: "off while the gate is shut", _gated),
    TradeBlock.PAUSED: BlockText(lambda _: "off while paused", _paused),
}
