"""Tests of the backtest's exchange: it gives the core what the daemon would read from JSON, in the same order."""

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest
from tests.backtest import random_market
from tests.simulator.exchange_builders import ApiClient, a_trader

from trailingedge.backtest.direct_exchange import DirectExchange
from trailingedge.core.clock import ManualClock
from trailingedge.execution.gateway import Gateway
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
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.feeds.columns import PriceGrid, TickColumns
from trailingedge.websocket.account import ServerClock
from trailingedge.websocket.event_parser import ParsedReply, read_api_frame
from trailingedge.websocket.orders import OrderApi
from trailingedge.websocket.request_tracker import Encoder, RequestOutcome
from trailingedge.websocket.result_parser import read_exchange_info

D = Decimal
TERMS = ExchangeSpec(maker_fee=D("0.0002"), orders_per_10_s=2)
GRID = PriceGrid(TERMS.tick_size, TERMS.step_size)
GIVEN = {"ETH": D(1), "FDUSD": D(2500)}


class WireClock(ManualClock):
    """A clock that tells the time of the last market tick."""

    def __init__(self) -> None:
        super().__init__()
        self.time_ms = 0

    def unix_ms(self) -> int:
        return self.time_ms


class Sender:
    """Sends the daemon's requests to a session of the simulated exchange, and reads the frames that come back."""

    def __init__(self, trader: ApiClient, on_report: Callable[[ExecutionReport], None]) -> None:
        self._trader = trader
        self._on_report = on_report
        self._read = len(trader.connection.texts)

    def send(self, method: str, encode: Encoder, _: float, on_reply: Callable[[RequestOutcome], None]) -> None:
        request = json.loads(encode(1))
        assert request["method"] == method
        self._trader.send(request)
        self.read(on_reply)

    def read(self, on_reply: Callable[[RequestOutcome], None] = lambda _: None) -> None:
        texts = self._trader.connection.texts
        for text in texts[self._read :]:
            received = read_api_frame(text)
            if isinstance(received, ParsedReply):
                on_reply(received.reply)
            elif isinstance(received, ExecutionReport):
                self._on_report(received)
        self._read = len(texts)


class Both:
    """A `DirectExchange`, and the daemon's requests at the simulated exchange. Each action is applied to both."""

    def __init__(self, terms: ExchangeSpec = TERMS) -> None:
        self.direct_inputs: list[OrderInput] = []
        self.wire_inputs: list[OrderInput] = []
        self.direct = DirectExchange(terms, GIVEN, self.direct_inputs.append)
        self.direct.publish_balances()
        self.clock = WireClock()
        self.exchange = Exchange(terms, self.clock, GIVEN)
        self.trader = a_trader(self.exchange)
        self._sender = Sender(self.trader, self.wire_inputs.append)
        orders = OrderApi(self._sender, ServerClock(self.clock), terms.symbol)
        self._gateway = Gateway(orders, self.wire_inputs.append, {}, self.clock)

    def play(self, columns: TickColumns, index: int) -> None:
        tick = columns.tick(index, GRID)
        self.clock.time_ms = tick.time_ms
        self.trader.hub.on_tick(tick)
        self._sender.read()
        self.direct.play_tick(tick)

    def order(self, command: OrderCommand) -> None:
        self.direct.execute(command)
        self._gateway.send(command)

    def take_inputs(self) -> list[OrderInput]:
        """What the core got since the last call. Fails if the daemon would have read anything else."""
        direct, wire = self.direct_inputs.copy(), self.wire_inputs.copy()
        assert list(map(comparable, direct)) == list(map(comparable, wire))
        self.direct_inputs.clear()
        self.wire_inputs.clear()
        return direct


def some_command(dice: Random, both: Both, tag: int) -> OrderCommand:
    """A random order of either side near the market, sometimes too large, or a query."""
    top = both.direct.top()
    side = dice.choice((Side.SELL, Side.BUY))
    price = top.best(side) + dice.choice((-2, -1, 0, 0, 1, 2)) * TERMS.tick_size
    quantity = dice.choice((D("0.25"), D("0.3333"), D("0.0001"), D("1.2")))
    known = dice.choice(list(both.exchange.account().orders)[-3:] or [1001])
    match dice.randrange(7):
        case 0 | 1:
            escape = dice.random() < 0.2
            return Place(tag, f"TE-t-{tag}", side, price if escape or dice.random() < 0.9 else None, quantity, escape)
        case 2 | 3:
            return Replace(tag, known, f"TE-t-{tag}", side, price if dice.random() < 0.9 else None, quantity)
        case 4:
            return Cancel(tag, known, "TE-t-1")
        case 5:
            return QueryOrder(tag, dice.choice((known, None)), f"TE-t-{dice.randrange(1, tag + 2)}")
        case _:
            return QueryOrdersFrom(tag, known, f"TE-t-{dice.randrange(1, tag + 2)}")


