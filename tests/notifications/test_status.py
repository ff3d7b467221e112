from decimal import Decimal

from trailingedge.market import BookTop, Regime, SymbolRules
from trailingedge.notifications.status import StatusView, status

RULES = SymbolRules("ETHFDUSD", "ETH", "FDUSD", tick_size=Decimal("0.01"), step_size=Decimal("0.0001"))


def test_the_status_leaves_out_what_is_not_known() -> None:
    assert status(StatusView("sim", RULES, "UNFUNDED")) == "sim ETHFDUSD | UNFUNDED, holding nothing tradable | no exit"


def test_the_status_tells_all_that_is_known() -> None:
    view = StatusView(
        mode="sim",
        rules=RULES,
        phase="WATCHING",
        regime=Regime.QUOTE,
        top=BookTop(Decimal("2500.1"), Decimal("2500.11")),
        anchor=2510.0,
        value=Decimal(2600),
        gain_frac=0.004,
        take_profit=2490.0,
        stop=2530.0,
        lower=2480.0,
        mid=2490.5,
        upper=2501.0,
        gate_open=False,
        exit="buying 0.1 of 1.0",
        data_age_s=0.25,
        reconnects=2,
        held=True,
    )
    assert status(view).split(" | ") == [
        "sim ETHFDUSD",
        "WATCHING, holding FDUSD",
        "paused",
        "bid 2500.10 FDUSD, ask 2500.11 FDUSD",
        "value 2600.00 FDUSD",
        "anchor 2510.00 FDUSD (+0.40 %)",
        "take-profit at 2490.00 FDUSD",
        "stop at 2530.00 FDUSD",
        "channel 2480.00 · 2490.50 · 2501.00 FDUSD",
        "gate shut",
        "buying 0.1 of 1.0",
        "data 0.2 s old",
        "reconnects 2",
    ]


def test_a_halt_and_a_market_that_is_not_known_are_shown() -> None:
    shown = status(StatusView("sim", RULES, "WATCHING", data_age_s=float("inf"), halted=True, held=True))
    assert shown == "sim ETHFDUSD | WATCHING, holding nothing tradable | halted | paused | no exit | no market data"
