"""Tests of the status panel's rows at common and uncommon widths."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as some
from tests.notifications.status_views import SELLING, blocked

from trailingedge.console.status_panel import (
    StyledText,
    as_lines,
    columns,
    fit,
    panel_rows,
    starting_rows,
    text_of,
)
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Balance, BookTop, Regime, Side, SymbolRules
from trailingedge.notifications.panel_content import TextStyle, panel_content
from trailingedge.notifications.status import ExitView, QuoteObstacle, StatusView
from trailingedge.risk.circuit_breakers import Breaker, BreakerTrip
from trailingedge.strategy.blocks import TradeBlock
from trailingedge.strategy.state import ReentryGate, ShutBy

D = Decimal
RULES = SymbolRules("ETHFDUSD", "ETH", "FDUSD", tick_size=D("0.01"), step_size=D("0.0001"))
IN_BASE = StatusView(
    mode="paper",
    rules=RULES,
    phase="watching",
    regime=Regime.BASE,
    top=BookTop(D("2500.1"), D("2500.11")),
    anchor=2490.0,
    high=2512.0,
    value=D("2500.1"),
    gain_frac=0.0041,
    high_frac=0.0088,
    base=Balance("ETH", D("0.8"), D("0.2")),
    quote=Balance("FDUSD", D(0)),
    trails_from=2514.9,
    stop=2477.55,
    stop_frac=0.005,
    lower=2480.0,
    mid=2490.5,
    upper=2501.0,
    data_age_s=0.21,
)
IN_QUOTE = replace(
    IN_BASE,
    mode="live",
    regime=Regime.QUOTE,
    base=Balance("ETH", D(0)),
    quote=Balance("FDUSD", D(2600)),
    value=D(2600),
    anchor=2510.0,
    high=1.0,
    trailing=True,
    take_profit=2495.25,
    stop=2522.61,
    gate_open=True,
    squeezed=True,
    reconnects=2,
    kline_interval="15m",
)


def test_at_120_columns_two_cells_share_a_row() -> None:
    rows_of = lines_of(IN_BASE, 120)
    assert rows_of[0] == f"── PAPER ETHFDUSD · holding ETH, watching {'─' * 60} data 0.2 s old ──"
    assert [(row[:61].rstrip(), row[61:]) for row in rows_of[1:]] == [
        (" price       bid 2500.10 · ask 2500.11 FDUSD", " holding     1.0000 ETH · 0.00 FDUSD · value 2500.10"),
        (
            " anchor      2490.00 · now +0.41 % in FDUSD · best +0.88 %",
            " channel     2480.00 · 2490.50 · 2501.00",
        ),
        (
            " take-profit trails from 2514.90, +0.59 % from here",
            " hard stop   sells at 2477.55, -0.90 % from here",
        ),
        (" order       none", ""),
    ]


def test_at_80_columns_each_has_its_own() -> None:
    assert lines_of(IN_QUOTE, 80) == [
        "── LIVE ETHFDUSD · holding FDUSD, watching ──── data 0.2 s old · reconnects 2 ──",
        " price       bid 2500.10 · ask 2500.11 FDUSD",
        " holding     0.0000 ETH · 2600.00 FDUSD · value 2600.00",
        " anchor      2510.00 · now +0.41 % in ETH · best +0.88 %",
        " channel     2480.00 · 2490.50 · 2501.00 · squeeze · gate open",
        " take-profit trailing, buys back at 2495.25, -0.19 % from here",
        " gate        no buy-back after a 15m close ≥ 2522.61, +0.90 % from here",
        " order       none",
    ]


def lines_of(view: StatusView, width: int, quiet_s: float = 0.0) -> list[str]:
    return as_lines(panel_content(view), width, quiet_s)


def row(view: StatusView, name: str) -> str:
    """The text beside a name, in a row of its own or beside another cell."""
    label = f" {name:<12}"
    texts = [text.partition(label)[2] for text in lines_of(view, 99)[1:] if label in text]
    return texts[0].split("    ")[0] if texts else "no such row"


@pytest.mark.parametrize(
    ("view", "name", "text"),
    [
        pytest.param(
            replace(IN_BASE, active_exit=SELLING, decision=blocked(TradeBlock.EXIT_IN_PROGRESS)),
            "take-profit",
            "–",
            id="no trigger during an exit",
        ),
        pytest.param(
            replace(IN_BASE, active_exit=SELLING),
            "order",
            "SELL 0.9000 ETH at 2500.12 (best 2500.11), 0.1000 ETH filled, 12 s",
            id="order",
        ),
        pytest.param(
            replace(IN_BASE, active_exit=replace(SELLING, replaces=3)),
            "order",
            "SELL 0.9000 ETH at 2500.12 (best 2500.11), 0.1000 ETH filled, 12 s, 3 replaces",
            id="replaces are counted",
        ),
        pytest.param(
            replace(IN_BASE, active_exit=replace(SELLING, price=None, remaining=None, obstacle=QuoteObstacle.BALANCES)),
            "order",
            "SELL without an order, 0.1000 ETH filled, 12 s",
            id="exit without an order",
        ),
        pytest.param(
            replace(IN_BASE, active_exit=replace(SELLING, obstacle=QuoteObstacle.BUDGET)),
            "waits",
            "the exchange's order limit is nearly used up; the order moves less often",
            id="what an exit waits for",
        ),
        pytest.param(
            replace(IN_BASE, trailing=True, trails_from=None),
            "take-profit",
            "trailing, but a sale would not pay both fees yet",
            id="fees",
        ),
        pytest.param(replace(IN_BASE, trails_from=None), "take-profit", "–", id="no gain suffices"),
        pytest.param(
            replace(IN_BASE, trading_paused=True, paused=True), "take-profit", "off while paused", id="paused"
        ),
        pytest.param(
            replace(IN_BASE, paused=True), "paused", "only the hard stop is active; r resumes", id="paused in base"
        ),
        pytest.param(replace(IN_QUOTE, paused=True), "paused", "no buy-back; r resumes", id="paused in quote"),
        pytest.param(
            replace(IN_BASE, paused=True, active_exit=SELLING),
            "paused",
            "the sale goes on; r resumes",
            id="paused while selling",
        ),
        pytest.param(
            replace(IN_QUOTE, trips=(BreakerTrip(Breaker.DAILY_LOSS, D("0.04"), D("0.03")),)),
            "breaker",
            "daily loss -4.00 % (limit -3.00 %), paused until 00:00 UTC",
            id="breaker",
        ),
        pytest.param(
            replace(IN_BASE, halted=True, halt_reason="two orders"),
            "HALTED",
            "two orders; no hard stop, r resumes",
            id="halted",
        ),
        pytest.param(replace(IN_BASE, stop=None), "hard stop", "–", id="no stop is watched"),
        pytest.param(
            replace(IN_BASE, without_price=True),
            "hard stop",
            "2477.55 NOT CHECKED, no market data",
            id="stop while silent",
        ),
        pytest.param(
            replace(IN_BASE, account_proven=False),
            "hard stop",
            "2477.55 NOT CHECKED, no account connection",
            id="stop while away",
        ),
        pytest.param(
            replace(IN_BASE, without_price=True),
            "take-profit",
            "not checked, no market data",
            id="take-profit while silent",
        ),
        pytest.param(
            replace(IN_QUOTE, account_proven=False),
            "gate",
            "no buy-back after a 15m close ≥ 2522.61, +0.90 % from here",
            id="closes are checked without the account",
        ),
        pytest.param(
            replace(IN_QUOTE, gate=ReentryGate(ShutBy.HARD_STOP, 2400.0, 0), gate_open=False),
            "gate",
            "shut until a 15m close above 2490.50, -0.38 % from here",
            id="gate shut by a flush",
        ),
        pytest.param(
            replace(IN_QUOTE, gate=ReentryGate(ShutBy.QUOTE_STOP, 2600.0, 0), gate_open=False),
            "gate",
            "shut until a 15m close below 2490.50, -0.38 % from here",
            id="gate shut by a close",
        ),
        pytest.param(
            replace(IN_QUOTE, decision=blocked(TradeBlock.GATE_SHUT)),
            "take-profit",
            "off while the gate is shut",
            id="gated",
        ),
        pytest.param(replace(IN_BASE, mid=None), "channel", "too few candles yet", id="short history"),
        pytest.param(StatusView("sim", RULES, "unfunded"), "price", "not known", id="nothing known"),
    ],
)
def test_a_row_reads(view: StatusView, name: str, text: str) -> None:
    assert row(view, name) == text


@pytest.mark.parametrize(
    ("view", "quiet_s", "said"),
    [
        pytest.param(IN_BASE, 0.0, "data 0.2 s old", id="fresh"),
        pytest.param(replace(IN_BASE, data_age_s=float("inf")), 0.0, "no market data", id="never heard"),
        pytest.param(replace(IN_BASE, account_proven=False), 0.0, "no account connection", id="no account"),
        pytest.param(IN_BASE, 7.0, "not updated for 7 s", id="a loop that stands still"),
    ],
)
def test_the_head_says_whether_to_believe_it(view: StatusView, quiet_s: float, said: str) -> None:
    assert lines_of(view, 80, quiet_s)[0].endswith(f" {said} ──")


ALARMED = replace(
    IN_QUOTE, mode="paper", account_proven=False, reconnects=12, active_exit=replace(SELLING, side=Side.BUY)
)


@pytest.mark.parametrize(
    ("width", "head"),
    [
        pytest.param(
            103,
            ["── PAPER ETHFDUSD · holding FDUSD, buying back (take-profit) ─ no account connection · reconnects 12 ──"],
            id="room for all",
        ),
        pytest.param(
            90, ["── PAPER ETHFDUSD · buying back (take-profit) ─── no account connection · reconnects 12 ──"], id="90"
        ),
        pytest.param(80, ["── PAPER ETHFDUSD ───────────────────── no account connection · reconnects 12 ──"], id="80"),
        pytest.param(
            50,
            ["── PAPER ETHFDUSD ────────────────────────────────", " no account connection · reconnects 12"],
            id="a row of its own",
        ),
    ],
)
def test_the_title_gives_way_to_an_alarm(width: int, head: list[str]) -> None:
    assert lines_of(ALARMED, width)[: len(head)] == head


def test_a_rejected_order_is_shown_with_the_reason_of_the_exchange() -> None:
    selling = ExitView(ExitKind.FLUSH, Side.SELL, 5.0, obstacle=QuoteObstacle.REFUSED, reject_text="-2010 No.")
    for view in (replace(IN_BASE, active_exit=selling), replace(IN_BASE, reject_text="-2010 No.")):
        text = "\n".join(lines_of(view, 120))
        assert "the exchange rejected the last order (-2010 No)" in text


def test_what_is_wrong_stands_out() -> None:
    tones = {
        span.style
        for row in panel_rows(panel_content(replace(IN_BASE, halted=True)), 80)
        for span in row
        if "safety rule" in span.text
    }
    assert tones == {TextStyle.BAD}


def test_before_there_is_a_state_the_title_stands_there() -> None:
    (head,) = starting_rows("PAPER ETHFDUSD", 60)
    assert text_of(head).startswith("── PAPER ETHFDUSD ─")
    assert columns(text_of(head)) == 60


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("币安人生USDT", 8, "币安人…"),
        ("abcdef", 1, "…"),
        ("abcdef", 0, ""),
    ],
)
def test_what_does_not_fit_ends_in_an_ellipsis(text: str, width: int, shown: str) -> None:
    assert text_of(fit((StyledText(text),), width)) == shown


views = some.sampled_from(
    [
        IN_BASE,
        IN_QUOTE,
        replace(IN_BASE, active_exit=SELLING, paused=True),
        replace(IN_QUOTE, gate=ReentryGate(ShutBy.QUOTE_STOP, 2600.0, 0), halted=True),
        StatusView("sim", RULES, "unfunded"),
    ]
)


@given(view=views, width=some.integers(1, 200), quiet_s=some.floats(0, 100))
def test_no_row_is_wider_than_the_terminal(view: StatusView, width: int, quiet_s: float) -> None:
    assert all(columns(text) <= width for text in lines_of(view, width, quiet_s))


@given(view=views, width=some.integers(41, 200), away=some.booleans())
def test_an_alarm_is_always_shown(view: StatusView, width: int, away: bool) -> None:
    alarmed = replace(view, account_proven=not away, data_age_s=float("inf"), reconnects=7)
    assert ("no account connection" if away else "no market data") in "".join(lines_of(alarmed, width)[:2])
