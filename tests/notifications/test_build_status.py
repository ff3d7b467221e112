"""Tests of the status as it is built from a real trading core."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from tests.execution.order_builders import RULES, D, rejection, top
from tests.execution.test_trading_core import BOOK, Bench

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Regime
from trailingedge.model.market_state import MarketState
from trailingedge.model.order_commands import OrderReply
from trailingedge.model.order_outcomes import RejectReason
from trailingedge.notifications.build_status import build_status
from trailingedge.notifications.status import ExitView, QuoteObstacle, StatusView
from trailingedge.risk.circuit_breakers import Breaker, BreakerTrip


def seen(bench: Bench, **given: Any) -> StatusView:
    """The look at what `bench` shows its trader."""
    snapshots = MarketState(10)
    if bench.top is not None:
        snapshots.on_top(bench.top, bench.market_seen_s)
    snapshots.on_balances(bench.balances.values(), bench.balances_ms)
    snapshots.on_event_time(bench.view().market_ms, bench.now_s)
    snapshots.set_account_proven(proven=bench.proven)
    usual: dict[str, Any] = {"mode": "sim", "reconnects": 0}
    return build_status(bench.trader, snapshots, bench.now_s, **(usual | given))


def chase_of(bench: Bench, **given: Any) -> ExitView:
    chase = seen(bench, **given).active_exit
    assert chase is not None
    return chase


def test_before_the_first_tick_there_are_only_balances() -> None:
    view = seen(Bench())
    assert (view.regime, view.top, view.active_exit) == (None, None, None)
    assert view.base is not None
    assert view.base.total == 1


def test_a_quiet_tick_is_shown_completely() -> None:
    bench = Bench(quote="5")
    bench.tick()
    view = seen(bench, mode="paper", reconnects=3, reserve_quote=D(7))
    assert (view.mode, view.reconnects, view.phase, view.regime) == ("paper", 3, "watching", Regime.BASE)
    assert (view.top, view.value, view.reserve_quote, view.stop_confirm_s) == (BOOK, D("105.00"), D(7), 1.0)
    assert (view.anchor, view.high, view.gain_frac, view.high_frac) == (100.0, 100.0, 0.0, 0.0)
    assert view.trails_from == pytest.approx(101.0)
    assert view.stop == pytest.approx(99.5)
    assert (view.take_profit, view.trailing, view.stop_frac) == (None, False, 0.005)
    assert (view.mid, view.gate_open, view.gate) == (None, None, None)
    assert view.data_age_s == 0.0


def test_in_quote_the_gate_is_open_until_it_is_shut() -> None:
    bench = Bench(base="0", quote="1000")
    bench.tick()
    assert seen(bench).gate_open is True


def test_a_level_that_the_price_has_fallen_past_is_no_next_sale() -> None:
    bench = Bench()
    bench.tick()
    bench.top = top("102.00", "102.10")
    bench.tick()
    assert seen(bench).take_profit is not None
    bench.set_balance("ETH", "1", "0")
    bench.trader.pause()
    bench.top = top("100.00", "100.10")
    bench.tick()
    view = seen(bench)
    assert view.trailing
    assert view.take_profit is not None  # at break-even without a fee: the sale is due, and held


def test_what_pauses_trading_is_named() -> None:
    bench = Bench()
    bench.trader.pause()
    breakers = bench.trader.risk.breakers
    trip = BreakerTrip(Breaker.LOSSES, D(4), D(4))
    breakers.state = dataclasses.replace(breakers.state, trips=(trip,))
    bench.tick()
    view = seen(bench)
    assert (view.paused, view.trading_paused, view.trips) == (True, True, (trip,))


def test_a_halt_has_its_reason_and_watches_no_stop() -> None:
    bench = Bench()
    bench.tick()
    assert seen(bench, halt_reason="two orders").halt_reason is None
    bench.trader.halt("two orders")
    bench.tick()
    view = seen(bench, halt_reason="two orders")
    assert (view.halted, view.halt_reason, view.stop) == (True, "two orders", None)


def test_an_exit_shows_its_order() -> None:
    bench = Bench()
    bench.rest(bench.flip())
    chase = chase_of(bench)
    assert (chase.kind, chase.price, chase.remaining, chase.filled) == (ExitKind.MANUAL, D("100.09"), D(1), D(0))
    assert (chase.obstacle, chase.reject_text, chase.ending) == (None, None, None)
    assert chase.age_s == pytest.approx(0.1)


def test_a_flush_has_no_second_stop_and_a_buy_by_hand_none_at_all() -> None:
    selling, buying = Bench(), Bench(base="0", quote="1000")
    selling.rest(selling.flip())
    buying.rest(buying.flip())
    assert seen(selling).stop is not None
    assert seen(buying).stop is None
    selling.top = top("90.00", "90.10")
    for _ in range(30):
        selling.tick()
    flushing = seen(selling)
    assert flushing.active_exit is not None
    assert (flushing.active_exit.kind, flushing.stop) == (ExitKind.FLUSH, None)


def stale(bench: Bench) -> None:
    bench.market_seen_s = -30.0


def away(bench: Bench) -> None:
    bench.proven = False


def not_trading(bench: Bench) -> None:
    bench.trader.update_rules(dataclasses.replace(RULES, status="HALT"))


def in_doubt(bench: Bench) -> None:
    bench.trader.maker_exit.on_disconnect(bench.now_s)


def nothing(_: Bench) -> None:
    """A good day."""


@pytest.mark.parametrize(
    ("happens", "given", "obstacle"),
    [
        pytest.param(nothing, {}, None, id="nothing"),
        pytest.param(stale, {}, QuoteObstacle.NO_MARKET, id="stale"),
        pytest.param(away, {}, QuoteObstacle.NO_ACCOUNT, id="account away"),
        pytest.param(not_trading, {}, QuoteObstacle.HALTED, id="not trading"),
        pytest.param(in_doubt, {}, QuoteObstacle.IN_DOUBT, id="in doubt"),
        pytest.param(nothing, {"reject_text": "-2010 no"}, QuoteObstacle.REFUSED, id="rejected"),
        pytest.param(nothing, {"budget_short": True}, QuoteObstacle.BUDGET, id="budget"),
    ],
)
def test_an_order_that_does_not_follow_the_price_has_a_reason(
    happens: Callable[[Bench], None], given: dict[str, Any], obstacle: QuoteObstacle | None
) -> None:
    bench = Bench()
    bench.rest(bench.flip())
    happens(bench)
    chase = chase_of(bench, **given)
    assert chase.obstacle is obstacle
    assert chase.reject_text == (given.get("reject_text") if obstacle is QuoteObstacle.REFUSED else None)


def test_an_order_that_was_just_sent_is_on_its_way() -> None:
    bench = Bench()
    bench.flip()
    assert chase_of(bench).obstacle is QuoteObstacle.IN_FLIGHT


def test_a_rejected_order_is_not_on_the_book() -> None:
    bench = Bench()
    placed = bench.flip()
    bench.trader.inbox.append(OrderReply(placed.tag, rejection(RejectReason.WOULD_TAKE)))
    bench.tick(after_s=0.01)
    chase = chase_of(bench, reject_text="-2010 would take")
    assert (chase.price, chase.remaining, chase.obstacle) == (None, None, QuoteObstacle.REFUSED)


def test_the_replaces_of_the_exit_and_the_length_of_a_candle_are_shown() -> None:
    bench = Bench()
    bench.flip()
    view = seen(bench, replaces=3, kline_interval="15m")
    assert view.kline_interval == "15m"
    assert view.active_exit is not None
    assert view.active_exit.replaces == 3
