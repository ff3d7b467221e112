"""Alert and log texts: one line for each change of state, the same in the terminal, the log and on the phone.

Each line names the change first, then describes it with numbers and units, then says what the bot does next and,
if the reader can act, how. Amounts are rounded to the symbol's grid. Fractions become percentages in this module
only.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trailingedge.accounting.round_trips import RoundTrip
from trailingedge.model.client_order_ids import own_id
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import ZERO, Balance, Regime, Side, SymbolRules, format_on_grid, format_plain
from trailingedge.notifications.session_heading import heading

AnyNumber = Decimal | float

EXIT_NAMES: Final[Mapping[ExitKind, str]] = {
    ExitKind.TAKE_PROFIT: "take-profit",
    ExitKind.MANUAL: "manual flip",
    ExitKind.BREAKOUT: "breakout",
    ExitKind.FLUSH: "hard stop",
    ExitKind.ESCAPE: "taker escape",
    ExitKind.JUMPSTART: "jumpstart",
    ExitKind.NOTE: "anchor marker",
}

END_REASONS: Final[Mapping[ExitEndReason, str]] = {
    ExitEndReason.FILLED: "filled",
    ExitEndReason.DUST: "filled, except for a remainder too small to trade",
    ExitEndReason.CANCELLED: "cancelled by the operator",
    ExitEndReason.STOPPED: "a candle closed too far above the anchor",
    ExitEndReason.PAUSED: "trading is paused",
    ExitEndReason.EXPIRED: "no order could be placed in time",
    ExitEndReason.HALTED: "trading is halted by a safety rule",
    ExitEndReason.FUNDS_GONE: "the funds left are too small for an order",
}

# The strategy names its commands by the letters of the hotkeys; a text on a phone needs words instead.
COMMAND_NAMES: Final[Mapping[str, str]] = {"x": "flip", "c": "cancel"}

# The four special words of all other texts. The hotkeys' help and the report's page show these explanations.
GLOSSARY: Final[Mapping[str, str]] = {
    "anchor": "the price at which the bot came to hold its present asset; gain and loss are measured from it",
    "channel": "highest and lowest close (or high and low, DONCHIAN_SOURCE) of the last candles, and their middle",
    "gate": "shut after a stop: no buy-back until a candle closes across the channel's middle",
    "trail": ("the level that follows the best price once the gain is large enough; reaching it takes the profit"),
}

# Ways to give a command: by key, from the phone, in a shell. Each text names all three, for any reader.
RESUME: Final = "'r', /resume or trailing-edge resume"
FLIP: Final = "'x', /flip or trailing-edge flip"

_FINEST: Final = Decimal("0.00000001")  # the exchange counts no smaller amount
_COARSE_FRAC: Final = 0.01  # from this distance on one decimal is enough


def percent(fraction: AnyNumber) -> str:
    """Return a change with its sign: 0.0125 is "+1.25 %"."""
    # Rounded before it is signed: a loss of nothing is not "-0.00 %".
    return f"{round(float(fraction) * 100, 2) + 0.0:+.2f} %"


def rate(fraction: Decimal) -> str:
    """Return a fee or a share as an exact percentage: 0.00075 is "0.075 %"."""
    return f"{format_plain(fraction * 100)} %"


def distance(level: AnyNumber, now: AnyNumber) -> str:
    """Return how far the price has to move from `now` to reach `level`: "+2.0 % from here"."""
    fraction = float(level) / float(now) - 1.0
    decimals = 1 if abs(fraction) >= _COARSE_FRAC else 2
    return f"{round(fraction * 100, decimals) + 0.0:+.{decimals}f} % from here"


def price(rules: SymbolRules, value: AnyNumber) -> str:
    """Return a price as text with its unit: "2551.20 FDUSD"."""
    return f"{figure(value, rules.tick_size)} {rules.quote_asset}"


def quantity(rules: SymbolRules, value: AnyNumber) -> str:
    """Return an amount of the base asset as text: "1.0000 ETH"."""
    return f"{figure(value, rules.step_size)} {rules.base_asset}"


def notional(rules: SymbolRules, value: AnyNumber) -> str:
    """Return an amount of the quote asset as text: "2551.20 FDUSD"."""
    return f"{figure(value, rules.tick_size)} {rules.quote_asset}"


def figure(value: AnyNumber, grid: Decimal) -> str:
    """Return a number as text with the decimals of `grid`; a dash for infinity and NaN."""
    return format_on_grid(Decimal(value), grid) if math.isfinite(value) else "–"


def amounts(rules: SymbolRules, of_assets: Mapping[str, Decimal]) -> str:
    """Return amounts of several assets as text: "0.0012 ETH + 0.30 FDUSD", or "none"."""
    return " + ".join(_amount(rules, asset, amount) for asset, amount in of_assets.items() if amount) or "none"


def unpriced_fees(rules: SymbolRules, fees: Mapping[str, Decimal], unpriced: Collection[str]) -> list[str]:
    """Return a sentence on fees in assets whose price is not known; "" if there are no such fees."""
    left = {asset: fees.get(asset, ZERO) for asset in unpriced}
    if not any(left.values()):
        return []
    return [f"fees of {amounts(rules, left)} are not in the result: their price in {rules.quote_asset} is unknown"]


def third_assets(rules: SymbolRules, fees: Mapping[str, Decimal]) -> list[str]:
    """Return those assets of the fees that are neither base nor quote of the symbol."""
    return [asset for asset in fees if asset not in (rules.base_asset, rules.quote_asset)]


def _amount(rules: SymbolRules, asset: str, amount: Decimal) -> str:
    """Format an amount: on the symbol's grid if it is at least 100 steps of it, else with all decimals of the
    exchange.
    """
    grid = {rules.base_asset: rules.step_size, rules.quote_asset: rules.tick_size}.get(asset)
    # A fee of 0.0004 FDUSD on a grid of 0.01 would read as 0.00.
    if grid is not None and abs(amount) >= 100 * grid:
        return f"{format_on_grid(amount, grid)} {asset}"
    return f"{format_plain(Decimal(format_on_grid(amount, _FINEST)))} {asset}"


def elapsed(seconds: float) -> str:
    """Return a measured time as text: "12.3 s", "1 min 5 s", "2 h"."""
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)


def order(rules: SymbolRules, side: Side, amount: Decimal, at: Decimal) -> str:
    """Return an order in words: "SELL 1.0000 ETH at 2551.20 FDUSD"."""
    return f"{side.value} {quantity(rules, amount)} at {price(rules, at)}"


# --- start and end ---


_MODES: Final[Mapping[str, str]] = {
    "sim": "SIMULATION on the embedded exchange, without money",
    "paper": "PAPER: Binance's prices, orders on the embedded exchange, without money",
    "testnet": "mode testnet, without real money",
    "demo": "mode demo, without real money",
    "live": "LIVE, with real money",
}


def banner(version: str, mode: str, symbol: str, ws_api_url: str, ws_stream_url: str, *, key_is_set: bool) -> str:
    """Return two lines: the mode with the pair, and the addresses of orders and prices.

    In sim with an API key, a third line says how to trade with that key.
    """
    simulated = mode == "sim"
    what = _MODES.get(mode, f"mode {mode}")
    lines = [f"Trailing Edge {version} · {symbol} · {what}", f"orders {ws_api_url} · prices {ws_stream_url}"]
    if simulated and key_is_set:
        lines.append("SIMULATION: the API key is not used; TRADING_MODE=live trades with it")
    return "\n".join(lines)


def jumpstart_placed(rules: SymbolRules, client_order_id: str, side: Side, amount: Decimal, at: Decimal) -> str:
    """Return the log line that the jumpstart's order rests on the book."""
    placed = f"{order(rules, side, amount, at)}, far from the market; it is cancelled at once"
    return f"jumpstart order placed, so that the exchange sends the balances: {placed} ({client_order_id})"


