"""Exit ledger: what each exit of ours traded, its cost, and when it ended.

The same fills lead to the same exits, whether they arrived as execution reports or were read from the trade list.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from trailingedge.model.client_order_ids import ClientOrderId, own_id
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import ZERO, AccountTrade, ExecutionReport, ExecutionType, Side

_CLOSED_KEPT: Final = 64
EXIT_KINDS: Final = frozenset(
    {ExitKind.TAKE_PROFIT, ExitKind.MANUAL, ExitKind.BREAKOUT, ExitKind.FLUSH, ExitKind.ESCAPE}
)


def exit_id(client_order_id: str) -> ClientOrderId | None:
    """Parse the client order id of an exit order of ours.

    Returns None for the id of a jumpstart, of a marker or of a foreign order.
    """
    own = own_id(client_order_id)
    return own if own is not None and own.kind in EXIT_KINDS else None


@dataclass(frozen=True, slots=True)
class ExitTotals:
    """The totals of one ended exit of ours, whether or not it sold everything.

    `fees` are the commissions by asset. `ended_ms` is the market time of the exit's last fill.
    """

    number: int
    side: Side
    base: Decimal
    quote: Decimal
    fees: Mapping[str, Decimal]
    ended_ms: int


class _Fills:
    """The fills of an exit so far, added up."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.base = ZERO
        self.quote = ZERO
        self.fees: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
        self.newest_ms = 0
        self.trades: set[int] = set()


class ExitLedger:
    """Adds up the fills of each exit until the exit is closed. It counts each trade once.

    A fill may become known only after its exit was closed, because the exchange did not show its order at first. Then
    the exit is opened again for this fill alone, and `late` lists the exit.
    """

    def __init__(self) -> None:
        self._open: dict[int, _Fills] = {}
        self._closed: OrderedDict[int, set[int]] = OrderedDict()  # the newest ones, each with its counted trades
        self._newest = 0  # exits end in the order of their numbers

    @property
    def late(self) -> list[int]:
        """The numbers of exits that received a fill after they were closed."""
        return [number for number in self._open if number in self._closed]

    def on_report(self, report: ExecutionReport) -> None:
        """Add the fill in an execution report; only fills of our exits count."""
        own = exit_id(report.client_order_id)
        if own is None or report.execution_type is not ExecutionType.TRADE:
            return
        self._add(
            own.number,
            report.trade_id,
            report.side,
            report.last_quantity,
            report.last_quote,
            report.commission,
            report.commission_asset,
            report.time_ms,
        )

    def on_trade(self, number: int, trade: AccountTrade) -> None:
        """Add a fill of the exit `number` from the trade list."""
        self._add(
            number,
            trade.trade_id,
            trade.side,
            trade.quantity,
            trade.quote_quantity,
            trade.commission,
            trade.commission_asset,
            trade.time_ms,
        )

    def close(self, number: int) -> ExitTotals | None:
        """Close the exit `number` and return the totals of its fills.

        If the exit was closed before, only fills since then count. Returns None if there are no
        such fills.
        """
        self._newest = max(self._newest, number)
        fills = self._open.pop(number, None)
        self._closed.setdefault(number, set()).update(() if fills is None else fills.trades)
        # After a reconnect the trade list is read again from a little earlier. 64 exits are far more than that can
        # reach.
        while len(self._closed) > _CLOSED_KEPT:
            self._closed.popitem(last=False)
        if fills is None:
            return None
        fees = MappingProxyType(dict(fills.fees))
        return ExitTotals(number, fills.side, fills.base, fills.quote, fees, fills.newest_ms)

    def _add(
        self,
        number: int,
        trade_id: int,
        side: Side,
        base: Decimal,
        quote: Decimal,
        fee: Decimal,
        fee_asset: str | None,
        time_ms: int,
    ) -> None:
        counted = self._closed.get(number)
        # For an exit in `_closed`, all counted trades are known. An older exit was dropped from `_closed`: up to the
        # newest closed number, every fill of an exit that is not in `_closed` counts as known.
        if trade_id in counted if counted is not None else number <= self._newest:
            return
        fills = self._open.setdefault(number, _Fills(side))
        if trade_id in fills.trades:
            return
        fills.trades.add(trade_id)
        fills.base += base
        fills.quote += quote
        if fee and fee_asset is not None:
            fills.fees[fee_asset] += fee
        fills.newest_ms = max(fills.newest_ms, time_ms)


def exit_totals(trades: Iterable[tuple[int, AccountTrade]]) -> tuple[ExitTotals, ...]:
    """Add up `trades`, each given with the number of its exit, in any order.

    Returns the totals of each exit, the oldest exit first.
    """
    ledger = ExitLedger()
    numbers = set()
    for number, trade in trades:
        ledger.on_trade(number, trade)
        numbers.add(number)
    closed = (ledger.close(number) for number in sorted(numbers))
    return tuple(exit_ for exit_ in closed if exit_ is not None)
