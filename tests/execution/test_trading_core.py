"""The trading core: what a tick sends, what it waits for, and what it publishes once."""

import dataclasses
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.execution.order_builders import RULES, TEN_SECONDS, D, own, record, report, top
from tests.strategy.strategy_harness import START_MS, kline, params

from trailingedge.core.errors import BrokenInvariant
from trailingedge.execution.maker_exit import MakerExit, MakerExitParams
from trailingedge.execution.order_rate_budget import OrderRateBudget
from trailingedge.execution.trader_events import (
    AccountBack,
    AccountLost,
    ExitAged,
    LateOrder,
    MarketFresh,
    MarketStale,
    TraderEvent,
)
from trailingedge.execution.trading_core import TradingCore, TradingParams, slippage_frac
from trailingedge.indicators.donchian import DonchianChannel
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import (
    Balance,
    BookTop,
    ExecutionReport,
    ExecutionType,
    Kline,
    OrderRecord,
    OrderStatus,
    Regime,
    Side,
)
from trailingedge.model.market_state import StateView
from trailingedge.model.order_commands import (
    Cancel,
    ExecutionCommand,
    OrderReply,
    Place,
    Refresh,
    Replace,
    ReplaceReply,
)
from trailingedge.model.order_outcomes import Accepted, NotTried, Rejected, RejectReason, ReplaceOutcome
from trailingedge.reconciliation.exit_ledger import ExitTotals
from trailingedge.reconciliation.history_types import ExitHistory, group_into_exits
from trailingedge.risk.circuit_breakers import BreakerLimits
from trailingedge.risk.pre_trade_checks import PreTradeChecks
from trailingedge.risk.risk_engine import build_risk_engine
from trailingedge.strategy.inputs import StrategyCommand, StrategyParams
from trailingedge.strategy.state import Phase, StrategyState
from trailingedge.strategy.strategy_events import (
    CommandRefused,
    ExitEnded,
    ExitStarted,
    Funded,
    GateShut,
    HardStopTriggered,
    RegimeSet,
    Unfunded,
)

FLIP = StrategyCommand.FLIP
BOOK = top("100.00", "100.10")


class Bench:
    """A harness for the trading core: the view stays until the test changes it."""

    def __init__(
        self,
        base: str = "1",
        quote: str = "0",
        trader_params: TradingParams | None = None,
        limits: BreakerLimits | None = None,
        strategy: StrategyParams | None = None,
        harness: MakerExitParams | None = None,
    ) -> None:
        budget = OrderRateBudget(0.2)
        budget.update_limits([TEN_SECONDS], START_MS)
        self.trader = TradingCore(
            strategy or params(),
            trader_params or TradingParams(),
            MakerExit(RULES, budget, harness),
            DonchianChannel(3, 1),
            build_risk_engine(limits or BreakerLimits("ETH", "FDUSD"), PreTradeChecks(10.0, 6.0), START_MS),
            "ETH",
            "FDUSD",
        )
        self.now_s = 0.0
        self.top: BookTop | None = BOOK
        self.market_seen_s = 0.0
        self.fresh = True
        self.proven = True
        self.balances = {"ETH": Balance("ETH", D(base)), "FDUSD": Balance("FDUSD", D(quote))}
        self.balances_ms = START_MS
        self.pushes = 0
        self.events: list[TraderEvent] = []

    def tick(self, after_s: float = 0.1, closed: Iterable[Kline] = ()) -> list[ExecutionCommand]:
        """One tick, so much later."""
        self.now_s = round(self.now_s + after_s, 3)
        if self.fresh:
            self.market_seen_s = self.now_s
        view, server_ms = self.view(closed), START_MS + round(self.now_s * 1000)
        commands = self.trader.tick(view, server_ms)
        self.trader.plan_ahead(view, server_ms)
        self.events += self.trader.events
        self.trader.events.clear()
        return commands

    def view(self, closed: Iterable[Kline] = ()) -> StateView:
        return StateView(
            now_s=self.now_s,
            market_ms=START_MS + round(self.now_s * 1000),
            top=self.top,
            top_age_s=self.now_s - self.market_seen_s,
            balances=self.balances,
            balances_ms=self.balances_ms,
            account_proven=self.proven,
            closed_klines=tuple(closed),
            balance_updates=self.pushes,
        )

    def events_of(self, kind: type[TraderEvent]) -> list[TraderEvent]:
        return [news for news in self.events if isinstance(news, kind)]

    def lasted(self, kind: type[TraderEvent]) -> list[float]:
        """The seconds that news of a kind tell."""
        return [seconds for news in self.events_of(kind) for seconds in dataclasses.astuple(news)]

    def set_balance(self, asset: str, free: str, locked: str = "0") -> None:
        """The stream tells a balance."""
        self.balances = self.balances | {asset: Balance(asset, D(free), D(locked))}
        self.balances_ms += 1000
        self.pushes += 1

    def flip(self) -> Place:
        """The operator's exit, up to its first order."""
        self.tick()
        self.trader.operator_commands.append(FLIP)
        (command,) = self.tick()
        assert isinstance(command, Place)
        return command

    def rest(self, placed: Place) -> None:
        """The order came to rest, and its funds are locked."""
        self.trader.inbox.append(OrderReply(placed.tag, Accepted(self.record(placed))))
        asset = "ETH" if placed.side is Side.SELL else "FDUSD"
        amount = placed.quantity if placed.side is Side.SELL else placed.quantity * (placed.price or 0)
        self.set_balance(asset, str(self.balances[asset].free - amount), str(amount))
        self.tick()

    @staticmethod
    def record(placed: Place) -> OrderRecord:
        return record(
            7, placed.price or D(0), placed.quantity, client_order_id=placed.client_order_id, side=placed.side
        )