@pytest.mark.parametrize("trades", [True, False], ids=["trades", "quotes"])
@pytest.mark.parametrize("seed", range(4))
def test_the_core_gets_what_the_daemon_reads_from_the_wire(seed: int, trades: bool) -> None:
    dice, both, tag = Random(f"direct {seed} {trades}"), Both(), 0
    received: list[OrderInput] = []
    for columns in random_market.ticks(dice, 150, swing=2.0, trades=trades):
        assert isinstance(columns, TickColumns)
        for index in range(len(columns)):
            both.play(columns, index)
            for _ in range(dice.choice((0, 0, 1, 2))):
                tag += 1
                both.order(some_command(dice, both, tag))
            received += both.take_inputs()
            assert replace(both.direct.top(), update_id=0) == replace(both.exchange.top(), update_id=0)
            assert list(both.direct.balances.values()) == both.exchange.account().balances()
    assert any(report.last_quantity for report in received if isinstance(report, ExecutionReport))
    assert {-1013, -1015, -2010, -2011, -2013} <= set(rejections(received))


def comparable(received: OrderInput) -> OrderInput:
    """A report without its trade id: on the wire, the market's trades have ids of the same sequence."""
    if isinstance(received, ExecutionReport):
        return replace(received, trade_id=min(received.trade_id, 0))
    return received


def rejections(received: list[OrderInput]) -> list[int]:
    outcomes: list[OrderOutcome] = []
    for each in received:
        if isinstance(each, OrderReply):
            outcomes.append(each.outcome)
        elif isinstance(each, ReplaceReply):
            outcomes += [each.outcome.cancel, each.outcome.place]
    return [outcome.code for outcome in outcomes if isinstance(outcome, Rejected)]


def test_the_rules_equal_those_that_the_simulator_publishes() -> None:
    listed = json.loads(json.dumps({"symbols": [TERMS.symbol_json("TRADING")]}))
    published, _ = read_exchange_info(listed, TERMS.symbol)
    assert published == TERMS.rules()
    assert isinstance(published, SymbolRules)


def at_2500() -> Both:
    both, columns = Both(), TickColumns()
    columns.add(1_783_000_000_000, 249_999, 9000, 250_000, 9000, 249_999, 0, bought=False)
    both.play(columns, 0)
    return both


def test_a_reply_comes_before_its_reports_and_balances_come_last() -> None:
    direct = at_2500().direct
    received: list[tuple[OrderInput, int]] = []
    direct._on_order_input = lambda each: received.append((each, direct.balance_updates))
    before = direct.balance_updates
    direct.execute(Place(7, "TE-t-7", Side.SELL, D("2500.00"), D("0.5")))
    (reply, _), (report, then) = received
    assert isinstance(reply, OrderReply)
    assert isinstance(reply.outcome, Accepted)
    assert isinstance(report, ExecutionReport)
    assert (then, direct.balance_updates, direct.balances["ETH"].locked) == (before, before + 1, D("0.5"))


def test_an_order_can_be_queried_by_order_id_client_order_id_or_range() -> None:
    both = at_2500()
    both.order(Place(1, "TE-t-1", Side.SELL, D("2500.00"), D("0.5")))
    both.direct_inputs.clear()
    both.order(QueryOrder(2, 1001, "TE-t-1"))
    both.order(QueryOrder(3, None, "TE-t-1"))
    both.order(QueryOrder(4, None, "TE-t-2"))
    both.order(QueryOrdersFrom(5, 1000, "TE-t-1"))
    by_id, by_name, missing, listed = both.direct_inputs
    assert isinstance(by_id, OrderReply)
    assert isinstance(by_name, OrderReply)
    assert isinstance(missing, OrderReply)
    assert by_id.outcome == by_name.outcome
    assert isinstance(missing.outcome, Rejected)
    assert isinstance(listed, OrdersListed)
    assert isinstance(by_id.outcome, Accepted)
    assert listed.orders == (by_id.outcome.order,)
