"""Recovery at the start: cleans up after the last session, and rebuilds the strategy's state.

Recovery adopts an open exit order of ours, and cancels and reports our other orders. It never touches foreign orders
and sends no orders except cancels. Then it reads the past from the exchange, derives the anchors and the exit to
continue, and applies the klines since then. If the exchange answers, there is always a result: if no anchor can be
proven, the market price becomes the anchor.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Protocol

from trailingedge.core.clock import Clock
from trailingedge.core.errors import OutcomeUnknown, ProtocolViolation, RequestRefused, SessionLost
from trailingedge.model.account_position import AccountPosition
from trailingedge.model.client_order_ids import is_own
from trailingedge.model.market import ZERO, Balance, BookTop, Kline, OrderRecord, OrderStatus, Regime, Side, SymbolRules
from trailingedge.model.trigger_mode import TriggerOn
from trailingedge.reconciliation.anchor_timeline import CurrentPosition, PositionTimeline, reconstruct
from trailingedge.reconciliation.backfill import BackfillSpec, FetchKlines, days_since, interval_length_ms, klines_since
from trailingedge.reconciliation.exit_ledger import exit_id
from trailingedge.reconciliation.history_loader import HORIZON_MS, TRANSIENT_CODES, HistoryApi, read_history
from trailingedge.reconciliation.history_types import ExitHistory, HistoricalExit, group_into_exits
from trailingedge.reconciliation.rebuild import rebuild
from trailingedge.reconciliation.stop_confirmation import with_breach
from trailingedge.strategy.inputs import Holdings, StrategyParams
from trailingedge.strategy.state import StrategyState

logger = logging.getLogger(__name__)

_CANCEL_ATTEMPTS: Final = 5
_READ_ATTEMPTS: Final = 3
_LAG_S: Final = 1.0


class CleanupApi(Protocol):
    """The account requests for cancelling leftover orders.

    Each raises RequestRefused, OutcomeUnknown or SessionLost.
    """

    async def open_orders(self) -> Sequence[OrderRecord]: ...

    async def cancel_order(self, order_id: int | None, client_order_id: str = "") -> OrderRecord: ...

    async def order_status(self, order_id: int | None, client_order_id: str = "") -> OrderRecord: ...


class RecoveryApi(CleanupApi, HistoryApi, Protocol):
    """The account requests of a recovery."""

    async def balances(self) -> AccountPosition: ...


@dataclass(frozen=True, slots=True)
class RecoveryContext:
    """The inputs of a recovery. `top` and `market_ms` are functions that return the newest book and market time.

    `full_history`: read the past as far back as possible, and not only to the last finished exit.
    """

    rules: SymbolRules
    params: StrategyParams
    backfill: BackfillSpec
    reserve_base: Decimal
    reserve_quote: Decimal
    top: Callable[[], BookTop]
    market_ms: Callable[[], int]
    full_history: bool = False


@dataclass(frozen=True, slots=True)
class RecoveredState:
    """The state from which the session starts.

    `active_exit` is the exit to continue, or None. It is adopted if its order is on the book, and
    else resumed. `alerts` are sentences for the operator. `marker_needed` means that neither a fill
    of ours nor a marker proves the anchor.
    """

    state: StrategyState
    active_exit: HistoricalExit | None
    alerts: tuple[str, ...]
    marker_needed: bool
    history: ExitHistory


async def recover(
    account: RecoveryApi,
    fetch: FetchKlines,
    context: RecoveryContext,
    clock: Clock,
    on_cancelled: Callable[[OrderRecord], None],
) -> RecoveredState:
    """Recover the state of the last session. `on_cancelled` gets each leftover order that was cancelled.

    Raises RequestRefused, OutcomeUnknown, ProtocolViolation or SessionLost if the exchange did not answer. The caller
    may then try again.
    """
    # Book, history and balances are read one after another while the market goes on. If they contradict each other,
    # something happened in between: read all of them again.
    for _ in range(_READ_ATTEMPTS):
        alerts: list[str] = []
        adopted, known = await _clear_leftovers(account, clock, on_cancelled, alerts)
        back_to_ms = 0 if context.full_history else None
        try:
            history = await read_history(
                account, context.rules, context.market_ms(), clock, known, back_to_ms=back_to_ms
            )
        except RequestRefused as rejected:
            # Rate limits and an overloaded exchange pass; the caller waits and starts recovery again.
            if rejected.code in TRANSIENT_CODES:
                raise
            # An exchange that does not show the past must not keep us from trading now.
            alerts.append(
                f"restart: the account's history cannot be read ({rejected}); the market price becomes the anchor"
            )
            history = ExitHistory(exits=group_into_exits(known, ()))
        now = await _current_position(account, context, adopted)
        timeline = reconstruct(history, now)
        state = await _rebuild_state(timeline, fetch, context.backfill, now, alerts)
        state = await with_breach(state, now, fetch, context.backfill)
        if await _own_orders_appeared(account, adopted):
            # A request that the last session sent before it ended was executed only now.
            logger.warning("an order of ours appeared during recovery; reading orders, history and balances again")
        elif _balances_contradict(timeline, now):
            # A withdrawal looks like that, and so does a trade list that lags behind the last fill.
            logger.warning("balances contradict the account's history; reading orders, history and balances again")
            await clock.sleep(_LAG_S)
        else:
            break
    active_exit = None if state.exit is None else timeline.active_exit
    return RecoveredState(state, active_exit, (*alerts, *timeline.alerts), timeline.marker_needed, history)


async def _clear_leftovers(
    account: CleanupApi, clock: Clock, on_cancelled: Callable[[OrderRecord], None], alerts: list[str]
) -> tuple[OrderRecord | None, list[OrderRecord]]:
    """Cancel our leftover orders except the newest exit order.

    Returns the newest exit order, or None. Also returns a list of the cancelled orders and this
    exit order.
    """
    # More than one can be open after a cancel-replace whose reply was lost. The newest is what the last session wanted.
    open_exits = [order for order in await account.open_orders() if exit_id(order.client_order_id) is not None]
    adopted = max(open_exits, key=_age_key, default=None)
    if len(open_exits) > 1 and adopted is not None:
        alerts.append(
            f"restart: {len(open_exits)} exit orders were open; keeping {adopted.client_order_id}, cancelling the "
            "others"
        )
    gone: list[OrderRecord] = []

    def cancelled(order: OrderRecord) -> None:
        gone.append(replace(order, status=OrderStatus.CANCELED))
        on_cancelled(order)

    await cancel_leftovers(
        account, clock, cancelled, keep=lambda order: adopted is not None and order.order_id == adopted.order_id
    )
    return adopted, gone if adopted is None else [*gone, adopted]


def _age_key(order: OrderRecord) -> tuple[int, int]:
    own = exit_id(order.client_order_id)
    # The exit with the higher number is newer; within one exit, so is the order with the higher order id.
    return (0 if own is None else own.number), order.order_id


async def _own_orders_appeared(account: CleanupApi, adopted: OrderRecord | None) -> bool:
    """Whether an order of ours other than `adopted` is open. It appeared during the recovery."""
    expected = None if adopted is None else adopted.order_id
    return any(is_own(order.client_order_id) and order.order_id != expected for order in await account.open_orders())


def _balances_contradict(timeline: PositionTimeline, now: CurrentPosition) -> bool:
    """Return whether we hold base although the past trades lead to quote, or quote although they lead to base.

    `timeline` lists the changes between base and quote that past orders and trades prove.
    """
    # With an exit in progress the balances change while we read them.
    if timeline.active_exit is not None or timeline.marker_needed or not timeline.changes:
        return False
    regime = timeline.changes[-1].regime
    return now.tradable(regime.other) and not now.tradable(regime)


async def _current_position(
    account: RecoveryApi, context: RecoveryContext, adopted: OrderRecord | None
) -> CurrentPosition:
    reply = await account.balances()
    held = {balance.asset: balance for balance in reply.balances}

    def usable(asset: str, side: Side, reserve: Decimal) -> Decimal:
        balance = held.get(asset) or Balance(asset, ZERO)
        return max(ZERO, balance.free + min(balance.locked, _locked_by(adopted, side)) - reserve)

    rules = context.rules
    holdings = Holdings(
        base=usable(rules.base_asset, Side.SELL, context.reserve_base),
        quote=usable(rules.quote_asset, Side.BUY, context.reserve_quote),
    )
    return CurrentPosition(rules, context.params, holdings, context.top(), context.market_ms())


def _locked_by(order: OrderRecord | None, side: Side) -> Decimal:
    """Return the amount that `order` locks, in base for a SELL and in quote for a BUY.

    Returns 0 if `order` is None or its side is not `side`.
    """
    if order is None or order.side is not side:
        return ZERO
    return order.remaining if side is Side.SELL else order.remaining * (order.pegged_price or order.price)


async def _rebuild_state(
    timeline: PositionTimeline, fetch: FetchKlines, backfill: BackfillSpec, now: CurrentPosition, alerts: list[str]
) -> StrategyState:
    """Fetch the klines since the anchors, and rebuild the strategy's state from them."""
    horizon_ms = now.market_ms - HORIZON_MS
    # Trades are read back 30 days, and so are klines in detail. For an older anchor the ranges of whole days give the
    # high.
    recent = tuple(change for change in timeline.changes if change.market_ms >= horizon_ms)
    if timeline.changes and not recent:
        alerts.append("restart: the anchor is more than 30 days old; high taken from daily candles, gate assumed open")
        last = replace(timeline.changes[-1], shuts_gate=False)
        days = await days_since(last.market_ms, now.market_ms, fetch)
        return rebuild(replace(timeline, changes=(last,)), (), _for_the_high(days, now, backfill), now)
    # The hard stop that shut the gate may be too old to be found. An open gate allows trading; the alert says so.
    if len(recent) < len(timeline.changes) and recent[0].regime is Regime.QUOTE:
        alerts.append("restart: the last exit is more than 30 days old; the gate is assumed open")
    timeline = replace(timeline, changes=recent)
    closes, fine = await klines_since([change.market_ms for change in timeline.changes], now.market_ms, fetch, backfill)
    if closes and closes[0].kline.open_ms > recent[0].market_ms:
        alerts.append("restart: the exchange has no candles as old as the anchor; high and gate are not certain")
    return rebuild(timeline, closes, _for_the_high(fine, now, backfill), now)


