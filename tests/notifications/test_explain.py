"""One honest sentence, or two, for every state that the bot can be in, with the numbers behind it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.notifications.status_views import BUYING, RULES, SELLING, D, decision_of, view_of
from tests.strategy.strategy_harness import StrategyRun, gated, in_base, in_quote, params

from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import Balance
from trailingedge.notifications.explain import why
from trailingedge.notifications.status import ExitView, QuoteObstacle, StatusView
from trailingedge.risk.circuit_breakers import Breaker, BreakerTrip

BASE_STOP = "The hard stop sells when the bid falls to 2487.50 (-0.50 % in FDUSD)."
QUOTE_STOP = "A candle that closes at 2512.56 or above shuts the gate (-0.50 % in ETH): then nothing is bought."
FREE = " 'x' buys all the same."


def watching(start: Callable[..., StrategyRun], *bids: str | None, settings: Any = None, **given: Any) -> StrategyRun:
    """A life that saw these bids; the last one with `given`."""
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


@dataclass(frozen=True)
class Case:
    """A state, the book it is shown with, and what is said of it."""

    life: StrategyRun
    bid: str | None
    said: str
    shown: dict[str, Any] = field(default_factory=dict)


CASES = {
    "in base, not armed": Case(
        watching(in_base, "2510"),
        "2510",
        "Not selling: the best bid since the anchor 2500.00 FDUSD was 2510.00 (+0.40 % in FDUSD), and the "
        f"take-profit trails from 2525.00 on (+1.00 %, the least gain set); the bid is 2510.00. {BASE_STOP}",
    ),
    "in base, the fees ask for more": Case(
        watching(in_base, "2510", settings=params(fee=0.01)),
        "2510",
        "Not selling: the best bid since the anchor 2500.00 FDUSD was 2510.00 (+0.40 % in FDUSD), and the "
        f"take-profit trails from 2555.00 on (+2.20 %, for both fees and the buffer); the bid is 2510.00. {BASE_STOP}",
    ),
    "in base, armed": Case(
        watching(in_base, "2560", "2555"),
        "2555",
        "Not selling yet: it trails +2.40 % in FDUSD at the best bid, 2560.00; it sells when the bid falls to "
        f"2553.80 or below, and the bid is 2555.00 FDUSD. {BASE_STOP}",
    ),
    "in base, armed too low for the fees": Case(
        watching(
            in_base,
            "2506",
            "2505.5",
            settings=params(min_gain_trigger_frac_base=0.0, buffer=0.0, fee=0.001, start_factor=0.9),
        ),
        "2505.5",
        "Not selling yet: it trails +0.24 % in FDUSD at the best bid, 2506.00, but a sale at 2502.43, where the "
        f"trail is, would not pay both fees (2505.00 would); the bid is 2505.50 FDUSD. {BASE_STOP}",
    ),
    "in base, the price fell past the profit": Case(
        watching(in_base, "2560", "2503", settings=params(fee=0.001), settled=False),
        "2503",
        "Not selling: the bid is 2503.00 FDUSD, past the trail at 2553.80 and past 2505.00, which pays both fees; "
        f"no profit is left to take until it is back between the two. {BASE_STOP}",
    ),
    "in base, due": Case(
        watching(in_base, "2560", "2530", settled=False),
        "2530",
        f"About to sell: the trail at 2553.80 is reached, and the balances are being settled. {BASE_STOP}",
    ),
    "in base, at the stop": Case(
        watching(in_base, "2487", "2486.9", seconds=0.4),
        "2486.9",
        "About to sell everything: the bid 2486.90 FDUSD has been at the hard stop 2487.50 or below for 0.4 s of "
        "the 1 s that it takes.",
    ),
    "in quote, not armed": Case(
        watching(in_quote, "2490"),
        "2490",
        "Not buying: the lowest ask since the anchor 2500.00 FDUSD was 2490.01 (+0.40 % in ETH), and the "
        f"take-profit trails from 2475.25 on (+1.00 %, the least gain set); the ask is 2490.01. {QUOTE_STOP}",
    ),
    "in quote, armed": Case(
        watching(in_quote, "2440", "2443"),
        "2443",
        "Not buying yet: it trails +2.46 % in ETH at the lowest ask, 2440.01; it buys when the ask rises to "
        f"2446.05 or above, and the ask is 2443.01 FDUSD. {QUOTE_STOP}",
    ),
    "paused in base": Case(
        watching(in_base, "2510", trading_paused=True),
        "2510",
        f"Not selling for profit: you have paused it; 'r' or /resume goes on. After that the take-profit "
        f"trails from 2525.00 on. {BASE_STOP}",
        {"paused": True},
    ),
    "paused in base, trailing": Case(
        watching(in_base, "2560", "2555", trading_paused=True),
        "2555",
        "Not selling for profit: you have paused it; 'r' or /resume goes on. After that it sells for profit when the "
        f"bid falls to 2553.80 or below. {BASE_STOP}",
        {"paused": True},
    ),
    "paused in base, past the trail": Case(
        watching(in_base, "2560", "2530", trading_paused=True),
        "2530",
        "Not selling for profit: you have paused it; 'r' or /resume goes on. After that it sells at once, for the bid "
        f"is past the trail. {BASE_STOP}",
        {"paused": True},
    ),
    "paused in base, past every profit": Case(
        watching(in_base, "2560", "2503", settings=params(fee=0.001), trading_paused=True),
        "2503",
        f"Not selling for profit: you have paused it; 'r' or /resume goes on. {BASE_STOP}",
        {"paused": True},
    ),
    "held by two breakers in quote": Case(
        watching(in_quote, "2490", trading_paused=True),
        "2490",
        "Not buying: -3.12 % on today's round trips, so a breaker holds until 00:00 UTC; 4 round trips in a row "
        f"lost, so a breaker holds until you resume ('r' or /resume). After that the take-profit trails from 2475.25 "
        f"on. {QUOTE_STOP}",
        {"trips": (BreakerTrip(Breaker.DAILY_LOSS, D("0.0312"), D("0.03")), BreakerTrip(Breaker.LOSSES, D(4), D(4)))},
    ),
    "funds at the edge": Case(
        watching(in_quote, "2490", trading_paused=True),
        "2490",
        "Not buying: the last try came to nothing, for the funds only just make up an order; it is tried again in "
        f"a minute. After that the take-profit trails from 2475.25 on. {QUOTE_STOP}",
    ),
    "the market is silent": Case(
        watching(in_base, None),
        None,
        "Not trading: the market has been silent for 12 s. No trigger is judged until it speaks again, the hard stop "
        "neither.",
    ),
    "the market is silent in quote": Case(
        watching(in_quote, None),
        None,
        "Not trading: the market has been silent for 12 s. No trigger is judged until it speaks again.",
    ),
    "the market was never heard": Case(
        watching(in_base, None),
        None,
        "Not trading: there is no market data. No trigger is judged until it speaks again, the hard stop neither.",
        {"data_age_s": float("inf")},
    ),
    "the account is away": Case(
        watching(in_base, None),
        "2500",
        "Not trading: the account connection is away, so nothing can be ordered. No trigger is judged until it is "
        "back, the hard stop neither.",
        {"account_proven": False},
    ),
    "gate shut, few candles": Case(
        watching(gated, "2470"),
        "2470",
        "Not buying: the gate is shut since the hard stop sold at 2475.00 FDUSD; it can open once there are candles "
        f"enough for the channel.{FREE}",
    ),
    "gate shut by the hard stop": Case(
        closing(gated(), 2480, 2490, 2470),
        "2470",
        "Not buying: the gate is shut since the hard stop sold at 2475.00 FDUSD; it opens when a candle closes above "
        f"the channel's middle, 2480.00; the last one closed at 2470.00.{FREE}",
    ),
    "gate shut by a close, paused besides": Case(
        closing(in_quote(), 2500, 2501, 2499, 2530),
        "2530",
        "Not buying: the gate is shut since a candle closed at 2530.00 FDUSD, too far above the anchor; it opens when "
        "a candle closes below the channel's middle, 2514.50; none has closed since. It is paused besides.",
        {"paused": True},
    ),
    "gate shut, and the last close on the far side": Case(
        closing(gated(), 2480, 2490, 2470, 2460, 2455),
        "2455",
        "Not buying: the gate is shut since the hard stop sold at 2475.00 FDUSD; it opens when a candle closes above "
        "the channel's middle, 2462.50; the last one closed at 2455.00. A breaker holds besides.",
        {"trips": (BreakerTrip(Breaker.DRAWDOWN, D("0.1"), D("0.1")),)},
    ),
    "too little, and a reserve": Case(
        poor(),
        "2500",
        "Not trading: an order needs at least 5.00 FDUSD and 0.0001 ETH, and there are 0.0001 ETH and 1.00 FDUSD to "
        "trade. RESERVE_BASE 0.0500 ETH and RESERVE_QUOTE 9.00 FDUSD are kept back.",
        {"reserve_base": D("0.05"), "reserve_quote": D(9)},
    ),
    "too little, for others have locked the rest": Case(
        poor(),
        "2500",
        "Not trading: an order needs at least 5.00 FDUSD and 0.0001 ETH, and there are 0.0001 ETH and 1.00 FDUSD to "
        "trade. 2425.00 FDUSD are locked in orders that are not ours.",
        {"quote": Balance("FDUSD", D(1), D(2425))},
    ),
    "too little": Case(
        poor(),
        "2500",
        "Not trading: an order needs at least 5.00 FDUSD and 0.0001 ETH, and there are 0.0001 ETH and 1.00 FDUSD to "
        "trade. A deposit starts it again.",
    ),
    "halted": Case(
        watching(in_base, "2510", halted=True),
        "2510",
        "Not trading: halted by a safety rule (two orders of ours are open). Nothing is armed, not even the hard stop, "
        "until you resume ('r' or /resume).",
        {"halted": True, "halt_reason": "two orders of ours are open"},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_state_has_its_reason(case: Case) -> None:
    assert why(view_of(case.life, case.bid, **case.shown), decision_of(case.life)) == case.said


TAKES_OVER = "The hard stop takes over when the bid falls to 2487.50."
HEAD = "Selling to take profit for 12 s, 0.1000 ETH filled so far: "


@pytest.mark.parametrize(
    ("chase", "bid", "said"),
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
            f"{HEAD}the order for 0.9000 ETH is at 2500.12 FDUSD; the exchange left a request unanswered and is being "
            f"asked what became of it. {TAKES_OVER}",
            id="in doubt",
        ),
        pytest.param(
            replace(
                SELLING, price=None, remaining=None, obstacle=QuoteObstacle.REFUSED, reject_text="-2010 Would take."
            ),
            "2500.05",
            f"{HEAD}no order is on the book, the exchange refused the last order (-2010 Would take.). {TAKES_OVER}",
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
            f"{HEAD}the order for 0.9000 ETH is at 2500.12 FDUSD. {TAKES_OVER}",
            id="without a book",
        ),
        pytest.param(
            replace(SELLING, ending=ExitEndReason.CANCELLED),
            "2500.05",
            "The take-profit is over (withdrawn by the operator): its order is being taken off the book. Until then "
            "the hard stop is not judged.",
            id="ending",
        ),
        pytest.param(
            replace(SELLING, ending=ExitEndReason.CANCELLED, price=None, remaining=None),
            "2500.05",
            "The take-profit is over (withdrawn by the operator): no order of it is on the book, and it is concluded "
            "in a moment. Until then the hard stop is not judged.",
            id="ending without an order",
        ),
    ],
)
def test_an_exit_says_where_its_order_is_and_why_it_is_not_filled(chase: ExitView, bid: str | None, said: str) -> None:
    life = in_base()
    life.flip("2500")
    assert why(view_of(life, bid, chase=chase), decision_of(life)) == said


GONE = replace(SELLING, price=None, remaining=None)


@pytest.mark.parametrize(
    ("chase", "shown", "said"),
    [
        pytest.param(
            SELLING,
            {"unpriced": True},
            "The hard stop at 2487.50 is not judged until the market speaks again.",
            id="silent",
        ),
        pytest.param(
            SELLING,
            {"account_proven": False},
            "The hard stop at 2487.50 is not judged until the account connection is back.",
            id="account away",
        ),
        pytest.param(
            replace(SELLING, ending=ExitEndReason.CANCELLED),
            {"account_proven": False},
            "The take-profit is over (withdrawn by the operator), but the exchange cannot be reached: the order SELL "
            "0.9000 ETH at 2500.12 FDUSD may still fill until it is taken off. Until then the hard stop is not judged.",
            id="withdrawn while away",
        ),
        pytest.param(
            replace(GONE, ending=ExitEndReason.CANCELLED),
            {"account_proven": False},
            "no order of it is on the book, and it is concluded when the account connection is back. Until then the "
            "hard stop is not judged.",
            id="withdrawn without an order while away",
        ),
        pytest.param(
            replace(GONE, ending=ExitEndReason.CANCELLED),
            {"unpriced": True},
            "no order of it is on the book, and it is concluded when the market is heard again. Until then the hard "
            "stop is not judged.",
            id="withdrawn without an order while silent",
        ),
    ],
)
def test_while_nothing_can_be_judged_no_stop_is_promised(chase: ExitView, shown: dict[str, Any], said: str) -> None:
    life = in_base()
    life.flip("2500")
    if "unpriced" in shown:
        life.tick(None)
    assert why(view_of(life, None, chase=chase, **shown), decision_of(life)).endswith(said)


def test_a_buy_for_profit_is_ended_by_a_close_too_high() -> None:
    life = in_quote()
    life.flip("2500")
    assert why(view_of(life, "2500.11", chase=BUYING), decision_of(life)).endswith(
        "the best bid; being post-only, it waits for a seller. A candle that closes at 2512.56 or above ends it."
    )


def test_an_exit_that_meets_the_stop_says_so() -> None:
    life = in_base()
    life.flip("2500")
    life.tick("2487")
    said = why(view_of(life, "2487", chase=SELLING), decision_of(life))
    assert said.startswith(HEAD)
    assert "About to sell everything" in said


def test_before_the_first_judgement_there_is_no_reason() -> None:
    assert why(StatusView("sim", RULES, "unfunded"), None) == "Not trading yet: the start is not over."


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_no_reason_speaks_in_the_words_of_the_code(case: Case) -> None:
    said = why(view_of(case.life, case.bid, **case.shown), decision_of(case.life)).lower()
    assert not [word for word in ("regime", "callback", "drawdown", "u =", "nan", "inf") if f" {word} " in said]
