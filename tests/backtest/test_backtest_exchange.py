"""Tests of the backtest's exchange against the simulator: the same orders have the same results."""

import json
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest
from tests.backtest import random_market

from trailingedge.backtest.backtest_exchange import BacktestExchange, symbol_rules_of
from trailingedge.backtest.columns import PriceGrid, TickColumns
from trailingedge.core.clock import ManualClock
from trailingedge.model.market import ExecutionReport, Side, SymbolRules
from trailingedge.model.order_commands import (
    Cancel,
    OrderCommand,
    OrderInput,
    OrderReply,
    OrdersListed,
    Place,
    QueryOrder,
    QueryOrdersFrom,
    Replace,
    ReplaceReply,
)
from trailingedge.model.order_outcomes import Accepted, OrderOutcome, Rejected
from trailingedge.simulator.errors import ExchangeError
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.order_entry import CancelReplaceRequest, Exchange, ReplaceMode
from trailingedge.simulator.orders import CancelOrder, CancelRestriction, NewOrder, OrderType, Peg, TimeInForce
from trailingedge.simulator.payloads import UserEvent
from trailingedge.websocket.event_parser import read_api_frame
from trailingedge.websocket.result_parser import read_exchange_info

D = Decimal
TERMS = ExchangeSpec(maker_fee=D("0.0002"))
GRID = PriceGrid(TERMS.tick_size, TERMS.step_size)
GIVEN = {"ETH": D(1), "FDUSD": D(2500)}


class Both:
    """A `BacktestExchange` and a simulator side by side; each action is applied to both."""

    def __init__(self, terms: ExchangeSpec = TERMS) -> None:
        self.heard: list[OrderInput] = []
        self.venue = BacktestExchange(terms, GIVEN, self.heard.append)
        self.exchange = Exchange(terms, ManualClock(unix_ms=0), GIVEN)
        self.refusals: list[int] = []

    @property
    def reports(self) -> list[ExecutionReport]:
        return [told for told in self.heard if isinstance(told, ExecutionReport)]

    def play(self, columns: TickColumns, index: int) -> None:
        tick = columns.tick(index, GRID)
        self.exchange.clock = ManualClock(unix_ms=tick.time_ms)
        self.exchange.engine.clock = self.exchange.clock
        self.exchange.engine.on_tick(tick)
        self.venue.play_tick(tick)

    def order(self, command: OrderCommand) -> None:
        self.venue.execute(command)
        try:
            self._ask(command)
        except ExchangeError as refusal:
            self.refusals.append(refusal.code)

    def _ask(self, command: OrderCommand) -> None:
        account = self.exchange.account()
        match command:
            case Place():
                self.exchange.place(account, wanted(command))
            case Cancel():
                self.exchange.cancel(account, CancelOrder(order_id=command.order_id))
            case Replace():
                target = CancelOrder(order_id=command.order_id, restriction=CancelRestriction.ONLY_NEW)
                asked = CancelReplaceRequest(target, wanted(command), ReplaceMode.STOP_ON_FAILURE)
                became = self.exchange.replace(account, asked)
                halves = (became.cancel, became.place)
                self.refusals += [half.code for half in halves if isinstance(half, ExchangeError)]
            case _:
                pass

    def told_by_the_exchange(self) -> list[ExecutionReport]:
        events = (event.payload for event in self.exchange.engine.take_events() if isinstance(event, UserEvent))
        nouns = (read_api_frame(json.dumps({"subscriptionId": 0, "event": payload})) for payload in events)
        return [noun for noun in nouns if isinstance(noun, ExecutionReport)]


def wanted(command: Place | Replace) -> NewOrder:
    escape = isinstance(command, Place) and command.escape
    return NewOrder(
        command.side,
        OrderType.LIMIT if escape else OrderType.LIMIT_MAKER,
        command.quantity,
        command.price,
        TimeInForce.IOC if escape else TimeInForce.GTC,
        client_order_id=command.client_order_id,
        peg=None if command.price is not None else Peg(),
    )


def some_command(dice: Random, both: Both, tag: int) -> OrderCommand:
    """A random order of either side near the market, sometimes too large."""
    top = both.venue.top()
    side = dice.choice((Side.SELL, Side.BUY))
    best = top.best(side)
    price = best + dice.choice((-2, -1, 0, 0, 1, 2)) * TERMS.tick_size
    quantity = dice.choice((D("0.25"), D("0.3333"), D("0.0001"), D("1.2")))
    known = [report.order_id for report in both.reports if report.order_id > 0][-3:] or [1001]
    match dice.randrange(5):
        case 0 | 1:
            escape = dice.random() < 0.2 and not both.exchange.account().open_orders()  # nobody meets himself
            return Place(tag, f"TE-t-{tag}", side, price if escape or dice.random() < 0.9 else None, quantity, escape)
        case 2 | 3:
            return Replace(tag, dice.choice(known), f"TE-t-{tag}", side, price, quantity)
        case _:
            return Cancel(tag, dice.choice(known), "TE-t-1")


