"""The canary: the smallest order there is, far from the market and post-only, to see whether orders get through.

Tested, it is judged by the exchange and goes no further. Placed, it rests for a moment, the account's events
should tell of it, and it is cancelled. It bears the id of a jumpstart: should it be left behind, the next
start of the daemon removes it, and a daemon that runs meanwhile does not mind it.
"""

import asyncio
import contextlib
from collections.abc import Container, Iterable
from typing import Final

from trailingedge.commands.checks.result import CheckResult, failure, passed
from trailingedge.core.clock import Clock
from trailingedge.core.errors import ExitCode, OutcomeUnknown, RequestRefused, SessionLost
from trailingedge.execution.probe_orders import ProbeOrder, ProbeOrders, probe_order
from trailingedge.model.client_order_ids import ClientOrderId
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import BookTop, Side, SymbolRules
from trailingedge.model.order_requests import NewOrderRequest, place_params
from trailingedge.notifications import messages
from trailingedge.websocket.account import AccountSession, ServerClock
from trailingedge.websocket.api_client import RequestCaller

NAME: Final = "canary order"
_TEST: Final = "order.test"
_TOLD_WITHIN_S: Final = 2.0
_GLANCE_S: Final = 0.01
_LAST_TRY_S: Final = 5.0


class CanaryOrder:
    """One small order. `told_of` holds each client order id that the account's events tell of, once they do."""

    def __init__(
        self,
        api: RequestCaller,
        account: AccountSession,
        rules: SymbolRules,
        server_clock: ServerClock,
        clock: Clock,
        told_of: Container[str],
        *,
        recv_window_ms: int,
        request_expires_s: float,
    ) -> None:
        self._api = api
        self._rules = rules
        self._server_clock = server_clock
        self._clock = clock
        self._recv_window_ms = recv_window_ms
        self._orders = ProbeOrders(account, clock, lambda _what, _own, _order: None, request_expires_s)
        self._told_of = told_of

    async def test(self, top: BookTop, why: str = "") -> CheckResult:
        """Have the exchange judge it; `why` says why no more is done. Raises OutcomeUnknown or SessionLost."""
        order = probe_order(Side.BUY, top, self._rules)
        own = str(ClientOrderId(ExitKind.JUMPSTART, self._server_clock.now_ms()))
        params = place_params(self._rules.symbol, NewOrderRequest(own, order.side, order.quantity, order.price))
        params |= {"timestamp": self._server_clock.now_ms(), "recvWindow": self._recv_window_ms}
        try:
            await self._api.call(_TEST, params)
        except RequestRefused as refused:
            return failure(NAME, f"{self._shown(order)} would be refused: {refused}", code=ExitCode.UNEXPECTED)
        tested = f"tested, not placed: {why}" if why else "tested, not placed"
        return passed(NAME, f"{self._shown(order)} would be accepted; {tested}")

    async def place(self, top: BookTop) -> CheckResult:
        """Place it and cancel it, as a BUY, or as a SELL where there are no funds to buy. Raises SessionLost."""
        refusals = []
        for side in (Side.BUY, Side.SELL):
            order = probe_order(side, top, self._rules)
            own = str(ClientOrderId(ExitKind.JUMPSTART, self._server_clock.now_ms()))
            try:
                refused = await self._rest(own, order)
            except (OutcomeUnknown, SessionLost) as trouble:
                return self._left(self._orders.maybe_open, trouble)
            if refused is None and own in self._told_of:
                return passed(NAME, f"{self._shown(order)} placed, told of by the account's events, cancelled")
            if refused is None:
                said = f"{self._shown(order)} placed and cancelled, but no event told of it within {_TOLD_WITHIN_S:g} s"
                return failure(NAME, said, "try again; the daemon needs these events", code=ExitCode.UNREACHABLE)
            refusals.append(f"{self._shown(order)} refused: {refused}")
        return failure(NAME, ", ".join(refusals), "see that the account has funds", code=ExitCode.UNEXPECTED)

    async def _rest(self, own: str, order: ProbeOrder) -> RequestRefused | None:
        try:
            return await self._orders.place_and_cancel(own, order, lambda: self._told(own))
        except asyncio.CancelledError:  # whoever interrupts us wants to be gone, but not to leave an order
            with contextlib.suppress(TimeoutError, OutcomeUnknown, SessionLost):
                async with asyncio.timeout(_LAST_TRY_S):
                    await self._orders.cancel_all()
            raise

    async def _told(self, own: str) -> None:
        """Wait for the event, but not for long."""
        deadline_s = self._clock.now_s() + _TOLD_WITHIN_S
        while own not in self._told_of and self._clock.now_s() < deadline_s:
            await self._clock.sleep(_GLANCE_S)

    def _shown(self, order: ProbeOrder) -> str:
        amount, price = messages.quantity(self._rules, order.quantity), messages.price(self._rules, order.price)
        return f"{order.side.value} {amount} at {price}"

    @staticmethod
    def _left(ids: Iterable[str], trouble: Exception) -> CheckResult:
        left = f"; {', '.join(ids)} may be left on the exchange" if ids else ""
        remedy = "look at your open orders there and cancel it" if ids else "try again"
        return failure(NAME, f"{trouble}{left}", remedy, code=ExitCode.UNREACHABLE)
