"""Tick-cost benchmark: the time of one tick of strategy and execution by length of history, which must not matter.

A quiet tick changes nothing; a chasing one sends a cancel-replace, whose reply is handled in the next tick; a closing
one takes in a closed kline. The floor is the shortest history. The second table shows a quiet tick during an exit,
by how often its order has been requoted before.
"""

import gc
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import count
from random import Random
from typing import Final

from tests.benchmarks.measurements import ratio, table
from tests.execution.order_builders import RULES, record
from tests.strategy.strategy_harness import START_MS, kline, params

from trailingedge.core.time_units import MINUTE_MS
from trailingedge.execution.maker_exit import MakerExit
from trailingedge.execution.order_rate_budget import OrderRateBudget
from trailingedge.execution.trading_core import TradingCore, TradingParams
from trailingedge.indicators.donchian import DonchianChannel
from trailingedge.live.core_factory import NewCore
from trailingedge.model.market import ZERO, Balance, BookTop, Kline, OrderRecord, OrderStatus, RateLimit
from trailingedge.model.market_state import MarketState
from trailingedge.model.order_commands import ExecutionCommand, OrderReply, Place, Replace, ReplaceReply
from trailingedge.model.order_outcomes import Accepted, ReplaceOutcome
from trailingedge.risk.circuit_breakers import BreakerLimits
from trailingedge.risk.pre_trade_checks import PreTradeChecks
from trailingedge.risk.risk_engine import build_risk_engine
from trailingedge.strategy.inputs import StrategyCommand

TITLE: Final = "decide: one tick, by candles of history"
HEAD: Final = ("candles", "quiet us", "/ floor", "chasing us", "/ floor", "closing us", "/ floor")
LENGTHS: Final = (100, 1000, 1440, 10_000)
MOVED_TITLE: Final = "decide: one quiet tick during an exit, by how often its order was requoted"
MOVED_HEAD: Final = ("moves", "tick us", "/ floor")
MOVES: Final = (1, 10, 100, 1000)
_CALLS: Final = 50  # timed together
_STEP_S: Final = 0.05
_PRICES: Final = 200
_MIDDLE: Final = Decimal(2500)


class TickRig:
    """A trading core with `candles` klines of history, fed by the benchmark alone. It holds one unit of base."""

    def __init__(self, candles: int, new_core: NewCore = TradingCore) -> None:
        budget = OrderRateBudget(0.2)
        budget.update_limits([RateLimit("ORDERS", 10, 1_000_000_000)], START_MS)
        channel = DonchianChannel(40, 2, "close", candles)
        for minute in range(-candles, 0):
            channel.push(self._candle(minute))
        limits = BreakerLimits("ETH", "FDUSD", ZERO, ZERO, 0)
        guards = build_risk_engine(limits, PreTradeChecks(10.0, 6.0), START_MS)
        self._trader = new_core(params(), TradingParams(), MakerExit(RULES, budget), channel, guards, "ETH", "FDUSD")
        self._market_state = MarketState(candles)
        self._market_state.load_klines([self._candle(minute) for minute in range(-candles, 0)])
        self._market_state.set_account_proven(proven=True)
        self._market_state.on_balances([Balance("ETH", Decimal(1)), Balance("FDUSD", ZERO)], START_MS + 1)
        self._market_state.on_event_time(START_MS, 0.0)
        self._now_s = 0.0
        self._minute = count()
        self._order_id = 1
        self._moves = count()
        self._fresh_book()
        self.quiet_tick()

    def quiet_tick(self) -> Sequence[ExecutionCommand]:
        """Run a tick on an unchanged book. Returns its commands."""
        self._now_s += _STEP_S
        self._market_state.confirm_top(self._now_s)
        view = self._market_state.view(self._now_s)
        commands = self._trader.tick(view, view.market_ms)
        self._trader.events.clear()
        return commands

    def chase_tick(self) -> None:
        """Run a tick that requotes, and one that handles the reply."""
        self._fresh_book(next(self._moves) % _PRICES)
        for command in self.quiet_tick():
            self._reply_to(command)
        self.quiet_tick()

    def closing_tick(self) -> None:
        """Run a tick that takes in a closed kline."""
        minute = next(self._minute)
        self._market_state.on_kline(self._candle(minute), START_MS + minute * MINUTE_MS, self._now_s)
        self.quiet_tick()

    def start_exit(self) -> None:
        """Start an exit: its order works from here on."""
        self._trader.operator_commands.append(StrategyCommand.FLIP)
        for command in self.quiet_tick():
            self._reply_to(command)
        self.quiet_tick()

    def _reply_to(self, command: ExecutionCommand) -> None:
        self._order_id += 1
        match command:
            case Place(tag, own, _, Decimal() as price, quantity):
                self._trader.inbox.append(OrderReply(tag, Accepted(self._order(self._order_id, own, price, quantity))))
            case Replace(tag, order_id, own, _, Decimal() as price, quantity):
                gone = self._order(order_id, own, price, quantity, OrderStatus.CANCELED)
                placed = self._order(self._order_id, own, price, quantity)
                self._trader.inbox.append(ReplaceReply(tag, ReplaceOutcome(Accepted(gone), Accepted(placed))))
            case _:
                raise LookupError(f"no chase: {command}")

    def _order(
        self, order_id: int, own: str, price: Decimal, quantity: Decimal, status: OrderStatus = OrderStatus.NEW
    ) -> OrderRecord:
        return record(order_id, price, quantity, status=status, client_order_id=own, time_ms=START_MS)

    def _fresh_book(self, move: int = 0) -> None:
        bid = _MIDDLE + RULES.tick_size * move
        self._market_state.on_top(
            BookTop(bid, bid + RULES.tick_size, Decimal(10), Decimal(10), next(self._moves)), self._now_s
        )

    @staticmethod
    def _candle(minute: int) -> Kline:
        return kline(minute, float(_MIDDLE) + minute * 7 % 41 / 10)


