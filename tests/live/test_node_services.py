"""The desk: what is shown of the trade, and what new rules change."""

import dataclasses

from tests.daemon_harness import RecordingUi
from tests.execution.order_builders import RULES, D

from trailingedge.config import Settings
from trailingedge.core.clock import ManualClock
from trailingedge.execution.order_rate_budget import OrderRateBudget
from trailingedge.live.node_services import NodeServices
from trailingedge.model.market import Balance, BookTop
from trailingedge.model.market_state import MarketState
from trailingedge.notifications.status import status


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock(now_s=100.0)
        self.snapshots = MarketState(10)
        self.notes = RecordingUi()
        self.desk = NodeServices(
            Settings(),
            RULES,
            D(0),
            self.snapshots,
            OrderRateBudget(0.2),
            self.notes,
            self.clock,
            server_ms=lambda: 0,
            paused=False,
        )
        self.snapshots.on_balances([Balance("ETH", D("0.6"), D("0.4")), Balance("FDUSD", D(5))], 1)
        self.snapshots.on_top(BookTop(D(2500), D("2500.01")), 100.0)
        self.snapshots.set_account_proven(proven=True)

    def beat(self) -> None:
        self.desk.core.tick(self.snapshots.view(self.clock.now_s()), 0)


def test_before_the_first_beat_there_is_little_to_show() -> None:
    assert status(Bench().desk.status(0)) == "sim ETHFDUSD | holding nothing tradable, unfunded"


def test_the_status_shows_the_whole_account_and_the_trade() -> None:
    bench = Bench()
    bench.beat()
    shown = status(bench.desk.status(3))
    assert "value 2505.00 FDUSD | anchor 2500.00 (+0.00 % in FDUSD)" in shown
    assert "hard stop 2487.50" in shown
    assert "reconnects 3" in shown


def test_a_market_that_was_forgotten_has_no_age() -> None:
    bench = Bench()
    bench.beat()
    bench.snapshots.invalidate_top()
    assert "no market data" in status(bench.desk.status(0))


def test_a_halt_is_told_once_and_shown() -> None:
    bench = Bench()
    bench.beat()
    assert [bench.desk.halt("we were wrong"), bench.desk.halt("again")] == [True, False]
    assert [text for _, text in bench.notes.alerts] == [
        (
            "halted: we were wrong; no orders, not even from the hard stop; "
            "look at the account on the exchange, then resume with 'r' or /resume"
        )
    ]
    assert " | halted | " in status(bench.desk.status(0))


def test_rules_that_did_not_change_are_no_news() -> None:
    bench = Bench()
    bench.desk.update_rules(RULES)
    assert bench.notes.alerts == []


def test_a_symbol_that_stops_trading_and_trades_again_is_told_of() -> None:
    bench = Bench()
    bench.desk.update_rules(dataclasses.replace(RULES, status="BREAK"))
    bench.desk.update_rules(dataclasses.replace(RULES, min_notional=D(10)))
    stopped, again = (text for _, text in bench.notes.alerts)
    assert stopped.startswith("ETHFDUSD is not trading (BREAK)")
    assert again == "ETHFDUSD is trading again"
    assert bench.desk.rules.min_notional == 10


def test_the_summary_starts_at_the_first_mark() -> None:
    bench = Bench()
    bench.snapshots.on_event_time(1_783_000_000_000, 100.0)
    bench.desk.record_sample()
    assert bench.desk.statistics.from_ms == 1_783_000_000_000
    assert bench.desk.statistics.first_value == 2505
