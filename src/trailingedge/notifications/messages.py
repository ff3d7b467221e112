"""What people read: one line for each change of state, the same in terminal, log and alert.

Each begins with the name of the change. Amounts stand on the symbol's grid and name their unit;
fractions become percent here, and only here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from trailingedge.model.client_order_ids import own_id
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import Balance, Regime, Side, SymbolRules, format_on_grid, format_plain
from trailingedge.notifications.titles import heading

AnyNumber = Decimal | float

EXIT_NAMES: Final[Mapping[ExitKind, str]] = {
    ExitKind.TAKE_PROFIT: "take-profit",
    ExitKind.MANUAL: "manual flip",
    ExitKind.BREAKOUT: "breakout",
    ExitKind.FLUSH: "flush",
    ExitKind.ESCAPE: "escape",
    ExitKind.JUMPSTART: "jumpstart",
    ExitKind.NOTE: "note",
}

END_REASONS: Final[Mapping[ExitEndReason, str]] = {
    ExitEndReason.FILLED: "filled",
    ExitEndReason.DUST: "filled but for a rest too small to trade",
    ExitEndReason.CANCELLED: "withdrawn by the operator",
    ExitEndReason.STOPPED: "stopped, the price rose too far above the anchor",
    ExitEndReason.PAUSED: "held back by a pause or a breaker",
    ExitEndReason.EXPIRED: "expired, no order could rest in time",
    ExitEndReason.HALTED: "halted by a safety rule",
    ExitEndReason.FUNDS_GONE: "over, another hand moved the funds",
}

# What the terminal's letters are called wherever there are none.
COMMAND_NAMES: Final[Mapping[str, str]] = {"x": "flip", "c": "withdraw"}

_FINEST: Final = Decimal("0.00000001")  # the exchange keeps no account of less


def percent(fraction: AnyNumber) -> str:
    """A change as people say it, signed: 0.0125 is "+1.25 %"."""
    # Rounded before it is signed: nothing lost is not "-0.00 %".
    return f"{round(float(fraction) * 100, 2) + 0.0:+.2f} %"


def rate(fraction: Decimal) -> str:
    """A fee or a share, exactly: 0.00075 is "0.075 %"."""
    return f"{format_plain(fraction * 100)} %"


def price(rules: SymbolRules, value: AnyNumber) -> str:
    """A price with its unit."""
    return f"{figure(value, rules.tick_size)} {rules.quote_asset}"


def quantity(rules: SymbolRules, value: AnyNumber) -> str:
    """An amount of the base asset."""
    return f"{figure(value, rules.step_size)} {rules.base_asset}"


def notional(rules: SymbolRules, value: AnyNumber) -> str:
    """An amount of the quote asset."""
    return f"{figure(value, rules.tick_size)} {rules.quote_asset}"


def figure(value: AnyNumber, grid: Decimal) -> str:
    """A number with the decimals of `grid`, or a dash where it is none."""
    return format_on_grid(Decimal(value), grid) if math.isfinite(value) else "–"


def amounts(rules: SymbolRules, of_assets: Mapping[str, Decimal]) -> str:
    """Amounts of several assets: "0.0012 ETH + 0.30 FDUSD", or "none"."""
    return " + ".join(_amount(rules, asset, amount) for asset, amount in of_assets.items() if amount) or "none"


def _amount(rules: SymbolRules, asset: str, amount: Decimal) -> str:
    """On the symbol's grid where that shows it to a hundredth, else as finely as the exchange counts."""
    grid = {rules.base_asset: rules.step_size, rules.quote_asset: rules.tick_size}.get(asset)
    if grid is not None and abs(amount) >= 100 * grid:
        return f"{format_on_grid(amount, grid)} {asset}"
    return f"{format_plain(Decimal(format_on_grid(amount, _FINEST)))} {asset}"


def elapsed(seconds: float) -> str:
    """How long something took: "12.3 s", "1 min 5 s", "2 h"."""
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)


def order(rules: SymbolRules, side: Side, amount: Decimal, at: Decimal) -> str:
    """An order in words: "SELL 1.0000 ETH at 2551.20 FDUSD"."""
    return f"{side.value} {quantity(rules, amount)} at {price(rules, at)}"


