"""Where two lives of a session part: what each of them is about there, in the words that the operator knows.

The market is the same for both up to there, so that one view of it serves both. Of the life that was recorded the
decision is in the record, and `why` has the same to say of it as it would have had then.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice
from typing import Final

from trailingedge.daemon import Daemon
from trailingedge.desk import Desk
from trailingedge.market import BookTop, Regime, SymbolRules
from trailingedge.notifications.look import judged
from trailingedge.notifications.status import ChaseView, StatusView
from trailingedge.notifications.why import why
from trailingedge.record.lines import decode
from trailingedge.record.reader import Head
from trailingedge.replay.comparison import Difference
from trailingedge.replay.revival import decision_of, reading_of
from trailingedge.replay.session_player import Player
from trailingedge.strategy.decision import Decision
from trailingedge.strategy.memory import Exit
from trailingedge.strategy.regime import price_at

_SHOWN: Final = 4
_WITHIN_NS: Final = 3_600_000_000_000  # an alert that came later has little to do with it
_OF_EXITS: Final = ("take-profit", "manual flip", "breakout armed", "hard stop", "flush", "gate", "halted", "second")


@dataclass(frozen=True, slots=True)
class Fork:
    """`then` and `now` say why the one and the other do what they do; None where that cannot be told.

    `rules` are known once it is ready. `top` is the book, None while there is none or where it has moved on since.
    `sequel` are alerts on exits that came next in the record, each with its time in nanoseconds since the beginning.
    """

    rules: SymbolRules | None = None
    top: BookTop | None = None
    then: str | None = None
    now: str | None = None
    sequel: tuple[tuple[int, str], ...] = ()


def fork_of(difference: Difference, player: Player, daemon: Daemon, head: Head) -> Fork:
    """As things stand; the record cannot be played any further after that."""
    in_step = difference.at_ns == player.at_ns
    said, sequel = _read_on(difference, player)
    desk = daemon.desk
    if desk is None:
        return Fork(sequel=sequel)
    view, held = desk.status(daemon.wire.reconnects), desk.trader.memory.exit
    decision = next(filter(None, map(decision_of, said)), None)
    before = reading_of(head, {}).settings
    view_then = replace(view, reserve_base=before.reserve_base, reserve_quote=before.reserve_quote)
    return Fork(
        rules=desk.rules,
        top=view.top if in_step else None,
        then=None if decision is None else reasons(decision, view_then, held, before.hard_stop_confirm_sec),
        now=_now(difference, desk, view, held, in_step=in_step),
        sequel=sequel,
    )


def reasons(decision: Decision, view: StatusView, held: Exit | None, confirm_s: float) -> str | None:
    """What `why` has to say of it. `view` is of another life at the same market, in which `held` is the exit.

    None where that life does not know enough of this one.
    """
    if decision.hold and not (view.paused or view.trips):
        return None
    seen = replace(
        view,
        phase=decision.phase.value,
        top=_top(decision, view),
        paused=view.paused and decision.hold,
        trips=view.trips if decision.hold else (),
        held=decision.hold,
        halted=decision.halted,
        chase=_chase(decision, view, held),
    )
    return why(judged(seen, decision, confirm_s), decision)


def _now(difference: Difference, desk: Desk, view: StatusView, held: Exit | None, *, in_step: bool) -> str | None:
    if in_step:
        return why(view, desk.trader.decision)
    decision = decision_of(difference.now)
    return None if decision is None else reasons(decision, view, held, view.stop_confirm_s)


def _top(decision: Decision, view: StatusView) -> BookTop | None:
    """The book that it was judged by. Where that is another one by now, the side that counts is known."""
    regime, top, tick = decision.regime, view.top, view.rules.tick_size
    if regime is None or decision.u is None:
        return top
    price = Decimal(repr(price_at(regime, decision.u))).quantize(tick)
    if top is not None and price == (top.bid if regime is Regime.BASE else top.ask):
        return top
    bid = price if regime is Regime.BASE else max(tick / 2, price - tick)
    return BookTop(bid, max(price, bid + tick))


def _chase(decision: Decision, view: StatusView, held: Exit | None) -> ChaseView | None:
    exit_ = decision.memory.exit
    if exit_ is None:
        return None
    if view.chase is not None and held is not None and held.number == exit_.number:
        return replace(view.chase, kind=exit_.kind, ending=exit_.ending)
    age_s = max(0, view.market_ms - exit_.started_ms) / 1000
    return ChaseView(exit_.kind, exit_.side, age_s, ending=exit_.ending)


def _read_on(difference: Difference, player: Player) -> tuple[list[bytes], tuple[tuple[int, str], ...]]:
    """What else the record says of the same moment, from the difference on; and alerts on exits after that."""
    said: list[bytes] = [] if difference.recorded is None else [difference.recorded]
    alerts = _alerts(difference, player, said)
    return said, tuple(islice(alerts, _SHOWN))


def _alerts(difference: Difference, player: Player, said: list[bytes]) -> Iterator[tuple[int, str]]:
    begun = False
    for at_ns, line in player.sequel():
        if at_ns > difference.at_ns + _WITHIN_NS:
            return
        begun = begun or line == difference.recorded
        if begun and at_ns == difference.at_ns:
            said.append(line)
        if line.startswith(b'["alert"'):
            _, _, text = decode(line)
            if text.startswith(_OF_EXITS):
                yield at_ns, text