# --- Holdings ---------------------------------------------------------------------------------


def test_what_others_have_locked_is_not_ours_to_trade() -> None:
    bench = Bench()
    bench.balances = {"ETH": Balance("ETH", D("0.6"), D("0.4")), "FDUSD": Balance("FDUSD", D(10), D(990))}
    assert (bench.trader.holdings(bench.view()).base, bench.trader.holdings(bench.view()).quote) == (D("0.6"), D(10))


def test_what_our_own_order_has_locked_is() -> None:
    bench = Bench()
    bench.rest(bench.flip())
    bench.set_balance("ETH", "0.2", "1.5")  # of which ours are 1
    assert bench.trader.holdings(bench.view()).base == D("1.2")


def test_the_reserve_is_left_alone_and_never_below_nothing() -> None:
    bench = Bench(quote="50", trader_params=TradingParams(reserve_base=D("0.3"), reserve_quote=D(80)))
    held = bench.trader.holdings(bench.view())
    assert (held.base, held.quote) == (D("0.7"), D(0))


def test_an_asset_never_heard_of_is_none() -> None:
    bench = Bench()
    bench.balances = {}
    assert bench.trader.holdings(bench.view()).base == 0


# --- Trust ------------------------------------------------------------------------------------


def test_a_silent_market_is_told_once_and_its_return_once() -> None:
    bench = Bench()
    bench.tick()
    bench.fresh = False
    for _ in range(200):
        bench.tick()
    assert bench.lasted(MarketStale) == [pytest.approx(10.0)]
    bench.fresh = True
    bench.tick()
    bench.tick()
    assert bench.lasted(MarketFresh) == [pytest.approx(20.1)]


def test_a_top_that_was_forgotten_is_not_used_but_not_told_before_it_lasts() -> None:
    bench = Bench()
    bench.tick()
    bench.fresh, bench.market_seen_s = False, float("-inf")
    bench.trader.operator_commands.append(FLIP)
    assert bench.tick() == []
    assert not bench.events_of(MarketStale)
    bench.tick(after_s=10.0)
    assert bench.lasted(MarketStale) == [pytest.approx(10.1)]


def test_an_account_without_connection_sends_nothing_and_judges_nothing() -> None:
    bench = Bench()
    bench.tick()
    bench.proven = False
    bench.top = top("90.00", "90.10")
    for _ in range(100):
        assert bench.tick() == []
    assert bench.trader.state.exit is None
    assert bench.lasted(AccountLost) == [pytest.approx(2.0)]
    bench.proven = True
    bench.tick()
    assert bench.lasted(AccountBack) == [pytest.approx(10.0)]


# --- Settled balances -------------------------------------------------------------------------


def filled(bench: Bench, placed: Place, time_ms: int) -> None:
    bench.trader.on_report(
        report(
            7,
            placed.price or D(0),
            placed.quantity,
            placed.quantity,
            OrderStatus.FILLED,
            client_order_id=placed.client_order_id,
            time_ms=time_ms,
        ),
        bench.pushes,
    )


