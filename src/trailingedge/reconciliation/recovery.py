"""Coming back: what an earlier session left behind is found, and its memory made anew from the exchange.

An own exit order that is open is adopted; other own orders are cancelled and named. Foreign orders are never
touched. Then the books are read, the case is decided and the klines since are folded in. Nothing here is
sent but cancels, and there is no dead end: what cannot be proven starts from the market's price.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Protocol

from trailingedge.core.clock import Clock
from trailingedge.core.errors import OutcomeUnknown, ProtocolViolation, RequestRefused, SessionLost
from trailingedge.model.client_order_ids import is_own
from trailingedge.model.market import ZERO, Balance, BookTop, OrderRecord, OrderStatus, Regime, Side, SymbolRules
from trailingedge.reconciliation.backfill import BackfillSpec, FetchKlines, days_since, klines_since
from trailingedge.reconciliation.exit_history import ExitHistory, HistoricalExit, group_into_exits
from trailingedge.reconciliation.exit_ledger import exit_id
from trailingedge.reconciliation.history_loader import HORIZON_MS, TRANSIENT_CODES, HistoryApi, read_history
from trailingedge.reconciliation.rebuild import rebuild
from trailingedge.reconciliation.timeline import CurrentPosition, PositionTimeline, reconstruct
from trailingedge.strategy.inputs import Holdings, StrategyParams
from trailingedge.strategy.state import StrategyState
from trailingedge.websocket.event_parser import AccountPosition

logger = logging.getLogger(__name__)

_CANCEL_ATTEMPTS: Final = 5
_READ_ATTEMPTS: Final = 3
_LAG_S: Final = 1.0


class CleanupApi(Protocol):
    """What clearing the book needs. Each raises RequestRefused, OutcomeUnknown or SessionLost."""

    async def open_orders(self) -> Sequence[OrderRecord]: ...

    async def cancel_order(self, order_id: int | None, client_order_id: str = "") -> OrderRecord: ...


class RecoveryApi(CleanupApi, HistoryApi, Protocol):
    """What recovery needs of the account."""

    async def balances(self) -> AccountPosition: ...


@dataclass(frozen=True, slots=True)
class RecoveryContext:
    """What recovery stands on. `top` and `market_ms` tell the newest of the market.

    `all_of_it`: read our past as far back as it goes, not only to the last finished exit.
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
    """What to start from.

    `in_hand` is the exit that goes on, with its order on the book (adopted) or without one (resumed). `alerts` are
    sentences for people. `note_needed`: the anchor has neither fills of ours nor a note behind it.
    """

    state: StrategyState
    active_exit: HistoricalExit | None
    alerts: tuple[str, ...]
    marker_needed: bool
    history: ExitHistory


async def recover(
    account: RecoveryApi, fetch: FetchKlines, ground: RecoveryContext, clock: Clock, told: Callable[[OrderRecord], None]
) -> RecoveredState:
    """Where the last session was; `told` hears of each leftover that was cancelled.

    Raises RequestRefused, OutcomeUnknown, ProtocolViolation or SessionLost where the exchange did not answer:
    it may be tried again.
    """
    for _ in range(_READ_ATTEMPTS):
        alerts: list[str] = []
        adopted, known = await _clear_leftovers(account, clock, told, alerts)
        back_to_ms = 0 if ground.full_history else None
        try:
            history = await read_history(account, ground.rules, ground.market_ms(), clock, known, back_to_ms=back_to_ms)
        except RequestRefused as refused:
            if refused.code in TRANSIENT_CODES:
                raise
            # An exchange that does not tell the past must not keep us from the present.
            alerts.append(f"restart: the past cannot be read ({refused}); it starts afresh, at the market's price")
            history = ExitHistory(exits=group_into_exits(known, ()))
        now = await _current_position(account, ground, adopted)
        course = reconstruct(history, now)
        memory = await _rebuild_state(course, fetch, ground.backfill, now, alerts)
        if await _own_orders_appeared(account, adopted):
            # A request that our predecessor had still in flight has come to something meanwhile.
            logger.warning("an own order appeared during recovery: reading again")
        elif _balances_contradict(course, now):
            # A withdrawal looks like that, and so does a list that lags behind the last fill.
            logger.warning("the balances are not what the books led to: reading again")
            await clock.sleep(_LAG_S)
        else:
            break
    in_hand = None if memory.exit is None else course.active_exit
    return RecoveredState(memory, in_hand, (*alerts, *course.alerts), course.marker_needed, history)


async def _clear_leftovers(
    account: CleanupApi, clock: Clock, told: Callable[[OrderRecord], None], alerts: list[str]
) -> tuple[OrderRecord | None, list[OrderRecord]]:
    """The exit order to adopt, which is the newest; and what is known of own orders at first hand."""
    standing = [order for order in await account.open_orders() if exit_id(order.client_order_id) is not None]
    adopted = max(standing, key=_age_key, default=None)
    if len(standing) > 1 and adopted is not None:
        alerts.append(f"restart: {len(standing)} exit orders were open; keeping {adopted.client_order_id}")
    gone: list[OrderRecord] = []

    def cancelled(order: OrderRecord) -> None:
        gone.append(replace(order, status=OrderStatus.CANCELED))
        told(order)

    await cancel_leftovers(
        account, clock, cancelled, spare=lambda order: adopted is not None and order.order_id == adopted.order_id
    )
    return adopted, gone if adopted is None else [*gone, adopted]


