"""The end of an exit, and the regime after it.

An exit that filled puts us in the other regime, anchored at its average price. An exit that ended part-filled puts us
in the regime whose asset is worth more. An exit without a fill changes neither regime nor anchor.
"""

from dataclasses import replace
from decimal import Decimal

from trailingedge.model.intent import ExitEndReason, ExitKind, ExitProgress
from trailingedge.model.market import ZERO, Regime, Side
from trailingedge.strategy.evaluation import Evaluation
from trailingedge.strategy.regime import more_valuable_regime
from trailingedge.strategy.signals import ExitEnded, GateShut, Origin
from trailingedge.strategy.state import ActiveExit, ReentryGate, ShutBy


def finish_exit(evaluation: Evaluation) -> None:
    """Finish an exit that is over: filled, or cancelled with no order of it left that could fill."""
    exit_ = evaluation.state.exit
    if exit_ is None:
        return
    progress = evaluation.progress_of(exit_)
    # Execution knows first that nothing is left to sell, whether the exit was being cancelled or not.
    if progress is not None and progress.complete is not None:
        if progress.filled_base > ZERO:
            # Also while it was being cancelled: the last fill and our cancel crossed on the wire, and the fill counts.
            _finish_filled(evaluation, exit_, progress, progress.complete)
        else:
            _drop_exit(evaluation, exit_, progress.complete)
    elif exit_.ending is not None and (progress is None or progress.idle):
        _finish_unfilled(evaluation, exit_, progress, exit_.ending)


def _finish_filled(evaluation: Evaluation, exit_: ActiveExit, progress: ExitProgress, cause: ExitEndReason) -> None:
    average = progress.filled_quote / progress.filled_base
    price, market_ms = float(average), evaluation.inputs.market_ms
    evaluation.state = replace(evaluation.state, exit=None)
    regime = Regime.QUOTE if exit_.side is Side.SELL else Regime.BASE
    _signal_end(evaluation, exit_, progress, cause, regime)
    evaluation.set_anchor(regime, price, Origin.EXIT)
    # The first close after it is compared with the average price of the flush.
    if exit_.kind is ExitKind.FLUSH:
        channel = evaluation.inputs.channel
        evaluation.state = replace(evaluation.state, gate=ReentryGate(ShutBy.HARD_STOP, price, market_ms))
        evaluation.events.append(GateShut(ShutBy.HARD_STOP, price, None if channel is None else channel.mid))


def _finish_unfilled(
    evaluation: Evaluation, exit_: ActiveExit, progress: ExitProgress | None, cause: ExitEndReason
) -> None:
    filled = progress is not None and progress.filled_base > ZERO
    # A cancel by the operator sets a new anchor even without a fill: he has looked at the price and decided to stay.
    if not filled and cause is not ExitEndReason.CANCELLED:
        _drop_exit(evaluation, exit_, cause)
        return
    top, holdings, held = evaluation.inputs.top, evaluation.inputs.holdings, evaluation.state.regime
    if top is None or holdings is None or held is None:
        # Which regime is worth more takes a price and settled balances. Waiting is safe: no order is on the book.
        return
    regime = more_valuable_regime(holdings, top, evaluation.params) or held
    evaluation.state = replace(evaluation.state, exit=None)
    _signal_end(evaluation, exit_, progress, cause, regime, holdings.amount_in(regime.other) if filled else None)
    if cause is ExitEndReason.CANCELLED:
        evaluation.set_anchor(regime, evaluation.exit_price(regime), Origin.MARKET)
    # More than half was traded: the regime changed, at the average of our own fills. With less, the old anchor stays.
    elif regime is not held and progress is not None:
        evaluation.set_anchor(regime, float(progress.filled_quote / progress.filled_base), Origin.EXIT)


def _drop_exit(evaluation: Evaluation, exit_: ActiveExit, cause: ExitEndReason) -> None:
    """End an exit without a fill: regime, anchor and high stay as they are."""
    evaluation.state = replace(evaluation.state, exit=None)
    if evaluation.state.regime is not None:
        _signal_end(evaluation, exit_, None, cause, evaluation.state.regime)


def _signal_end(
    evaluation: Evaluation,
    exit_: ActiveExit,
    progress: ExitProgress | None,
    cause: ExitEndReason,
    regime: Regime,
    idle: Decimal | None = None,
) -> None:
    filled_base = ZERO if progress is None else progress.filled_base
    filled_quote = ZERO if progress is None else progress.filled_quote
    evaluation.events.append(
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