def test_an_exit_is_over_when_the_balances_say_so_too() -> None:
    bench = Bench()
    placed = bench.flip()
    bench.rest(placed)
    filled(bench, placed, bench.balances_ms)
    bench.tick()
    bench.tick()
    assert not bench.events_of(ExitEnded)
    bench.balances |= {"ETH": Balance("ETH", D(0)), "FDUSD": Balance("FDUSD", D("100.09"))}
    bench.pushes += 1  # of the same millisecond
    bench.tick()
    assert bench.trader.needs_another_tick
    bench.tick()
    (ended,) = bench.events_of(ExitEnded)
    assert isinstance(ended, ExitEnded)
    assert ended.cause is ExitEndReason.FILLED
    assert bench.trader.state.regime is Regime.QUOTE
    bench.tick()
    assert not bench.trader.needs_another_tick


def test_balances_that_do_not_come_are_asked_for_once_a_second_and_never_of_an_account_without_connection() -> None:
    bench = Bench()
    placed = bench.flip()
    bench.rest(placed)
    filled(bench, placed, bench.balances_ms + 5)
    asked = [command for _ in range(25) for command in bench.tick()]
    assert asked == [Refresh.BALANCES, Refresh.BALANCES]
    bench.proven = False
    assert [command for _ in range(25) for command in bench.tick()] == []


# --- Commands and their patience --------------------------------------------------------------


def test_a_command_that_finds_no_book_expires() -> None:
    bench = Bench()
    bench.tick()
    bench.fresh, bench.top = False, None
    bench.trader.operator_commands.append(FLIP)
    for _ in range(299):
        bench.tick()
    assert bench.trader.state.phase is Phase.EXITING
    bench.tick(1.0)
    bench.tick()
    (ended,) = bench.events_of(ExitEnded)
    assert isinstance(ended, ExitEnded)
    assert ended.cause is ExitEndReason.EXPIRED


def test_a_command_whose_order_has_rested_does_not_expire() -> None:
    bench = Bench()
    bench.rest(bench.flip())
    bench.tick(after_s=120.0)
    assert bench.trader.state.phase is Phase.EXITING


def take_profit(bench: Bench) -> Place:
    """The placement of a take-profit: the price has risen and has turned."""
    bench.tick()
    bench.top = top("103.00", "103.10")
    bench.tick()
    bench.top = top("102.50", "102.60")
    (placed,) = bench.tick()
    assert isinstance(placed, Place)
    assert placed.client_order_id.startswith("TE-t-")
    return placed


def test_an_old_exit_made_a_command_has_the_patience_of_a_new_one() -> None:
    bench = Bench()
    placed = take_profit(bench)
    bench.trader.inbox.append(OrderReply(placed.tag, Rejected(RejectReason.NOT_TRADING, -2010, "Market is closed.")))
    bench.tick(after_s=45.0)
    bench.trader.operator_commands.append(FLIP)
    bench.tick()
    assert bench.trader.state.exit is not None
    assert bench.trader.state.exit.kind is ExitKind.MANUAL
    bench.tick()
    assert bench.trader.state.exit is not None
    assert bench.trader.state.exit.ending is None


def test_commands_are_taken_one_a_tick_and_the_rest_makes_another_tick_due() -> None:
    bench = Bench()
    bench.tick()
    bench.trader.operator_commands += [FLIP, FLIP]
    bench.tick()
    assert bench.trader.needs_another_tick
    bench.tick()
    assert bench.events_of(CommandRefused) == [CommandRefused(FLIP, "already under way")]
    assert not bench.trader.operator_commands


# --- What is told -----------------------------------------------------------------------------


def test_an_exit_that_takes_long_is_told_once_with_its_slippage() -> None:
    bench = Bench()
    bench.rest(bench.flip())
    bench.tick(after_s=60.0)
    bench.tick(after_s=60.0)
    (aged,) = bench.events_of(ExitAged)
    assert isinstance(aged, ExitAged)
    assert (aged.kind, aged.side, aged.filled_base) == (ExitKind.MANUAL, Side.SELL, D(0))
    assert aged.slippage_frac == pytest.approx((100.05 - 100.10) / 100.05)