# --- start and end ---


_MODES: Final[Mapping[str, str]] = {
    "sim": "SIMULATION on the embedded exchange, without money",
    "paper": "PAPER: Binance's prices, orders on the embedded exchange, without money",
    "testnet": "mode testnet, without real money",
    "demo": "mode demo, without real money",
    "live": "mode live, with real money",
}


def banner(version: str, mode: str, symbol: str, ws_api_url: str, ws_stream_url: str, *, key_is_set: bool) -> str:
    """Two lines on what was started and where it trades; in sim with a key a third, on how to use that key."""
    simulated = mode == "sim"
    what = _MODES.get(mode, f"mode {mode}")
    lines = [f"Trailing Edge {version} · {symbol} · {what}", f"orders {ws_api_url} · prices {ws_stream_url}"]
    if simulated and key_is_set:
        lines.append("SIMULATION: the API key is not used; TRADING_MODE=live trades with it")
    return "\n".join(lines)


def jumpstart_placed(rules: SymbolRules, client_order_id: str, side: Side, amount: Decimal, at: Decimal) -> str:
    return f"jumpstart placed: {order(rules, side, amount, at)}, far from the market ({client_order_id})"


def jumpstart_cancelled(rules: SymbolRules, client_order_id: str, base: Balance, quote: Balance) -> str:
    held = f"{quantity(rules, base.total)} and {notional(rules, quote.total)}"
    return f"jumpstart cancelled: the account holds {held} ({client_order_id})"


def balances_differ(asset: str, told: Decimal, asked: Decimal) -> str:
    by_stream = f"{format_plain(told)} {asset} by the stream"
    return f"balances differ: {by_stream}, {format_plain(asked)} {asset} by the account, which counts"


def leftover_cancelled(rules: SymbolRules, side: Side, remaining: Decimal, at: Decimal, client_order_id: str) -> str:
    return f"order left from before cancelled: {order(rules, side, remaining, at)} ({client_order_id})"


def ready(
    rules: SymbolRules, mode: str, regime: Regime | None, anchor: AnyNumber | None, fee: Decimal, ws_api_url: str
) -> str:
    """`anchor` is a price in quote per base, whichever asset is held; None while nothing is."""
    held = f"holding {held_asset(rules, regime)}"
    if anchor is not None:
        held += f", anchor {price(rules, anchor)}"
    return f"ready: {heading(mode, rules.symbol)} at {ws_api_url}, {held}, maker fee {rate(fee)}"


def held_asset(rules: SymbolRules, regime: Regime | None) -> str:
    """The asset held, in its own name."""
    if regime is None:
        return "nothing tradable"
    return rules.base_asset if regime is Regime.BASE else rules.quote_asset


def shutdown(reason: str, rules: SymbolRules | None = None, held: Regime | None = None) -> str:
    """With `rules`, also what is left alone with it: the last word on a phone."""
    if rules is None or held is None:
        return f"shutdown: {reason}"
    alone = "nobody watches the hard stop now" if held is Regime.BASE else f"nobody buys {rules.base_asset} back now"
    return f"shutdown: {reason}; holding {held_asset(rules, held)}, and {alone}"


def ended(reason: str) -> str:
    """A session that nobody asked to end."""
    return f"ended: {reason}"


def order_left(rules: SymbolRules, side: Side, remaining: Decimal, at: Decimal, client_order_id: str) -> str:
    """What is to be done about it differs: an exit is gone on with at the next start, a deep order taken away."""
    own = own_id(client_order_id)
    deep = own is not None and own.kind in (ExitKind.JUMPSTART, ExitKind.NOTE)
    then = "it is cancelled then" if deep else "it is taken up then"
    left = f"order left on the exchange: {order(rules, side, remaining, at)} ({client_order_id})"
    return f"{left}; cancel it at the exchange, or start again: {then}"


def leftovers_unclear() -> str:
    return "orders of an earlier session may be open on the exchange: it ended before they were all looked after"


# --- exits ---


