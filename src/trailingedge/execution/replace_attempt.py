"""A replace attempt: one cancel-replace request, its old order, its new order, and what we know about both.

Theory of operation. The exchange cancels the old order and then places the new one. If the cancel fails, it does not
try the new one (STOP_ON_FAILURE). We learn about the two halves separately: from the reply, from execution reports and
from answers to queries, in any order, late, twice or never. A report has the client order id, which all orders of an
exit share, so it does not say which request led to its order. The states:

- PENDING: the request was sent, and there is no reply yet.
- BOTH_UNKNOWN: no outcome came back. The old order is queried first.
- OLD_GONE: the old order is cancelled, and only the new one is in question. A plain placement begins in this state.
- UNTRIED: the old order rests, or it has filled or expired. So we presume that the new one was not tried. If the old
  one is found cancelled later, the request may have done it after all, and the new one is in question again.
- NOT_FOUND: repeated queries did not find the new order. We presume that it does not exist.
- ID_TAKEN: the exchange refused the new order because an order with the same client order id is open. That order is
  looked for. It belongs to an earlier request, or to another instance.
- REPORTED: a report or a query gave the new order its order id. The reply has not confirmed it.
- CONTESTED: as REPORTED, but because of this report, another attempt to replace the same old order was ruled out. If
  the reply then has a different order id, the reported order belongs to that other attempt, and not to another
  instance.
- DONE: the new order is on the book, or was on it. FAILED: the request led to no order.

A presumption (UNTRIED, NOT_FOUND) ends with a report or a late reply. DONE and FAILED ignore late and repeated
messages, except that a report or a reply with an order id turns FAILED into DONE. The diagram is drawn from TRANSITIONS
by `python -m tests.execution.order_diagram`, and a test compares the two:

    PENDING ─┬─ UNANSWERED ──> BOTH_UNKNOWN
             ├─ OLD_CANCELED ──> OLD_GONE
             ├─ ID_TAKEN, REPORTED ──> the state of that name
             ├─ REFUSED, RULED_OUT ──> FAILED
             └─ CONFIRMED ──> DONE
    BOTH_UNKNOWN ─┬─ OLD_CANCELED ──> OLD_GONE
                  ├─ OLD_WORKING, OLD_ENDED, NOT_FOUND ──> UNTRIED
                  ├─ ID_TAKEN, REPORTED ──> the state of that name
                  ├─ REFUSED, RULED_OUT ──> FAILED
                  └─ CONFIRMED ──> DONE
    OLD_GONE ─┬─ NOT_FOUND, ID_TAKEN, REPORTED ──> the state of that name
              ├─ REFUSED, RULED_OUT ──> FAILED
              └─ CONFIRMED ──> DONE
    UNTRIED ─┬─ OLD_CANCELED ──> OLD_GONE
             ├─ REPORTED ──> the state of that name
             ├─ ID_TAKEN, REFUSED, RULED_OUT ──> FAILED
             └─ CONFIRMED ──> DONE
    NOT_FOUND ─┬─ REPORTED ──> the state of that name
               ├─ ID_TAKEN, REFUSED, RULED_OUT ──> FAILED
               └─ CONFIRMED ──> DONE
    ID_TAKEN ─┬─ OLD_WORKING, OLD_ENDED, NOT_FOUND, REFUSED, RULED_OUT ──> FAILED
              └─ REPORTED, CONFIRMED ──> DONE
    REPORTED ─┬─ RIVAL_RULED_OUT ──> CONTESTED
              ├─ REFUSED ──> FAILED
              └─ CONFIRMED ──> DONE
    CONTESTED ─── REFUSED, CONFIRMED ──> DONE
    DONE is final
    FAILED ─── REPORTED, CONFIRMED ──> DONE
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final

from trailingedge.core.errors import BrokenInvariant
from trailingedge.execution.order import Order, OrderState, OrderTrigger


class AttemptState(Enum):
    """The state of a replace attempt, as far as we know."""

    PENDING = "pending"
    BOTH_UNKNOWN = "both unknown"
    OLD_GONE = "old gone"
    UNTRIED = "presumed untried"
    NOT_FOUND = "presumed absent"
    ID_TAKEN = "client order id taken"
    REPORTED = "reported"
    CONTESTED = "reported, may be another attempt's"
    DONE = "done"
    FAILED = "failed"

    __hash__ = object.__hash__  # as for `Side`


class AttemptTrigger(Enum):
    """An event that can change the state of a replace attempt."""

    OLD_CANCELED = "the old order was cancelled"
    OLD_WORKING = "the old order rests"
    OLD_ENDED = "the old order filled or expired"
    UNANSWERED = "no outcome"
    NOT_FOUND = "new order not found by repeated queries"
    REPORTED = "order id of the new order by report or query"
    CONFIRMED = "order id of the new order by a reply"
    REFUSED = "the reply denies the new order, or its order id"
    ID_TAKEN = "new order refused as a duplicate"
    RULED_OUT = "another request cancelled the old order"
    RIVAL_RULED_OUT = "another attempt was ruled out for this one"

    __hash__ = object.__hash__  # as for `Side`


def _table() -> dict[tuple[AttemptState, AttemptTrigger], AttemptState]:
    s, t = AttemptState, AttemptTrigger
    in_question = (s.PENDING, s.BOTH_UNKNOWN, s.OLD_GONE, s.UNTRIED, s.NOT_FOUND, s.ID_TAKEN)
    rows = (
        ((s.PENDING,), (t.UNANSWERED,), s.BOTH_UNKNOWN),
        ((s.PENDING, s.BOTH_UNKNOWN, s.UNTRIED), (t.OLD_CANCELED,), s.OLD_GONE),
        ((s.BOTH_UNKNOWN,), (t.OLD_WORKING, t.OLD_ENDED, t.NOT_FOUND), s.UNTRIED),
        # The exchange carries out both halves together. With the old order off the book already, a new order that
        # queries do not find will not appear later, so no later event puts it in question again.
        ((s.OLD_GONE,), (t.NOT_FOUND,), s.NOT_FOUND),
        ((s.PENDING, s.BOTH_UNKNOWN, s.OLD_GONE), (t.ID_TAKEN,), s.ID_TAKEN),
        (in_question[:-1], (t.REPORTED,), s.REPORTED),
        ((s.UNTRIED, s.NOT_FOUND), (t.ID_TAKEN,), s.FAILED),
        ((s.ID_TAKEN,), (t.OLD_WORKING, t.OLD_ENDED, t.NOT_FOUND), s.FAILED),
        (in_question, (t.REFUSED, t.RULED_OUT), s.FAILED),
        # No reply can deny the order id any more. The order is ours, of an earlier session if the exchange refused it.
        ((s.ID_TAKEN, s.FAILED), (t.REPORTED,), s.DONE),
        ((s.REPORTED,), (t.RIVAL_RULED_OUT,), s.CONTESTED),
        ((s.REPORTED,), (t.REFUSED,), s.FAILED),
        ((s.CONTESTED,), (t.REFUSED,), s.DONE),
        ((*in_question, s.REPORTED, s.CONTESTED, s.FAILED), (t.CONFIRMED,), s.DONE),
    )
    return {
        (source, trigger): target for sources, triggers, target in rows for source in sources for trigger in triggers
    }


TRANSITIONS: Final[Mapping[tuple[AttemptState, AttemptTrigger], AttemptState]] = _table()

# Triggers that say nothing to a state without a row for them. The old order is looked at after every event.
_IGNORED: Final = frozenset(
    {
        AttemptTrigger.OLD_CANCELED,
        AttemptTrigger.OLD_WORKING,
        AttemptTrigger.OLD_ENDED,
        AttemptTrigger.UNANSWERED,
        AttemptTrigger.RIVAL_RULED_OUT,
    }
)

_PRESUMED: Final = frozenset({AttemptState.UNTRIED, AttemptState.NOT_FOUND})
_MAY_BE_REPORTED: Final = _PRESUMED | {AttemptState.PENDING, AttemptState.BOTH_UNKNOWN, AttemptState.OLD_GONE}

_TRIGGER_OF_OLD: Final[Mapping[OrderState, AttemptTrigger]] = {
    OrderState.CANCELED: AttemptTrigger.OLD_CANCELED,
    OrderState.WORKING: AttemptTrigger.OLD_WORKING,
    OrderState.FILLED: AttemptTrigger.OLD_ENDED,
    OrderState.EXPIRED: AttemptTrigger.OLD_ENDED,
}


def next_state(state: AttemptState, trigger: AttemptTrigger) -> AttemptState:
    """Return the state that an attempt in `state` has after `trigger`.

    Raises BrokenInvariant if the table has no such transition.
    """
    following = TRANSITIONS.get((state, trigger))
    if following is not None:
        return following
    if trigger in _IGNORED or state in (AttemptState.DONE, AttemptState.FAILED) or state.name == trigger.name:
        return state
    raise BrokenInvariant(f"no transition from replace attempt state {state.name} on {trigger.name}")


class ReplaceAttempt:
    """One request for a new order `new`, which replaces the order `old`. `old` is None for a plain placement.

    `new` has no order id at first.
    """

    __slots__ = ("new", "old", "state")

    def __init__(self, new: Order, old: Order | None = None, state: AttemptState | None = None) -> None:
        self.new = new
        self.old = old
        self.state = state or (AttemptState.OLD_GONE if old is None else AttemptState.PENDING)

    @property
    def may_be_reported(self) -> bool:
        """Whether a new order may exist although no message has given us its order id yet."""
        return self.state in _MAY_BE_REPORTED

    @property
    def presumed_failed(self) -> bool:
        """Whether we presume, without proof, that the request led to no order."""
        return self.state in _PRESUMED

    @property
    def failed(self) -> bool:
        """Whether the request led to no order."""
        return self.state is AttemptState.FAILED

    @property
    def refused(self) -> bool:
        """Whether the exchange refused the request, so that no order id can belong to it."""
        return self.failed or self.state is AttemptState.ID_TAKEN

    def apply(self, trigger: AttemptTrigger) -> None:
        """Change to the state that follows `trigger`.

        If the new order has no order id yet, change its state accordingly.
        """
        self.state = next_state(self.state, trigger)
        if self.new.without_order_id:
            if self.presumed_failed or self.failed:
                self.new.apply(OrderTrigger.REJECTED)
            elif self.new.state is OrderState.REJECTED and self.state is AttemptState.OLD_GONE:
                self.new.apply(OrderTrigger.REOPENED)

    def follow_old_order(self) -> None:
        """Derive the attempt's state from that of the old order, if it is unknown whether the new order exists."""
        trigger = None if self.old is None else _TRIGGER_OF_OLD.get(self.old.state)
        if trigger is not None and (self.may_be_reported or self.state is AttemptState.ID_TAKEN):
            self.apply(trigger)
