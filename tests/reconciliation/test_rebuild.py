"""The rebuilt state: what a session that never ended would have now."""

from collections.abc import Callable, Sequence

import pytest
from tests.execution.order_builders import NUMBER, RULES, D
from tests.reconciliation.account_histories import Past, at, position_now
from tests.strategy.strategy_harness import DEFAULTS as PARAMS

from trailingedge.indicators.donchian import Channel
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import Kline, Regime, Side
from trailingedge.reconciliation.anchor_timeline import CurrentPosition, PositionTimeline, reconstruct
from trailingedge.reconciliation.rebuild import rebuild
from trailingedge.strategy.bar_close import apply_closed_bars
from trailingedge.strategy.inputs import ClosedKline
from trailingedge.strategy.side_change import NewAnchor
from trailingedge.strategy.state import Phase, ReentryGate, ShutBy, StrategyState
from trailingedge.strategy.strategy_events import Origin

BASE, QUOTE = Regime.BASE, Regime.QUOTE
CHANNEL = Channel(102.0, 98.0, full=True)


def candle(minute: int, close: str, high: str | None = None, low: str | None = None, length_s: float = 60) -> Kline:
    opens = at(minute * 60)
    price = D(close)
    return Kline(opens, opens + round(length_s * 1000) - 1, price, D(high or close), D(low or close), price)


def closes(*prices: str, first: int = 0) -> list[ClosedKline]:
    """One candle a minute, flat, under a channel from 98 to 102."""
    return [ClosedKline(candle(first + number, price), CHANNEL) for number, price in enumerate(prices)]


def remembered(
    tell: Callable[[Past], object],
    candles: Sequence[ClosedKline] = (),
    fine: Sequence[Kline] = (),
    now: CurrentPosition | None = None,
) -> StrategyState:
    past = Past()
    tell(past)
    now = now or position_now()
    return rebuild(reconstruct(past.history(), now), candles, fine, now)


def test_nothing_to_remember_is_a_fresh_state() -> None:
    assert rebuild(PositionTimeline(), closes("100", "101"), (), position_now()) == StrategyState()


def test_a_number_that_was_used_is_not_used_again() -> None:
    assert remembered(lambda past: past.sell(0, "100", NUMBER, filled="0")).last_number == NUMBER


def test_the_high_is_the_best_that_traded_since_the_anchor() -> None:
    candles = [
        ClosedKline(candle(0, "100", high="120"), CHANNEL),  # began before we came in
        ClosedKline(candle(1, "100", high="103.5"), CHANNEL),
    ]
    fine = [candle(3, "101", high="103", length_s=1)]
    memory = remembered(lambda past: past.buy(10, "99", NUMBER), candles, fine)
    assert (memory.regime, memory.anchor, memory.high, memory.anchor_ms) == (BASE, 99.0, 103.5, at(11))
    assert memory.phase is Phase.UNFUNDED  # until the first tick
    assert memory.funded is None
    assert (memory.last_close, memory.untrusted_book_ms) == (100.0, at(600))


def test_fine_klines_tell_what_candles_do_not() -> None:
    fine = [candle(1, "101", high="104", length_s=1)]
    assert remembered(lambda past: past.buy(10, "99", NUMBER), (), fine).high == 104.0


def test_an_anchor_newer_than_the_market_time_that_we_know_of_counts() -> None:
    memory = remembered(lambda past: past.buy(10, "99", NUMBER), now=position_now(seconds=10.5))
    assert (memory.regime, memory.anchor) == (BASE, 99.0)


def test_in_quote_the_high_is_the_lowest_price() -> None:
    candles = [ClosedKline(candle(1, "100", low="97.5"), CHANNEL)]
    memory = remembered(lambda past: past.sell(10, "99.5", NUMBER), candles, now=position_now("0", "100"))
    assert memory.high == pytest.approx(1 / 97.5)


@pytest.mark.parametrize(
    ("candles", "gate", "anchor"),
    [
        pytest.param(closes("99", "99.5"), ReentryGate(ShutBy.HARD_STOP, 99.0, at(11)), 99.0, id="still shut"),
        pytest.param(closes("99", "101"), None, 101.0, id="opened by a close that crossed mid"),
        pytest.param(
            closes("99", "101", "105"),
            ReentryGate(ShutBy.QUOTE_STOP, 105.0, at(180) - 1),
            101.0,
            id="and shut by a stop",
        ),
        pytest.param((), ReentryGate(ShutBy.HARD_STOP, 99.0, at(11)), 99.0, id="no candle since"),
    ],
)
def test_a_filled_hard_stop_shut_the_gate_and_closes_move_it(
    candles: Sequence[ClosedKline], gate: ReentryGate | None, anchor: float
) -> None:
    memory = remembered(lambda past: past.sell(10, "99", NUMBER, ExitKind.FLUSH), candles, now=position_now("0", "100"))
    assert memory.gate == gate
    assert memory.anchor == pytest.approx(1 / anchor)