@pytest.mark.parametrize(
    ("side", "mid", "price", "slippage"),
    [
        pytest.param(Side.SELL, D(100), D(99), 0.01, id="sold lower"),
        pytest.param(Side.BUY, D(100), D(99), -0.01, id="bought lower"),
        pytest.param(Side.SELL, None, D(99), None, id="no mid"),
        pytest.param(Side.SELL, D(100), None, None, id="no price"),
    ],
)
def test_slippage_is_positive_where_it_costs(
    side: Side, mid: Decimal | None, price: Decimal | None, slippage: float | None
) -> None:
    assert slippage_frac(side, mid, price) == (None if slippage is None else pytest.approx(slippage))


def test_a_change_from_outside_is_anchored_at_the_newest_foreign_fill() -> None:
    bench = Bench()
    bench.tick()
    foreign = report(
        9, "101", "1", "1", OrderStatus.FILLED, client_order_id="mine", time_ms=START_MS, reason=ExecutionType.TRADE
    )
    bench.trader.inbox.append(replace(foreign, last_price=D("101.5")))
    bench.set_balance("ETH", "0")
    bench.set_balance("FDUSD", "101.5")
    bench.tick()
    changed = bench.events_of(RegimeSet)[-1]
    assert isinstance(changed, RegimeSet)
    assert (changed.regime, changed.price) == (Regime.QUOTE, 101.5)


def test_a_foreign_fill_of_long_ago_anchors_nothing() -> None:
    bench = Bench()
    bench.tick()
    foreign = report(9, "101", "1", "1", OrderStatus.FILLED, client_order_id="mine", time_ms=START_MS)
    bench.trader.inbox.append(replace(foreign, last_price=D("101.5")))
    bench.tick(after_s=30.0)
    bench.set_balance("ETH", "0")
    bench.set_balance("FDUSD", "101.5")
    bench.tick()
    changed = bench.events_of(RegimeSet)[-1]
    assert isinstance(changed, RegimeSet)
    assert changed.price == pytest.approx(100.1)


# --- Rules, halts, the end --------------------------------------------------------------------


def test_rules_that_were_read_again_hold_for_strategy_and_maker_exit() -> None:
    bench = Bench(base="0.06")
    phases = []
    for least in (D(5), D(10)):
        bench.trader.update_rules(replace(RULES, min_notional=least))
        bench.tick()
        phases.append(bench.trader.state.phase)
    assert phases == [Phase.WATCHING, Phase.UNFUNDED]
    assert bench.trader.rules.min_notional == 10


def due_to_buy(quote: str, **limits: Any) -> Bench:
    """A bench with quote whose buy-back is due at 98.20 / 98.30, under changed size limits."""
    bench = Bench(base="0", quote=quote)
    bench.tick()
    bench.top = top("97.90", "98.00")
    bench.tick()
    bench.top = top("98.20", "98.30")
    bench.trader.update_rules(replace(RULES, **limits))
    return bench


def test_a_buy_too_small_by_a_tick_is_not_begun() -> None:
    # 0.051 pass at the ask of 98.30, and not at 98.21, where the order would rest.
    bench = due_to_buy("5.0134", min_notional=D("5.0133"), step_size=D("0.001"))
    for _ in range(300):
        bench.tick()
    assert bench.events_of(ExitStarted) == []
    assert len(bench.events_of(Unfunded)) == 1
    bench.set_balance("FDUSD", "50")
    bench.tick()
    assert len(bench.events_of(ExitStarted)) == 1


@pytest.mark.parametrize(("base", "quote"), [("1", "0"), ("0", "1000")])
def test_where_the_largest_order_is_below_the_least_notional_no_exit_begins(base: str, quote: str) -> None:
    bench = Bench(base, quote)
    bench.trader.update_rules(replace(RULES, max_quantity=D("0.04")))  # times 100 is less than 5
    bench.tick()
    bench.trader.operator_commands.append(FLIP)
    assert bench.tick() == []
    for price in range(90, 110):
        bench.top = top(f"{price}.00", f"{price}.10")
        assert bench.tick() == []
        assert not bench.trader.needs_another_tick
    assert bench.events_of(ExitStarted) == []
    assert len(bench.events_of(Unfunded)) == 1


