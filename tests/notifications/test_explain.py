"""Tests of the answer to `why` in every state of the bot."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.notifications.status_views import BUYING, RULES, SELLING, D, view_of
from tests.strategy.strategy_harness import StrategyRun, gated, in_base, in_quote, params

from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import Balance
from trailingedge.model.trigger_mode import TriggerOn
from trailingedge.notifications.explain import why
from trailingedge.notifications.status import ExitView, QuoteObstacle, StatusView
from trailingedge.risk.circuit_breakers import Breaker, BreakerTrip


def watching(start: Callable[..., StrategyRun], *bids: str | None, settings: Any = None, **given: Any) -> StrategyRun:
    """A strategy that saw these bids; the last one with `given`."""
    life = start() if settings is None else start(settings=settings)
    for bid in bids[:-1]:
        life.tick(bid)
    life.tick(bids[-1], **given)
    return life


def closing(life: StrategyRun, *closes: float) -> StrategyRun:
    for close in closes:
        life.close(close)
    return life


def poor() -> StrategyRun:
    life = StrategyRun(base="0.0001", quote="1")
    life.tick("2500")
    return life


ON_CLOSE = params(trigger_on=TriggerOn.CLOSE)
HOURLY = {"kline_interval": "1h"}


@dataclass(frozen=True)
class Case:
    """A state, the book it is shown with, and what is said of it."""

    life: StrategyRun
    bid: str | None
    said: str
    shown: dict[str, Any] = field(default_factory=dict)


CASES = {
    "closes alone, not trailing": Case(
        watching(in_base, "2510", settings=ON_CLOSE),
        "2510",
        (
            "Not selling: the bid is 2510.00 FDUSD, the highest close since the anchor 2500.00 was 2500.00. The "
            "take-profit trails from a 1h close ≥ 2525.00, +0.60 % from here (a gain of +1.00 %, "
            "MIN_GAIN_TRIGGER_FRAC_BASE). Hard stop: it sells everything after a 1h close ≤ 2487.50, -0.90 % from here."
        ),
        HOURLY,
    ),
    "closes alone, trailing in quote": Case(
        closing(watching(in_quote, "2499.99", settings=ON_CLOSE), 2400),
        "2399.99",
        (
            "Not buying back yet: the ask is 2400.00 FDUSD; it buys back at a 1h close ≥ 2409.65, +0.40 % from here "
            "(the trail). The lowest close was 2400.00, a gain of +4.17 % in ETH. No buy-back after a 1h close ≥ "
            "2512.56, +4.7 % from here (the gate shuts)."
        ),
        HOURLY,
    ),
    "closes alone, the price is past the trail": Case(
        watching(lambda **given: closing(in_base(**given), 2600), "2570", settings=ON_CLOSE),
        "2570",
        (
            "Not selling yet: the bid 2570.00 FDUSD is past the trail at 2589.99; it sells if a 1h close is past "
            "the trail, too. The "
            "highest close was 2600.00, a gain of +4.00 % in FDUSD. Hard stop: it sells everything after a 1h close ≤ "
            "2487.50, -3.2 % from here."
        ),
        HOURLY,
    ),
    "in base, a hard stop that takes its time": Case(
        watching(
            in_base,
            "2500",
            settings=params(hard_stop_threshold_frac=0.08, hard_stop_max_frac=0.15, hard_stop_confirm_sec=600),
        ),
        "2500",
        (
            "Not selling: the bid is 2500.00 FDUSD, the best bid since the anchor 2500.00 was 2500.00. The take-profit "
            "trails from 2525.00, +1.0 % from here (a gain of +1.00 %, MIN_GAIN_TRIGGER_FRAC_BASE). Hard stop 2300.00, "
            "-8.0 % from here: it sells everything when the bid stays there for 10 min, or falls to 2125.00, -15.0 % "
            "from here."
        ),
    ),
    "in base, not trailing": Case(
        watching(in_base, "2510"),
        "2510",
        (
            "Not selling: the bid is 2510.00 FDUSD, the best bid since the anchor 2500.00 was 2510.00. The "
            "take-profit trails from 2525.00, +0.60 % from here (a gain of +1.00 %, "
            "MIN_GAIN_TRIGGER_FRAC_BASE). Hard stop 2487.50, -0.90 % from here: it sells everything when the "
            "bid stays there for 1.0 s."
        ),
    ),
    "in base, the fees ask for more": Case(
        watching(in_base, "2510", settings=params(fee=0.01)),
        "2510",
        (
            "Not selling: the bid is 2510.00 FDUSD, the best bid since the anchor 2500.00 was 2510.00. The "
            "take-profit trails from 2555.00, +1.8 % from here (a gain of +2.20 %, for both fees and BUFFER). "
            "Hard stop 2487.50, -0.90 % from here: it sells everything when the bid stays there for 1.0 s."
        ),
    ),
    "in base, trailing": Case(
        watching(in_base, "2560", "2555"),
        "2555",
        (
            "Not selling yet: the bid is 2555.00 FDUSD; it sells at 2553.80, -0.05 % from here (the trail). The "
            "best bid was 2560.00, a gain of +2.40 % in FDUSD. Hard stop 2487.50, -2.6 % from here: it sells "
            "everything when the bid stays there for 1.0 s."
        ),
    ),
    "in base, trailing too low for the fees": Case(
        watching(
            in_base,
            "2506",
            "2505.5",
            settings=params(min_gain_trigger_frac_base=0.0, buffer=0.0, fee=0.001, start_factor=0.9),
        ),
        "2505.5",
        (
            "Not selling yet: a sale at the trail, 2502.43, would not pay both fees, but a sale at 2505.00 "
            "would; the bid is 2505.50 FDUSD. The best bid was 2506.00, a gain of +0.24 % in FDUSD. Hard stop "
            "2487.50, -0.72 % from here: it sells everything when the bid stays there for 1.0 s."
        ),
    ),
    "in base, the price fell past the profit": Case(
        watching(in_base, "2560", "2503", settings=params(fee=0.001), settled=False),
        "2503",
        (
            "Not selling: the bid 2503.00 FDUSD is past the trail at 2553.80 and past 2505.00, where a sale "
            "still pays both fees; it sells once the bid is back between these two prices. Hard stop 2487.50, "
            "-0.62 % from "
            "here: it sells everything when the bid stays there for 1.0 s."
        ),
    ),
    "in base, due": Case(
        watching(in_base, "2560", "2530", settled=False),
        "2530",
        (
            "About to sell: the bid 2530.00 FDUSD has reached the trail at 2553.80; waiting for the balances. "
            "Hard stop 2487.50, -1.7 % from here: it sells everything when the bid stays there for 1.0 s."
        ),
    ),
    "in base, at the stop": Case(
        watching(in_base, "2487", "2486.9", seconds=0.4),
        "2486.9",
        (
            "About to sell everything: the bid 2486.90 FDUSD has been at or below the hard stop 2487.50 for 0.4 s; "
            "it sells after 1 s."
        ),
    ),
    "in quote, not trailing": Case(
        watching(in_quote, "2490"),
        "2490",
        (
            "Not buying back: the ask is 2490.01 FDUSD, the lowest ask since the anchor 2500.00 was 2490.01. The "
            "take-profit trails from 2475.25, -0.59 % from here (MIN_GAIN_TRIGGER_FRAC_QUOTE). No buy-back "
            "after a candle close ≥ 2512.56, +0.91 % from here (the gate shuts)."
        ),
    ),
    "in quote, trailing": Case(
        watching(in_quote, "2440", "2443"),
        "2443",
        (
            "Not buying back yet: the ask is 2443.01 FDUSD; it buys back at 2446.05, +0.12 % from here (the "
            "trail). The lowest ask was 2440.01, a gain of +2.46 % in ETH. No buy-back after a candle close ≥ "
            "2512.56, +2.8 % from here (the gate shuts)."
        ),
    ),
    "paused in base": Case(
        watching(in_base, "2510", trading_paused=True),
        "2510",
        (
            "Not taking profit: trading is paused, resume with 'r', /resume or trailing-edge resume. After the "
            "pause the take-profit trails "
            "from 2525.00, +0.60 % from here. Hard stop 2487.50, -0.90 % from here: it sells everything when the "
            "bid stays there for 1.0 s."
        ),
        {"paused": True},
    ),
    "paused in base, trailing": Case(
        watching(in_base, "2560", "2555", trading_paused=True),
        "2555",
        (
            "Not taking profit: trading is paused, resume with 'r', /resume or trailing-edge resume. After the "
            "pause it sells at 2553.80, "
            "-0.05 % from here (the trail). Hard stop 2487.50, -2.6 % from here: it sells everything when the bid"
            " stays there for 1.0 s."
        ),
        {"paused": True},
    ),
    "paused in base, past the trail": Case(
        watching(in_base, "2560", "2530", trading_paused=True),
        "2530",
        (
            "Not taking profit: trading is paused, resume with 'r', /resume or trailing-edge resume. After the "
            "pause it sells at once; the bid is past the trail now. Hard stop 2487.50, -1.7 % from here: it sells "
            "everything when the bid stays "
            "there for 1.0 s."
        ),
        {"paused": True},
    ),
    "paused in base, past every profit": Case(
        watching(in_base, "2560", "2503", settings=params(fee=0.001), trading_paused=True),
        "2503",
        (
            "Not taking profit: trading is paused, resume with 'r', /resume or trailing-edge resume. Hard stop "
            "2487.50, -0.62 % from "
            "here: it sells everything when the bid stays there for 1.0 s."
        ),
        {"paused": True},
    ),
    "paused by two breakers in quote": Case(
        watching(in_quote, "2490", trading_paused=True),
        "2490",
        (
            "Not buying back: daily loss -3.12 % (limit -3.00 %), paused until 00:00 UTC; 4 lost round trips in a"
            " row (limit 4), paused until you resume with 'r', /resume or trailing-edge resume. After the pause the "
            "take-profit trails from "
            "2475.25, -0.59 % from here. No buy-back after a candle close ≥ 2512.56, +0.91 % from here (the gate "
            "shuts)."
        ),
        {"trips": (BreakerTrip(Breaker.DAILY_LOSS, D("0.0312"), D("0.03")), BreakerTrip(Breaker.LOSSES, D(4), D(4)))},
    ),
    "funds at the edge": Case(
        watching(in_quote, "2490", trading_paused=True),
        "2490",
        (
            "Not buying back: the balance is only just enough for an order, and the last attempt failed; the next "
            "attempt is in a minute. After the pause the take-profit trails from 2475.25, -0.59 % from here. No "
            "buy-back after a candle close ≥ 2512.56, +0.91 % from here (the gate shuts)."
        ),
    ),
    "the market is silent": Case(
        watching(in_base, None),
        None,
        "Not trading: no market data for 12 s. No level is checked until market data returns, not even the hard stop.",
    ),
    "the market is silent in quote": Case(
        watching(in_quote, None),
        None,
        "Not trading: no market data for 12 s. No level is checked until market data returns.",
    ),
    "the market was never heard": Case(
        watching(in_base, None),
        None,
        "Not trading: no market data. No level is checked until market data returns, not even the hard stop.",
        {"data_age_s": float("inf")},
    ),
    "the account is away": Case(
        watching(in_base, None),
        "2500",
        (
            "Not trading: there is no account connection, so no order can be sent. No level is checked until the "
            "connection returns, not even the hard stop."
        ),
        {"account_proven": False},
    ),
    "gate shut, few candles": Case(
        watching(gated, "2470"),
        "2470",
        (
            "Not buying back: the gate is shut since the hard stop sold at 2475.00 FDUSD. The gate can open once there "
            "are enough candles for the channel. 'x', /flip or trailing-edge flip buys anyway."
        ),
    ),
    "gate shut by the hard stop": Case(
        closing(gated(), 2480, 2490, 2470),
        "2470",
        (
            "Not buying back: the gate is shut since the hard stop sold at 2475.00 FDUSD. The gate opens at a candle "
            "close above 2480.00, +0.40 % from here (the channel's middle); the last close was 2470.00. 'x', "
            "/flip or trailing-edge flip buys anyway."
        ),
    ),
    "gate shut by a close, paused besides": Case(
        closing(in_quote(), 2500, 2501, 2499, 2530),
        "2530",
        (
            "Not buying back: the gate is shut since a candle closed at 2530.00 FDUSD, too far above the anchor. "
            "The gate opens at a candle close below 2514.50, -0.61 % from here (the channel's middle); no candle "
            "has closed since the gate shut. Trading is paused as well."
        ),
        {"paused": True},
    ),
    "gate shut, and the last close on the far side": Case(
        closing(gated(), 2480, 2490, 2470, 2460, 2455),
        "2455",
        (
            "Not buying back: the gate is shut since the hard stop sold at 2475.00 FDUSD. The gate opens at a candle "
            "close above 2462.50, +0.31 % from here (the channel's middle); the last close was 2455.00. A breaker"
            " pauses trading as well."
        ),
        {"trips": (BreakerTrip(Breaker.DRAWDOWN, D("0.1"), D("0.1")),)},
    ),
    "too little, and a reserve": Case(
        poor(),
        "2500",
        (
            "Not trading: there are 0.0001 ETH and 1.00 FDUSD to trade, and an order needs 5.00 FDUSD and 0.0001 "
            "ETH. RESERVE_BASE 0.0500 ETH and RESERVE_QUOTE 9.00 FDUSD are kept back."
        ),
        {"reserve_base": D("0.05"), "reserve_quote": D(9)},
    ),
    "too little, for others have locked the rest": Case(
        poor(),
        "2500",
        (
            "Not trading: there are 0.0001 ETH and 1.00 FDUSD to trade, and an order needs 5.00 FDUSD and 0.0001 "
            "ETH. 2425.00 FDUSD are locked in orders that this bot did not place."
        ),
        {"quote": Balance("FDUSD", D(1), D(2425))},
    ),
    "too little": Case(
        poor(),
        "2500",
        (
            "Not trading: there are 0.0001 ETH and 1.00 FDUSD to trade, and an order needs 5.00 FDUSD and 0.0001 "
            "ETH. Trading goes on after a deposit."
        ),
    ),
    "halted": Case(
        watching(in_base, "2510", halted=True),
        "2510",
        (
            "Not trading: halted by a safety rule (two orders of ours are open). There are no orders, not even "
            "from the hard stop, until you resume with 'r', /resume or trailing-edge resume."
        ),
        {"halted": True, "halt_reason": "two orders of ours are open"},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_state_has_its_reason(case: Case) -> None:
    assert why(view_of(case.life, case.bid, **case.shown)) == case.said


TAKES_OVER = "The hard stop takes over at a bid ≤ 2487.50, -0.50 % from here."
HEAD = "Selling to take profit for 12 s, 0.1000 ETH filled so far: "


@pytest.mark.parametrize(
    ("active", "bid", "said"),
    [
        pytest.param(
            SELLING,
            "2500.11",
            f"{HEAD}the order for 0.9000 ETH is at 2500.12 FDUSD, the best ask; being post-only, it waits for a "
            f"buyer. {TAKES_OVER}",
            id="at the best price",
        ),
        pytest.param(
            SELLING,
            "2500.05",
            f"{HEAD}the order for 0.9000 ETH is at 2500.12 FDUSD, and follows the best ask, 2500.06. {TAKES_OVER}",
            id="behind the best price",
        ),
        pytest.param(
            replace(SELLING, obstacle=QuoteObstacle.IN_DOUBT),
            "2500.05",
            f"{HEAD}the order for 0.9000 ETH is at 2500.12 FDUSD; the last request was not answered; the exchange "
            f"is being asked what became of it. {TAKES_OVER}",
            id="in doubt",
        ),
        pytest.param(
            replace(
                SELLING, price=None, remaining=None, obstacle=QuoteObstacle.REFUSED, reject_text="-2010 Would take."
            ),
            "2500.05",
            f"{HEAD}no order is on the book, the exchange rejected the last order (-2010 Would take). {TAKES_OVER}",
            id="refused",
        ),
        pytest.param(
            replace(SELLING, kind=ExitKind.MANUAL, price=None, remaining=None, filled=D(0)),
            "2500.05",
            "Selling on your command for 12 s, nothing filled so far: no order is on the book, one is about to be "
            f"placed. {TAKES_OVER}",
            id="no order yet",
        ),
        pytest.param(
            replace(SELLING, kind=ExitKind.FLUSH),
            "2500.11",
            "Selling after the hard stop for 12 s, 0.1000 ETH filled so far: the order for 0.9000 ETH is at "
            "2500.12 FDUSD, the best ask; being post-only, it waits for a buyer.",
            id="flush",
        ),
        pytest.param(
            SELLING,
            None,
            f"{HEAD}the order for 0.9000 ETH is at 2500.12 FDUSD. The hard stop takes over at a bid ≤ 2487.50.",
            id="without a book",
        ),
        pytest.param(
            replace(SELLING, ending=ExitEndReason.CANCELLED),
            "2500.05",
            "The take-profit is ending (cancelled by the operator): its order is being cancelled. The hard stop is not "
            "checked until then.",
            id="ending",
        ),
        pytest.param(
            replace(SELLING, ending=ExitEndReason.CANCELLED, price=None, remaining=None),
            "2500.05",
            "The take-profit is ending (cancelled by the operator): no order is left on the book; the exit ends at "
            "once. The hard stop is not checked until then.",
            id="ending without an order",
        ),
    ],
)
def test_an_exit_says_where_its_order_is_and_why_it_is_not_filled(active: ExitView, bid: str | None, said: str) -> None:
    life = in_base()
    life.flip("2500")
    assert why(view_of(life, bid, active_exit=active)) == said


GONE = replace(SELLING, price=None, remaining=None)


@pytest.mark.parametrize(
    ("active", "shown", "said"),
    [
        pytest.param(
            SELLING,
            {"without_price": True},
            "The hard stop at 2487.50 is not checked until market data returns.",
            id="silent",
        ),
        pytest.param(
            SELLING,
            {"account_proven": False},
            "The hard stop at 2487.50 is not checked until the account connection returns.",
            id="account away",
        ),
        pytest.param(
            replace(SELLING, ending=ExitEndReason.CANCELLED),
            {"account_proven": False},
            "The take-profit is ending (cancelled by the operator), but there is no account connection: the order SELL "
            "0.9000 ETH at 2500.12 FDUSD may still fill until it can be cancelled. The hard stop is not checked until "
            "then.",
            id="cancelled while away",
        ),
        pytest.param(
            replace(GONE, ending=ExitEndReason.CANCELLED),
            {"account_proven": False},
            "no order is left on the book; the exit ends when the account connection returns. The hard stop is not "
            "checked until then.",
            id="cancelled without an order while away",
        ),
        pytest.param(
            replace(GONE, ending=ExitEndReason.CANCELLED),
            {"without_price": True},
            "no order is left on the book; the exit ends when market data returns. The hard stop is not checked "
            "until then.",
            id="cancelled without an order while silent",
        ),
    ],
)
def test_while_no_level_is_checked_no_stop_is_promised(active: ExitView, shown: dict[str, Any], said: str) -> None:
    life = in_base()
    life.flip("2500")
    if "without_price" in shown:
        life.tick(None)
    assert why(view_of(life, None, active_exit=active, **shown)).endswith(said)


def test_a_buy_for_profit_is_ended_by_a_close_too_high() -> None:
    life = in_quote()
    life.flip("2500")
    assert why(view_of(life, "2500.11", active_exit=BUYING)).endswith(
        "the best bid; being post-only, it waits for a seller. A candle close ≥ 2512.56, +0.50 % from "
        "here, cancels the buy-back and shuts the gate."
    )


def test_an_exit_that_meets_the_stop_says_so() -> None:
    life = in_base()
    life.flip("2500")
    life.tick("2487")
    said = why(view_of(life, "2487", active_exit=SELLING))
    assert said.startswith(HEAD)
    assert "About to sell everything" in said


def test_a_refusal_outlives_its_exit() -> None:
    life = watching(in_base, "2500")
    view = view_of(life, "2500", reject_text="-2010 This account may not place or cancel orders.")
    assert why(view).endswith(
        "Note that the exchange rejected the last order (-2010 This account may not place or cancel orders): "
        "the next one may be rejected as well."
    )


def test_before_the_first_judgement_there_is_no_reason() -> None:
    assert why(StatusView("sim", RULES, "unfunded")) == "Not trading yet: the bot is still starting."


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_no_sentence_contains_the_words_of_the_code(case: Case) -> None:
    said = why(view_of(case.life, case.bid, **case.shown)).lower()
    assert not [word for word in ("regime", "callback", "drawdown", "u =", "nan", "inf") if f" {word} " in said]
