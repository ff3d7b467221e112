"""Do the balances move exactly by fills and commissions?

What was told of fills, deposits and withdrawals predicts the balances; what the account says of them is
compared. A difference that lasts is news and a reason to ask, not to halt: other symbols are traded by
hand, and the exchange's other products lock and release.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trailingedge.model.market import ZERO, AccountTrade, Balance, ExecutionReport, ExecutionType, Side

_TRADES_KEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class BalanceMoved:
    """`asset` holds `told`, where fills and commissions would have left `expected`."""

    asset: str
    expected: Decimal
    actual: Decimal


class BalanceAudit:
    """Predicts the totals, free and locked, of the two assets of a symbol; fills of any order of it count.

    A difference is believed when it has lasted `grace_s`: fills and balances arrive in either order.
    """

    def __init__(self, base_asset: str, quote_asset: str, grace_s: float = 2.0) -> None:
        self._base_asset = base_asset
        self._quote_asset = quote_asset
        self._grace_s = grace_s
        self._expected: dict[str, Decimal] = {}
        self._differs_since_s: dict[str, float] = {}
        self._trades: OrderedDict[int, None] = OrderedDict()

    def on_report(self, report: ExecutionReport) -> None:
        """An execution report of the symbol, of whosever order."""
        if report.execution_type is not ExecutionType.TRADE:
            return
        fee = (report.commission, report.commission_asset)
        self._apply_fill(report.trade_id, report.side, report.last_quantity, report.last_quote, *fee)

    def on_trade(self, trade: AccountTrade) -> None:
        """A fill that was missed as an event."""
        fee = (trade.commission, trade.commission_asset)
        self._apply_fill(trade.trade_id, trade.side, trade.quantity, trade.quote_quantity, *fee)

    def on_transfer(self, asset: str, delta: Decimal) -> None:
        """A deposit, withdrawal or transfer."""
        self._add(asset, delta)

    def accept_change(self, asset: str) -> None:
        """Another product locked or released some of it: what the account says next is right."""
        self._expected.pop(asset, None)

    def compare(self, balances: Mapping[str, Balance], now_s: float, *, settled: bool) -> tuple[BalanceMoved, ...]:
        """What has moved without a reason, each once; from then on the account's word is the measure.

        Not `settled`, the balances do not yet account for our own fills and are not looked at.
        """
        if not settled:
            self._differs_since_s.clear()
            return ()
        moved = []
        for asset in (self._base_asset, self._quote_asset):
            balance = balances.get(asset)
            if balance is None:
                continue
            told = balance.total
            expected = self._expected.setdefault(asset, told)
            if told == expected:
                self._differs_since_s.pop(asset, None)
            elif now_s - self._differs_since_s.setdefault(asset, now_s) >= self._grace_s:
                moved.append(BalanceMoved(asset, expected, told))
                self._expected[asset] = told
                del self._differs_since_s[asset]
        return tuple(moved)

    def _apply_fill(
        self, trade_id: int, side: Side, base: Decimal, quote: Decimal, fee: Decimal, fee_asset: str | None
    ) -> None:
        if trade_id in self._trades:
            return
        self._trades[trade_id] = None
        if len(self._trades) > _TRADES_KEPT:
            self._trades.popitem(last=False)
        sign = 1 if side is Side.BUY else -1
        self._add(self._base_asset, sign * base)
        self._add(self._quote_asset, -sign * quote)
        if fee_asset is not None and fee != ZERO:
            self._add(fee_asset, -fee)

    def _add(self, asset: str, delta: Decimal) -> None:
        if asset in self._expected:
            self._expected[asset] += delta
