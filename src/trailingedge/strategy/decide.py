"""One beat of thought: what is over, where we stand, and the first rule that has something to say.

Exits are latched: a rule that is true for one beat starts one, and it lasts until it is filled, too small
to go on, withdrawn, or upgraded to a flush. In between, only the rows above the take-profit matter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from trailingedge.model.intent import Want
from trailingedge.strategy import rules
from trailingedge.strategy.beat import Beat
from trailingedge.strategy.decision import Decision, Rule
from trailingedge.strategy.events import Event
from trailingedge.strategy.exits import conclude
from trailingedge.strategy.inputs import Inputs, Params
from trailingedge.strategy.memory import Memory
from trailingedge.strategy.standing import raise_high, see_regime, take_stock

# First match acts.
TABLE: Final[tuple[tuple[Rule, Callable[[Beat], bool]], ...]] = (
    (Rule.HALT, rules.halt),
    (Rule.WITHDRAW, rules.withdraw),
    (Rule.BASE_STOP, rules.base_stop),
    (Rule.FLIP, rules.flip),
    (Rule.HOLD, rules.hold_buying),
    (Rule.EXPIRY, rules.expire),
    (Rule.CLOSES, rules.judge_closes),
    (Rule.TAKE_PROFIT, rules.take_profit),
    (Rule.BREAKOUT, rules.breakout),
)


@dataclass(frozen=True, slots=True)
class Step:
    """What one beat comes to: what to remember, to want, to explain and to tell."""

    memory: Memory
    want: Want | None
    decision: Decision
    events: tuple[Event, ...]


def decide(inputs: Inputs, memory: Memory, params: Params) -> Step:
    """The next step. Pure: the same arguments give the same answer."""
    beat = Beat(inputs, memory, params)
    conclude(beat)
    take_stock(beat)
    see_regime(beat)
    raise_high(beat)
    acted = next((rule for rule, acts in TABLE if acts(beat)), None)
    if not beat.closes_heard:
        rules.judge_closes(beat)  # a close comes only once, whatever was more urgent
    raise_high(beat)  # a gate that opened has set a new anchor
    return Step(beat.memory, beat.want(), explain(beat, acted), tuple(beat.events))


def explain(beat: Beat, acted: Rule | None) -> Decision:
    """Every number behind this beat."""
    memory, inputs = beat.memory, beat.inputs
    since = memory.stop_breach_since_ms
    return Decision(
        acted=acted,
        memory=memory,
        hold=inputs.hold,
        halted=inputs.halted,
        u=beat.u,
        trail=beat.trail(),
        stop_distance=beat.stop_distance,
        stop_breach_ms=None if since is None else inputs.market_ms - since,
        channel=inputs.channel,
        squeezed=memory.squeezed,
        holdings=beat.holdings,
    )
