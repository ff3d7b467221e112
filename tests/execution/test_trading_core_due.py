"""When the trading core is due: before that time, time alone changes nothing."""

from copy import deepcopy
from dataclasses import replace
from math import inf
from random import Random
from typing import Final

import pytest
from tests.execution.order_builders import RULES, D, record, report, top
from tests.execution.test_trading_core import Bench
from tests.strategy.strategy_harness import START_MS, params

from trailingedge.core.errors import BrokenInvariant
from trailingedge.core.time_units import DAY_MS
from trailingedge.execution.maker_exit import MakerExitParams
from trailingedge.execution.trading_core import TradingParams
from trailingedge.model.market import BookTop, OrderRecord, OrderStatus, RateLimit, Side
from trailingedge.model.order_commands import (
    Cancel,
    ExecutionCommand,
    OrderReply,
    Place,
    QueryOrder,
    Refresh,
    Replace,
    ReplaceReply,
)
from trailingedge.model.order_outcomes import (
    Accepted,
    NotTried,
    OrderOutcome,
    Rejected,
    RejectReason,
    ReplaceOutcome,
    Unanswered,
)
from trailingedge.risk.circuit_breakers import Breaker, BreakerTrip
from trailingedge.strategy.inputs import StrategyCommand

FURTHEST_S: Final = 700.0  # longer than every wait but the breakers' day
# The stop of these params is about half a percent below the anchor.
BOOKS: Final = ("100.00", "100.00", "100.04", "99.97", "99.60", "99.30", "98.00", "101.50", "100.90")


def book(dice: Random) -> BookTop:
    bid = dice.choice(BOOKS)
    return top(bid, f"{float(bid) + dice.choice((0.01, 0.05, 0.10)):.2f}", "5", dice.choice(("1", "5")))


def order_now(bench: Bench, status: OrderStatus) -> OrderRecord:
    """The current order of the exit, with that status."""
    order = bench.trader.maker_exit.order
    assert order is not None
    filled = order.quantity if status is OrderStatus.FILLED else order.filled_quantity
    return record(
        7 if order.order_id is None else order.order_id,
        order.price or "100.00",
        order.quantity,
        filled,
        status,
        client_order_id=order.client_order_id,
        side=order.side,
        time_ms=START_MS + round(bench.now_s * 1000),
    )


def refusal(dice: Random, bench: Bench) -> OrderOutcome:
    later_ms = START_MS + round(bench.now_s * 1000) + 4000
    again_ms = later_ms if dice.random() < 0.2 else None
    return dice.choice(
        (Rejected(dice.choice(list(RejectReason)), -2010, "no", again_ms), Unanswered("the connection was lost"))
    )


def answer(bench: Bench, dice: Random, command: ExecutionCommand) -> None:
    """The exchange executes the last command or refuses it. Sometimes it does not answer."""
    luck = dice.random()
    if luck < 0.15:
        return
    reply(bench, dice, command, done=luck < 0.7)


def reply(bench: Bench, dice: Random, command: ExecutionCommand, *, done: bool) -> None:
    match command:
        case Place() if done:
            bench.rest(command)
        case Replace() if done:
            rests = replace(
                order_now(bench, OrderStatus.NEW),
                order_id=command.order_id + 1,
                price=command.price or RULES.tick_size,
                quantity=command.quantity,
            )
            outcome = ReplaceOutcome(Accepted(order_now(bench, OrderStatus.CANCELED)), Accepted(rests))
            bench.trader.deliver(ReplaceReply(command.tag, outcome))
        case Replace():
            bench.trader.deliver(ReplaceReply(command.tag, ReplaceOutcome(NotTried(), refusal(dice, bench))))
        case Cancel() if done:
            bench.trader.deliver(OrderReply(command.tag, Accepted(order_now(bench, OrderStatus.CANCELED))))
        case QueryOrder() if done:
            status = dice.choice((OrderStatus.NEW, OrderStatus.CANCELED, OrderStatus.FILLED))
            bench.trader.deliver(OrderReply(command.tag, Accepted(order_now(bench, status))))
        case Place() | Cancel() | QueryOrder():
            bench.trader.deliver(OrderReply(command.tag, refusal(dice, bench)))
        case _:
            pass


def happen(bench: Bench, dice: Random) -> None:
    """One input that is no reply."""
    trader = bench.trader
    match dice.randrange(14):
        case 0 | 1 | 2:
            trader.submit(StrategyCommand.FLIP)
        case 3:
            trader.submit(StrategyCommand.CANCEL)
        case 4:
            bench.proven = not bench.proven
            if not bench.proven:
                trader.on_disconnect(bench.now_s)
        case 5:
            bench.fresh = not bench.fresh
            bench.market_seen_s = dice.choice((bench.market_seen_s, -inf))  # its stream may be known to be down
        case 6:
            bench.set_balance(dice.choice(("ETH", "FDUSD")), dice.choice(("0", "0.3", "1", "150")))
        case 7:
            limit = RateLimit("ORDERS", 10, 100, dice.choice((10, 60, 79, 100)))
            trader.update_limits((limit,), START_MS + round(bench.now_s * 1000))
        case 8:
            trader.update_rules(replace(RULES, status=dice.choice(("TRADING", "TRADING", "BREAK"))))
        case 9:
            if trader.maker_exit.order is not None and trader.maker_exit.order.order_id is not None:
                filled = order_now(bench, OrderStatus.FILLED)
                trader.on_report(
                    report(
                        filled.order_id,
                        filled.price,
                        filled.quantity,
                        filled.quantity,
                        OrderStatus.FILLED,
                        client_order_id=filled.client_order_id,
                        side=filled.side or Side.SELL,
                        time_ms=filled.time_ms,
                    ),
                    bench.pushes,
                )
        case 10:
            trader.lock_balances_until(bench.now_s + 1.5)
        case 11:
            dice.choice((trader.pause, trader.resume))()
        case _:
            bench.top = book(dice)