def test_funds_at_the_edge_do_not_come_and_go_with_the_price() -> None:
    bench = Bench("0.05", "0")  # 5.00 at 100.00
    for number in range(200):
        bench.top = top("99.99", "100.09") if number % 2 else top("100.00", "100.10")
        bench.tick()
    assert len(bench.events_of(Unfunded)) == 1
    assert bench.events_of(Funded) == []
    bench.top = top("101.02", "101.03")
    bench.tick()
    assert len(bench.events_of(Funded)) == 1
    bench.top = top("100.00", "100.10")
    bench.tick()
    assert len(bench.events_of(Unfunded)) == 1


def test_an_exit_that_ended_before_any_order_is_not_armed_again_on_the_same_book() -> None:
    bench = Bench()
    bench.tick()
    bench.trader.operator_commands.append(FLIP)
    bench.trader.maker_exit.update_rules(replace(RULES, max_quantity=D("0.04")))  # execution alone knows of it
    for _ in range(50):
        bench.tick()
        bench.trader.operator_commands.append(FLIP)
    assert len(bench.events_of(ExitStarted)) == 1
    assert [ended.cause for ended in bench.events_of(ExitEnded) if isinstance(ended, ExitEnded)] == [
        ExitEndReason.FUNDS_GONE
    ]
    bench.top = top("100.00", "100.11")
    bench.trader.maker_exit.update_rules(RULES)
    bench.trader.operator_commands.clear()
    bench.tick()
    bench.trader.operator_commands.append(FLIP)
    (placed,) = bench.tick()
    assert isinstance(placed, Place)


# --- The last fill ----------------------------------------------------------------------------


def stop_is_near(bench: Bench) -> Place:
    """A take-profit rests; then the bid has been at the hard stop for nearly as long as it takes to confirm it."""
    placed = take_profit(bench)
    bench.rest(placed)
    bench.tick()
    # 20 % below the anchor: confirmed after a second. Our order is alone at the ask.
    bench.top = top("80.00", str(placed.price), ask_quantity="1")
    bench.tick()
    assert bench.trader.decision is not None
    assert bench.trader.decision.stop_breach_ms == 0
    return placed


@pytest.mark.parametrize("balances_come", ["with the fill", "later"])
@pytest.mark.parametrize("replacing", [False, True], ids=["at rest", "being replaced"])
def test_a_stop_confirmed_with_the_last_fill_neither_renames_the_exit_nor_shuts_the_gate(
    balances_come: str, replacing: bool
) -> None:
    bench = Bench()
    placed = stop_is_near(bench)
    sent: list[ExecutionCommand] = []
    if replacing:
        bench.top = top("80.00", "110.00")
        sent = bench.tick(0.5)
        assert isinstance(sent[0], Replace)
    filled(bench, placed, bench.balances_ms)
    if balances_come == "with the fill":
        bench.balances |= {"ETH": Balance("ETH", D(0)), "FDUSD": Balance("FDUSD", D("100.09"))}
        bench.pushes += 1
    bench.tick(2.0)
    bench.balances |= {"ETH": Balance("ETH", D(0)), "FDUSD": Balance("FDUSD", D("100.09"))}
    bench.pushes += 1
    if replacing:
        gone = Rejected(RejectReason.UNKNOWN_ORDER, -2011, "Unknown order sent.")
        bench.trader.inbox.append(ReplaceReply(sent[0].tag, ReplaceOutcome(gone, NotTried())))  # type: ignore[union-attr]  # a Replace
    for _ in range(12):
        bench.tick()
    (ended,) = bench.events_of(ExitEnded)
    assert isinstance(ended, ExitEnded)
    assert (ended.kind, ended.cause) == (ExitKind.TAKE_PROFIT, ExitEndReason.FILLED)
    assert bench.events_of(HardStopTriggered) == bench.events_of(GateShut) == []
    assert bench.trader.state.regime is Regime.QUOTE
    assert bench.trader.state.gate is None


def test_what_a_fill_left_to_sell_is_still_stopped() -> None:
    bench = Bench()
    placed = stop_is_near(bench)
    part = report(
        7, str(placed.price), "1", "0.4", status=OrderStatus.PARTIALLY_FILLED, client_order_id=placed.client_order_id
    )
    bench.trader.on_report(part, bench.pushes)
    bench.tick(2.0)
    assert len(bench.events_of(HardStopTriggered)) == 1


