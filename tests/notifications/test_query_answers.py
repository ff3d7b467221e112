from dataclasses import replace

import pytest
from tests.notifications.status_views import RULES, D, view_of
from tests.strategy.strategy_harness import in_base

from trailingedge.accounting.results import FinishedExit, PeriodResult, Transfer
from trailingedge.accounting.round_trips import RoundTrip
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import Balance, Regime, Side
from trailingedge.notifications.query_answers import balance, daily_summary, today
from trailingedge.notifications.status import StatusView

MIDNIGHT_MS = 1_782_950_400_000  # 2026-07-02 00:00 UTC
HOUR_MS = 3_600_000


def finished(
    hour: int, kind: ExitKind = ExitKind.TAKE_PROFIT, base: str = "1", result: float | None = 0.0195
) -> FinishedExit:
    """An exit that ended at that hour; one without a fill was withdrawn."""
    return FinishedExit(
        kind=kind,
        side=Side.SELL,
        number=hour,
        cause=ExitEndReason.FILLED if D(base) else ExitEndReason.CANCELLED,
        started_ms=MIDNIGHT_MS + hour * HOUR_MS,
        ended_ms=MIDNIGHT_MS + hour * HOUR_MS + 180_000,
        base=D(base),
        quote=D(base) * D("2551.2"),
        replaces=3,
        fees={},
        mid_price=D("2551.2"),
        anchor_gain_frac=result,
    )


def trip(number: int) -> RoundTrip:
    """A round trip that won 1.95 %."""
    kind = ExitKind.TAKE_PROFIT
    return RoundTrip((), (number,), kind, 0, 1, D(1), D(1000), D("1019.5"), D(0))


def day(*exits: FinishedExit, transfers: tuple[Transfer, ...] = ()) -> PeriodResult:
    return PeriodResult(
        from_ms=MIDNIGHT_MS + 2 * HOUR_MS,
        to_ms=MIDNIGHT_MS + 24 * HOUR_MS - 60_000,
        exits=exits,
        round_trips=tuple(trip(each.number) for each in exits if each.base),
        transfers=transfers,
        fills=5,
        replaces=9,
        fees={"FDUSD": D("2.55"), "BNB": D("0.00012")},
        value=D("2600.5"),
        result=D("32.1"),
        transferred=D(0),
        result_frac=0.0125,
        hold_base_frac=-0.003,
    )


def test_the_day_shows_its_result_its_trades_and_the_value_left() -> None:
    exits = finished(14), finished(20, ExitKind.MANUAL, base="0", result=None)
    assert daily_summary(RULES, "paper", day(*exits), Regime.QUOTE).splitlines() == [
        "daily summary 2026-07-02, PAPER ETHFDUSD:",
        "result +1.25 %, +32.10 FDUSD (only holding ETH: -0.30 %, half of each asset: -0.15 %)",
        "1 sale, 0 buy-backs, 1 unfilled, 5 fills, fees 2.55 FDUSD + 0.00012 BNB",
        "fees of 0.00012 BNB are not in the result: their price in FDUSD is unknown",
        "round trips 1, won 1",
        "14:03 take-profit: SELL at 2551.20, round trip +1.95 %",
        "20:03 manual flip: SELL, cancelled by the operator, nothing filled",
        "value 2600.50 FDUSD, holding FDUSD",
    ]


def test_a_busy_day_tells_the_last_exits_and_counts_the_others() -> None:
    exits = (finished(0, ExitKind.FLUSH), *(finished(hour) for hour in range(1, 11)))
    lines = daily_summary(RULES, "live", day(*exits), None).splitlines()
    assert len([line for line in lines if "take-profit: SELL" in line]) == 8
    assert lines[-2:] == ["earlier: 1 × hard stop, 2 × take-profit", "value 2600.50 FDUSD, holding nothing tradable"]


def test_the_summary_ends_with_the_course_of_the_day() -> None:
    last = daily_summary(RULES, "sim", day(), Regime.BASE, [0.0, 0.04, -0.012, 0.02]).splitlines()[-1]
    assert last == "▃█▁▅ -1.20 % to +4.00 %, largest drawdown -5.00 %"


def test_today_says_since_when() -> None:
    assert today(RULES, "live", day(), Regime.BASE).splitlines()[:4] == [
        "today LIVE ETHFDUSD, since 02:00 UTC:",
        "result +1.25 %, +32.10 FDUSD (only holding ETH: -0.30 %, half of each asset: -0.15 %)",
        "0 sales, 0 buy-backs, 5 fills, fees 2.55 FDUSD + 0.00012 BNB",
        "fees of 0.00012 BNB are not in the result: their price in FDUSD is unknown",
    ]


def test_a_deposit_is_told_apart_and_a_buy_back_by_what_it_brought() -> None:
    bought = replace(finished(5), side=Side.BUY, brought_frac=-0.053)
    deposit = Transfer(MIDNIGHT_MS, "deposit", {"FDUSD": D(3000)}, D(3000))
    lines = today(RULES, "live", replace(day(bought, transfers=(deposit,)), round_trips=()), Regime.BASE).splitlines()
    assert "1 deposit (+3000.00 FDUSD): not part of the result" in lines
    assert "05:03 take-profit: BUY at 2551.20, -5.30 % ETH" in lines


VIEW = view_of(in_base(), "2510")


@pytest.mark.parametrize(
    ("view", "text"),
    [
        pytest.param(
            replace(VIEW, base=Balance("ETH", D("0.4"), D("0.6"))),
            "balance sim ETHFDUSD: 1.0000 ETH (0.6000 in orders), 0.00 FDUSD\nvalue 2510.00 FDUSD at the bid 2510.00",
            id="locked",
        ),
        pytest.param(
            replace(VIEW, reserve_base=D("0.05"), reserve_quote=D(3)),
            "balance sim ETHFDUSD: 1.0000 ETH, 0.00 FDUSD\nvalue 2510.00 FDUSD at the bid 2510.00\n"
            "reserve, never traded: 0.0500 ETH + 3.00 FDUSD",
            id="reserves",
        ),
        pytest.param(StatusView("paper", RULES, "unfunded"), "balance PAPER ETHFDUSD: not known yet", id="unknown"),
    ],
)
def test_the_balance_tells_both_assets_and_what_they_are_worth(view: StatusView, text: str) -> None:
    assert balance(view) == text
