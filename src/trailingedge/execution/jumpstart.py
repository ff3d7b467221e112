"""Make the exchange tell us our balances before we trade.

A deep post-only order that cannot fill is placed and cancelled at once: placing moves funds from free to
locked, so the user data stream pushes the balances, which proves the whole way from order to event
before it matters.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from trailingedge.core.clock import Clock
from trailingedge.execution.probe_orders import ProbeAccount, ProbeOrder, ProbeOrders, probe_order
from trailingedge.model.client_order_ids import ClientOrderId
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Balance, BookTop, Side, SymbolRules
from trailingedge.model.market_state import MarketState
from trailingedge.websocket.event_parser import AccountPosition

logger = logging.getLogger(__name__)

_PUSH_TIMEOUT_S: Final = 2.0


class JumpstartAccount(ProbeAccount, Protocol):
    """What a jumpstart needs of the account. Each raises RequestRefused, OutcomeUnknown or SessionLost."""

    async def balances(self) -> AccountPosition: ...


@dataclass(frozen=True, slots=True)
class JumpstartResult:
    """`pushed`: the stream told both balances by itself. `differs`: asset, amount told, amount asked for."""

    pushed: bool
    differs: tuple[tuple[str, Decimal, Decimal], ...]


class Jumpstart:
    """`run` it, once more after a lost connection: it remembers what it must still cancel.

    `told` and `request_expires_s` are those of its deep orders.
    """

    def __init__(
        self,
        account: JumpstartAccount,
        snapshots: MarketState,
        rules: SymbolRules,
        clock: Clock,
        told: Callable[[str, str, ProbeOrder], None],
        request_expires_s: float = 6.0,
    ) -> None:
        self._account = account
        self._market_state = snapshots
        self._rules = rules
        self._clock = clock
        self._orders = ProbeOrders(account, clock, told, request_expires_s)

    @property
    def maybe_open(self) -> Mapping[str, ProbeOrder]:
        """By client order id, the orders that are not known to be gone."""
        return self._orders.maybe_open

    async def run(self, top: BookTop, number: int) -> JumpstartResult:
        """Fill the balances. Raises SessionLost, or OutcomeUnknown when an order's fate cannot be learned."""
        await self.cancel_all()
        for offset, side in enumerate((Side.BUY, Side.SELL)):
            own = str(ClientOrderId(ExitKind.JUMPSTART, number + offset))
            deep = probe_order(side, top, self._rules)
            breach = self._rules.failed_filter(deep.price, deep.quantity)
            if breach is not None:  # a largest quantity below the least notional, for example
                logger.warning("jumpstart: no %s so far from the market passes the filter %s", side.value, breach)
                continue
            refused = await self._orders.place_and_cancel(own, deep, self._await_push)
            if refused is None and self._balances_known():
                break
        pushed = self._balances_known()
        return JumpstartResult(pushed, await self._cross_check(pushed))

    async def cancel_all(self) -> None:
        """Cancel what is left of an earlier run. Raises as `run` does."""
        await self._orders.cancel_all()

    def _balances_known(self) -> bool:
        balances = self._market_state.balances
        return self._rules.base_asset in balances and self._rules.quote_asset in balances

    async def _cross_check(self, pushed: bool) -> tuple[tuple[str, Decimal, Decimal], ...]:
        """Ask for the balances; what differs from the pushed ones by more than a moment is named."""
        for _ in range(3):
            pushes = self._market_state.balance_updates
            asked = await self._account.balances()
            wanted = {self._rules.base_asset, self._rules.quote_asset}
            found = {balance.asset: balance for balance in asked.balances if balance.asset in wanted}
            found |= {asset: Balance(asset, Decimal(0)) for asset in wanted - found.keys()}
            ours = self._market_state.balances
            differs = tuple(
                (asset, ours[asset].total, found[asset].total)
                for asset in sorted(wanted)
                if pushed and asset in ours and ours[asset].total != found[asset].total
            )
            if not differs:
                break
            await self._clock.sleep(0.5)
        # Assets of other pairs as well: what the account holds is compared as a whole from now on.
        others = [balance for balance in asked.balances if balance.asset not in wanted]
        self._market_state.on_queried_balances([*found.values(), *others], asked.account_ms, pushes, settled_ms=0)
        return differs

    async def _await_push(self) -> None:
        """Wait until the stream has told both balances, but not for long."""
        deadline_s = self._clock.now_s() + _PUSH_TIMEOUT_S
        while not self._balances_known() and self._clock.now_s() < deadline_s:
            await self._clock.sleep(0.01)
