"""Evaluation: holds the inputs, the state that the rules change, and the signals that they add, for one tick.

`decide` creates one per tick and passes it to the functions of this module, of `exit_completion` and of
`decision_rules`.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Final

from trailingedge.indicators.donchian import Breakout
from trailingedge.model.intent import ExitEndReason, ExitKind, ExitProgress, OrderIntent
from trailingedge.model.market import ZERO, BookTop, Regime, Side
from trailingedge.strategy.blocks import TradeBlock, exit_blocks
from trailingedge.strategy.hard_stop import stop_distance
from trailingedge.strategy.inputs import Holdings, Inputs, StrategyParams
from trailingedge.strategy.side_change import NewAnchor, with_new_anchor
from trailingedge.strategy.state import ActiveExit, StrategyState
from trailingedge.strategy.strategy_events import (
    CommandRefused,
    ExitEnding,
    Funded,
    Origin,
    RegimeSet,
    StrategySignal,
    Unfunded,
)
from trailingedge.strategy.trailing_take_profit import Trail, trail_at
from trailingedge.strategy.unit_value import is_tradable, more_valuable_regime, unit_value

# A side that could not be traded can be again if it still could where the price moves by this fraction.
UNFUNDED_MARGIN: Final = Decimal("0.01")


class Evaluation:
    """Working values of one call of `decide`.

    `unit_value` is None while the regime (BASE or QUOTE) is unknown or the book is not trusted.
    `side_is_new` is true if this evaluation has ended an exit whose fills changed the side. `broke_out` is the
    direction of a breakout that began with the newest closed kline of this tick. `judged_close` is the close that this
    evaluation judges, None if it judges none (`close_trigger`).
    """

    __slots__ = (
        "_blocks",
        "_blocks_of",
        "_exit_price",
        "_trail",
        "_trail_of",
        "broke_out",
        "closed_klines_applied",
        "events",
        "inputs",
        "judged_close",
        "judged_close_ms",
        "params",
        "side_is_new",
        "state",
        "stop_distance",
        "unit_value",
    )

    def __init__(self, inputs: Inputs, state: StrategyState, params: StrategyParams) -> None:
        self.inputs = inputs
        self.state = state
        self.params = params
        self.stop_distance = stop_distance(inputs.channel, params)
        self.events: list[StrategySignal] = []
        self.closed_klines_applied = False
        self.side_is_new = False
        self.broke_out: Breakout | None = None
        self.judged_close: float | None = None
        self.judged_close_ms = -1
        # Several rules use these two. Beside the inputs they depend on nothing but the state, which is replaced and
        # never changed in place: they are computed again when it is another object.
        self._trail: Trail | None = None
        self._trail_of: StrategyState | None = None
        self._blocks: tuple[TradeBlock, ...] = ()
        self._blocks_of: StrategyState | None = None
        self._price_regime(state.regime)

    @property
    def holdings(self) -> Holdings | None:
        """Return the newest balances that account for every fill. They may be older than this tick.

        None means that no balances have accounted for every fill yet.
        """
        return self.inputs.holdings if self.inputs.holdings is not None else self.state.holdings

    def progress_of(self, exit_: ActiveExit) -> ExitProgress | None:
        """Return the progress of the orders of `exit_`.

        None if execution reports no progress for this exit.
        """
        # Execution may still report an exit that has just ended.
        progress = self.inputs.progress
        return progress if progress is not None and progress.number == exit_.number else None

    def set_anchor(self, new: NewAnchor) -> None:
        """Enter the regime of `new`, and set anchor and high to the unit value at its price."""
        self.events.append(RegimeSet(self.state.regime, new.regime, new.price, new.origin))
        self.state = with_new_anchor(self.state, new)
        self._price_regime(new.regime)

    def start_exit(self, kind: ExitKind, side: Side) -> ActiveExit:
        """Start a new exit.

        Its number is the exchange's time in ms, or the last number + 1 if that is larger.
        """
        # The number grows even if the clock was set back: two exits of one number would share a client order id. The
        # exchange would reject the second order, and a restart would read both exits as one.
        number = max(self.inputs.server_ms, self.state.last_number + 1)
        top = self.inputs.top
        started = ActiveExit(kind, side, number, self.inputs.market_ms, None if top is None else top.mid)
        self.state = replace(
            self.state, exit=started, last_number=number, stop_breach_since_ms=None, max_breach_since_ms=None
        )
        return started

    def end_exit(self, exit_: ActiveExit, cause: ExitEndReason) -> None:
        """Begin to cancel the exit in progress. The exit is over once none of its orders can fill any more."""
        self.events.append(ExitEnding(exit_.kind, exit_.side, exit_.number, cause))
        self.state = replace(
            self.state, exit=replace(exit_, ending=cause), stop_breach_since_ms=None, max_breach_since_ms=None
        )

    def refuse_command(self, reason: str) -> None:
        """Signal that the operator's command cannot be carried out now, and why."""
        if self.inputs.command is not None:
            self.events.append(CommandRefused(self.inputs.command, reason))

    def exit_blocks(self) -> tuple[TradeBlock, ...]:
        """The reasons why the strategy may not start a take-profit or breakout by itself; empty if it may."""
        if self._blocks_of is not self.state:
            inputs, self._blocks_of = self.inputs, self.state
            self._blocks = exit_blocks(
                self.state,
                halted=inputs.halted,
                has_book=self.unit_value is not None,
                paused=inputs.trading_paused,
                settled=inputs.holdings is not None,
            )
        return self._blocks

    def trail(self) -> Trail | None:
        """Return the take-profit numbers of this tick, at the close that is judged or else at the best price.

        None while the regime is unknown or the book is not trusted.
        """
        if self._trail_of is not self.state:
            state, self._trail, self._trail_of = self.state, None, self.state
            if state.regime is not None and self.unit_value is not None:
                price = self._exit_price if self.judged_close is None else self.judged_close
                self._trail = trail_at(state.regime, price, state.anchor, state.high, self.inputs.channel, self.params)
        return self._trail

    def exit_price(self, regime: Regime) -> float:
        """Return the price for leaving `regime` at once: the bid in BASE, the ask in QUOTE; 0 without a book."""
        top = self.inputs.top
        return 0.0 if top is None else float(top.bid if regime.is_base else top.ask)

    def _price_regime(self, regime: Regime | None) -> None:
        """Set the price for leaving `regime` at once, and the unit value at that price."""
        self._exit_price = 0.0
        self.unit_value: float | None = None
        if regime is not None and self.inputs.top is not None:
            self._exit_price = self.exit_price(regime)
            self.unit_value = unit_value(regime, self._exit_price)

    def intent(self) -> OrderIntent | None:
        """Return the order of the exit in progress: it trades all that we hold for the other asset.

        None means that no order is wanted: no exit is in progress, the exit is being cancelled, or
        no balances are known yet.
        """
        exit_ = self.state.exit
        funds = None if exit_ is None or exit_.ending is not None else self.unsold_amount(exit_)
        if exit_ is None or funds is None:
            return None
        # The hard stop has a pricing of its own, because a fall that lasts leaves a passive order behind.
        pricing = self.params.hard_stop_pricing if exit_.kind is ExitKind.FLUSH else self.params.exit_pricing
        return OrderIntent(exit_.side, funds, pricing, exit_.kind, exit_.number)

    def unsold_amount(self, exit_: ActiveExit) -> Decimal | None:
        """Return the amount that the exit has yet to sell, in the asset that it sells; None without known balances."""
        holdings = self.holdings
        if holdings is None:
            return None
        funds = holdings.base if exit_.side is Side.SELL else holdings.quote
        if self.inputs.holdings is not None:
            return funds
        # Balances arrive later than the fills that changed them. Until then, subtract the amount that was filled
        # since the last settled balances, or we would offer that amount a second time.
        return max(ZERO, funds - (self.sold_amount(exit_) - exit_.accounted))

    def sold_amount(self, exit_: ActiveExit) -> Decimal:
        """Return the amount that the exit has sold so far, in the asset that it sells."""
        progress = self.progress_of(exit_)
        if progress is None:
            return ZERO
        return progress.filled_base if exit_.side is Side.SELL else progress.filled_quote