def jumpstart_cancelled(rules: SymbolRules, client_order_id: str, base: Balance, quote: Balance) -> str:
    """Return the log line that the jumpstart's order is cancelled, with the balances."""
    balance = f"{quantity(rules, base.total)} and {notional(rules, quote.total)}"
    return f"jumpstart order cancelled: the account holds {balance} ({client_order_id})"


def balances_differ(asset: str, streamed: Decimal, queried: Decimal) -> str:
    """Return the alert that the stream and an account query report different balances."""
    return (
        f"balances differ: the stream reports {format_plain(streamed)} {asset}, an account query "
        f"{format_plain(queried)} {asset}; the query is taken as correct"
    )


def leftover_cancelled(rules: SymbolRules, side: Side, remaining: Decimal, at: Decimal, client_order_id: str) -> str:
    """Return the alert that an open order of an earlier session was cancelled at the start."""
    return f"order of an earlier session cancelled: {order(rules, side, remaining, at)} ({client_order_id})"


def ready(
    rules: SymbolRules, mode: str, regime: Regime | None, anchor: AnyNumber | None, fee: Decimal, ws_api_url: str
) -> str:
    """Return the alert that trading begins.

    `anchor` is a price in quote per base, whichever asset is held. It is None while neither asset
    can be traded.
    """
    position = f"holding {held_asset(rules, regime)}"
    if anchor is not None:
        position += f", anchor {price(rules, anchor)}"
    return f"ready: {heading(mode, rules.symbol)} at {ws_api_url}, {position}, maker fee {rate(fee)}"


