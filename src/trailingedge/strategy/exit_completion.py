"""Exit completion: ends an exit that is over, and sets regime and anchor after it.

After a filled exit we are in the other regime, and the anchor is the average price of its fills.
After an exit that ended part-filled we are in the regime whose asset is worth more. An exit without
a fill changes neither regime nor anchor. If the operator cancelled the exit before it was filled,
the anchor becomes the market price.
"""

from dataclasses import replace
from decimal import Decimal

from trailingedge.model.intent import ExitEndReason, ExitProgress
from trailingedge.model.market import ZERO, Regime, Side
from trailingedge.model.order_size import can_order
from trailingedge.strategy.evaluation_context import Evaluation
from trailingedge.strategy.reentry_gate import gate_mid
from trailingedge.strategy.side_change import NewAnchor, after_filled_exit, after_partial_exit, side_after_partial_exit
from trailingedge.strategy.state import ActiveExit, StrategyState
from trailingedge.strategy.strategy_events import ExitEnded, GateShut, Origin


def finish_exit(evaluation: Evaluation) -> None:
    """Finish the exit in progress if it is over.

    It is over when it is filled, or when it was cancelled and none of its orders can fill any more.
    """
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
            top = evaluation.inputs.top
            if top is not None and not progress.rested:
                # On this book no order could be placed, so the next exit would end in the same way.
                evaluation.state = replace(evaluation.state, unorderable_book=(top.bid, top.ask))
    elif exit_.ending is not None and (progress is None or progress.idle):
        _finish_unfilled(evaluation, exit_, progress, exit_.ending)


def is_sold_out(evaluation: Evaluation) -> bool:
    """Whether the exit in progress has had its last fill, although execution has not settled it yet.

    None of its orders can fill any more then, and the unsold rest is too small for another order.
    """
    exit_ = evaluation.state.exit
    progress = None if exit_ is None else evaluation.progress_of(exit_)
    if exit_ is None or progress is None or progress.may_fill or not progress.filled_base:
        return False
    unsold, top = evaluation.unsold_amount(exit_), evaluation.inputs.top
    if unsold is None:
        return False
    # Without a trusted book, its own average is the nearest price.
    average = progress.filled_quote / progress.filled_base
    low, high = (average, average) if top is None else (top.bid, top.ask)
    return not can_order(evaluation.params, exit_.side, unsold, low, high)


def _finish_filled(evaluation: Evaluation, exit_: ActiveExit, progress: ExitProgress, cause: ExitEndReason) -> None:
    evaluation.side_is_new = True
    average, inputs = progress.filled_quote / progress.filled_base, evaluation.inputs
    new = after_filled_exit(exit_.kind, exit_.side, average, inputs.market_ms)
    evaluation.state = replace(evaluation.state, exit=None)
    _signal_end(evaluation, exit_, progress, cause, new.regime)
    evaluation.set_anchor(new)
    gate = evaluation.state.gate
    if new.shuts_gate and gate is not None:
        evaluation.events.append(GateShut(gate.shut_by, gate.price, gate_mid(inputs.channel)))


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
        return  # to compare the sides we need a price and balances: wait, nothing is on the book
    regime, market_ms = side_after_partial_exit(held, holdings, top, evaluation.params), evaluation.inputs.market_ms
    evaluation.side_is_new = regime is not held
    evaluation.state = replace(evaluation.state, exit=None)
    _signal_end(evaluation, exit_, progress, cause, regime, holdings.amount_in(regime.other) if filled else None)
    if cause is ExitEndReason.CANCELLED:
        evaluation.set_anchor(NewAnchor(market_ms, regime, evaluation.exit_price(regime), Origin.MARKET))
    elif progress is not None:
        new = after_partial_exit(held, regime, progress.filled_quote / progress.filled_base, market_ms)
        if new is not None:
            evaluation.set_anchor(new)


def _drop_exit(evaluation: Evaluation, exit_: ActiveExit, cause: ExitEndReason) -> None:
    """End an exit without a fill: regime, anchor and high stay as they are."""
    evaluation.state = replace(evaluation.state, exit=None)
    if evaluation.state.regime is not None:
        _signal_end(evaluation, exit_, None, cause, evaluation.state.regime)


def exit_cut_off(state: StrategyState, progress: ExitProgress | None) -> ExitEnded | None:
    """Return how the exit in progress ends with the session, when none of its orders can fill any more.

    It counts as cancelled by the operator, unless it was filled meanwhile. Returns None without an exit.
    """
    exit_ = state.exit
    if exit_ is None:
        return None
    regime = state.regime or (Regime.BASE if exit_.side is Side.SELL else Regime.QUOTE)
    if progress is not None and progress.number != exit_.number:
        progress = None
    filled = None if progress is None else progress.complete
    return _ended(exit_, progress, filled or ExitEndReason.CANCELLED, regime)


def _signal_end(
    evaluation: Evaluation,
    exit_: ActiveExit,
    progress: ExitProgress | None,
    cause: ExitEndReason,
    regime: Regime,
    idle: Decimal | None = None,
) -> None:
    evaluation.events.append(_ended(exit_, progress, cause, regime, idle))


def _ended(
    exit_: ActiveExit,
    progress: ExitProgress | None,
    cause: ExitEndReason,
    regime: Regime,
    idle: Decimal | None = None,
) -> ExitEnded:
    filled_base = ZERO if progress is None else progress.filled_base
    filled_quote = ZERO if progress is None else progress.filled_quote
    return ExitEnded(
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
