import pytest
from tests.execution.builders import NUMBER, own, record, report

from trailingedge.execution.second_instance import SecondInstance, Verdict
from trailingedge.market import ExecutionReport, OrderRecord, OrderStatus
from trailingedge.strategy.want import Kind

STARTED_MS = NUMBER
OURS = own(number=STARTED_MS + 500)
RIVALS = own(number=STARTED_MS + 400)
LATE = own(Kind.FLUSH, STARTED_MS - 60)
NEW, PART, FILLED = OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED


def judge(told: ExecutionReport | OrderRecord, *, busy: bool = False) -> Verdict:
    watch = SecondInstance(STARTED_MS)
    watch.own(STARTED_MS + 500)
    return watch.judge(told, busy=busy)


@pytest.mark.parametrize(
    ("client_order_id", "status", "verdict"),
    [
        pytest.param(OURS, NEW, Verdict.NOTHING, id="ours"),
        pytest.param("web_4711", NEW, Verdict.NOTHING, id="placed by hand"),
        pytest.param(RIVALS, NEW, Verdict.STOP, id="begun after our start, and not by us"),
        pytest.param(RIVALS, FILLED, Verdict.STOP, id="so, and over already"),
        pytest.param(LATE, NEW, Verdict.ADOPT, id="from before our start"),
        pytest.param(LATE, PART, Verdict.ADOPT, id="so, and filled in part"),
        pytest.param(LATE, FILLED, Verdict.NOTHING, id="so, and over"),
        pytest.param(own(number=STARTED_MS), NEW, Verdict.ADOPT, id="from the moment of our start"),
        pytest.param(own(Kind.JUMPSTART, STARTED_MS + 400), NEW, Verdict.NOTHING, id="a jumpstart is no exit"),
        pytest.param(own(Kind.NOTE, STARTED_MS + 400), NEW, Verdict.NOTHING, id="nor is a note"),
    ],
)
def test_an_order_is_known_by_the_number_of_its_exit(
    client_order_id: str, status: OrderStatus, verdict: Verdict
) -> None:
    assert judge(report(7, status=status, client_order_id=client_order_id)) is verdict
    assert judge(record(7, status=status, client_order_id=client_order_id)) is verdict


def test_a_late_order_is_cancelled_while_we_have_one() -> None:
    assert judge(report(7, client_order_id=LATE), busy=True) is Verdict.CANCEL


def test_a_rival_stops_us_whether_we_have_an_order_or_not() -> None:
    assert judge(report(7, client_order_id=RIVALS), busy=True) is Verdict.STOP


def test_an_adopted_order_is_ours() -> None:
    watch = SecondInstance(STARTED_MS)
    watch.own(STARTED_MS - 60)
    assert watch.judge(report(7, client_order_id=LATE), busy=True) is Verdict.NOTHING