def take_profit_armed(rules: SymbolRules, side: Side, now: AnyNumber, gain_frac: float, drawdown_frac: float) -> str:
    """`now` is the price that armed it; the fractions are of the anchor."""
    return (
        f"take-profit armed: {_leaves(rules, side)} near {price(rules, now)}, "
        f"best gain {percent(gain_frac)} over the anchor, {abs(drawdown_frac) * 100:.2f} % lost since"
    )


def hard_stop(rules: SymbolRules, now: AnyNumber, loss_frac: float, distance_frac: float) -> str:
    return (
        f"hard stop: {percent(-loss_frac)} from the anchor, {percent(-distance_frac)} allowed; "
        f"selling all {rules.base_asset} near {price(rules, now)}"
    )


def manual_flip(rules: SymbolRules, side: Side, now: AnyNumber | None, patience_s: float | None = None) -> str:
    """`now` is None while the market is not known: the order waits for it, `patience_s` at most."""
    if now is not None:
        return f"manual flip: {_leaves(rules, side)} near {price(rules, now)}"
    long = "too long" if patience_s is None else f"longer than {duration(patience_s)}"
    return f"manual flip: {_leaves(rules, side)} as soon as the market is known, unless that takes {long}"


def breakout_armed(rules: SymbolRules, side: Side, now: AnyNumber | None) -> str:
    """The setting that asked for it is named, for the breakout alone is no order."""
    where = "" if now is None else f" near {price(rules, now)}"
    beyond, setting = ("below", "BREAKOUT_EXIT") if side is Side.SELL else ("above", "BREAKOUT_ENTRY")
    return f"breakout armed: {_leaves(rules, side)}{where}, for a candle closed {beyond} the channel ({setting})"


def exit_armed(rules: SymbolRules, kind: ExitKind, side: Side) -> str:
    """An exit of a kind that has no numbers of its own to tell."""
    return f"{EXIT_NAMES[kind]} armed: {_leaves(rules, side)}"


def exit_taken_over(previous: ExitKind) -> str:
    return f"manual flip: the {EXIT_NAMES[previous]} in progress is yours now"


def exit_ending(kind: ExitKind, cause: ExitEndReason) -> str:
    return f"{EXIT_NAMES[kind]} ending: {ENDINGS[cause]}"


def _leaves(rules: SymbolRules, side: Side) -> str:
    return f"selling all {rules.base_asset}" if side is Side.SELL else f"buying {rules.base_asset} back"


@dataclass(frozen=True, slots=True)
class ExitResult:
    """What became of one exit.

    `slippage_frac` is against the price that armed it, positive where it cost. `result_frac` is the
    unit value won since the anchor, after fees. Either is None where there is nothing to compare.
    """

    kind: ExitKind
    side: Side
    filled_base: Decimal
    filled_quote: Decimal
    slippage_frac: float | None
    result_frac: float | None
    age_s: float
    replaces: int
    fees: Mapping[str, Decimal]


def exit_filled(rules: SymbolRules, result: ExitResult) -> str:
    """ "take-profit filled: …", "flush done: …": all of it, and what it brought."""
    head = "flush done" if result.kind is ExitKind.FLUSH else f"{EXIT_NAMES[result.kind]} filled"
    return f"{head}: {_filled(rules, result)}{_result(rules, result)}"


def exit_ended(rules: SymbolRules, result: ExitResult, cause: ExitEndReason) -> str:
    """An exit that ended before it was whole."""
    filled = _filled(rules, result) if result.filled_base else "nothing filled"
    return f"{EXIT_NAMES[result.kind]} ended: {ENDINGS[cause]}; {filled}"


def exit_slow(rules: SymbolRules, kind: ExitKind, age_s: float, filled: Decimal, slippage_frac: float | None) -> str:
    return (
        f"{EXIT_NAMES[kind]} slow: not finished after {age_s:.0f} s, {quantity(rules, filled)} filled"
        f"{_slippage(slippage_frac) if filled else ''}"
    )