def test_a_command_heard_with_the_last_fill_is_not_carried_out_on_the_new_side() -> None:
    bench = Bench()
    placed = bench.flip()
    bench.rest(placed)
    filled(bench, placed, bench.balances_ms)
    bench.balances |= {"ETH": Balance("ETH", D(0)), "FDUSD": Balance("FDUSD", D("100.09"))}
    bench.pushes += 1
    bench.trader.operator_commands.append(FLIP)
    for _ in range(5):
        bench.tick()
    assert bench.events_of(CommandRefused) == [CommandRefused(FLIP, "the exit has just been filled")]
    assert len(bench.events_of(ExitStarted)) == 1


# --- Candles, and the end ---------------------------------------------------------------------


def test_candles_of_a_tick_that_breaks_come_with_the_next() -> None:
    bench = Bench()
    placed = bench.flip()
    bench.rest(placed)
    rejected = report(7, client_order_id=placed.client_order_id, reason=ExecutionType.REJECTED)
    bench.trader.inbox.append(replace(rejected, status=OrderStatus.REJECTED))
    with pytest.raises(BrokenInvariant):
        bench.tick(closed=[kline(0, "100")])
    bench.tick(closed=[kline(1, "101")])
    assert bench.trader.state.last_close == 101.0
    assert bench.trader.state.last_close_ms == kline(1, "101").close_ms


def test_at_the_end_the_order_is_cancelled_and_nothing_decided() -> None:
    bench = Bench()
    placed = bench.flip()
    bench.rest(placed)
    bench.top = top("90.00", "90.10")
    (command,) = bench.trader.shutdown_tick(bench.view(), START_MS)
    assert isinstance(command, Cancel)
    assert command.order_id == 7
    assert bench.trader.state.exit is not None
    assert bench.trader.state.exit.kind is ExitKind.MANUAL


def test_at_the_end_an_account_without_connection_is_not_written_to() -> None:
    bench = Bench()
    bench.rest(bench.flip())
    bench.proven = False
    assert bench.trader.shutdown_tick(bench.view(), START_MS) == []


# --- What the last session left in flight -----------------------------------------------------

LATE = own(ExitKind.FLUSH, START_MS - 60_000)


def late(
    filled: str, status: OrderStatus = OrderStatus.FILLED, client_order_id: str = LATE, **more: Any
) -> ExecutionReport:
    """A word of an order that our predecessor had asked for, to sell 1 at 100."""
    received = report(3, "100", "1", filled, status, client_order_id=client_order_id, time_ms=START_MS, **more)
    if status is not OrderStatus.FILLED:
        return received
    return replace(received, trade_id=5, last_price=D(100), last_quantity=D(filled), last_quote=D(filled) * 100)


def sold(bench: Bench, *words: ExecutionReport) -> None:
    """The stream tells of the order and then of the balances; everything comes into one tick."""
    for word in words:
        bench.trader.on_report(word, bench.pushes)
    bench.set_balance("ETH", "0")
    bench.set_balance("FDUSD", "100")
    bench.tick()
    bench.tick()


@pytest.mark.parametrize(
    "words",
    [
        pytest.param([late("0", OrderStatus.NEW), late("1")], id="placed and filled in one tick"),
        pytest.param([late("1")], id="its placement was never told"),
        pytest.param([late("1"), late("0", OrderStatus.NEW)], id="told the wrong way round"),
    ],
)
def test_a_late_order_filled_at_once_is_our_own_exit(words: list[ExecutionReport]) -> None:
    bench = Bench()
    bench.tick()
    sold(bench, *words)
    (ended,) = bench.events_of(ExitEnded)
    assert isinstance(ended, ExitEnded)
    assert (ended.kind, ended.number, ended.average) == (ExitKind.FLUSH, START_MS - 60_000, D(100))
    memory = bench.trader.state
    assert (memory.regime, memory.anchor, memory.phase) == (Regime.QUOTE, 1 / 100, Phase.GATED)
    assert [news.adopted for news in bench.events_of(LateOrder) if isinstance(news, LateOrder)] == [True]


def test_a_late_order_filled_at_once_counts_for_the_breakers() -> None:
    bench = Bench(limits=BreakerLimits("ETH", "FDUSD", max_consecutive_losses=1))
    bought = ExitTotals(START_MS - 90_000, Side.BUY, D(1), D(110), {}, START_MS - 90_000)
    bench.trader.risk.breakers.restore([bought], START_MS)
    bench.tick()
    sold(bench, late("1"))
    assert bench.trader.trading_paused


