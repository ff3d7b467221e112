"""Fills that no event told, found in the account's list of trades and told as the reports that were missed.

The list names no client order id and no running totals; the order itself and all its fills do. A report
made of them says what the missed one said, so nobody who hears it needs to know the difference.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

from trailingedge.errors import RequestRefused
from trailingedge.market import ZERO, AccountTrade, ExecutionReport, ExecutionType, OrderRecord, OrderStatus
from trailingedge.websocket.account_stream import AccountStream, Ear

logger = logging.getLogger(__name__)

_PAGE: Final = 1000
_MOST_ORDERS: Final = 300  # each is a question; beyond that they cannot all be ours
_GONE: Final = frozenset({-2013, -2026})  # no such order, order archived


class Account(Protocol):
    """What must be asked. Each raises RequestRefused, OutcomeUnknown, SessionLost or ProtocolViolation."""

    async def order_status(self, order_id: int | None, client_order_id: str = "") -> OrderRecord: ...

    async def my_trades(
        self, *, order_id: int | None = None, from_id: int | None = None, limit: int = 1000
    ) -> tuple[AccountTrade, ...]: ...


class MissedFills:
    """Remembers up to where the list was read."""

    def __init__(self, symbol: str, stream: AccountStream) -> None:
        self._symbol = symbol
        self._stream = stream
        self._newest_read: int | None = None

    @property
    def begun(self) -> bool:
        """It is known where the list stood."""
        return self._newest_read is not None

    async def begin(self, account: Account) -> None:
        """What the list holds by now is history."""
        newest = await account.my_trades(limit=1)
        self._newest_read = max((trade.trade_id for trade in newest), default=-1)

    async def find(self, account: Account, ear: Ear | None = None) -> tuple[ExecutionReport, ...]:
        """The fills since the last look that neither were passed on nor wait in `ear`, oldest first."""
        if self._newest_read is None:
            await self.begin(account)
            return ()
        listed = await _all_trades(account, self._newest_read + 1)
        missed = [
            trade
            for trade in listed
            if not self._stream.knows_trade(trade.trade_id) and not (ear and ear.holds_trade(trade.trade_id))
        ]
        order_ids = list(dict.fromkeys(trade.order_id for trade in missed))
        if len(order_ids) > _MOST_ORDERS:
            logger.warning("fills of %d orders were missed; the oldest are left out", len(order_ids))
        found: list[ExecutionReport] = []
        for order_id in order_ids[-_MOST_ORDERS:]:
            found += await self._reports(account, order_id, [trade for trade in listed if trade.order_id == order_id])
        if listed:
            self._newest_read = listed[-1].trade_id
        news = {trade.trade_id for trade in missed}
        return tuple(sorted((report for report in found if report.trade_id in news), key=lambda each: each.trade_id))

    async def _reports(
        self, account: Account, order_id: int, fills: Sequence[AccountTrade]
    ) -> Iterable[ExecutionReport]:
        """Of all fills of an order, those that are known and those of before."""
        try:
            order = await account.order_status(order_id)
        except RequestRefused as refused:
            if refused.code not in _GONE:
                raise
            logger.warning("fills of an order that is not known are left out order_id=%d: %s", order_id, refused)
            return ()
        if sum((fill.quantity for fill in fills), ZERO) != order.filled_quantity:
            fills = await _all_trades(account, 0, order_id)
        return as_reports(self._symbol, order, fills)


def as_reports(symbol: str, order: OrderRecord, fills: Iterable[AccountTrade]) -> Iterator[ExecutionReport]:
    """What the stream would have said of each of `fills`: all those of the order, oldest first."""
    filled = quote = ZERO
    for fill in fills:
        filled += fill.quantity
        quote += fill.quote_quantity
        yield ExecutionReport(
            symbol=symbol,
            side=fill.side,
            order_type=order.order_type,
            client_order_id=order.client_order_id,
            order_id=order.order_id,
            execution_type=ExecutionType.TRADE,
            status=OrderStatus.FILLED if filled >= order.quantity else OrderStatus.PARTIALLY_FILLED,
            price=order.pegged_price or order.price,
            quantity=order.quantity,
            filled_quantity=filled,
            filled_quote=quote,
            time_ms=fill.time_ms,
            event_ms=fill.time_ms,
            execution_id=-1,  # the list does not tell it
            trade_id=fill.trade_id,
            last_price=fill.price,
            last_quantity=fill.quantity,
            last_quote=fill.quote_quantity,
            commission=fill.commission,
            commission_asset=fill.commission_asset,
            is_maker=fill.is_maker,
        )


async def _all_trades(account: Account, from_id: int, order_id: int | None = None) -> list[AccountTrade]:
    """From that trade on, of one order or of all."""
    found: list[AccountTrade] = []
    while True:
        page = await account.my_trades(order_id=order_id, from_id=from_id, limit=_PAGE)
        found += page
        if len(page) < _PAGE:
            return found
        from_id = page[-1].trade_id + 1