def test_a_marker_moves_the_anchor_and_leaves_a_shut_gate_shut() -> None:
    def tell(past: Past) -> None:
        past.sell(10, "99", NUMBER, ExitKind.FLUSH)
        past.marker(70, Side.BUY, 9_850, NUMBER + 1)

    memory = remembered(tell, closes("99", "98.8", "98.7"), now=position_now("0", "100"))
    assert memory.anchor == pytest.approx(1 / 98.5)
    assert memory.gate == ReentryGate(ShutBy.HARD_STOP, 99.0, at(11))


def test_an_order_on_the_book_is_an_exit_in_progress() -> None:
    def tell(past: Past) -> None:
        past.buy(0, "90", NUMBER)
        past.sell(70, "101", NUMBER + 1, ExitKind.MANUAL, filled="0.25")
        past.open_order(80, Side.SELL, "100.5", NUMBER + 1, ExitKind.MANUAL, filled="0.25")

    memory = remembered(tell, closes("100", "100"))
    assert memory.exit is not None
    assert (memory.exit.kind, memory.exit.side, memory.exit.number) == (ExitKind.MANUAL, Side.SELL, NUMBER + 1)
    assert (memory.exit.started_ms, memory.exit.accounted) == (at(70), D("0.5"))
    assert (memory.phase, memory.funded, memory.holdings) == (Phase.EXITING, True, position_now().holdings)
    assert memory.anchor == 90.0


def test_a_hard_stop_without_an_order_goes_on() -> None:
    def tell(past: Past) -> None:
        past.buy(0, "105", NUMBER)
        past.sell(70, "101", NUMBER + 1, ExitKind.FLUSH, filled="0")

    assert remembered(tell).phase is Phase.FLUSHING


def buying(past: Past, kind: ExitKind, *, open_order: bool, filled: str = "0.4") -> None:
    past.sell(0, "99", NUMBER)
    past.buy(50, "100", NUMBER + 1, kind, filled=filled)
    if open_order:
        past.open_order(60, Side.BUY, "100", NUMBER + 1, kind)


def test_the_quote_stop_ends_a_take_profit_and_the_maker_exit_cancels_its_order() -> None:
    memory = remembered(
        lambda past: buying(past, ExitKind.TAKE_PROFIT, open_order=True),
        closes("99", "105"),
        now=position_now("0.4", "60"),
    )
    assert memory.exit is not None
    assert memory.exit.ending is ExitEndReason.STOPPED
    assert memory.gate == ReentryGate(ShutBy.QUOTE_STOP, 105.0, at(120) - 1)


@pytest.mark.parametrize(
    ("base", "quote", "regime", "anchor"),
    [
        pytest.param("0.4", "60", QUOTE, 1 / 99, id="the old side, with its anchor"),
        pytest.param("0.8", "20", BASE, 100.0, id="the new side, at the average of the exit"),
    ],
)
def test_the_quote_stop_ends_half_a_take_profit_for_the_side_worth_more(
    base: str, quote: str, regime: Regime, anchor: float
) -> None:
    memory = remembered(
        lambda past: buying(past, ExitKind.TAKE_PROFIT, open_order=False),
        closes("99", "105"),
        now=position_now(base, quote),
    )
    assert memory.exit is None
    assert memory.regime is regime
    assert memory.anchor == pytest.approx(anchor)
    assert (memory.gate is not None) is (regime is QUOTE)


@pytest.mark.parametrize("kind", [ExitKind.MANUAL, ExitKind.BREAKOUT], ids=["manual", "breakout"])
def test_the_quote_stop_does_not_end_other_buys(kind: ExitKind) -> None:
    memory = remembered(
        lambda past: buying(past, kind, open_order=True), closes("99", "105"), now=position_now("0.4", "60")
    )
    assert memory.gate is None
    assert memory.exit is not None
    assert memory.exit.ending is None


def test_a_stop_before_a_buy_that_never_filled_stays() -> None:
    def tell(past: Past) -> None:
        past.sell(0, "99", NUMBER)
        past.buy(130, "104", NUMBER + 1, ExitKind.MANUAL, filled="0")

    memory = remembered(tell, closes("99", "105"), now=position_now("0", "100"))
    assert memory.gate == ReentryGate(ShutBy.QUOTE_STOP, 105.0, at(120) - 1)
    assert memory.exit is None


def test_it_is_the_fold_of_the_strategy_and_nothing_else() -> None:
    candles = closes("99", "97", "101", "103", "99.5", "97.5", "102.5")
    turn = NewAnchor(at(11), QUOTE, 99.0, Origin.EXIT)
    memory = rebuild(PositionTimeline(changes=(turn,)), candles, (), position_now("0", "100"))
    folded, _ = apply_closed_bars(StrategyState().anchored(QUOTE, 99.0, at(11)), candles, PARAMS)
    assert (memory.gate, memory.anchor, memory.high) == (folded.gate, folded.anchor, folded.high)
    assert (memory.last_close, memory.last_close_ms) == (folded.last_close, folded.last_close_ms)
    assert RULES.tick_size == D("0.01")
