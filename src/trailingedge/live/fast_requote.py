"""The short way from a price to its order: the answer leaves before anything else is done.

After a beat that has left the trader poised, the request for the next price lies written out but for its
numbers. A newer book then costs its answer and nothing more; entering that into the books, the log and the
next beat come after the request is on its way. This is the only place where something is sent outside of a
beat, and its guard is the poise: it is gone with the first answer, and with anything else that is heard.
"""

from collections.abc import Callable

from trailingedge.execution.quoting import RequotePlan
from trailingedge.execution.trading_core import TradingCore
from trailingedge.model.market import BookTop
from trailingedge.model.order_commands import Replace
from trailingedge.websocket.orders import OrderApi
from trailingedge.websocket.prepared_request import PreparedRequest, SentRequest


class FastRequoter:
    """`expect` is told of what was sent, and by which command; `server_ms` is the exchange's clock."""

    def __init__(
        self, orders: OrderApi, expect: Callable[[SentRequest, Replace], None], server_ms: Callable[[], int]
    ) -> None:
        self._orders = orders
        self._expect = expect
        self._server_ms = server_ms
        self._draft: PreparedRequest | None = None
        self._drafted: RequotePlan | None = None  # for which the draft was written
        self._ready = False

    def prepare(self, trader: TradingCore) -> None:
        """After a beat."""
        poise = trader.requote_plan
        self._ready = poise is not None
        if poise is None or (self._drafted is not None and self._drafted.order_id == poise.order_id):
            return
        self._draft, self._drafted = self._orders.prepare_replace(poise.order_id, poise.template), poise

    def invalidate(self) -> None:
        """Something other than a price was heard."""
        self._ready = False

    def on_book(self, trader: TradingCore, top: BookTop, now_s: float) -> None:
        """A newer book. Raises BrokenInvariant where what was sent is not what the books would have."""
        poise, draft = trader.requote_plan, self._draft
        if not self._ready or poise is None or draft is None or trader.inbox:
            return
        answer = poise.requote_for(top, now_s)
        if answer is None:
            return
        self._ready = False
        written = self._orders.send_replace(draft, *answer)
        # Whatever the books think of it: what was sent is in them, and somebody listens for its answer.
        entered = trader.record_requote(answer, top, now_s, self._server_ms())
        self._expect(written, entered.command)
        trader.verify_requote(entered, top, now_s)