def test_a_late_order_that_ended_half_way_is_continued() -> None:
    bench = Bench()
    bench.tick()
    bench.trader.on_report(late("0.4", OrderStatus.CANCELED), 0)
    bench.set_balance("ETH", "0.6")
    bench.set_balance("FDUSD", "40")
    (command,) = bench.tick()
    assert isinstance(command, Place)
    assert (command.client_order_id, command.quantity) == (LATE, D("0.6"))


@pytest.mark.parametrize(
    "word",
    [
        pytest.param(late("0", OrderStatus.CANCELED), id="it never traded"),
        pytest.param(late("1", side=Side.BUY), id="it leaves the other side"),
        pytest.param(replace(late("1"), time_ms=START_MS - 1), id="it traded before our start"),
        pytest.param(late("1", client_order_id="TE-f-zzzzzzzzzzzzz"), id="a number that cannot be"),
    ],
)
def test_a_late_order_that_is_over_and_does_not_fit_is_left_alone(word: ExecutionReport) -> None:
    bench = Bench()
    bench.tick()
    bench.trader.on_report(word, 0)
    assert bench.tick() == []
    assert bench.trader.state.phase is Phase.WATCHING
    assert bench.events_of(LateOrder) == []


def test_what_recovery_has_counted_is_not_continued_again() -> None:
    bench = Bench()
    counted = group_into_exits([record(3, filled="1", status=OrderStatus.FILLED, client_order_id=LATE)], ())
    bench.trader.restore(StrategyState(), None, 0.0, ExitHistory(exits=counted))
    bench.tick()
    bench.trader.on_report(late("1"), 0)
    bench.tick()
    assert bench.trader.state.phase is Phase.WATCHING


def test_the_end_of_an_exit_of_ours_told_again_begins_none() -> None:
    bench = Bench()
    placed = bench.flip()
    bench.rest(placed)
    filled = report(
        7, placed.price or D(0), "1", "1", OrderStatus.FILLED, client_order_id=placed.client_order_id, time_ms=START_MS
    )
    bench.trader.on_report(filled, bench.pushes)
    bench.set_balance("ETH", "0")
    bench.set_balance("FDUSD", "100")
    bench.tick()
    bench.tick()
    bench.trader.on_report(filled, bench.pushes)
    bench.set_balance("FDUSD", "100")
    bench.tick()
    assert len(bench.events_of(ExitEnded)) == 1
    assert bench.trader.state.phase is Phase.WATCHING


def test_a_late_order_being_cancelled_is_not_continued_when_it_goes() -> None:
    bench = Bench()
    placed = bench.flip()
    bench.rest(placed)
    bench.trader.on_report(late("0", OrderStatus.NEW), bench.pushes)
    bench.tick()
    bench.trader.operator_commands.append(StrategyCommand.CANCEL)
    bench.tick()
    cancelled = report(7, status=OrderStatus.CANCELED, client_order_id=placed.client_order_id, time_ms=START_MS)
    bench.trader.on_report(cancelled, bench.pushes)
    bench.set_balance("ETH", "1")
    bench.tick()
    assert bench.trader.state.exit is None
    bench.trader.on_report(late("0.1", OrderStatus.CANCELED), bench.pushes)
    bench.set_balance("ETH", "0.9")
    bench.tick()
    assert bench.trader.state.phase is Phase.WATCHING


@pytest.mark.parametrize("order_id", [-1, -5])
def test_an_order_without_an_id_under_our_number_ends_nothing(order_id: int) -> None:
    bench = Bench()
    placed = bench.flip()
    bench.rest(placed)
    bench.trader.on_report(report(order_id, client_order_id=placed.client_order_id), bench.pushes)
    bench.set_balance("ETH", "0", "1")
    bench.tick()
    assert bench.trader.risk.duplicate_instance is None
    assert bench.trader.state.phase is Phase.EXITING


def test_a_report_of_an_exit_long_past_changes_nothing() -> None:
    bench = Bench()
    bench.tick()
    bench.trader.on_report(report(3, filled="1", status=OrderStatus.FILLED, client_order_id=own(number=5)), 0)
    bench.tick()
    assert bench.trader.state.phase is Phase.WATCHING
