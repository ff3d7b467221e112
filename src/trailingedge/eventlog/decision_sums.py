"""Decision sums: checksums of the decisions in a session record, so that a replay can compare every number of a
decision.

A decision has dozens of numbers, and some of them change with every price. Written out, they would take as much space
as the frames. So the record contains, for each decision, only a checksum of the fields that have changed since the
decision before. A whole decision is written only if its key changes; the key has the parts that matter for the next
action. If a replay computes a different number in a tick, the checksum of that tick differs.
"""

import zlib
from collections.abc import Iterator
from typing import Final

from trailingedge.eventlog.json_values import JsonValues, KnownFields, fields_within
from trailingedge.strategy.decide import Decision

_SUM_BITS: Final = (1 << 24) - 1  # a shorter number: there is one in most ticks, and it cannot be compressed
DECISION_FIELDS: Final = fields_within(Decision)


class DecisionSums:
    """Makes the record lines of the decisions of one session, in order.

    `known` are the fields that the record's header names. A field that was added to the program later is left out of
    the checksums.
    """

    def __init__(self, known: KnownFields) -> None:
        self._values = JsonValues(known)
        self._last: Decision | None = None
        self._key: tuple[object, ...] = ()

    def lines(self, decision: Decision | None) -> Iterator[str]:
        """Yield the record line for `decision`; nothing if the decision has not changed."""
        checksum, whole = self.sum_of(decision)
        if checksum is not None:
            yield f'["decision",{checksum},{whole}]' if whole else f'["decision",{checksum}]'

    def sum_of(self, decision: Decision | None) -> tuple[int | None, str]:
        """Return the checksum of the changed fields, and the text of the decision if it must be written whole.

        The checksum is None if nothing changed. The text is "" if the decision need not be written whole.
        """
        if decision is None or decision is self._last:
            return None, ""
        changed = self._values.changes(self._last, decision)
        self._last = decision
        if not changed:
            return None, ""
        checksum = zlib.crc32(f"{{{changed}}}".encode()) & _SUM_BITS
        key = decision_key(decision)
        if key == self._key:
            return checksum, ""
        self._key = key
        return checksum, self._values.to_text(decision)


def decision_key(decision: Decision) -> tuple[object, ...]:
    """Return the key of a decision: the parts that matter for the next action."""
    state = decision.state
    active = state.exit
    return (
        decision.acted,
        state.phase,
        state.regime,
        None if state.gate is None else state.gate.shut_by,
        None if active is None else (active.kind, active.side, active.ending),
        decision.trading_paused,
        decision.halted,
        decision.trail is not None and decision.trail.armed,
    )