def _filled(rules: SymbolRules, result: ExitResult) -> str:
    done = "sold" if result.side is Side.SELL else "bought"
    average = price(rules, result.filled_quote / result.filled_base) if result.filled_base else "none"
    return (
        f"{done} {quantity(rules, result.filled_base)} for {notional(rules, result.filled_quote)}, "
        f"average {average}{_slippage(result.slippage_frac)}, in {elapsed(result.age_s)} "
        f"with {counted(result.replaces, 'replace')}, fee {amounts(rules, result.fees)}"
    )


def _slippage(slippage_frac: float | None) -> str:
    """Against the mid price when the exit began, in words, for a sign could mean either."""
    if slippage_frac is None:
        return ""
    share = round(abs(slippage_frac) * 100, 2)
    if not share:
        return ", no slippage"
    return f", slippage {share:.2f} % {'for the worse' if slippage_frac > 0 else 'for the better'}"


def _result(rules: SymbolRules, result: ExitResult) -> str:
    """A sale is measured in quote, a buy-back in the base asset it brought more than was once sold."""
    if result.result_frac is None:
        return ""
    asset = rules.quote_asset if result.side is Side.SELL else rules.base_asset
    return f", result {percent(result.result_frac)} in {asset} since the anchor"


def counted(count: int, noun: str) -> str:
    """ "1 replace", "2 replaces"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


# --- the exchange, the operator ---


def not_trading(symbol: str, status: str) -> str:
    return f"{symbol} is not trading ({status}): orders wait until it does"


def trading_again(symbol: str) -> str:
    return f"{symbol} is trading again"


def halted(reason: str) -> str:
    return f"halted: {reason}; nothing is armed, not even the hard stop, until you resume ('r' or /resume)"


def paused(rules: SymbolRules | None = None) -> str:
    return (
        f"paused: no take-profit, no breakout, nothing bought; {stop_goes_on(rules)}; "
        "a restart forgets the pause (START_PAUSED=true keeps it)"
    )


def paused_already(rules: SymbolRules | None = None) -> str:
    return f"paused already, resume with 'r' or /resume; {stop_goes_on(rules)}"


def stop_goes_on(rules: SymbolRules | None = None) -> str:
    """What no hold suspends."""
    return f"the hard stop keeps watching while {'the base asset' if rules is None else rules.base_asset} is held"


def resumed() -> str:
    return "resumed: trading goes on"


def nothing_to_resume() -> str:
    return "nothing was on hold, trading goes on"


def command_refused(command: str, reason: str) -> str:
    return f"{COMMANDS.get(command, command)} refused: {reason}"


# --- summary ---


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run came to. Fractions are of the value at its start; `rejected` counts refusals by code or name."""

    seconds: float
    exits: int
    fills: int
    replaces: int
    fees: Mapping[str, Decimal] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    value: Decimal | None = None
    result_frac: float | None = None
    hold_base_frac: float | None = None
    hold_quote_frac: float | None = None
    gaps: Sequence[str] = ()


def summary(rules: SymbolRules, run: RunSummary, mode: str = "") -> str:
    """Several lines; the first begins with "summary". Play money is named beside the pair."""
    named = heading(mode, rules.symbol) if mode else rules.symbol
    lines = [
        f"summary {named}: {duration(run.seconds)} of market time",
        f"  exits {run.exits}, fills {run.fills}, replaces {run.replaces}, fees {amounts(rules, run.fees)}",
    ]
    if run.value is not None and run.result_frac is not None:
        lines.append(f"  value {notional(rules, run.value)}, result {percent(run.result_frac)} in {rules.quote_asset}")
    holding = [
        f"{asset} {percent(share)}"
        for asset, share in ((rules.base_asset, run.hold_base_frac), (rules.quote_asset, run.hold_quote_frac))
        if share is not None
    ]
    if holding:
        lines.append(f"  holding instead: {', '.join(holding)}")
    refused = ", ".join(f"{reason} {count}" for reason, count in run.rejected.items() if count)
    lines.append(f"  rejected orders: {refused or 'none'}")
    lines += [f"  missing: {gap}" for gap in run.gaps]
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """A duration in whole seconds: "1 d 2 h 3 min 4 s"."""
    minutes, whole_seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (whole_seconds, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 s"
