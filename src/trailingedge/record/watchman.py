"""What a beat has changed, as lines of a record."""

from trailingedge.execution.trading_core import Trader
from trailingedge.model.market import ExecutionReport
from trailingedge.model.market_state import View
from trailingedge.record.lines import Lines
from trailingedge.strategy.decide import Decision


class Watchman:
    """Notes events as they come, and the decision when it is about something else than before."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._about: tuple[object, ...] = ()

    def beat(self, trader: Trader, _: View) -> None:
        for news in trader.news:
            self._lines.add(("news", type(news).__name__, news))
        decision = trader.decision
        if decision is not None and (about := _about(decision)) != self._about:
            self._about = about
            self._lines.add(("decision", about[1:], decision))

    def report(self, _: ExecutionReport) -> None:
        """It is in the frame."""


def _about(decision: Decision) -> tuple[object, ...]:
    """What is a change of mind when it changes; the first of it, the time of the anchor, only if it does."""
    memory = decision.memory
    held = memory.exit
    return (
        memory.anchor_ms,
        decision.acted,
        memory.phase,
        memory.regime,
        None if memory.gate is None else memory.gate.shut_by,
        None if held is None else (held.kind, held.side, held.ending),
        decision.hold,
        decision.halted,
        decision.trail is not None and decision.trail.armed,
    )
