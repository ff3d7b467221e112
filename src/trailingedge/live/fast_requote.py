"""Low-latency requote: sends a prepared cancel-replace directly from the market-data callback, before the main loop.

Theory of operation. A tick that has nothing to send computes a requote plan: how to react to the
next best price. `prepare` then writes the request for that plan; only price, quantity and time are
still missing. When a newer book arrives, `on_book` gets the price from the plan, completes the
request and sends it. Order records, checks and the main loop follow only after that. No other code
sends an order outside of a tick. This is safe because the plan is void after its first use and
after every event except a newer price: `EventRouter` calls `invalidate` before it wakes the main
loop.
"""

from collections.abc import Callable

from trailingedge.execution.quote_prices import RequotePlan
from trailingedge.execution.trading_core import TradingCore
from trailingedge.model.market import BookTop
from trailingedge.model.order_outcomes import ReplaceOutcome
from trailingedge.websocket.orders import OrderApi
from trailingedge.websocket.prepared_request import PreparedRequest


class FastRequoter:
    """Prepares and sends requotes, which move our resting order to a new price.

    `reply_handler` takes the tag of a command and returns a handler for its reply. `server_ms` returns the exchange's
    time.
    """

    def __init__(
        self,
        orders: OrderApi,
        reply_handler: Callable[[int], Callable[[ReplaceOutcome], None]],
        server_ms: Callable[[], int],
    ) -> None:
        self._orders = orders
        self._reply_handler = reply_handler
        self._server_ms = server_ms
        self._request: PreparedRequest | None = None
        self._prepared_for: RequotePlan | None = None
        self._ready = False

    def prepare(self, core: TradingCore) -> None:
        """Prepare a cancel-replace request for the requote plan of the last tick.

        A request that was prepared for the same order before is used again.
        """
        plan = core.requote_plan
        self._ready = plan is not None
        if plan is None or (self._prepared_for is not None and self._prepared_for.order_id == plan.order_id):
            return
        self._request, self._prepared_for = self._orders.prepare_replace(plan.order_id, plan.template), plan

    def invalidate(self) -> None:
        """Send nothing until the next `prepare`."""
        self._ready = False

    def on_book(self, core: TradingCore, top: BookTop, now_s: float) -> None:
        """Send the prepared requote if the new best prices require it.

        Raises BrokenInvariant, after sending, if a check with the full calculation fails.
        """
        plan, request = core.requote_plan, self._request
        # An event in the inbox may change everything, and a tick will follow at once.
        if not self._ready or plan is None or request is None or core.inbox:
            return
        answer = plan.requote_for(top, now_s)
        if answer is None:
            return
        self._ready = False
        sent = self._orders.send_replace(request, *answer)
        # The request is on its way. Record it even if it contradicts our records, so that its reply is expected;
        # only then compare what the slow path would have sent.
        entered = core.record_requote(answer, top, now_s, self._server_ms())
        self._orders.on_replace_reply(sent, self._reply_handler(entered.command.tag))
        core.verify_requote(entered, top, now_s)