def update_holdings(evaluation: Evaluation) -> None:
    """Store the balances if they account for every fill.

    If the book is not trusted, also store the time.
    """
    state, inputs = evaluation.state, evaluation.inputs
    if inputs.top is None:
        state = replace(state, untrusted_book_ms=inputs.market_ms)
    if inputs.holdings is not None:
        if inputs.holdings is not state.holdings and inputs.holdings != state.holdings:
            state = replace(state, holdings=inputs.holdings)
        if state.exit is not None and (sold := evaluation.sold_amount(state.exit)) != state.exit.accounted:
            state = replace(state, exit=replace(state.exit, accounted=sold))
    evaluation.state = state


def update_position_side(evaluation: Evaluation) -> None:
    """Set the regime from the balances. Does nothing while an exit is in progress.

    The regime changes only if trades or transfers from outside this program have left too little of
    the regime's asset to trade. It does not change if the other asset is merely worth more, for
    example after a deposit.
    """
    state, top, holdings = evaluation.state, evaluation.inputs.top, evaluation.inputs.holdings
    # While an exit is in progress its own fills change the balances: only the end of the exit changes the regime.
    if state.exit is not None or top is None or holdings is None:
        return
    held = state.regime
    if state.unorderable_book is not None and state.unorderable_book != (top.bid, top.ask):
        state = evaluation.state = replace(state, unorderable_book=None)  # another book is judged afresh
    found = _tradable_side(state, holdings, top, evaluation.params)
    if found is None:
        # The regime is kept: when the asset can be traded again, the anchor is still the price at which it was bought.
        if state.funded is not False:
            evaluation.state = replace(state, funded=False, stop_breach_since_ms=None, max_breach_since_ms=None)
            evaluation.events.append(Unfunded(held, holdings))
        return
    if found is not held:
        _adopt_outside_change(evaluation, found)
    elif state.funded is False:
        evaluation.events.append(Funded(found, holdings))
    if not state.funded:
        evaluation.state = replace(evaluation.state, funded=True)