def run(*, rounds: int, chance: Random) -> str:
    """Run the measure and return its two tables."""
    return f"{_by_history(rounds, chance)}\n\n{_by_moves(rounds)}"


def _by_history(rounds: int, chance: Random) -> str:
    found: defaultdict[tuple[int, str], list[float]] = defaultdict(list)
    for _ in range(rounds):
        for candles in chance.sample(LENGTHS, len(LENGTHS)):
            rig = TickRig(candles)
            found[candles, "quiet"] += _timed(rig.quiet_tick)
            found[candles, "closing"] += _timed(rig.closing_tick)
            rig.start_exit()
            found[candles, "chasing"] += _timed(rig.chase_tick)
    medians = {key: statistics.median(seconds) for key, seconds in found.items()}
    rows = []
    for candles in LENGTHS:
        row = [f"{candles:,}"]
        for name in ("quiet", "chasing", "closing"):
            row += [f"{medians[candles, name] * 1e6:.1f}", ratio(medians[candles, name], medians[LENGTHS[0], name])]
        rows.append(row)
    return table(TITLE, HEAD, rows)


def _by_moves(rounds: int) -> str:
    found: defaultdict[int, list[float]] = defaultdict(list)
    for _ in range(rounds):
        rig, moved = TickRig(LENGTHS[0]), 0
        rig.start_exit()
        for moves in MOVES:
            for _ in range(moves - moved):
                rig.chase_tick()
            moved = moves
            found[moves] += _timed(rig.quiet_tick)
    medians = {moves: statistics.median(seconds) for moves, seconds in found.items()}
    floor = medians[MOVES[0]]
    rows = [(f"{moves:,}", f"{median * 1e6:.1f}", ratio(median, floor)) for moves, median in medians.items()]
    return table(MOVED_TITLE, MOVED_HEAD, rows)


def _timed(act: Callable[[], object], samples: int = 40) -> list[float]:
    """Seconds per call, each value the mean of `_CALLS` calls."""
    gc.collect()
    seconds = []
    for _ in range(samples):
        began_s = time.perf_counter()
        for _ in range(_CALLS):
            act()
        seconds.append((time.perf_counter() - began_s) / _CALLS)
    return seconds
