"""The history reader: the past is read back as far as needed and no further."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from tests.execution.order_builders import NUMBER, RULES
from tests.reconciliation.account_histories import Past, at

from trailingedge.core.clock import Clock
from trailingedge.core.errors import RequestRefused
from trailingedge.core.time_units import DAY_MS
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import OrderRecord, Side
from trailingedge.reconciliation import history_loader
from trailingedge.reconciliation.history_loader import TRANSIENT_CODES, HistoryReader, read_history
from trailingedge.reconciliation.history_types import ExitHistory
from trailingedge.simulator.virtual_loop import run_virtual


def timed(
    past: Past, seconds: float = 600, known: Iterable[OrderRecord] = (), *, back_to_ms: int | None = None
) -> tuple[ExitHistory, float]:
    """What is read at that moment, and how many seconds were spent waiting."""

    async def run(clock: Clock) -> tuple[ExitHistory, float]:
        history = await read_history(past, RULES, at(seconds), clock, known, back_to_ms=back_to_ms)
        return history, clock.now_s()

    return run_virtual(run, start_unix_ms=0)


def read(past: Past, seconds: float = 600, *, back_to_ms: int | None = None) -> ExitHistory:
    return timed(past, seconds, back_to_ms=back_to_ms)[0]


def test_an_account_without_a_past_has_none() -> None:
    history = read(Past())
    assert history == ExitHistory()
    assert history.is_empty
    assert history.newest_number == 0


def test_a_marker_alone_is_a_past() -> None:
    past = Past()
    past.marker(0, Side.SELL, 10_000, NUMBER)
    history = read(past)
    assert not history.is_empty
    assert [note.number for note in history.markers] == [NUMBER]
    assert history.newest_number == NUMBER


def test_it_reaches_back_to_the_newest_finished_exit_with_what_came_since() -> None:
    past = Past()
    past.marker(0, Side.SELL, 10_000, NUMBER)
    past.sell(10, "101.00", NUMBER + 1)
    past.marker(20, Side.BUY, 10_050, NUMBER + 2)
    past.buy(30, "99.00", NUMBER + 3, filled="0")
    past.foreign(40, Side.BUY, "98.00")
    history = read(past)
    assert [exit_.number for exit_ in history.exits][-2:] == [NUMBER + 1, NUMBER + 3]
    assert [note.number for note in history.markers] == [NUMBER + 2]
    assert [trade.price for trade in history.foreign_fills] == [98]
    assert [number for number, _ in history.fills] == [NUMBER + 1]


def test_an_order_that_the_list_does_not_show_yet_is_looked_up_by_its_trade() -> None:
    past = Past()
    past.lag.add(past.sell(10, "101.00", NUMBER))
    history = read(past)
    assert past.looked_up == [100]
    assert history.exits[0].quote == 101


def test_what_was_read_at_first_hand_ticks_a_list_that_lags() -> None:
    past = Past()
    past.open_order(10, Side.SELL, "101.00", NUMBER, ExitKind.FLUSH)
    newer = past.orders[0]
    past.orders[0] = replace(newer, time_ms=0)
    history, _ = timed(past, known=[newer])
    assert history.exits[0].orders == (newer,)


def test_an_order_too_old_to_be_known_was_not_ours() -> None:
    past = Past()
    past.sell(0, "101.00", NUMBER)
    past.trades.append(replace(past.trades[0], trade_id=2, order_id=9))
    history = read(past)
    assert [trade.order_id for trade in history.foreign_fills] == [9]
    assert past.looked_up == [9]
    assert [
        ("does not show 1 order whose trades are in its trade list") in problem for problem in history.problems
    ] == [True]


def round_trips() -> Past:
    """Two losses, the first BUY (order 100) so old that no list of the newest orders shows it."""
    past = Past()
    past.buy(0, "100.00", NUMBER)
    past.sell(10, "99.00", NUMBER + 1)
    past.lag.add(100)
    return past


@pytest.mark.parametrize("code", sorted(TRANSIENT_CODES))
def test_a_look_up_that_is_rejected_for_a_while_is_not_taken_for_an_answer(code: int) -> None:
    past = round_trips()
    past.rejections[100] = [code]
    with pytest.raises(RequestRefused, match=str(code)):
        read(past, back_to_ms=0)
    assert [number for number, _ in read(past, back_to_ms=0).fills] == [NUMBER, NUMBER + 1]


def test_an_order_said_not_to_exist_is_found_in_the_list_that_begins_with_it() -> None:
    past = round_trips()
    past.lag.clear()
    past.buy(20, "99.00", NUMBER + 2)
    for step in range(1000):
        past.sell(30 + step, "101.00", NUMBER + 3, filled="0")
    past.rejections[100] = [-2013]
    history, waited_s = timed(past, 2000, back_to_ms=0)
    assert [number for number, _ in history.fills] == [NUMBER, NUMBER + 1, NUMBER + 2]
    assert (history.problems, waited_s) == ((), 0.0)


def test_an_order_said_not_to_exist_is_asked_for_again_after_a_pause() -> None:
    past = round_trips()
    past.rejections[100] = [-2013] * 3
    history, waited_s = timed(past, back_to_ms=0)
    assert [number for number, _ in history.fills] == [NUMBER, NUMBER + 1]
    assert (history.problems, waited_s) == ((), 3.0)


def test_an_order_never_told_of_is_a_problem_and_its_trade_anothers() -> None:
    past = round_trips()
    past.rejections[100] = [-2013] * 4
    history = read(past, back_to_ms=0)
    assert [trade.order_id for trade in history.foreign_fills] == []  # older than the finished exit
    assert [number for number, _ in history.fills] == [NUMBER + 1]
    assert ["order id 100" in problem for problem in history.problems] == [True]


def test_a_past_of_which_nothing_is_told_is_not_taken_for_none() -> None:
    past = Past()
    past.sell(0, "101.00", NUMBER)
    past.lag.add(100)
    past.rejections[100] = [-2013] * 4
    history = read(past)
    assert (history.exits, history.is_empty) == ((), False)


def test_where_very_many_orders_are_not_told_of_there_is_no_wait_for_each() -> None:
    past = Past()
    for step in range(200):
        past.lag.add(past.foreign(10 + step, Side.BUY, "100.00", "0.1"))
    past.rejections = {order_id: [-2013] * 9 for order_id in past.lag}
    history, waited_s = timed(past)
    assert waited_s == 15.0
    assert ["200 orders" in problem for problem in history.problems] == [True]


def test_a_list_that_is_rejected_leaves_a_look_up_as_it_was() -> None:
    class Unlisted(Past):
        async def all_orders(self, from_order_id: int | None = None) -> Sequence[OrderRecord]:
            if from_order_id == 100:
                raise RequestRefused(-1128, "Combination of optional parameters invalid.")
            return await super().all_orders(from_order_id)

    past = Unlisted()
    past.lag.add(past.sell(0, "101.00", NUMBER))
    past.rejections[100] = [-2013]
    assert read(past).exits[0].quote == 101


def test_an_exit_longer_than_a_page_is_read_to_its_beginning() -> None:
    past = Past()
    past.sell(0, "101.00", NUMBER)
    past.marker(2, Side.BUY, 10_000, NUMBER + 1)
    past.buy(3, "99.00", NUMBER + 2, filled="0.1")
    for step in range(2500):
        past.buy(4 + step, "99.00", NUMBER + 2, filled="0")
    history = read(past, 5000)
    assert [exit_.number for exit_ in history.exits] == [NUMBER, NUMBER + 2]
    assert len(history.exits[-1].orders) == 2501
    assert [note.number for note in history.markers] == [NUMBER + 1]
    assert past.looked_up == [102, 100]


def test_a_first_exit_longer_than_a_page_still_finds_the_marker_before_it() -> None:
    past = Past()
    past.marker(0, Side.SELL, 10_000, NUMBER)
    for step in range(1500):
        past.sell(4 + step, "99.00", NUMBER + 1, filled="0")
    assert [note.number for note in read(past, 5000).markers] == [NUMBER]


def test_many_trades_of_others_are_passed_over() -> None:
    past = Past()
    past.sell(0, "101.00", NUMBER)
    for step in range(1200):
        past.foreign(10 + step, Side.BUY if step % 2 else Side.SELL, "100.00", "0.1")
    history = read(past, 2000)
    assert history.exits[0].number == NUMBER
    assert len(history.foreign_fills) == 1200


def test_more_than_can_be_looked_up_is_said() -> None:
    past = Past()
    past.sell(0, "101.00", NUMBER)
    for step in range(1600):
        past.foreign(10 + step, Side.BUY, "100.00", "0.1")
    history = read(past, 2000)
    assert len(past.looked_up) == 500
    assert any("looked up" in problem for problem in history.problems)


def test_older_trades_than_thirty_days_are_not_paged_for() -> None:
    past = Past()
    past.sell(0, "101.00", NUMBER)
    for _ in range(1000):
        past.foreign(40 * DAY_MS / 1000, Side.BUY, "100.00", "0.1")
    history = read(past, 80 * DAY_MS / 1000)
    assert history.fills == ()


def test_for_the_breakers_it_reads_on() -> None:
    past = Past()
    past.buy(0, "100.00", NUMBER)
    past.sell(10, "101.00", NUMBER + 1)
    past.buy(20, "100.00", NUMBER + 2)
    past.sell(30, "102.00", NUMBER + 3)
    assert len(read(past).fills) < 4
    assert [number for number, _ in read(past, back_to_ms=0).fills] == [NUMBER, NUMBER + 1, NUMBER + 2, NUMBER + 3]


def test_a_reader_finds_trades_forwards_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    past = Past()
    for second in range(5):
        past.foreign(second, Side.BUY, "98.00")
    monkeypatch.setattr(history_loader, "PAGE", 2)

    async def run(clock: Clock) -> tuple[list[int], bool, bool]:
        reader = HistoryReader(past, clock)
        found, complete = await reader.trades_since(at(2), pages=5)
        _, enough = await reader.trades_since(at(0), pages=1)
        return [trade.trade_id for trade in found], complete, enough

    assert run_virtual(run, start_unix_ms=0) == ([2, 3, 4, 5], True, False)


def test_a_patient_reader_waits_for_what_passes_and_says_so() -> None:
    past = Past()
    order_id = past.buy(0, "90.00", NUMBER)
    past.rejections[order_id] = [-1003, -1003]
    said: list[str] = []

    async def run(clock: Clock) -> tuple[OrderRecord | None, float]:
        reader = HistoryReader(past, clock, on_wait=said.append)
        return await reader.look_up(order_id), clock.now_s()

    order, waited_s = run_virtual(run, start_unix_ms=0)
    assert order == past.orders[0]
    assert waited_s == 20
    assert len(said) == 2