def _for_the_high(klines: Sequence[Kline], now: CurrentPosition, backfill: BackfillSpec) -> Sequence[Kline]:
    """Return the klines that may raise the high: with TRIGGER_ON=close only those that end with a candle, else all."""
    if now.params.trigger_on is TriggerOn.TICK:
        return klines
    length_ms = interval_length_ms(backfill.interval)
    return [kline for kline in klines if (kline.close_ms + 1) % length_ms == 0]


async def cancel_leftovers(
    account: CleanupApi,
    clock: Clock,
    on_cancelled: Callable[[OrderRecord], None],
    keep: Callable[[OrderRecord], bool] = lambda _: False,
) -> int:
    """Cancel every open order of ours, except orders for which `keep` returns True.

    `on_cancelled` gets each order that was cancelled or has ended. Returns the number of these orders. Raises
    OutcomeUnknown when some are still open after several tries, SessionLost when the connection is lost.
    """
    gone = 0
    unconfirmed: dict[int, OrderRecord] = {}  # cancel sent, no outcome yet
    for attempt in range(_CANCEL_ATTEMPTS):
        if attempt:
            await clock.sleep(0.5 * attempt)
        # Read again before each attempt: an order may have filled, and a late one may have appeared.
        own = [order for order in await account.open_orders() if is_own(order.client_order_id)]
        left = {order.order_id: order for order in own if not keep(order)}
        # The list may lag behind the book, so an order that is missing from it may still be open.
        for order_id in [order_id for order_id in unconfirmed if order_id not in left]:
            status = await _final_status(account, order_id)
            if status is None:
                left[order_id] = unconfirmed[order_id]
                continue
            order = unconfirmed.pop(order_id)
            if status is OrderStatus.CANCELED:
                on_cancelled(order)
                gone += 1
        if not left:
            return gone
        for order in left.values():
            try:
                await account.cancel_order(order.order_id)
            except RequestRefused as rejected:
                logger.warning(
                    "cancel of a leftover order rejected client_order_id=%s: %s",
                    order.client_order_id,
                    rejected,
                )
            except (OutcomeUnknown, ProtocolViolation, SessionLost) as failure:
                logger.warning(
                    "cancel of a leftover order has no known outcome client_order_id=%s: %s",
                    order.client_order_id,
                    failure,
                )
                # Nothing more can be cancelled over this connection; recovery starts again on the next one.
                if isinstance(failure, SessionLost):
                    raise
                unconfirmed[order.order_id] = order
            else:
                unconfirmed.pop(order.order_id, None)
                on_cancelled(order)
                gone += 1
    raise OutcomeUnknown(
        f"own orders are still open after {_CANCEL_ATTEMPTS} attempts to cancel them: {_ids_of(left.values())}"
    )


async def _final_status(account: CleanupApi, order_id: int) -> OrderStatus | None:
    """Return the status of an order that is off the book for good, or None if that is not known."""
    try:
        status = (await account.order_status(order_id)).status
    except (RequestRefused, OutcomeUnknown, ProtocolViolation) as failure:
        logger.debug("! leftover order could not be queried order_id=%d: %s", order_id, failure)
        return None
    return status if status is not None and status.final else None


def _ids_of(orders: Iterable[OrderRecord]) -> str:
    return ", ".join(order.client_order_id for order in orders)
