"""The maker exit against the model exchange, with random markets and faults.

Each run follows from its seed alone: to look at one that failed, run its test by its id and read the
transcript that comes with the failure. `MakerExitWorld` checks at every step that no second order is open, that
nothing is sold that was to be kept and that no request waits for an answer to nothing.
"""

from collections import Counter
from random import Random
from typing import Final

import pytest
from tests.execution.chaser_simulation import CALM, Faults, MakerExitWorld
from tests.execution.exchange_model import Breach
from tests.execution.order_builders import D

from trailingedge.core.errors import BrokenInvariant
from trailingedge.execution.maker_exit import MakerExitParams
from trailingedge.model.market import Side
from trailingedge.model.pricing_mode import Pricing

WEATHERS: Final = {
    "calm": CALM,
    "a bad line": Faults(
        lose_request=0.05, lose_reply=0.05, answer_unknown=0.05, refuse=0.02, slow_reply=0.1, slow_report_s=0.3
    ),
    "a slow exchange": Faults(slow_request=0.3, slow_reply=0.2, lose_reply=0.1, slow_report_s=2.0),
    "dropped connections": Faults(drop=0.03, lose_reply=0.05, slow_request=0.1, slow_report_s=0.2),
    "everything at once": Faults(
        lose_request=0.05,
        lose_reply=0.05,
        answer_unknown=0.05,
        refuse=0.02,
        slow_request=0.15,
        slow_reply=0.1,
        slow_report_s=1.0,
        shuffle_reports=True,
        repeat_report=0.2,
        lag_s=0.4,
        drop=0.01,
        by_hand=0.01,
    ),
}
SEEDS: Final = 15
ESCAPE: Final = MakerExitParams(escape_after_s=8.0, escape_slippage_frac=D("0.001"))


def world(seed: int, weather: str) -> MakerExitWorld:
    random = Random(seed)
    side, pricing = random.choice(list(Side)), random.choice(list(Pricing))
    return MakerExitWorld(seed, WEATHERS[weather], side, pricing, ESCAPE if random.random() < 0.2 else None)


def play(run: MakerExitWorld) -> None:
    """Half a minute of weather, then calm: the best price within ten seconds, and an end within ten more."""
    run.play(25.0)
    run.stop_faults()
    run.play(10.0)
    if not run.at_the_best_price():
        raise Breach("ten seconds after the last fault it is not at the best price")
    if not run.state_agrees():
        raise Breach("its books differ from the exchange's")
    run.end_intent()
    run.play(10.0)
    if run.exchange.open_orders or not run.maker_exit.idle:
        raise Breach("ten seconds after the intent ended an order is left")
    if not run.state_agrees():
        raise Breach("its books differ from the exchange's in the end")


@pytest.mark.parametrize("weather", WEATHERS)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_one_order_all_state_right_and_back_at_the_best_price(seed: int, weather: str) -> None:
    run = world(seed, weather)
    try:
        play(run)
    except (Breach, BrokenInvariant) as breach:
        pytest.fail(f"{breach!r}\n" + "\n".join(run.transcript[-60:]))


@pytest.mark.parametrize("seed", range(8))
def test_an_exit_ends_once_the_market_comes_through(seed: int) -> None:
    run = world(seed, "a bad line")
    run.play(10.0)
    run.stop_faults()
    run.play(10.0)
    for _ in range(3):
        run.fill_everything()
        run.play(3.0)
    progress = run.maker_exit.progress()
    assert progress is not None
    assert progress.complete is not None
    assert progress.idle
    assert run.state_agrees()


def test_a_run_repeats_itself_from_its_seed() -> None:
    first, second = world(3, "everything at once"), world(3, "everything at once")
    first.play(25.0)
    second.play(25.0)
    assert first.transcript == second.transcript


def test_the_weather_brings_every_kind_of_trouble() -> None:
    seen: Counter[str] = Counter()
    for seed in range(8):
        run = world(seed, "everything at once")
        run.play(25.0)
        for line in run.transcript:
            for trouble in (
                "OrderInDoubt",
                "OrderRejected",
                "OrderReplaced",
                "OrderFilled",
                "OrderCancelled",
                "QueryOrdersFrom",
                "connection lost",
                "CANCEL_RESTRICTED",
                "UNKNOWN_ORDER",
                "WOULD_TAKE",
                "escape=True",
                "TE-f-",
                "TE-m-",
            ):
                seen[trouble] += trouble in line
    assert min(seen.values()) > 0, seen