def held_asset(rules: SymbolRules, regime: Regime | None) -> str:
    """Return the name of the asset held, or "nothing tradable" if `regime` is None."""
    if regime is None:
        return "nothing tradable"
    return rules.base_asset if regime is Regime.BASE else rules.quote_asset


def shutdown(reason: str, rules: SymbolRules | None = None, regime: Regime | None = None) -> str:
    """Return the last line of a session.

    With `rules` and `regime`, it says which protection is not active until the next start.
    """
    if rules is None or regime is None:
        return f"shutdown: {reason}"
    missing = "no hard stop" if regime is Regime.BASE else f"no buy-back of {rules.base_asset}"
    return f"shutdown: {reason}; holding {held_asset(rules, regime)}, {missing} until the bot runs again"


def ended(reason: str) -> str:
    """Return the alert that a session ended without a command of the operator.

    `reason` may have several lines.
    """
    return f"ended: {reason}\nno trading and no hard stop until the bot runs again"


def order_left(rules: SymbolRules, side: Side, remaining: Decimal, at: Decimal, client_order_id: str) -> str:
    """Return the text on an order that may still be open after the session's end."""
    own = own_id(client_order_id)
    # The next start finds the order by its id: it adopts the order of an exit, and cancels a jumpstart or a marker.
    probe = own is not None and own.kind in (ExitKind.JUMPSTART, ExitKind.NOTE)
    then = "which cancels it" if probe else "which continues it"
    left = f"order left on the exchange: {order(rules, side, remaining, at)} ({client_order_id})"
    return f"{left}; cancel it at the exchange, or start the bot again, {then}"


def leftovers_unclear() -> str:
    """Return the alert that an interrupted start may have left orders of an earlier session."""
    return (
        "orders of an earlier session may still be open: this session ended before it had "
        "cancelled them; look at the open orders on the exchange, or start the bot again"
    )


# --- exits ---


def take_profit_armed(
    rules: SymbolRules, side: Side, now: AnyNumber, best_gain_frac: float, drawdown_frac: float
) -> str:
    """Return the alert on an armed take-profit. The price `now` armed it. Fractions are relative to the anchor."""
    # The text gives the present gain, which is the best gain less the drawdown, and then the best for comparison.
    gain, best = percent(best_gain_frac - abs(drawdown_frac)), percent(best_gain_frac)
    return (
        f"take-profit armed: gain {gain} in {_result_asset(rules, side)} since the anchor (best {best}); "
        f"{_acts(rules, side)} now near {price(rules, now)}"
    )


def hard_stop(rules: SymbolRules, now: AnyNumber, loss_frac: float, limit_frac: float) -> str:
    """Return the alert on the hard stop. `now` is the price that confirmed it. Fractions are relative to the anchor."""
    loss, limit = percent(-abs(loss_frac)), percent(-abs(limit_frac))
    return (
        f"hard stop: loss {loss} (limit {limit}) since the anchor; selling all {rules.base_asset} "
        f"near {price(rules, now)}"
    )


