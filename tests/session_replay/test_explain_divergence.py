"""Tests of the explanation of a divergence in the operator's words."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.session_replay.golden_sessions import SESSIONS, path_of
from tests.session_replay.test_run import changed
from tests.simulation.simulated_day import simulate
from tests.simulation.still_market import StillMarket

from trailingedge.config import Settings
from trailingedge.eventlog.format import SUFFIX
from trailingedge.eventlog.writer import MemoryRecord
from trailingedge.execution.trading_core import TradingCore
from trailingedge.live.trading_node import TradingNode
from trailingedge.model.market import ExecutionReport
from trailingedge.model.market_state import StateView
from trailingedge.notifications.explain import why
from trailingedge.session_replay.explain_divergence import explain_recorded
from trailingedge.session_replay.run import replay_session
from trailingedge.simulator.feeds.ticks import Tick

FARTHER = {"HARD_STOP_THRESHOLD_FRAC": "0.01"}
PATIENT = Settings(hard_stop_threshold_frac=0.005, hard_stop_confirm_sec=5.0, rolling_klines_maxlen=60)


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


class Asker:
    """After each cycle, compares `why` with the explanation from decision and status alone."""

    def __init__(self) -> None:
        self.nodes: list[TradingNode] = []
        self.answers: list[tuple[str | None, str]] = []

    def on_tick(self, trader: TradingCore, _: StateView) -> None:
        (daemon,) = self.nodes
        if daemon.services is None or trader.decision is None:
            return
        view = daemon.services.queries.view(0)
        told = explain_recorded(trader.decision, view, trader.state.exit, view.stop_confirm_s)
        self.answers.append((told, why(view)))

    def on_report(self, _: ExecutionReport) -> None:
        """Not needed."""


@pytest.mark.parametrize("name", SESSIONS)
def test_a_recorded_decision_is_explained_as_it_was(name: str) -> None:
    asker = Asker()
    replay_session(path_of(name), observer=asker, nodes=asker.nodes)
    assert len({now for _, now in asker.answers}) > 20
    assert [then for then, _ in asker.answers] == [now for _, now in asker.answers]


def test_a_recorded_pause_with_an_unknown_reason_is_not_explained() -> None:
    nodes: list[TradingNode] = []
    replay_session(path_of("storm"), nodes=nodes)
    desk = nodes[0].services
    assert desk is not None
    assert desk.core.decision is not None
    decision = desk.core.decision._replace(trading_paused=True)
    view = dataclasses.replace(desk.queries.view(0), paused=False, trips=())
    assert explain_recorded(decision, view, None, 1.0) is None


def test_an_unconfirmed_stop_is_no_difference(tmp_path: Path) -> None:
    """Only the stop's timer shows that the bid was below the stop, and it recovers before the confirmation."""
    path = fallen(tmp_path, after_s=3)
    replayed = replay_session(path, FARTHER)
    assert replayed.is_same
    assert replayed.incomplete_reason is None  # it has an end, although by its own time the daemon may come late for it


def test_with_own_timing_the_status_at_the_difference_is_shown(tmp_path: Path) -> None:
    """That only one of the two sells shows ten seconds later, when the bid has changed."""
    replayed = replay_session(fallen(tmp_path, after_s=60), FARTHER)
    assert replayed.difference is not None
    assert replayed.difference.at_ns < replayed.at_ns
    fork = replayed.divergence
    assert fork is not None
    assert fork.top is not None
    assert fork.recorded[0].startswith("hard stop: loss -0.5")
    assert fork.recorded[1].startswith("order.place SELL ")
    (now,) = fork.replayed
    assert now.startswith("Not selling: ")
    assert f"the bid is {fork.top.bid:.2f}" in now


def test_a_decision_of_another_version_is_described_by_its_key(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda line: line.replace(b'"stop_distance":', b'"distance":'), "faulty")
    fork = replay_session(path, {"MIN_GAIN_TRIGGER_FRAC_BASE": "0.02"}).divergence
    assert fork is not None
    assert fork.recorded == ("decision: watching, holding base, trailing; bid 2525.41, anchor 2500.15",)
    assert fork.replayed[0].startswith("Not selling: ")


def test_later_alerts_are_about_exits_and_in_order() -> None:
    fork = replay_session(path_of("faulty"), {"MIN_GAIN_TRIGGER_FRAC_BASE": "0.02"}).divergence
    assert fork is not None
    assert fork.later_alerts
    assert [at_ns for at_ns, _ in fork.later_alerts] == sorted(at_ns for at_ns, _ in fork.later_alerts)
    assert all(text.startswith(("take-profit", "hard stop", "flush", "gate")) for _, text in fork.later_alerts)
