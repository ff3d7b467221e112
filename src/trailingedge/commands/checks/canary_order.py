"""Canary order: the smallest post-only order, far from the market, to test that orders work.

`test` only lets the exchange validate the order. `place` lets the order rest briefly, waits until
the account's events report it, and cancels it. Its client order id is that of a jumpstart order
(the daemon's own test order at a start). So the next start of the daemon cancels an order that is
left behind, and a running daemon does not mistake it for an exit.
"""

import asyncio
import contextlib
from collections.abc import Container, Iterable
from typing import Final

from trailingedge.commands.checks.result import CheckResult, failure, passed
from trailingedge.core.clock import Clock
from trailingedge.core.errors import ExitCode, OutcomeUnknown, RequestRefused, SessionLost
from trailingedge.execution.off_market_orders import ProbeOrder, ProbeOrders, is_covered, probe_order
from trailingedge.model.client_order_ids import ClientOrderId
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import BookTop, Side, SymbolRules
from trailingedge.model.order_requests import NewOrderRequest, place_params
from trailingedge.notifications import event_messages
from trailingedge.websocket.account import AccountSession, ServerClock
from trailingedge.websocket.api_client import RequestCaller

NAME: Final = "canary order"
_TEST: Final = "order.test"
_EVENT_WITHIN_S: Final = 2.0
_POLL_S: Final = 0.01
_LAST_CANCEL_S: Final = 5.0


class CanaryOrder:
    """Tests or places one small order.

    `reported` holds the client order ids that the account's events have reported. The caller adds ids while `place`
    waits for one.
    """

    def __init__(
        self,
        api: RequestCaller,
        account: AccountSession,
        rules: SymbolRules,
        server_clock: ServerClock,
        clock: Clock,
        reported: Container[str],
        *,
        recv_window_ms: int,
        request_expires_s: float,
    ) -> None:
        self._api = api
        self._rules = rules
        self._server_clock = server_clock
        self._clock = clock
        self._recv_window_ms = recv_window_ms
        self._account = account
        self._orders = ProbeOrders(account, clock, lambda _what, _own, _order: None, request_expires_s)
        self._reported = reported

    async def test(self, top: BookTop, why: str = "") -> CheckResult:
        """Let the exchange validate the order without placing it. `why` says why the order is not placed.

        Raises OutcomeUnknown or SessionLost.
        """
        order = probe_order(Side.BUY, top, self._rules)
        own = str(ClientOrderId(ExitKind.JUMPSTART, self._server_clock.now_ms()))
        params = place_params(self._rules.symbol, NewOrderRequest(own, order.side, order.quantity, order.price))
        params |= {"timestamp": self._server_clock.now_ms(), "recvWindow": self._recv_window_ms}
        try:
            await self._api.call(_TEST, params)
        except RequestRefused as refused:
            return failure(NAME, f"{self._shown(order)} would be rejected: {refused}", code=ExitCode.UNEXPECTED)
        tested = f"tested, not placed: {why}" if why else "tested, not placed"
        return passed(NAME, f"{self._shown(order)} would be accepted; {tested}")

    async def place(self, top: BookTop) -> CheckResult:
        """Place a BUY and cancel it. If there are not enough free funds to buy, place a SELL instead.

        Raises the errors of a balance query. If the connection is lost after that query, no error is raised, and the
        result is a failure.
        """
        held = (await self._account.balances()).balances
        refusals = []
        # An account in either regime has funds for one of the two sides.
        for side in (Side.BUY, Side.SELL):
            order = probe_order(side, top, self._rules)
            if not is_covered(order, held, self._rules):
                refusals.append(f"not enough free funds for {self._shown(order)}")
                continue
            # Use the jumpstart's kind of id: a daemon knows from it that the order does not affect its state.
            own = str(ClientOrderId(ExitKind.JUMPSTART, self._server_clock.now_ms()))
            try:
                refused = await self._rest(own, order)
            except (OutcomeUnknown, SessionLost) as error:
                return self._left_behind(self._orders.maybe_open, error)
            if refused is None and own in self._reported:
                return passed(NAME, f"{self._shown(order)} placed, reported by an account event, and cancelled")
            if refused is None:
                shown = self._shown(order)
                text = f"{shown} placed and cancelled, but no event reported it within {_EVENT_WITHIN_S:g} s"
                return failure(NAME, text, "try again; the daemon needs these events", code=ExitCode.UNREACHABLE)
            refusals.append(f"{self._shown(order)} rejected: {refused}")
        return failure(NAME, ", ".join(refusals), "check that the account has funds", code=ExitCode.UNEXPECTED)

    async def _rest(self, own: str, order: ProbeOrder) -> RequestRefused | None:
        try:
            return await self._orders.place_and_cancel(own, order, lambda: self._wait_for_event(own))
        except asyncio.CancelledError:
            # The user interrupts the command. That must not leave an order on the book.
            with contextlib.suppress(TimeoutError, OutcomeUnknown, SessionLost):
                async with asyncio.timeout(_LAST_CANCEL_S):
                    await self._orders.cancel_all()
            raise

    async def _wait_for_event(self, own: str) -> None:
        deadline_s = self._clock.now_s() + _EVENT_WITHIN_S
        while own not in self._reported and self._clock.now_s() < deadline_s:
            await self._clock.sleep(_POLL_S)

    def _shown(self, order: ProbeOrder) -> str:
        amount, price = (
            event_messages.quantity(self._rules, order.quantity),
            event_messages.price(self._rules, order.price),
        )
        return f"{order.side.value} {amount} at {price}"

    @staticmethod
    def _left_behind(ids: Iterable[str], error: Exception) -> CheckResult:
        left = f"; {', '.join(ids)} may be left on the exchange" if ids else ""
        remedy = "look at your open orders there, and cancel it" if ids else "try again"
        return failure(NAME, f"{error}{left}", remedy, code=ExitCode.UNREACHABLE)
