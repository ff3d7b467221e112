"""Balance audit: checks that the balances change exactly by our fills, commissions and transfers.

It predicts the balances from reported fills, deposits and withdrawals, and compares them with the account's balances.
A lasting difference is published, and the balances are read again. A difference does not halt trading: the operator may
trade other symbols by hand, and other products of the exchange may lock and release funds.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import inf
from typing import Final

from trailingedge.model.market import ZERO, AccountTrade, Balance, ExecutionReport, ExecutionType, Side

_TRADES_KEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class BalanceMoved:
    """The balance of `asset` is `actual`, but fills and commissions lead to `expected`."""

    asset: str
    expected: Decimal
    actual: Decimal


class BalanceAudit:
    """Predicts the balances (free and locked) of the symbol's two assets from all fills on it.

    A difference counts only after `grace_s` seconds, because a fill and the changed balance may
    arrive in either order.
    """

    def __init__(self, base_asset: str, quote_asset: str, grace_s: float = 2.0) -> None:
        self._base_asset = base_asset
        self._quote_asset = quote_asset
        self._grace_s = grace_s
        self._expected: dict[str, Decimal] = {}
        self._differs_since_s: dict[str, float] = {}
        self._trades: OrderedDict[int, None] = OrderedDict()
        self._matching: tuple[Balance | None, Balance | None] | None = None  # the last balances, if as expected

    def on_report(self, report: ExecutionReport) -> None:
        """Add an execution report of the symbol to the prediction, of our order or of a foreign one."""
        if report.execution_type is not ExecutionType.TRADE:
            return
        fee = (report.commission, report.commission_asset)
        self._apply_fill(report.trade_id, report.side, report.last_quantity, report.last_quote, *fee)

    def on_trade(self, trade: AccountTrade) -> None:
        """Add a fill from the trade list to the prediction, because its execution report may be missing."""
        fee = (trade.commission, trade.commission_asset)
        self._apply_fill(trade.trade_id, trade.side, trade.quantity, trade.quote_quantity, *fee)

    def on_transfer(self, asset: str, delta: Decimal) -> None:
        """Add a deposit, withdrawal or transfer to the prediction."""
        self._add(asset, delta)

    def accept_change(self, asset: str) -> None:
        """Accept the next balance of `asset` as correct, because another product of the exchange changed it."""
        self._expected.pop(asset, None)
        self._matching = None

    @property
    def due_s(self) -> float:
        """When a difference will have lasted long enough to be published; infinity if there is none."""
        return min(self._differs_since_s.values()) + self._grace_s if self._differs_since_s else inf

    def compare(
        self, balances: Mapping[str, Balance], now_s: float, *, balances_current: bool
    ) -> tuple[BalanceMoved, ...]:
        """Return the balance changes that fills do not explain, each change once.

        Afterwards the actual balance is the new prediction. If `balances_current` is False, nothing
        is compared, because the balances do not yet contain our own fills.
        """
        if not balances_current:
            self._differs_since_s.clear()
            return ()
        base, quote = balances.get(self._base_asset), balances.get(self._quote_asset)
        if self._matching is not None and base is self._matching[0] and quote is self._matching[1]:
            return ()  # the same balances as in the last tick, and no fill or transfer since
        differences = []
        for asset, balance in ((self._base_asset, base), (self._quote_asset, quote)):
            if balance is None:
                continue
            actual = balance.total
            expected = self._expected.setdefault(asset, actual)
            if actual == expected:
                self._differs_since_s.pop(asset, None)
            # A difference shorter than the grace is a fill and its balance push in the other order.
            elif now_s >= self._differs_since_s.setdefault(asset, now_s) + self._grace_s:
                differences.append(BalanceMoved(asset, expected, actual))
                # Published once: from here on the actual balance is right, or every later comparison would differ too.
                self._expected[asset] = actual
                del self._differs_since_s[asset]
        self._matching = None if self._differs_since_s else (base, quote)
        return tuple(differences)

    def _apply_fill(
        self, trade_id: int, side: Side, base: Decimal, quote: Decimal, fee: Decimal, fee_asset: str | None
    ) -> None:
        # After a reconnect the same fill may come in its report and in the trade list.
        if trade_id in self._trades:
            return
        self._trades[trade_id] = None
        if len(self._trades) > _TRADES_KEPT:
            self._trades.popitem(last=False)
        sign = 1 if side is Side.BUY else -1
        self._add(self._base_asset, sign * base)
        self._add(self._quote_asset, -sign * quote)
        # The commission may be in a third asset, such as BNB. It has no expectation and is left out by `_add`.
        if fee_asset is not None and fee != ZERO:
            self._add(fee_asset, -fee)

    def _add(self, asset: str, delta: Decimal) -> None:
        # Before the first comparison there is no expectation: the first balance read is the basis.
        if asset in self._expected:
            self._expected[asset] += delta
            self._matching = None
