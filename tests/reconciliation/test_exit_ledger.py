"""The exit ledger: fills and fees add up per exit, each trade once."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.execution.order_builders import NUMBER, D, own
from tests.reconciliation.fill_builders import MIDNIGHT_MS, fill_report, trade

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import ExecutionType, Side
from trailingedge.reconciliation.exit_ledger import ExitLedger, ExitTotals, exit_id, exit_totals

SELL, BUY = Side.SELL, Side.BUY


@pytest.mark.parametrize(
    ("client_order_id", "an_exits"),
    [
        pytest.param(own(ExitKind.TAKE_PROFIT), True, id="take-profit"),
        pytest.param(own(ExitKind.FLUSH), True, id="flush"),
        pytest.param(own(ExitKind.ESCAPE), True, id="escape"),
        pytest.param(own(ExitKind.JUMPSTART), False, id="jumpstart"),
        pytest.param(own(ExitKind.NOTE), False, id="note"),
        pytest.param("web_4711", False, id="placed by hand"),
    ],
)
def test_jumpstarts_and_markers_are_no_exits(client_order_id: str, an_exits: bool) -> None:
    assert (exit_id(client_order_id) is not None) is an_exits


def test_an_exit_adds_up_its_fills_and_fees() -> None:
    ledger = ExitLedger()
    ledger.on_report(fill_report(trade(1, SELL, "0.4", "100", "0.03", time_ms=MIDNIGHT_MS), NUMBER))
    ledger.on_report(fill_report(trade(2, SELL, "0.6", "101", "0.05", time_ms=MIDNIGHT_MS + 5), NUMBER))
    ledger.on_report(fill_report(trade(3, SELL, "0.1", "101", "0.001", "BNB"), NUMBER, ExitKind.FLUSH))
    ended = ledger.close(NUMBER)
    assert ended == ExitTotals(
        NUMBER, SELL, D("1.1"), D("110.7"), {"FDUSD": D("0.08"), "BNB": D("0.001")}, MIDNIGHT_MS + 5
    )


def test_a_fill_heard_and_read_counts_once() -> None:
    ledger, fill = ExitLedger(), trade(1, SELL, "1", "100")
    ledger.on_report(fill_report(fill, NUMBER))
    ledger.on_trade(NUMBER, fill)
    ended = ledger.close(NUMBER)
    assert ended is not None
    assert ended.base == 1


def test_what_is_no_fill_of_an_exit_does_not_count() -> None:
    ledger, fill = ExitLedger(), fill_report(trade(1, SELL, "1", "100"), NUMBER)
    ledger.on_report(replace(fill, client_order_id="web_4711"))
    ledger.on_report(replace(fill, execution_type=ExecutionType.CANCELED))
    assert ledger.close(NUMBER) is None


def test_a_closed_exit_is_opened_by_a_further_fill_and_by_no_repeated_one() -> None:
    ledger = ExitLedger()
    ledger.on_trade(NUMBER, trade(1, SELL, "1", "100"))
    assert ledger.close(NUMBER) is not None
    ledger.on_trade(NUMBER, trade(1, SELL, "1", "100"))
    assert ledger.late == []
    ledger.on_trade(NUMBER, trade(2, SELL, "0.5", "100"))
    assert ledger.late == [NUMBER]
    late = ledger.close(NUMBER)
    assert late is not None
    assert late.base == D("0.5")


def test_an_exit_of_before_the_first_that_was_closed_is_not_opened() -> None:
    ledger = ExitLedger()
    ledger.close(NUMBER)
    ledger.on_trade(NUMBER - 1, trade(1, SELL, "1", "100"))
    assert ledger.close(NUMBER - 1) is None


fills = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 9_999), st.integers(1, 99_999), st.integers(0, 50)), max_size=20
)


@given(drawn=fills)
def test_heard_live_or_read_afterwards_the_exits_are_the_same(drawn: list[tuple[int, int, int, int]]) -> None:
    rows = [
        (number, trade(index, BUY if number % 2 else SELL, str(quantity), str(price), str(fee), time_ms=index))
        for index, (number, quantity, price, fee) in enumerate(sorted(drawn))
    ]
    ledger, live = ExitLedger(), []
    for number, row in rows:
        ledger.on_report(fill_report(row, number))
    for number in sorted({number for number, _ in rows}):
        ended = ledger.close(number)
        assert ended is not None
        live.append(ended)
    assert exit_totals(reversed(rows)) == tuple(live)