@pytest.mark.parametrize("seed", range(10))
def test_before_the_core_is_due_time_alone_changes_nothing(seed: int) -> None:
    dice = Random(seed)
    bench = Bench(
        *dice.choice((("1", "0"), ("0", "150"))),
        trader_params=TradingParams(
            exit_age_alert_s=dice.choice((3.0, 60.0)), manual_exit_ttl_s=dice.choice((2.0, 30.0))
        ),
        strategy=params(hard_stop_confirm_sec=dice.choice((0.0, 1.0, 8.0))),
        harness=MakerExitParams(escape_after_s=dice.choice((0.0, 5.0, 600.0))),
    )
    commands: list[ExecutionCommand] = []
    for _ in range(60):
        try:
            for command in commands[-1:]:
                answer(bench, dice, command)
            if dice.random() < 0.5:
                happen(bench, dice)
            commands = bench.tick(dice.choice((0.0, 0.01, 0.2, 1.5)))
            for _ in range(5):
                if commands or bench.trader.due_s > bench.now_s:
                    break
                commands = bench.tick(0.0)
        except BrokenInvariant:  # this exchange makes up balances and fills
            return
        due_s = min(bench.trader.due_s, bench.now_s + FURTHEST_S)
        bench.events.clear()
        after_s = dice.choice((dice.random(), 1.0)) * (due_s - bench.now_s) - 0.001
        if after_s > 0:
            later = deepcopy(bench)
            later.fresh = False
            assert later.tick(after_s) == []
            assert later.events == []
            assert later.trader.intent == bench.trader.intent
            assert later.trader.due_s == pytest.approx(bench.trader.due_s)


def quiet_exit() -> Bench:
    """An operator's exit whose order rests; nothing of it waits for less than its alerts."""
    bench = Bench(trader_params=TradingParams(stale_after_s=inf, manual_exit_ttl_s=inf, exit_age_alert_s=inf))
    bench.rest(bench.flip())
    bench.tick()
    assert bench.trader.due_s == inf
    return bench


def test_a_difference_of_the_quantity_is_due_once_it_has_lasted() -> None:
    bench = quiet_exit()
    bench.trader.accept_change("ETH")
    bench.set_balance("ETH", "0.5", "1")
    bench.tick()
    assert bench.trader.due_s == bench.now_s + 1.0
    assert bench.tick(0.999) == []
    assert len(bench.tick(0.001)) == 1


def test_a_price_that_we_left_may_be_followed_after_a_second() -> None:
    bench = quiet_exit()
    bench.top = top("99.90", "100.05")
    (command,) = bench.tick()
    assert isinstance(command, Replace)
    reply(bench, Random(0), command, done=True)
    bench.set_balance("ETH", "0", "1")
    bench.tick()
    left_s = bench.now_s
    bench.top = top("99.90", "100.09", ask_quantity="1")  # as before: it may be our own old order
    assert bench.tick() == []
    assert bench.trader.due_s == left_s + 1.0
    assert len(bench.tick(0.9)) == 1


def test_a_price_that_we_left_is_waited_for_only_while_it_is_the_best_one() -> None:
    bench = quiet_exit()
    bench.top = top("99.90", "100.05")
    (command,) = bench.tick()
    assert isinstance(command, Replace)
    reply(bench, Random(0), command, done=True)
    bench.set_balance("ETH", "0", "1")
    bench.tick()
    assert bench.trader.due_s == inf


def test_a_request_that_the_plan_has_sent_is_due_when_it_times_out() -> None:
    bench = quiet_exit()
    plan, book_ = bench.trader.plan, top("99.90", "100.05")
    assert plan is not None
    command = plan.next_step(book_, bench.now_s)
    assert isinstance(command, Replace)
    bench.trader.on_replace_sent(command, book_, bench.now_s, START_MS)
    assert bench.trader.due_s == bench.now_s + 3.0


def test_the_daily_breaker_is_due_at_midnight() -> None:
    bench = Bench(trader_params=TradingParams(stale_after_s=inf))
    bench.tick()
    bench.tick()
    assert bench.trader.due_s == inf
    breakers = bench.trader.risk.breakers
    trip = BreakerTrip(Breaker.DAILY_LOSS, D("0.1"), D("0.05"))
    breakers.state = replace(breakers.state, day=START_MS // DAY_MS, trips=(trip,))
    bench.tick()
    bench.tick()
    to_midnight_s = (DAY_MS - START_MS % DAY_MS) / 1000
    assert bench.trader.due_s == pytest.approx(to_midnight_s)
    bench.tick(to_midnight_s - bench.now_s)
    assert not bench.trader.trading_paused


def test_a_transfer_that_the_balances_do_not_show_is_due_to_be_told() -> None:
    bench = quiet_exit()
    bench.tick()
    bench.trader.on_transfer("FDUSD", D(5))
    assert bench.tick() == []
    assert bench.trader.due_s == bench.now_s + 2.0
    assert bench.tick(2.0) == [Refresh.BALANCES]
