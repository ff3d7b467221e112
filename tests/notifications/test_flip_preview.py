"""The flip preview: side, quantity and price of a flip, what follows it, and when there is none."""

from dataclasses import replace

import pytest
from tests.notifications.status_views import BUYING, RULES, SELLING, D, view_of
from tests.strategy.strategy_harness import StrategyRun, in_base, in_quote

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Balance
from trailingedge.notifications.flip_preview import FlipPreview, flip_preview
from trailingedge.notifications.status import StatusView


def ticked(run: StrategyRun) -> StrategyRun:
    run.tick("2500")
    return run


IN_BASE = replace(
    view_of(ticked(in_base()), "2500"), base=Balance("ETH", D("1.00009"), D(2)), quote=Balance("FDUSD", D(7))
)
IN_QUOTE = replace(view_of(ticked(in_quote()), "2500", "2500.50"), quote=Balance("FDUSD", D(1000)))


def preview(view: StatusView) -> FlipPreview:
    found = flip_preview(view)
    assert isinstance(found, FlipPreview)
    return found


def test_a_sale_names_the_free_amount_on_the_grid_and_what_it_brings() -> None:
    assert preview(IN_BASE).text == (
        "flip: sell 1.0000 ETH near 2500.00 FDUSD, about 2500.00 FDUSD, by post-only orders; "
        "then it holds FDUSD without a hard stop, and buys back at a lower price"
    )


def test_a_buy_back_names_what_the_quote_buys_and_the_stop_that_follows() -> None:
    text = preview(IN_QUOTE).text
    assert text.startswith("flip: buy 0.3999 ETH near 2500.50 FDUSD, about 999.95 FDUSD, by post-only orders")
    assert "then it holds ETH, with a hard stop" in text
    assert text.endswith("below the price paid")


def test_a_reserve_is_not_traded_and_the_amount_of_our_own_order_is() -> None:
    kept = replace(IN_BASE, reserve_base=D("0.4"))
    assert preview(kept).amount == D("0.6000")
    assert preview(replace(kept, active_exit=SELLING)).amount == D("1.5000")
    assert preview(replace(IN_QUOTE, active_exit=BUYING)).amount > preview(IN_QUOTE).amount


def test_an_exit_in_progress_goes_on_as_the_flip() -> None:
    assert "the take-profit in progress now counts as your flip" in preview(replace(IN_BASE, active_exit=SELLING)).text
    again = replace(SELLING, kind=ExitKind.MANUAL)
    assert "goes on" not in preview(replace(IN_BASE, active_exit=again)).text


def test_machines_get_amounts_as_strings() -> None:
    assert preview(IN_BASE).as_data() == {
        "side": "SELL",
        "quantity": "1.0000",
        "price": "2500.00",
        "notional": "2500.00",
    }


@pytest.mark.parametrize(
    ("view", "said"),
    [
        pytest.param(replace(IN_BASE, halted=True, halt_reason="a rule"), "trading is halted (a rule)", id="halted"),
        pytest.param(
            StatusView("sim", RULES, "unfunded"), ("the account holds too little of both assets"), id="unfunded"
        ),
        pytest.param(replace(IN_BASE, top=None), "no market data", id="no price"),
        pytest.param(replace(IN_BASE, account_proven=False), "no account connection", id="no account"),
    ],
)
def test_what_cannot_be_traded_is_refused_with_the_reason(view: StatusView, said: str) -> None:
    found = flip_preview(view)
    assert isinstance(found, str)
    assert found.startswith("flip refused: ")
    assert said in found


def test_a_pause_keeps_the_bot_from_buying_and_not_from_selling() -> None:
    assert flip_preview(IN_QUOTE, "trading is paused") == "flip refused: trading is paused"
    assert isinstance(flip_preview(IN_BASE, "trading is paused"), FlipPreview)
