"""Tests of the recorded core: each input is written down once, with what the core answered."""

import inspect
from typing import Any, Final

import pytest
from tests.execution.test_trading_core import Bench

from trailingedge.core.errors import BrokenInvariant
from trailingedge.eventlog.format import RecordEntry
from trailingedge.eventlog.recorded_core import RECORDED_CALLS, RecordedCore
from trailingedge.eventlog.writer import MemoryRecord
from trailingedge.execution import trading_core
from trailingedge.execution.trading_core import TradingCore
from trailingedge.model.market import ZERO
from trailingedge.strategy.inputs import StrategyCommand

# Evaluations have lines of their own; the others change nothing that a later tick depends on. A plan is void after the
# next tick, and a requote is recorded only if it was sent.
EVALUATIONS: Final = {"tick", "shutdown_tick", "on_replace_sent"}
HARMLESS: Final = {"can_spare", "holdings", "exit_age_s", "find_due", "plan_ahead", "invalidate_plan"}


def recorded_bench(monkeypatch: pytest.MonkeyPatch) -> tuple[Bench, list[RecordEntry]]:
    """A bench of the trading core, whose core is a recorded one, and the entries that it writes."""
    record = MemoryRecord()

    def build(*args: Any, **named: Any) -> TradingCore:
        core = RecordedCore(record, lambda: 7, *args)
        core._paused = named.get("paused", False)
        return core

    monkeypatch.setattr("tests.execution.test_trading_core.TradingCore", build)
    bench = Bench()
    record.entries.clear()
    return bench, record.entries


def test_every_method_that_changes_what_the_core_does_is_recorded() -> None:
    methods = {
        name for name, member in vars(TradingCore).items() if inspect.isfunction(member) and not name.startswith("_")
    }
    assert methods == RECORDED_CALLS | EVALUATIONS | HARMLESS
    assert all(name in vars(RecordedCore) for name in RECORDED_CALLS | EVALUATIONS)


def test_a_call_is_recorded_with_the_names_of_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, entries = recorded_bench(monkeypatch)
    bench.trader.submit(StrategyCommand.FLIP)
    bench.trader.on_transfer("ETH", delta=ZERO)
    assert bench.trader.halt("two orders")
    assert entries == [
        ("call", 7, "submit", {"command": StrategyCommand.FLIP}, None),
        ("call", 7, "on_transfer", {"asset": "ETH", "delta": ZERO}, None),
        ("call", 7, "halt", {"reason": "two orders"}, None),
    ]


def test_what_a_tick_calls_in_turn_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, entries = recorded_bench(monkeypatch)
    bench.tick()
    assert [entry[0] for entry in entries] == ["tick"]
    bench.trader.take_in(1.0)
    assert [entry[0] for entry in entries] == ["tick", "call"]


def test_a_tick_is_recorded_with_view_and_result(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, entries = recorded_bench(monkeypatch)
    bench.tick()
    bench.trader.submit(StrategyCommand.FLIP)
    commands = bench.tick()
    kind, view, _, recorded, events, decision, raised = entries[-1]
    assert (kind, recorded, decision, raised) == ("tick", tuple(commands), bench.trader.decision, None)
    assert commands
    assert "ExitStarted" in {type(event).__name__ for event in events}
    assert view.top is not None


def test_an_error_of_the_core_is_recorded_and_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, entries = recorded_bench(monkeypatch)

    def fail(*_: object) -> None:
        raise BrokenInvariant("a mistake")

    monkeypatch.setattr(trading_core, "decide", fail)
    with pytest.raises(BrokenInvariant, match="a mistake"):
        bench.tick()
    assert str(entries[-1][-1]) == "a mistake"
    assert isinstance(bench.trader, RecordedCore)
    assert not bench.trader.is_inside
    monkeypatch.setattr(bench.trader.maker_exit, "on_disconnect", fail)
    with pytest.raises(BrokenInvariant, match="a mistake"):
        bench.trader.on_disconnect(1.0)
    assert entries[-1][:4] == ("call", 7, "on_disconnect", {"now_s": 1.0})
    assert str(entries[-1][-1]) == "a mistake"
    assert not bench.trader.is_inside
