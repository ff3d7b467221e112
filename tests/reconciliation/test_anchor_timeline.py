"""The timeline: a table of pasts, and the side, anchor and exit that each one leads to."""

from collections.abc import Callable

import pytest
from tests.execution.order_builders import NUMBER
from tests.reconciliation.account_histories import Past, at, position_now

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Regime, Side
from trailingedge.reconciliation.anchor_timeline import PositionTimeline, reconstruct
from trailingedge.strategy.side_change import NewAnchor
from trailingedge.strategy.strategy_events import Origin

BASE, QUOTE = Regime.BASE, Regime.QUOTE


def charted(tell: Callable[[Past], object], base: str = "1", quote: str = "0") -> PositionTimeline:
    past = Past()
    tell(past)
    return reconstruct(past.history(), position_now(base, quote))


def test_no_past_means_a_first_start_and_nothing_to_say() -> None:
    assert charted(lambda _: None) == PositionTimeline()


def test_trades_of_others_alone_are_a_first_start_too() -> None:
    assert charted(lambda past: past.foreign(0, Side.BUY, "100.00")) == PositionTimeline()


@pytest.mark.parametrize(
    ("tell", "turn"),
    [
        pytest.param(
            lambda past: past.sell(0, "101.00", NUMBER), NewAnchor(at(1), QUOTE, 101.0, Origin.EXIT), id="sold"
        ),
        pytest.param(
            lambda past: past.sell(0, "99.00", NUMBER, ExitKind.FLUSH),
            NewAnchor(at(1), QUOTE, 99.0, Origin.EXIT, shuts_gate=True),
            id="flushed",
        ),
        pytest.param(
            lambda past: past.marker(0, Side.BUY, 10_050, NUMBER),
            NewAnchor(at(0), QUOTE, 100.5, Origin.MARKER),
            id="noted",
        ),
    ],
)
def test_the_last_finished_exit_or_a_marker_is_the_anchor(tell: Callable[[Past], object], turn: NewAnchor) -> None:
    course = charted(tell, base="0", quote="100")
    assert course.changes == (turn,)
    assert course.active_exit is None
    assert not course.marker_needed
    assert course.alerts == ()


def test_a_newer_marker_comes_after_the_exit_before_it() -> None:
    def tell(past: Past) -> None:
        past.sell(0, "101.00", NUMBER)
        past.marker(10, Side.BUY, 10_000, NUMBER + 1)

    assert [turn.price for turn in charted(tell, "0", "100").changes] == [101.0, 100.0]


def test_an_open_order_is_the_active_exit_and_its_side_the_regime() -> None:
    def tell(past: Past) -> None:
        past.buy(0, "90.00", NUMBER)
        past.sell(10, "101.00", NUMBER + 1, filled="0")
        past.open_order(20, Side.SELL, "100.50", NUMBER + 1, ExitKind.TAKE_PROFIT, filled="0.2")

    course = charted(tell)
    assert course.active_exit is not None
    assert (course.active_exit.number, course.active_exit.base) == (NUMBER + 1, 0 + course.active_exit.base)
    assert course.changes == (NewAnchor(at(1), BASE, 90.0, Origin.EXIT),)
    assert course.newest_number == NUMBER + 1


@pytest.mark.parametrize(
    ("kind", "filled", "base", "resumes"),
    [
        pytest.param(ExitKind.FLUSH, "0", "1", True, id="a flush, though nothing was filled"),
        pytest.param(ExitKind.FLUSH, "0.4", "0.6", True, id="a flush half-way"),
        pytest.param(ExitKind.FLUSH, "0.4", "0.01", False, id="a flush with only dust left"),
        pytest.param(ExitKind.TAKE_PROFIT, "0.4", "0.6", True, id="another one, if some of it was filled"),
        pytest.param(ExitKind.MANUAL, "0.4", "0.6", True, id="the operator's too"),
        pytest.param(ExitKind.TAKE_PROFIT, "0", "1", False, id="not one that was never filled"),
    ],
)
def test_the_newest_exit_goes_on_where_it_was_unfinished(kind: ExitKind, filled: str, base: str, resumes: bool) -> None:
    def tell(past: Past) -> None:
        past.buy(0, "90.00", NUMBER)
        past.sell(10, "101.00", NUMBER + 1, kind, filled=filled)

    course = charted(tell, base, "100")
    assert (course.active_exit is not None) is resumes
    assert course.changes[0] == NewAnchor(at(1), BASE, 90.0, Origin.EXIT)


