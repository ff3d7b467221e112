import pytest
from tests.notifications.status_views import RULES, D

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import OrderRecord, OrderStatus, Regime, Side
from trailingedge.notifications.recovery_messages import (
    anchor_not_stored,
    exit_resumed,
    late_order_cancelled,
    own_open_orders,
    summary,
)
from trailingedge.reconciliation.history_types import ExitHistory, HistoricalExit
from trailingedge.reconciliation.recovery import RecoveredState
from trailingedge.strategy.state import ActiveExit, ReentryGate, ShutBy, StrategyState

IN_BASE = StrategyState(regime=Regime.BASE, anchor=2500.0, high=2510.0)
HELD = "holding FDUSD, anchor 2500.00 FDUSD, best price since then 2490.00 FDUSD"


@pytest.mark.parametrize(
    ("memory", "text"),
    [
        pytest.param(StrategyState(), "first start, no earlier trades of this bot found", id="first start"),
        pytest.param(IN_BASE, "holding ETH, anchor 2500.00 FDUSD, best price since then 2510.00 FDUSD", id="in base"),
        pytest.param(
            StrategyState(
                regime=Regime.QUOTE, anchor=1 / 2500.0, high=1 / 2490.0, gate=ReentryGate(ShutBy.QUOTE_STOP, 2600.0, 0)
            ),
            f"{HELD}, gate shut",
            id="gate shut",
        ),
        pytest.param(
            StrategyState(
                regime=Regime.QUOTE,
                anchor=1 / 2500.0,
                high=1 / 2490.0,
                exit=ActiveExit(ExitKind.MANUAL, Side.BUY, 1, 0),
            ),
            f"{HELD}, manual flip goes on",
            id="an exit goes on",
        ),
    ],
)
def test_the_summary_shows_the_state_of_the_last_session(memory: StrategyState, text: str) -> None:
    assert summary(RULES, RecoveredState(memory, None, (), marker_needed=False, history=ExitHistory())) == text


def past(status: OrderStatus) -> HistoricalExit:
    order = OrderRecord(7, "TE-t-1", Side.SELL, status, D(2500), D(1), D("0.4"), D(1000), 0)
    return HistoricalExit(1, Side.SELL, (order,))


def test_an_order_on_the_book_is_adopted_and_without_one_the_exit_resumes() -> None:
    assert exit_resumed(RULES, past(OrderStatus.PARTIALLY_FILLED)) == (
        "order adopted: SELL 0.6000 ETH at 2500.00 FDUSD, 0.4000 ETH filled so far (TE-t-1)"
    )
    assert exit_resumed(RULES, past(OrderStatus.CANCELED)) == "exit resumed: take-profit SELL, 0.4000 ETH filled so far"


@pytest.mark.parametrize(
    ("adopted", "cancelled", "text"),
    [
        pytest.param(None, 0, "none", id="none"),
        pytest.param(OrderStatus.NEW, 0, "1 adopted", id="an exit order"),
        pytest.param(OrderStatus.PARTIALLY_FILLED, 2, "1 adopted, 2 cancelled", id="an exit order and two others"),
        pytest.param(None, 2, "2 cancelled", id="two others"),
        pytest.param(OrderStatus.CANCELED, 0, "none", id="an exit that goes on without an order"),
    ],
)
def test_the_step_counts_all_own_orders_that_were_open(adopted: OrderStatus | None, cancelled: int, text: str) -> None:
    exit_ = None if adopted is None else past(adopted)
    recovered = RecoveredState(IN_BASE, exit_, (), marker_needed=False, history=ExitHistory())
    assert own_open_orders(recovered, cancelled) == text


def test_a_late_order_that_is_cancelled_is_named() -> None:
    assert late_order_cancelled(RULES, past(OrderStatus.NEW)) == (
        "late order of the last session cancelled: SELL 0.6000 ETH at 2500.00 FDUSD (TE-t-1)"
    )


def test_an_anchor_that_is_not_stored_says_what_that_means() -> None:
    assert "a restart may take the market price as the anchor" in anchor_not_stored("-2010 no")
