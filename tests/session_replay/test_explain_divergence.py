"""Tests of the explanation of a divergence in the operator's words."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from tests.session_replay.golden_sessions import path_of
from tests.simulation.simulated_day import simulate
from tests.simulation.still_market import StillMarket
from tests.tight_settings import tight

from trailingedge.eventlog.format import SUFFIX
from trailingedge.eventlog.writer import MemoryRecord
from trailingedge.session_replay.run import replay_session
from trailingedge.simulator.feeds.ticks import Tick

FARTHER = {"HARD_STOP_THRESHOLD_FRAC": "0.01"}
PATIENT = tight(hard_stop_threshold_frac=0.005, hard_stop_confirm_sec=5.0, rolling_klines_maxlen=60)


@dataclasses.dataclass
class FallenMarket(StillMarket):
    """A market that falls below the stop after a minute and recovers `after_s` later."""

    after_s: int = 60

    def __iter__(self) -> Iterator[Tick]:
        for second, tick in enumerate(super().__iter__()):
            fall = 13 if 60 <= second < 60 + self.after_s else 0
            yield tick._replace(bid=tick.bid - fall, ask=tick.ask - fall, last_price=tick.last_price - fall)


def fallen(tmp_path: Path, after_s: int) -> Path:
    """The record of a session on a `FallenMarket`."""
    notebook = MemoryRecord()
    simulate(1, 0.05, settings=PATIENT, source=FallenMarket(after_s=after_s), lines=notebook)
    return notebook.save(tmp_path / f"fallen{SUFFIX}")


def test_an_unconfirmed_stop_is_no_difference(tmp_path: Path) -> None:
    """The bid falls below one of the two stops only, and recovers before the confirmation."""
    replayed = replay_session(fallen(tmp_path, after_s=3), FARTHER)
    assert replayed.is_same
    assert replayed.incomplete_reason is None


def test_both_runs_say_why_they_do_what_they_do(tmp_path: Path) -> None:
    replayed = replay_session(fallen(tmp_path, after_s=60), FARTHER)
    assert replayed.difference is not None
    assert replayed.difference.at_ns == replayed.at_ns
    fork = replayed.divergence
    assert fork is not None
    assert fork.top is not None
    assert fork.recorded[0].startswith("hard stop: loss -0.5")
    assert fork.recorded[1].startswith("order.place SELL ")
    assert fork.recorded[2].startswith("Selling after the hard stop")
    (now,) = fork.replayed
    assert now.startswith("Not selling: ")
    assert f"the bid is {fork.top.bid:.2f}" in now


def test_the_reason_of_the_recorded_run_is_that_of_its_own_settings() -> None:
    fork = replay_session(path_of("faulty"), {"MIN_GAIN_TRIGGER_FRAC_BASE": "0.02"}).divergence
    assert fork is not None
    assert len(fork.recorded) == len(fork.replayed) == 1
    assert fork.recorded[0].startswith("Not selling yet: the bid is 25")
    assert fork.replayed[0].startswith("Not selling: ")
    assert "MIN_GAIN_TRIGGER_FRAC_BASE" in fork.replayed[0]


def test_later_alerts_are_about_exits_and_in_order() -> None:
    fork = replay_session(path_of("faulty"), {"MIN_GAIN_TRIGGER_FRAC_BASE": "0.02"}).divergence
    assert fork is not None
    assert fork.later_alerts
    assert [at_ns for at_ns, _ in fork.later_alerts] == sorted(at_ns for at_ns, _ in fork.later_alerts)
    assert all(text.startswith(("take-profit", "hard stop", "gate")) for _, text in fork.later_alerts)