def test_what_ended_with_dust_is_finished() -> None:
    def tell(past: Past) -> None:
        past.buy(0, "90.00", NUMBER)
        past.sell(10, "101.00", NUMBER + 1, ExitKind.FLUSH, filled="0.9")

    course = charted(tell, "0.01", "90")  # the rest was withdrawn by its owner
    assert course.changes[-1] == NewAnchor(at(11), QUOTE, 101.0, Origin.EXIT, shuts_gate=True)


def test_a_newer_marker_ends_an_unfinished_exit() -> None:
    def tell(past: Past) -> None:
        past.buy(0, "90.00", NUMBER)
        past.sell(10, "101.00", NUMBER + 1, filled="0.4")
        past.marker(20, Side.SELL, 9_900, NUMBER + 2)

    course = charted(tell, "0.6", "40")
    assert course.active_exit is None
    assert course.changes[-1] == NewAnchor(at(20), BASE, 99.0, Origin.MARKER)


@pytest.mark.parametrize(
    ("later", "turns"),
    [
        pytest.param(Side.SELL, [90.0], id="the old side stays, with its anchor"),
        pytest.param(Side.BUY, [101.0], id="the new side came in at its average"),
    ],
)
def test_half_an_exit_followed_by_another_is_judged_by_the_side_that_one_leaves(
    later: Side, turns: list[float]
) -> None:
    def tell(past: Past) -> None:
        past.buy(0, "90.00", NUMBER)
        past.sell(10, "101.00", NUMBER + 1, filled="0.9" if later is Side.BUY else "0.1")
        past.open_order(20, later, "100.00", NUMBER + 2, ExitKind.MANUAL)

    course = charted(tell, "0.5", "50")
    assert [turn.price for turn in course.changes] == turns
    assert course.alerts == ()


def test_a_trade_by_hand_that_sold_it_all_is_the_anchor() -> None:
    def tell(past: Past) -> None:
        past.buy(0, "90.00", NUMBER)
        past.foreign(10, Side.BUY, "95.00")
        past.foreign(20, Side.SELL, "97.00")

    course = charted(tell, "0", "100")
    assert course.changes[-1] == NewAnchor(at(21), QUOTE, 97.0, Origin.OUTSIDE)
    assert course.marker_needed


def test_a_trade_by_hand_that_left_enough_changes_nothing() -> None:
    def tell(past: Past) -> None:
        past.buy(0, "90.00", NUMBER)
        past.foreign(20, Side.SELL, "97.00", "0.5")

    course = charted(tell, "0.5", "50")
    assert course.changes == (NewAnchor(at(1), BASE, 90.0, Origin.EXIT),)
    assert not course.marker_needed


def test_a_withdrawal_leaves_no_trace_and_is_left_to_the_first_tick() -> None:
    course = charted(lambda past: past.buy(0, "90.00", NUMBER), "0", "100")
    assert course.changes == (NewAnchor(at(1), BASE, 90.0, Origin.EXIT),)
    assert not course.marker_needed


def test_an_exit_that_does_not_fit_the_anchor_takes_that_of_a_trade_by_hand() -> None:
    def tell(past: Past) -> None:
        past.sell(0, "101.00", NUMBER)
        past.foreign(10, Side.BUY, "98.00")
        past.open_order(20, Side.SELL, "100.00", NUMBER + 1, ExitKind.MANUAL)

    course = charted(tell)
    assert course.changes[-1] == NewAnchor(at(11), BASE, 98.0, Origin.OUTSIDE)
    assert course.marker_needed
    assert course.alerts == ()


def test_an_exit_whose_anchor_is_not_known_takes_the_market_and_says_so() -> None:
    course = charted(lambda past: past.open_order(20, Side.SELL, "100.50", NUMBER, ExitKind.MANUAL))
    assert course.changes == (NewAnchor(at(600), BASE, 100.0, Origin.MARKET),)
    assert course.marker_needed
    assert ["anchor" in sentence for sentence in course.alerts] == [True]


def test_a_past_without_any_anchor_starts_from_the_market_and_says_so() -> None:
    course = charted(lambda past: past.sell(20, "100.50", NUMBER, filled="0"))
    assert course.changes == ()
    assert course.active_exit is None
    assert course.newest_number == NUMBER
    assert ["market price" in sentence for sentence in course.alerts] == [True]
