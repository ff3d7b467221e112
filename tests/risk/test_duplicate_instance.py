"""The duplicate-instance check: our orders, those of an earlier session, and those of another instance."""

from typing import Any

import pytest
from tests.execution.order_builders import NUMBER, own, record, report

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import ExecutionReport, OrderRecord, OrderStatus
from trailingedge.model.order_commands import OrdersListed, Reconciled
from trailingedge.risk.duplicate_instance import DuplicateInstanceCheck, UnexpectedOrderAction

STARTED_MS = NUMBER
OURS = own(number=STARTED_MS + 500)
RIVALS = own(number=STARTED_MS + 400)
LATE = own(ExitKind.FLUSH, STARTED_MS - 60)
DAY_AFTER = STARTED_MS + 86_400_001
NEW, PART, FILLED = OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED
CANCELED = OrderStatus.CANCELED


def judge(received: ExecutionReport | OrderRecord, *, busy: bool = False) -> UnexpectedOrderAction:
    watch = DuplicateInstanceCheck(STARTED_MS)
    watch.add_own(STARTED_MS + 500)
    return watch.classify(received, busy=busy)


@pytest.mark.parametrize(
    ("client_order_id", "status", "verdict"),
    [
        pytest.param(OURS, NEW, UnexpectedOrderAction.IGNORE, id="ours"),
        pytest.param("web_4711", NEW, UnexpectedOrderAction.IGNORE, id="placed by hand"),
        pytest.param(RIVALS, NEW, UnexpectedOrderAction.STOP, id="begun after our start, and not by us"),
        pytest.param(RIVALS, FILLED, UnexpectedOrderAction.STOP, id="so, and over already"),
        pytest.param(LATE, NEW, UnexpectedOrderAction.ADOPT, id="from before our start"),
        pytest.param(LATE, PART, UnexpectedOrderAction.ADOPT, id="so, and filled in part"),
        pytest.param(LATE, CANCELED, UnexpectedOrderAction.IGNORE, id="so, and over"),
        pytest.param(
            own(number=DAY_AFTER),
            NEW,
            UnexpectedOrderAction.IGNORE,
            id="a number that no process can have given by now",
        ),
        pytest.param(
            own(number=DAY_AFTER - 1), NEW, UnexpectedOrderAction.STOP, id="a number of a clock that is fast by a day"
        ),
        pytest.param("TE-t-zzzzzzzz", NEW, UnexpectedOrderAction.IGNORE, id="a number out of any time"),
        pytest.param(own(number=STARTED_MS), NEW, UnexpectedOrderAction.ADOPT, id="from the moment of our start"),
        pytest.param(
            own(ExitKind.JUMPSTART, STARTED_MS + 400), NEW, UnexpectedOrderAction.IGNORE, id="a jumpstart is no exit"
        ),
        pytest.param(own(ExitKind.NOTE, STARTED_MS + 400), NEW, UnexpectedOrderAction.IGNORE, id="nor is a note"),
    ],
)
def test_an_order_is_known_by_the_number_of_its_exit(
    client_order_id: str, status: OrderStatus, verdict: UnexpectedOrderAction
) -> None:
    assert judge(report(7, status=status, client_order_id=client_order_id)) is verdict
    assert judge(record(7, status=status, client_order_id=client_order_id)) is verdict


def test_a_late_order_is_cancelled_while_we_have_one() -> None:
    assert judge(report(7, client_order_id=LATE), busy=True) is UnexpectedOrderAction.CANCEL


def test_another_instance_stops_us_whether_we_have_an_order_or_not() -> None:
    assert judge(report(7, client_order_id=RIVALS), busy=True) is UnexpectedOrderAction.STOP


def test_an_adopted_order_is_ours() -> None:
    watch = DuplicateInstanceCheck(STARTED_MS)
    watch.add_own(STARTED_MS - 60)
    assert watch.classify(report(7, client_order_id=LATE), busy=True) is UnexpectedOrderAction.IGNORE


@pytest.mark.parametrize("status", [FILLED, CANCELED], ids=["filled", "canceled half-way"])
@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        pytest.param({}, UnexpectedOrderAction.ADOPT, id="traded since our start"),
        pytest.param({"busy": True}, UnexpectedOrderAction.IGNORE, id="while we have one: nothing is left to cancel"),
        pytest.param({"time_ms": STARTED_MS - 1}, UnexpectedOrderAction.IGNORE, id="traded before: history"),
        pytest.param({"filled": "0"}, UnexpectedOrderAction.IGNORE, id="never traded"),
        pytest.param({"order_id": 8}, UnexpectedOrderAction.IGNORE, id="read and counted by recovery"),
    ],
)
def test_a_late_order_that_is_over_counts_by_what_it_traded(
    status: OrderStatus, changes: dict[str, Any], verdict: UnexpectedOrderAction
) -> None:
    watch = DuplicateInstanceCheck(STARTED_MS)
    watch.add_counted([8, 9])
    received: dict[str, Any] = {"order_id": 7, "filled": "0.5", "time_ms": STARTED_MS, "busy": False} | changes
    busy = received.pop("busy")
    assert watch.classify(report(status=status, client_order_id=LATE, **received), busy=busy) is verdict
    assert watch.classify(record(status=status, client_order_id=LATE, **received), busy=busy) is verdict


def test_days_later_the_numbers_of_that_day_are_taken_seriously() -> None:
    watch = DuplicateInstanceCheck(STARTED_MS)
    watch.tick(STARTED_MS + 5)
    watch.tick(STARTED_MS)
    assert (
        watch.classify(report(7, client_order_id=own(number=DAY_AFTER + 4)), busy=False) is UnexpectedOrderAction.STOP
    )
    assert (
        watch.classify(report(7, client_order_id=own(number=DAY_AFTER + 5)), busy=False) is UnexpectedOrderAction.IGNORE
    )


def test_an_order_that_cannot_be_is_not_heard_of() -> None:
    watch = DuplicateInstanceCheck(STARTED_MS)
    without_id, other = report(-1, client_order_id=OURS), report(7, client_order_id=RIVALS)
    absurd = record(8, client_order_id="TE-t-zzzzzzzz")
    assert watch.drop_implausible(without_id) == ()
    assert watch.drop_implausible(other) == (other,)
    assert watch.drop_implausible(Reconciled((record(7), absurd))) == (Reconciled((record(7),)),)
    assert watch.drop_implausible(OrdersListed(1, ())) == (OrdersListed(1, ()),)


def test_only_an_order_that_never_came_to_be_has_no_id() -> None:
    rejected = report(-1, client_order_id=OURS, status=OrderStatus.REJECTED)
    assert DuplicateInstanceCheck(STARTED_MS).drop_implausible(rejected) == (rejected,)


def test_an_adopted_order_of_an_absurd_number_is_heard_of() -> None:
    watch = DuplicateInstanceCheck(STARTED_MS)
    watch.add_own(DAY_AFTER)
    received = report(7, client_order_id=own(number=DAY_AFTER))
    assert watch.drop_implausible(received) == (received,)