def _age_key(order: OrderRecord) -> tuple[int, int]:
    own = exit_id(order.client_order_id)
    return (0 if own is None else own.number), order.order_id


async def _own_orders_appeared(account: CleanupApi, adopted: OrderRecord | None) -> bool:
    """Whether own orders are open that were not there when we looked."""
    expected = None if adopted is None else adopted.order_id
    return any(is_own(order.client_order_id) and order.order_id != expected for order in await account.open_orders())


def _balances_contradict(course: PositionTimeline, now: CurrentPosition) -> bool:
    """The side that we should hold is not there, the other one is, and no fill tells of that."""
    if course.active_exit is not None or course.marker_needed or not course.changes:
        return False
    regime = course.changes[-1].regime
    return now.tradable(regime.other) and not now.tradable(regime)


async def _current_position(
    account: RecoveryApi, ground: RecoveryContext, adopted: OrderRecord | None
) -> CurrentPosition:
    asked = await account.balances()
    held = {balance.asset: balance for balance in asked.balances}

    def usable(asset: str, side: Side, reserve: Decimal) -> Decimal:
        balance = held.get(asset) or Balance(asset, ZERO)
        return max(ZERO, balance.free + min(balance.locked, _locked_by(adopted, side)) - reserve)

    rules = ground.rules
    holdings = Holdings(
        base=usable(rules.base_asset, Side.SELL, ground.reserve_base),
        quote=usable(rules.quote_asset, Side.BUY, ground.reserve_quote),
    )
    return CurrentPosition(rules, ground.params, holdings, ground.top(), ground.market_ms())


def _locked_by(order: OrderRecord | None, side: Side) -> Decimal:
    """How much of the asset that a `side` order sells this one holds."""
    if order is None or order.side is not side:
        return ZERO
    return order.remaining if side is Side.SELL else order.remaining * (order.pegged_price or order.price)


async def _rebuild_state(
    course: PositionTimeline, fetch: FetchKlines, lens: BackfillSpec, now: CurrentPosition, alerts: list[str]
) -> StrategyState:
    """The memory that the course and the market since come to."""
    horizon_ms = now.market_ms - HORIZON_MS
    recent = tuple(turn for turn in course.changes if turn.market_ms >= horizon_ms)
    if course.changes and not recent:
        alerts.append("restart: the anchor is more than 30 days old; high from daily candles, gate open")
        last = replace(course.changes[-1], flushed=False)
        days = await days_since(last.market_ms, now.market_ms, fetch)
        return rebuild(replace(course, changes=(last,)), (), days, now)
    if len(recent) < len(course.changes) and recent[0].regime is Regime.QUOTE:
        alerts.append("restart: the last exit is more than 30 days old; the gate is taken to have been open")
    course = replace(course, changes=recent)
    closes, fine = await klines_since([turn.market_ms for turn in course.changes], now.market_ms, fetch, lens)
    if closes and closes[0].kline.open_ms > recent[0].market_ms:
        alerts.append("restart: the exchange has no candles as old as the anchor; high and gate are not certain")
    return rebuild(course, closes, fine, now)


async def cancel_leftovers(
    account: CleanupApi,
    clock: Clock,
    told: Callable[[OrderRecord], None],
    spare: Callable[[OrderRecord], bool] = lambda _: False,
) -> int:
    """Cancel every own open order but those to spare, and tell of each that is gone; how many there were.

    Raises OutcomeUnknown when some are still open after several tries, SessionLost with the connection.
    """
    gone = 0
    doubtful: dict[int, OrderRecord] = {}  # asked to go; nobody said that they did
    for attempt in range(_CANCEL_ATTEMPTS):
        if attempt:
            await clock.sleep(0.5 * attempt)
        own = [order for order in await account.open_orders() if is_own(order.client_order_id)]
        left = {order.order_id: order for order in own if not spare(order)}
        for order_id in [order_id for order_id in doubtful if order_id not in left]:
            told(doubtful.pop(order_id))
            gone += 1
        if not left:
            return gone
        for order in left.values():
            try:
                await account.cancel_order(order.order_id)
            except RequestRefused as refused:
                logger.warning("own order not cancelled client_order_id=%s: %s", order.client_order_id, refused)
            except (OutcomeUnknown, ProtocolViolation, SessionLost) as silence:
                logger.warning("own order perhaps cancelled client_order_id=%s: %s", order.client_order_id, silence)
                if isinstance(silence, SessionLost):
                    raise
                doubtful[order.order_id] = order
            else:
                doubtful.pop(order.order_id, None)
                told(order)
                gone += 1
    raise OutcomeUnknown(f"own orders still open after {_CANCEL_ATTEMPTS} tries: {_ids_of(left.values())}")


def _ids_of(orders: Iterable[OrderRecord]) -> str:
    return ", ".join(order.client_order_id for order in orders)
