"""Tests of deserialization: a decision comes out of a record as it went in."""

import pytest
from tests.session_replay.golden_sessions import SESSIONS, path_of

from trailingedge.eventlog.format import encode
from trailingedge.execution.trading_core import TradingCore
from trailingedge.model.market import ExecutionReport
from trailingedge.model.market_state import StateView
from trailingedge.session_replay.record_decoder import decode_decision
from trailingedge.session_replay.run import replay_session
from trailingedge.strategy.decide import Decision


class Notes:
    """Encodes and deserializes the decision of each cycle."""

    def __init__(self) -> None:
        self.decisions: list[tuple[Decision, Decision | None]] = []

    def on_tick(self, trader: TradingCore, _: StateView) -> None:
        if trader.decision is not None:
            line = encode(("decision", [], trader.decision))[:-1]
            self.decisions.append((trader.decision, decode_decision(line)))

    def on_report(self, _: ExecutionReport) -> None:
        """Not needed."""


@pytest.mark.parametrize("name", SESSIONS)
def test_each_decision_is_deserialized_to_the_same_value(name: str) -> None:
    notes = Notes()
    replay_session(path_of(name), observer=notes)
    assert len(notes.decisions) > 100
    assert [revived for _, revived in notes.decisions] == [made for made, _ in notes.decisions]


@pytest.mark.parametrize(
    "line",
    [None, b'["news","ExitArmed",{}]', b'["decision",[],{"acted":null}]', b'["decision",[]]', b'["decision",[],{'],
    ids=["nothing", "an event", "one of another version", "one without numbers", "one that is cut off"],
)
def test_another_line_is_no_decision(line: bytes | None) -> None:
    assert decode_decision(line) is None
