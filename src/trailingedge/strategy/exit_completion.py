"""How an exit ends, and what we hold then.

One that completes makes us the other side, at its own average. One that ends half-way makes us whatever
is worth more; one that never filled leaves everything as it was.
"""

from dataclasses import replace
from decimal import Decimal

from trailingedge.model.intent import ExitEndReason, ExitKind, ExitProgress
from trailingedge.model.market import ZERO, Regime, Side
from trailingedge.strategy.evaluation import Evaluation
from trailingedge.strategy.regime import worth_more
from trailingedge.strategy.signals import ExitEnded, GateShut, Origin
from trailingedge.strategy.state import ActiveExit, ReentryGate, ShutBy


def conclude(beat: Evaluation) -> None:
    """Close the books of an exit that is over."""
    exit_ = beat.state.exit
    if exit_ is None:
        return
    progress = beat.progress_of(exit_)
    if progress is not None and progress.complete is not None:
        if progress.filled_base > ZERO:
            # Also where it was being withdrawn: the fill won the race.
            _complete(beat, exit_, progress, progress.complete)
        else:
            _leave(beat, exit_, progress.complete)
    elif exit_.ending is not None and (progress is None or progress.idle):
        _end_unfinished(beat, exit_, progress, exit_.ending)


def _complete(beat: Evaluation, exit_: ActiveExit, progress: ExitProgress, cause: ExitEndReason) -> None:
    average = progress.filled_quote / progress.filled_base
    price, market_ms = float(average), beat.inputs.market_ms
    beat.state = replace(beat.state, exit=None)
    regime = Regime.QUOTE if exit_.side is Side.SELL else Regime.BASE
    _tell(beat, exit_, progress, cause, regime)
    beat.anchor(regime, price, Origin.EXIT)
    if exit_.kind is ExitKind.FLUSH:
        channel = beat.inputs.channel
        beat.state = replace(beat.state, gate=ReentryGate(ShutBy.FLUSH, price, market_ms))
        beat.events.append(GateShut(ShutBy.FLUSH, price, None if channel is None else channel.mid))


def _end_unfinished(beat: Evaluation, exit_: ActiveExit, progress: ExitProgress | None, cause: ExitEndReason) -> None:
    filled = progress is not None and progress.filled_base > ZERO
    if not filled and cause is not ExitEndReason.WITHDRAWN:
        _leave(beat, exit_, cause)
        return
    top, holdings, held = beat.inputs.top, beat.inputs.holdings, beat.state.regime
    if top is None or holdings is None or held is None:
        return  # which side is worth more takes a price and a balance: wait, nothing is on the book
    regime = worth_more(holdings, top, beat.params) or held
    beat.state = replace(beat.state, exit=None)
    _tell(beat, exit_, progress, cause, regime, holdings.of(regime.other) if filled else None)
    if cause is ExitEndReason.WITHDRAWN:
        beat.anchor(regime, beat.price_in(regime), Origin.MARKET)
    elif regime is not held and progress is not None:
        beat.anchor(regime, float(progress.filled_quote / progress.filled_base), Origin.EXIT)


def _leave(beat: Evaluation, exit_: ActiveExit, cause: ExitEndReason) -> None:
    """Nothing was filled: side, anchor and high are what they were."""
    beat.state = replace(beat.state, exit=None)
    if beat.state.regime is not None:
        _tell(beat, exit_, None, cause, beat.state.regime)


def _tell(
    beat: Evaluation,
    exit_: ActiveExit,
    progress: ExitProgress | None,
    cause: ExitEndReason,
    regime: Regime,
    idle: Decimal | None = None,
) -> None:
    filled_base = ZERO if progress is None else progress.filled_base
    filled_quote = ZERO if progress is None else progress.filled_quote
    beat.events.append(
        ExitEnded(
            kind=exit_.kind,
            side=exit_.side,
            number=exit_.number,
            cause=cause,
            filled_base=filled_base,
            filled_quote=filled_quote,
            average=filled_quote / filled_base if filled_base > ZERO else None,
            regime=regime,
            started_ms=exit_.started_ms,
            mid_price=exit_.mid_price,
            idle=idle,
        )
    )