@pytest.mark.parametrize("trades", [True, False], ids=["trades", "quotes"])
@pytest.mark.parametrize("seed", range(6))
def test_random_orders_have_the_same_results_as_at_the_simulator(seed: int, trades: bool) -> None:
    dice, both, tag = Random(f"venue {seed} {trades}"), Both(), 0
    told: list[ExecutionReport] = []
    for columns in random_market.ticks(dice, 150, swing=2.0, trades=trades):
        assert isinstance(columns, TickColumns)
        for index in range(len(columns)):
            both.play(columns, index)
            for _ in range(dice.choice((0, 0, 1, 2))):
                tag += 1
                both.order(some_command(dice, both, tag))
            told += both.told_by_the_exchange()
            assert both.venue.top().bid == both.exchange.engine.top().bid
            assert both.venue.top().ask == both.exchange.engine.top().ask
    assert [comparable(report) for report in both.reports] == [comparable(report) for report in told]
    assert refusals(both.heard) == both.refusals
    assert list(both.venue.balances.values()) == both.exchange.account().balances()
    assert any(report.last_quantity for report in told)


def comparable(report: ExecutionReport) -> ExecutionReport:
    """A report without reject reason and without ids, which differ between the two."""
    trade_id = min(report.trade_id, 0)  # at the exchange, the market's trades have ids of the same sequence
    return replace(report, reject_reason="", execution_id=0, trade_id=trade_id, price=report.price.normalize())


def refusals(heard: list[OrderInput]) -> list[int]:
    found: list[OrderOutcome] = []
    for told in heard:
        if isinstance(told, OrderReply):
            found.append(told.outcome)
        elif isinstance(told, ReplaceReply):
            found += [told.outcome.cancel, told.outcome.place]
    return [outcome.code for outcome in found if isinstance(outcome, Rejected)]


def test_the_rules_equal_those_that_the_simulator_publishes() -> None:
    listed = {"symbols": [TERMS.symbol_json("TRADING")]}
    published, _ = read_exchange_info(listed, TERMS.symbol)
    assert published == symbol_rules_of(TERMS)
    assert isinstance(published, SymbolRules)


def test_a_reply_comes_before_its_reports_and_balances_come_last() -> None:
    both = Both()
    columns = TickColumns()
    columns.add(1_783_000_000_000, 249_999, 9000, 250_000, 9000, 249_999, 0, bought=False)
    both.play(columns, 0)
    both.heard.clear()
    pushes = both.venue.balance_updates
    both.venue.execute(Place(7, "TE-t-7", Side.SELL, D("2500.00"), D("0.5")))
    answer, report = both.heard
    assert isinstance(answer, OrderReply)
    assert isinstance(answer.outcome, Accepted)
    assert isinstance(report, ExecutionReport)
    assert (both.venue.balance_updates, both.venue.balances["ETH"].locked) == (pushes + 1, D("0.5"))


def test_an_order_can_be_queried_by_order_id_client_order_id_or_range() -> None:
    both = Both()
    columns = TickColumns()
    columns.add(1_783_000_000_000, 249_999, 9000, 250_000, 9000, 249_999, 0, bought=False)
    both.play(columns, 0)
    both.venue.execute(Place(1, "TE-t-1", Side.SELL, D("2500.00"), D("0.5")))
    both.heard.clear()
    both.venue.execute(QueryOrder(2, 1001, "TE-t-1"))
    both.venue.execute(QueryOrder(3, None, "TE-t-1"))
    both.venue.execute(QueryOrder(4, None, "TE-t-2"))
    both.venue.execute(QueryOrdersFrom(5, 1000, "TE-t-1"))
    by_id, by_name, missing, listed = both.heard
    assert isinstance(by_id, OrderReply)
    assert isinstance(by_name, OrderReply)
    assert isinstance(missing, OrderReply)
    assert by_id.outcome == by_name.outcome
    assert isinstance(missing.outcome, Rejected)
    assert isinstance(listed, OrdersListed)
    assert isinstance(by_id.outcome, Accepted)
    assert listed.orders == (by_id.outcome.order,)
