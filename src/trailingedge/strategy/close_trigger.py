"""Close trigger (TRIGGER_ON=close): which candle close an evaluation judges.

Take-profit, hard stop (BASE) and high then follow the closes of candles alone. Each close is judged once, at the first
evaluation with a trusted book and settled balances. Mostly that is the evaluation that receives the close; after a
restart or a gap in the feed it is a later one. Of several closes only the newest is judged. The functions do nothing
with TRIGGER_ON=tick.
"""

from trailingedge.strategy.bar_close import raise_high_to_close
from trailingedge.strategy.blocks import TradeBlock
from trailingedge.strategy.evaluation_context import Evaluation
from trailingedge.strategy.exit_completion import is_sold_out


def take_in_closes(evaluation: Evaluation) -> None:
    """Set the close that this evaluation judges, and raise the high to the closes since the last evaluation.

    A close from before the anchor, or one that arrives together with the last fill of an exit, is not judged.
    """
    state, params = evaluation.state, evaluation.params
    if not params.trigger_on.at_close or evaluation.side_is_new or state.regime is None or not state.funded:
        return
    if is_sold_out(evaluation):
        return
    closes = [(state.last_close, state.last_close_ms)]
    closes += [(float(each.kline.close), each.kline.close_ms) for each in evaluation.inputs.closed_klines]
    for close, close_ms in closes:
        state = raise_high_to_close(state, close, close_ms)
    evaluation.state = state
    # A reconnect may repeat closes that are known.
    close, close_ms = max(closes, key=lambda each: each[1])
    if close_ms > max(state.anchor_ms, state.judged_close_ms):
        evaluation.judged_close, evaluation.judged_close_ms = close, close_ms


def mark_judged(evaluation: Evaluation) -> None:
    """Note that the close has been judged, unless book or balances were missing: then it is judged again."""
    if evaluation.judged_close is None:
        return
    blocks = evaluation.exit_blocks()
    if TradeBlock.NO_BOOK not in blocks and TradeBlock.UNSETTLED not in blocks:
        evaluation.state = evaluation.state.with_judged_close(evaluation.judged_close_ms)
