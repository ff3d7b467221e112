"""How an exit ends, and what we hold then.

One that completes makes us the other side, at its own average. One that ends half-way makes us whatever
is worth more; one that never filled leaves everything as it was.
"""

from dataclasses import replace
from decimal import Decimal

from trailingedge.model.intent import ExitEndReason, ExitKind, ExitProgress
from trailingedge.model.market import ZERO, Regime, Side
from trailingedge.strategy.evaluation import Evaluation
from trailingedge.strategy.regime import more_valuable_regime
from trailingedge.strategy.signals import ExitEnded, GateShut, Origin
from trailingedge.strategy.state import ActiveExit, ReentryGate, ShutBy


def finish_exit(beat: Evaluation) -> None:
    """Close the books of an exit that is over."""
    exit_ = beat.state.exit
    if exit_ is None:
        return
    progress = beat.progress_of(exit_)
    if progress is not None and progress.complete is not None:
        if progress.filled_base > ZERO:
            # Also where it was being withdrawn: the fill won the race.
            _finish_filled(beat, exit_, progress, progress.complete)
        else:
            _drop_exit(beat, exit_, progress.complete)
    elif exit_.ending is not None and (progress is None or progress.idle):
        _finish_unfilled(beat, exit_, progress, exit_.ending)


def _finish_filled(beat: Evaluation, exit_: ActiveExit, progress: ExitProgress, cause: ExitEndReason) -> None:
    average = progress.filled_quote / progress.filled_base
    price, market_ms = float(average), beat.inputs.market_ms
    beat.state = replace(beat.state, exit=None)
    regime = Regime.QUOTE if exit_.side is Side.SELL else Regime.BASE
    _signal_end(beat, exit_, progress, cause, regime)
    beat.set_anchor(regime, price, Origin.EXIT)
    if exit_.kind is ExitKind.FLUSH:
        channel = beat.inputs.channel
        beat.state = replace(beat.state, gate=ReentryGate(ShutBy.HARD_STOP, price, market_ms))
        beat.events.append(GateShut(ShutBy.HARD_STOP, price, None if channel is None else channel.mid))


def _finish_unfilled(beat: Evaluation, exit_: ActiveExit, progress: ExitProgress | None, cause: ExitEndReason) -> None:
    filled = progress is not None and progress.filled_base > ZERO
    if not filled and cause is not ExitEndReason.CANCELLED:
        _drop_exit(beat, exit_, cause)
        return
    top, holdings, held = beat.inputs.top, beat.inputs.holdings, beat.state.regime
    if top is None or holdings is None or held is None:
        return  # which side is worth more takes a price and a balance: wait, nothing is on the book
    regime = more_valuable_regime(holdings, top, beat.params) or held
    beat.state = replace(beat.state, exit=None)
    _signal_end(beat, exit_, progress, cause, regime, holdings.amount_in(regime.other) if filled else None)
    if cause is ExitEndReason.CANCELLED:
        beat.set_anchor(regime, beat.exit_price(regime), Origin.MARKET)
    elif regime is not held and progress is not None:
        beat.set_anchor(regime, float(progress.filled_quote / progress.filled_base), Origin.EXIT)


def _drop_exit(beat: Evaluation, exit_: ActiveExit, cause: ExitEndReason) -> None:
    """Nothing was filled: side, anchor and high are what they were."""
    beat.state = replace(beat.state, exit=None)
    if beat.state.regime is not None:
        _signal_end(beat, exit_, None, cause, beat.state.regime)


def _signal_end(
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
