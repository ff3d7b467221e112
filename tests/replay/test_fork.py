"""Where two lives part, each is told as the operator would have been told."""

import dataclasses

import pytest
from tests.replay.golden import SESSIONS, path_of

from trailingedge.daemon import Daemon
from trailingedge.execution.trader import Trader
from trailingedge.market import ExecutionReport
from trailingedge.notifications.why import why
from trailingedge.replay.fork import reasons
from trailingedge.replay.session import replay_session
from trailingedge.snapshots import View


class Asker:
    """Asks after each beat why, the daemon and whoever has only its decision and a view of the market."""

    def __init__(self) -> None:
        self.lives: list[Daemon] = []
        self.answers: list[tuple[str | None, str]] = []

    def beat(self, trader: Trader, _: View) -> None:
        (daemon,) = self.lives
        if daemon.desk is None or trader.decision is None:
            return
        view = daemon.desk.status(0)
        told = reasons(trader.decision, view, trader.memory.exit, view.stop_confirm_s)
        self.answers.append((told, why(view, trader.decision)))

    def report(self, _: ExecutionReport) -> None:
        """Of no matter."""


@pytest.mark.parametrize("name", SESSIONS)
def test_a_decision_has_the_reasons_that_it_had_then(name: str) -> None:
    asker = Asker()
    replay_session(path_of(name), witness=asker, daemon=asker.lives)
    assert len({now for _, now in asker.answers}) > 20
    assert [then for then, _ in asker.answers] == [now for _, now in asker.answers]


def test_a_life_that_was_on_hold_for_a_reason_unknown_to_the_other_is_not_explained() -> None:
    lives: list[Daemon] = []
    replay_session(path_of("fair"), daemon=lives)
    desk = lives[0].desk
    assert desk is not None
    assert desk.trader.decision is not None
    decision = dataclasses.replace(desk.trader.decision, hold=True)
    view = dataclasses.replace(desk.status(0), paused=False, trips=())
    assert reasons(decision, view, None, 1.0) is None


def test_where_they_do_not_keep_step_the_market_has_moved_on() -> None:
    replayed = replay_session(path_of("fair"), {"LOOP_SLEEP_SEC": "0.7"})
    assert replayed.fork is not None
    assert replayed.fork.top is None


def test_what_the_record_tells_next_is_about_exits_and_in_order() -> None:
    fork = replay_session(path_of("faulty"), {"MIN_GAIN_TRIGGER_FRAC_BASE": "0.02"}).fork
    assert fork is not None
    assert fork.sequel
    assert [at_ns for at_ns, _ in fork.sequel] == sorted(at_ns for at_ns, _ in fork.sequel)
    assert all(text.startswith(("take-profit", "hard stop", "flush", "gate")) for _, text in fork.sequel)