def _tradable_side(state: StrategyState, holdings: Holdings, top: BookTop, params: StrategyParams) -> Regime | None:
    """Return the side to hold: the present side while it can be traded, else the other side; None if neither can.

    A side that could not be traded a moment ago needs a margin. Without it, holdings at the edge of the minimum would
    become tradable and untradable with every small move of the price.
    """
    margin, regime = ZERO if state.funded is None else UNFUNDED_MARGIN, state.regime
    if regime is None:
        return more_valuable_regime(holdings, top, params, margin)
    # What an exit could not place on this book, the next one could not place either.
    if state.unorderable_book is None and is_tradable(regime, holdings, top, params, ZERO if state.funded else margin):
        return regime
    return regime.other if is_tradable(regime.other, holdings, top, params, margin) else None


def _adopt_outside_change(evaluation: Evaluation, regime: Regime) -> None:
    """Enter `regime` after a change from outside this program, and set the anchor.

    The first anchor is ANCHOR_PRICE if that is set. Otherwise the anchor is the price of the trade
    from outside, or the market price if no such trade is known.
    """
    inputs, setting = evaluation.inputs, evaluation.params.anchor_price
    # ANCHOR_PRICE counts for the first anchor only: later, a price of the account's own fills is nearer to the truth.
    if evaluation.state.regime is None and setting is not None:
        price, origin = float(setting), Origin.SETTING
    elif inputs.outside_price is not None:
        price, origin = float(inputs.outside_price), Origin.OUTSIDE
    else:
        price, origin = evaluation.exit_price(regime), Origin.MARKET
    evaluation.set_anchor(NewAnchor(inputs.market_ms, regime, price, origin))


def raise_high_to_passed_prices(evaluation: Evaluation) -> None:
    """Raise the high to the best price since the last evaluation. Prices within a plan's limits were not evaluated."""
    state, inputs = evaluation.state, evaluation.inputs
    if state.regime is None or not state.funded or evaluation.params.trigger_on.at_close:
        return
    price = inputs.highest_bid if state.regime is Regime.BASE else inputs.lowest_ask
    if price is not None and (value := unit_value(state.regime, float(price))) > state.high:
        evaluation.state = replace(state, high=value)


def raise_high(evaluation: Evaluation) -> None:
    """Raise the high to the unit value if that is the best since the anchor.

    Does nothing while too little is held to trade, and where the high follows closes alone.
    """
    state, value = evaluation.state, evaluation.unit_value
    if evaluation.params.trigger_on.at_close:
        return
    if value is not None and value > state.high and state.funded:
        evaluation.state = replace(state, high=value)
