"""An account's past for tests: orders and fills, as the exchange lists them.

Times are seconds since a full minute; prices and quantities are given as text.
"""

from collections.abc import Sequence
from dataclasses import replace

from tests.execution.order_builders import RULES, D, own, record
from tests.strategy.strategy_harness import DEFAULTS as PARAMS
from tests.strategy.strategy_harness import START_MS

from trailingedge.core.errors import RequestRefused
from trailingedge.model.account_position import AccountPosition
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import AccountTrade, Balance, BookTop, OrderRecord, OrderStatus, Side
from trailingedge.reconciliation.anchor_timeline import CurrentPosition
from trailingedge.reconciliation.history_types import ExitHistory, find_markers, group_into_exits
from trailingedge.strategy.inputs import Holdings

PAGE = 1000


def at(seconds: float) -> int:
    return START_MS + round(seconds * 1000)


def position_now(base: str = "1", quote: str = "0", bid: str = "100.00", seconds: float = 600.0) -> CurrentPosition:
    """How things are now."""
    top = BookTop(D(bid), D(bid) + D("0.01"))
    return CurrentPosition(RULES, PARAMS, Holdings(D(base), D(quote)), top, at(seconds))


class Past:
    """What an account has done, written down in the order in which it happened."""

    def __init__(self) -> None:
        self.orders: list[OrderRecord] = []
        self.trades: list[AccountTrade] = []
        self.held_balances: tuple[Balance, ...] = ()
        self.looked_up: list[int] = []
        self.cancelled: list[int] = []
        self.lag: set[int] = set()  # orders that no list shows yet
        self.rejections: dict[int, list[int]] = {}  # by order id, the codes that answer questions about it in turn

    def order(
        self,
        seconds: float,
        client_order_id: str,
        side: Side,
        price: str,
        quantity: str = "1",
        *,
        filled: str = "0",
        status: OrderStatus | None = None,
        lasts_s: float = 1.0,
    ) -> int:
        """One order, its only fill at its end; without a status it was filled or cancelled. Its order id."""
        order_id = 100 + len(self.orders)
        if status is None:
            status = OrderStatus.FILLED if D(filled) == D(quantity) else OrderStatus.CANCELED
        received = record(
            order_id,
            price,
            quantity,
            filled,
            status,
            client_order_id=client_order_id,
            side=side,
            time_ms=at(seconds + lasts_s),
        )
        self.orders.append(replace(received, created_ms=at(seconds)))
        if D(filled):
            amount, price_ = D(filled), D(price)
            self.trades.append(
                AccountTrade(
                    trade_id=1 + len(self.trades),
                    order_id=order_id,
                    side=side,
                    price=price_,
                    quantity=amount,
                    quote_quantity=amount * price_,
                    commission=D(0),
                    commission_asset="FDUSD",
                    time_ms=at(seconds + lasts_s),
                    is_maker=True,
                )
            )
        return order_id

    def sell(self, seconds: float, price: str, number: int, kind: ExitKind = ExitKind.TAKE_PROFIT, **more: str) -> int:
        """A filled SELL of ours, unless `filled` says otherwise."""
        return self._exit(seconds, Side.SELL, price, number, kind, **more)

    def buy(self, seconds: float, price: str, number: int, kind: ExitKind = ExitKind.TAKE_PROFIT, **more: str) -> int:
        """A filled BUY of ours, unless `filled` says otherwise."""
        return self._exit(seconds, Side.BUY, price, number, kind, **more)

    def open_order(self, seconds: float, side: Side, price: str, number: int, kind: ExitKind, filled: str = "0") -> int:
        """An open order of ours."""
        status = OrderStatus.PARTIALLY_FILLED if D(filled) else OrderStatus.NEW
        return self.order(seconds, own(kind, number), side, price, filled=filled, status=status, lasts_s=0.5)

    def foreign(self, seconds: float, side: Side, price: str, quantity: str = "1") -> int:
        """Another's filled order."""
        return self.order(seconds, "web_1", side, price, quantity, filled=quantity)

    def marker(self, seconds: float, side: Side, ticks: int, number: int) -> int:
        return self.order(seconds, f"{own(ExitKind.NOTE, number)}-{_base36(ticks)}", side, "50.00", "0.1")

    def history(self) -> ExitHistory:
        """All of it."""
        return ExitHistory(
            exits=group_into_exits(self.orders, self.trades),
            markers=find_markers(self.orders, RULES.tick_size),
            foreign_fills=tuple(
                trade for trade in self.trades if self.orders[trade.order_id - 100].client_order_id[:2] != "TE"
            ),
        )

    # As an account

    async def open_orders(self) -> Sequence[OrderRecord]:
        return tuple(order for order in self.orders if order.status is not None and not order.status.final)

    async def cancel_order(self, order_id: int | None, client_order_id: str = "") -> OrderRecord:
        assert order_id is not None
        assert not client_order_id
        self.cancelled.append(order_id)
        place = order_id - 100
        self.orders[place] = replace(self.orders[place], status=OrderStatus.CANCELED)
        return self.orders[place]

    async def order_status(self, order_id: int | None, client_order_id: str = "") -> OrderRecord:
        assert order_id is not None
        assert not client_order_id
        self.looked_up.append(order_id)
        if self.rejections.get(order_id):
            raise RequestRefused(self.rejections[order_id].pop(0), "not now")
        if order_id < 100:
            raise RequestRefused(-2026, "Order was canceled or expired with no executed qty over 90 days ago.")
        return self.orders[order_id - 100]

    async def all_orders(self, from_order_id: int | None = None) -> Sequence[OrderRecord]:
        listed = [order for order in self.orders if order.order_id not in self.lag]
        if from_order_id is None:
            return listed[-PAGE:]
        return [order for order in listed if order.order_id >= from_order_id][:PAGE]

    async def my_trades(
        self, *, from_id: int | None = None, start_ms: int | None = None, end_ms: int | None = None, limit: int = PAGE
    ) -> Sequence[AccountTrade]:
        listed = [
            trade
            for trade in self.trades
            if (end_ms is None or trade.time_ms <= end_ms)
            and (start_ms is None or trade.time_ms >= start_ms)
            and (from_id is None or trade.trade_id >= from_id)
        ]
        forwards = from_id is not None or start_ms is not None
        return listed[:limit] if forwards else listed[-limit:]

    async def balances(self) -> AccountPosition:
        return AccountPosition(self.held_balances, at(600))

    def _exit(self, seconds: float, side: Side, price: str, number: int, kind: ExitKind, **more: str) -> int:
        quantity = more.pop("quantity", "1")
        filled = more.pop("filled", quantity)
        return self.order(seconds, own(kind, number), side, price, quantity, filled=filled)


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits
