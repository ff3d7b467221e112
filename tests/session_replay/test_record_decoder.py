"""Tests of deserialization: a decision comes out of a record as it went in."""

import json
from typing import Any

import pytest
from tests.session_replay.golden_sessions import SESSIONS, path_of
from tests.strategy.strategy_harness import in_base

from trailingedge.eventlog.format import encode
from trailingedge.execution.trading_core import TradingCore
from trailingedge.model.market import ExecutionReport
from trailingedge.model.market_state import StateView
from trailingedge.session_replay.record_decoder import decode_decision
from trailingedge.session_replay.run import replay_session
from trailingedge.strategy.decide import Decision
from trailingedge.strategy.state import StrategyState


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


def recorded_fields(decision: Decision) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(encode(("decision", [], decision)))[2]
    return fields


def decoded(fields: dict[str, Any]) -> Decision | None:
    return decode_decision(json.dumps(["decision", [], fields], separators=(",", ":")).encode())


def test_a_field_of_the_state_that_an_older_version_did_not_record_has_its_default() -> None:
    made = in_base().tick("2510").decision
    fields = recorded_fields(made)
    assert fields["memory"].pop("last_number") == made.state.last_number
    del fields["memory"]["squeezed"]
    older = decoded(fields)
    assert older is not None
    assert (older.state.last_number, older.state.squeezed) == (StrategyState().last_number, False)
    assert (older.state.high, older.trail) == (made.state.high, made.trail)


def test_without_a_field_that_has_no_default_there_is_no_decision() -> None:
    fields = recorded_fields(in_base().tick("2510").decision)
    del fields["u"]
    assert decoded(fields) is None


def test_the_blocks_of_an_older_record_follow_from_its_other_fields() -> None:
    made = in_base().tick("2510", trading_paused=True).decision
    fields = recorded_fields(made)
    assert fields.pop("exit_blocks") == ["trading paused"]
    assert decoded(fields) == made