def manual_flip(rules: SymbolRules, side: Side, now: AnyNumber | None, timeout_s: float | None = None) -> str:
    """Return the alert on a manual flip. If the price `now` is None, its order waits at most `timeout_s` for prices."""
    if now is not None:
        return f"manual flip: {_acts(rules, side)} near {price(rules, now)}"
    long = "too long" if timeout_s is None else f"longer than {duration(timeout_s)}"
    return f"manual flip: {_acts(rules, side)} once there is market data; cancelled if that takes {long}"


def breakout_armed(rules: SymbolRules, side: Side, now: AnyNumber | None) -> str:
    """Return the alert that a breakout starts an exit. The text names the setting that allows it."""
    where = "" if now is None else f" near {price(rules, now)}"
    beyond, setting = ("below", "BREAKOUT_EXIT") if side is Side.SELL else ("above", "BREAKOUT_ENTRY")
    return f"breakout armed: a candle closed {beyond} the channel; {_acts(rules, side)}{where} ({setting}=true)"


def exit_armed(rules: SymbolRules, kind: ExitKind, side: Side) -> str:
    """Return the alert that an exit starts, for the kinds of exit that have no more specific alert."""
    return f"{EXIT_NAMES[kind]} armed: {_acts(rules, side)}"


def exit_taken_over(previous: ExitKind) -> str:
    """Return the alert that a flip takes over the exit in progress, whose direction is the same."""
    return f"manual flip: the {EXIT_NAMES[previous]} in progress now counts as your flip"


def exit_ending(kind: ExitKind, cause: ExitEndReason) -> str:
    """Return the log line on an exit that is ended before it is completely filled. Its order is being cancelled."""
    return f"{EXIT_NAMES[kind]} ending early: {END_REASONS[cause]}; its order is being cancelled"


def _acts(rules: SymbolRules, side: Side) -> str:
    return f"selling all {rules.base_asset}" if side is Side.SELL else f"buying {rules.base_asset} back"


@dataclass(frozen=True, slots=True)
class ExitResult:
    """The outcome of one exit.

    `slippage_frac` is relative to the mid price at the start of the exit; a loss is positive. `trip` is the round trip
    that a sale ended. `brought_frac` is the gain of a buy-back: base bought divided by base sold before, minus 1.
    `anchor_gain_frac` is the unit value gained since the anchor, after fees. Each of these is None if it does not apply
    or cannot be computed.
    """

    kind: ExitKind
    side: Side
    filled_base: Decimal
    filled_quote: Decimal
    slippage_frac: float | None
    anchor_gain_frac: float | None
    age_s: float
    replaces: int
    fees: Mapping[str, Decimal]
    trip: RoundTrip | None = None
    brought_frac: float | None = None


def exit_filled(rules: SymbolRules, result: ExitResult) -> str:
    """Return the alert on a complete exit: "take-profit filled: sold …"."""
    return f"{EXIT_NAMES[result.kind]} filled: {_filled(rules, result)}"


def exit_ended(rules: SymbolRules, result: ExitResult, cause: ExitEndReason) -> str:
    """Return the alert on an exit that ended before it was completely filled."""
    filled = _filled(rules, result) if result.filled_base else "nothing filled"
    return f"{EXIT_NAMES[result.kind]} ended: {END_REASONS[cause]}; {filled}"


def exit_slow(rules: SymbolRules, kind: ExitKind, age_s: float, filled: Decimal, slippage_frac: float | None) -> str:
    """Return the alert that an exit is older than EXIT_AGE_ALERT_SEC."""
    # A post-only order cannot promise a fill. The reader need not act: the order goes on following the price.
    return (
        f"{EXIT_NAMES[kind]} slow: {quantity(rules, filled)} filled after {elapsed(age_s)}"
        f"{_slippage(slippage_frac) if filled else ''}; the order keeps following the best price"
    )


def _filled(rules: SymbolRules, result: ExitResult) -> str:
    """Describe the fills of an exit and their result: a round trip in quote, or a buy-back in base."""
    done = "sold" if result.side is Side.SELL else "bought back"
    # Σ quote / Σ base over all fills of the exit: the price that becomes the next anchor.
    average = price(rules, result.filled_quote / result.filled_base) if result.filled_base else "none"
    return (
        f"{done} {quantity(rules, result.filled_base)} for {notional(rules, result.filled_quote)}, "
        f"average {average}{_outcome(rules, result)}{_slippage(result.slippage_frac)}, "
        f"fee {amounts(rules, result.fees)}, in {elapsed(result.age_s)} with {counted(result.replaces, 'replace')}"
    )


