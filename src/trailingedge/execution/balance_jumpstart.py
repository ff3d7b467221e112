"""The jumpstart: makes the exchange push our balances before we trade.

A probe order is placed and cancelled at once. Placing it moves funds from free to locked, so the user data stream
pushes the balances. That proves, before the first real order, that orders can be placed and that their events arrive.
The balances are read by request first, because a probe is placed only on a side that has the funds for it. If neither
side has enough funds, no probe is placed, and the balances from that request are used.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from trailingedge.core.clock import Clock
from trailingedge.execution.off_market_orders import ProbeAccount, ProbeOrder, ProbeOrders, is_covered, probe_order
from trailingedge.model.account_position import AccountPosition
from trailingedge.model.client_order_ids import ClientOrderId
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Balance, BookTop, Side, SymbolRules
from trailingedge.model.market_state import MarketState

logger = logging.getLogger(__name__)

_PUSH_TIMEOUT_S: Final = 2.0


class JumpstartAccount(ProbeAccount, Protocol):
    """The account requests of a jumpstart. Each raises RequestRefused, OutcomeUnknown or SessionLost."""

    async def balances(self) -> AccountPosition: ...


@dataclass(frozen=True, slots=True)
class JumpstartResult:
    """The result of a jumpstart.

    `pushed` tells whether the stream pushed both balances. `differs` has an entry for each asset with two differing
    amounts: the asset, the amount pushed by the stream, and the amount read by request.
    """

    pushed: bool
    differs: tuple[tuple[str, Decimal, Decimal], ...]


class Jumpstart:
    """Runs the jumpstart, once per logon. Each run first cancels the probe orders that an interrupted run left.

    `on_progress` and `request_expires_s` are passed on to `ProbeOrders`.
    """

    def __init__(
        self,
        account: JumpstartAccount,
        market_state: MarketState,
        rules: SymbolRules,
        clock: Clock,
        on_progress: Callable[[str, str, ProbeOrder], None],
        request_expires_s: float = 6.0,
    ) -> None:
        self._account = account
        self._market_state = market_state
        self._rules = rules
        self._clock = clock
        self._orders = ProbeOrders(account, clock, on_progress, request_expires_s)

    @property
    def maybe_open(self) -> Mapping[str, ProbeOrder]:
        """The probe orders that may still be on the book, by client order id."""
        return self._orders.maybe_open

    async def run(self, top: BookTop, number: int) -> JumpstartResult:
        """Make the stream push the balances, and compare them with the balances read by request.

        Each probe order gets an id with `number`. Raises RequestRefused, SessionLost or OutcomeUnknown. A probe order
        may then still be on the book.
        """
        await self.cancel_all()
        held = (await self._account.balances()).balances
        for offset, side in enumerate((Side.BUY, Side.SELL)):
            client_order_id = str(ClientOrderId(ExitKind.JUMPSTART, number + offset))
            probe = probe_order(side, top, self._rules)
            if not is_covered(probe, held, self._rules):
                continue
            breach = self._rules.failed_filter(probe.price, probe.quantity)
            if breach is not None:  # for example a maximum quantity below the minimum notional
                logger.warning(
                    "jumpstart: a %s probe order is not possible, because the filter %s would reject it",
                    side.value,
                    breach,
                )
                continue
            rejected = await self._orders.place_and_cancel(client_order_id, probe, self._await_push)
            # One probe is enough where the stream pushed both assets.
            if rejected is None and self._balances_known():
                break
        pushed = self._balances_known()
        return JumpstartResult(pushed, await self._cross_check(pushed))

    async def cancel_all(self) -> None:
        """Cancel the probe orders that an earlier run left. Raises SessionLost or OutcomeUnknown."""
        await self._orders.cancel_all()

    def _balances_known(self) -> bool:
        balances = self._market_state.balances
        return self._rules.base_asset in balances and self._rules.quote_asset in balances

    async def _cross_check(self, pushed: bool) -> tuple[tuple[str, Decimal, Decimal], ...]:
        """Read the balances by request, and compare them with the balances that the stream pushed.

        Returns each asset whose two amounts still differ at the third read.
        """
        for _ in range(3):
            pushes = self._market_state.balance_updates
            reply = await self._account.balances()
            wanted = {self._rules.base_asset, self._rules.quote_asset}
            found = {balance.asset: balance for balance in reply.balances if balance.asset in wanted}
            found |= {asset: Balance(asset, Decimal(0)) for asset in wanted - found.keys()}
            pushed_balances = self._market_state.balances
            differs = tuple(
                (asset, pushed_balances[asset].total, found[asset].total)
                for asset in sorted(wanted)
                if pushed and asset in pushed_balances and pushed_balances[asset].total != found[asset].total
            )
            # A push and a read may cross each other on the way. So a difference is believed only if the
            # third read, a second after the first, still shows one.
            if not differs:
                break
            await self._clock.sleep(0.5)
        # Assets of other pairs too: from now on the audit compares the account as a whole.
        others = [balance for balance in reply.balances if balance.asset not in wanted]
        self._market_state.on_queried_balances([*found.values(), *others], reply.account_ms, pushes, settled_ms=0)
        return differs

    async def _await_push(self) -> None:
        """Wait until the stream has pushed both balances, for two seconds at most."""
        deadline_s = self._clock.now_s() + _PUSH_TIMEOUT_S
        while not self._balances_known() and self._clock.now_s() < deadline_s:
            await self._clock.sleep(0.01)