def _outcome(rules: SymbolRules, result: ExitResult) -> str:
    """Describe the result of an exit, and the gain since the anchor. The two are measured from different prices."""
    parts = []
    if result.trip is not None:
        sign = "+" if result.trip.result > 0 else ""
        money = f"{sign}{notional(rules, result.trip.result)}"
        parts.append(f"round trip {percent(result.trip.result_frac)} ({money})")
    if result.brought_frac is not None:
        parts.append(f"{percent(result.brought_frac)} {rules.base_asset} compared with the last sale")
    if result.anchor_gain_frac is not None:
        parts.append(f"{percent(result.anchor_gain_frac)} since the anchor")
    return "".join(f", {part}" for part in parts)


def _slippage(slippage_frac: float | None) -> str:
    """Describe the slippage with the word "better" or "worse".

    A sign would be unclear.
    """
    if slippage_frac is None:
        return ""
    share = round(abs(slippage_frac) * 100, 2)
    if not share:
        return ", no slippage"
    return f", slippage {share:.2f} % {'worse' if slippage_frac > 0 else 'better'}"


def _result_asset(rules: SymbolRules, side: Side) -> str:
    """Return the asset in which the result of an exit is measured: quote for a sale, base for a buy-back."""
    return rules.quote_asset if side is Side.SELL else rules.base_asset


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: "1 replace", "2 replaces"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


# --- the exchange, the operator ---


def not_trading(symbol: str, status: str) -> str:
    """Return the alert that the exchange has stopped trading in the pair."""
    return f"{symbol} is not trading ({status}): no orders until the exchange trades it again"


def trading_again(symbol: str) -> str:
    """Return the alert that the exchange trades the pair again."""
    return f"{symbol} is trading again"


def real_market_stopped(symbol: str, status: str) -> str:
    """Return the alert of paper mode that the real market has stopped trading in the pair."""
    return f"{symbol} is not trading on the real market ({status}): paper fills no order until it trades again"


def real_market_trades(symbol: str) -> str:
    """Return the alert of paper mode that the real market trades the pair again."""
    return f"{symbol} is trading again on the real market"


def halted(reason: str) -> str:
    """Return the alert that a safety rule was broken. Only a person ends a halt."""
    return (
        f"halted: {reason}; no orders, not even from the hard stop; "
        f"look at the account on the exchange, then resume with {RESUME}"
    )


def paused(rules: SymbolRules | None = None) -> str:
    """Return the alert that the operator or START_PAUSED has paused trading."""
    return (
        f"paused: no take-profit, no breakout, no buy until you resume with {RESUME}; {stop_stays_active(rules)}; "
        "a restart ends the pause (START_PAUSED=true starts paused)"
    )


def paused_already(rules: SymbolRules | None = None) -> str:
    """Return the answer to a pause command while trading is paused already."""
    return f"already paused, resume with {RESUME}; {stop_stays_active(rules)}"


def stop_stays_active(rules: SymbolRules | None = None) -> str:
    """Return a clause that the hard stop stays active: neither pauses nor breakers suspend it."""
    return f"the hard stop stays active while {'the base asset' if rules is None else rules.base_asset} is held"


def resumed() -> str:
    """Return the text that the operator has ended a pause, a breaker or a halt."""
    return "resumed: trading goes on"


def nothing_to_resume() -> str:
    """Return the answer to a resume command while trading is not paused."""
    return "nothing to resume: trading was not paused"


def command_refused(command: str, reason: str) -> str:
    """Return the text that an operator command is refused.

    `command` is the name of the command, or the letter by which the strategy names it.
    """
    return f"{COMMAND_NAMES.get(command, command)} refused: {reason}"


def duration(seconds: float) -> str:
    """Return a duration as text, in whole seconds: "1 d 2 h 3 min 4 s"."""
    minutes, whole_seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (whole_seconds, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 s"
