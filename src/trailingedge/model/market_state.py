"""Market state: the newest top of book, klines and balances, with the time at which each was received.

The stream tasks write here as messages arrive; the main loop takes one immutable `StateView` per tick. Only the newest
value counts, so that a slow tick never works through old prices. Closed klines are the exception: they queue up,
because the strategy must see each one.

Balances come from two sources, the user data stream and queries, so an older value may arrive after
a newer one. `on_balances` and `on_queried_balances` compare the account's own times to find out
which value is newer. If the stream contradicts itself, `balances_in_doubt` is set until the next
query's reply.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple

from trailingedge.model.market import Balance, BookTop, Kline


class StateView(NamedTuple):
    """The market and the account at one time.

    `top` is the best bid and ask; `top_age_s` is the time since they were received or confirmed,
    and infinite before that. `highest_bid` and `lowest_ask` are the best prices to sell and to buy at
    since the last view; None if no prices were received since. `market_ms` is the exchange's time: the
    last one received, plus the time since then by our clock. `balances_ms` is the exchange's time of the balances.
    `closed_klines` are the klines closed since the last view, oldest first. `balance_updates`
    counts the balance messages of the stream. While `balances_in_doubt` is set, the stream's
    balances are not trusted: their times contradict each other or the market's time.
    """

    now_s: float
    market_ms: int
    top: BookTop | None
    top_age_s: float
    balances: Mapping[str, Balance]
    balances_ms: int
    account_proven: bool
    closed_klines: tuple[Kline, ...]
    balance_updates: int = 0
    balances_in_doubt: bool = False
    highest_bid: Decimal | None = None
    lowest_ask: Decimal | None = None


# Klines arrive every two seconds, but a fast simulated market may run this far ahead of its last one.
_FURTHEST_AHEAD_MS: Final = 120_000
CLOSE_LAG_MS: Final = 10_000  # the last message of a kline arrives at most this long after its close


class MarketState:
    """The newest values of all streams.

    `changed` is called after every write that the main loop should see. For new best prices from
    the stream, `moved` is called instead if it is given: it can send an order before the main loop.
    """

    def __init__(
        self,
        klines_maxlen: int,
        changed: Callable[[], None] = lambda: None,
        moved: Callable[[BookTop, float], None] | None = None,
    ) -> None:
        self.klines: deque[Kline] = deque(maxlen=klines_maxlen)  # closed ones, oldest first, no gap
        self.forming: Kline | None = None
        self.top: BookTop | None = None
        self.top_confirmed_s = float("-inf")
        self.kline_received_s = float("-inf")
        self.balances: Mapping[str, Balance] = MappingProxyType({})  # replaced, never changed: views share it
        self.balances_ms = 0
        self.balance_updates = 0
        self.balances_in_doubt = False  # a message of the stream was older than the one before
        self.account_proven = False
        self._last_update_ms = 0
        self._event_ms = 0
        self._event_received_s = 0.0
        self._unseen_klines: list[Kline] = []
        self._highest_bid: Decimal | None = None  # since the last view, like the next one
        self._lowest_ask: Decimal | None = None
        self._on_change = changed
        self.on_top_moved = moved

    def on_top(self, top: BookTop, now_s: float, *, late: bool = False) -> None:
        """Store the best bid and ask of a bookTicker message.

        `late` means that newer prices may follow at once: then `changed` is called in place of
        `moved`, so that no order is sent for these prices.
        """
        self.top = top
        self.top_confirmed_s = now_s
        if self._highest_bid is None or top.bid > self._highest_bid:
            self._highest_bid = top.bid
        if self._lowest_ask is None or top.ask < self._lowest_ask:
            self._lowest_ask = top.ask
        if self.on_top_moved is None or late:
            self._on_change()
        else:
            self.on_top_moved(top, now_s)

    def confirm_top(self, now_s: float) -> None:
        """Mark the top as fresh, because a query has returned the same prices.

        A quiet market sends no frames, and its top would look stale.
        """
        self.top_confirmed_s = now_s
        self._on_change()

    def invalidate_top(self) -> None:
        """Mark the last top as stale at once, because its stream is known to be down."""
        self.top_confirmed_s = float("-inf")
        self._on_change()

    def load_klines(self, klines: Sequence[Kline]) -> None:
        """Replace the history by `klines`, which are closed and sorted oldest first.

        No `StateView` will contain `klines`. Klines that the stream sent before are kept if they
        directly follow `klines`. Otherwise they are dropped: the next kline shows the gap, and the
        query for the gap returns them again.
        """
        known = tuple(self.klines)
        self._unseen_klines.clear()
        if klines:
            self.klines.clear()
            self.klines.extend(klines)
            for kline in known:
                if kline.open_ms == self.klines[-1].close_ms + 1:
                    self.klines.append(kline)

    def release_history(self) -> None:
        """Drop the history except the newest kline, which shows whether a gap follows.

        The dropped klines are not needed again.
        """
        self.klines = deque(self.klines, maxlen=1)

    def on_kline(self, kline: Kline, event_ms: int, now_s: float) -> None:
        """Handle a kline frame. A closed kline joins the history once; a repeated or older one is ignored."""
        # The market's time only moves forward. One frame with a time far in the future would make every later one
        # look old, so its time counts only as far as its own kline explains it.
        self.on_event_time(min(event_ms, kline.close_ms + CLOSE_LAG_MS), now_s)
        self.kline_received_s = now_s
        if not kline.closed:
            self.forming = kline
            return
        if self.klines and kline.open_ms <= self.klines[-1].open_ms:
            return
        self.klines.append(kline)
        self._unseen_klines.append(kline)
        self._on_change()

    def on_balances(self, balances: Iterable[Balance], account_ms: int) -> None:
        """Store the balances of some assets that the stream reported, as of `account_ms`.

        The amounts are absolute. Balances older than the last ones are not stored, but they set
        `balances_in_doubt`: either they arrived late, or the last ones were wrong. Only a query can
        show which.
        """
        if account_ms < self._last_update_ms:
            self.mark_balances_in_doubt()
            return
        self.balance_updates += 1
        self._last_update_ms = account_ms
        self.balances_ms = max(self.balances_ms, account_ms)
        self._store_balances(balances)
        self._on_change()

    def on_queried_balances(
        self, balances: Iterable[Balance], account_ms: int, pushes_before: int, settled_ms: int
    ) -> None:
        """Store balances from the reply to a query.

        `pushes_before` is the value of `balance_updates` when the query was sent. `settled_ms` is
        the time up to which the reply includes our own trades and orders. The reply is ignored if
        the stream has sent newer balances since the query. While `balances_in_doubt` is set, the
        reply is always stored, and it clears the flag.
        """
        # In doubt the reply is the truth, even if it is older than the last message: that message may be the wrong one.
        if self.balances_in_doubt:
            self.balances_in_doubt = False
            self._last_update_ms = account_ms
        elif self.balance_updates != pushes_before and account_ms < self._last_update_ms:
            return
        self.balances_ms = max(self.balances_ms, account_ms, settled_ms)
        self._store_balances(balances)
        self._on_change()

    def _store_balances(self, balances: Iterable[Balance]) -> None:
        """Store the balances of some assets. The streams go on writing while a tick works with its view."""
        self.balances = MappingProxyType({**self.balances, **{balance.asset: balance for balance in balances}})

    def on_event_time(self, event_ms: int, now_s: float) -> None:
        """Set the exchange's time to the time of an event; an earlier time changes nothing."""
        if event_ms > self._event_ms:
            self._event_ms = event_ms
            self._event_received_s = now_s

    def is_plausible_time(self, event_ms: int, now_s: float) -> bool:
        """Return whether an account event can have this time.

        It must not be far ahead of the market's own time.
        """
        return not self._event_ms or event_ms <= self.market_ms(now_s) + _FURTHEST_AHEAD_MS

    def mark_balances_in_doubt(self) -> None:
        """Distrust the last balances of the stream until a query has been answered."""
        self.balances_in_doubt = True
        self._on_change()

    def set_account_proven(self, proven: bool) -> None:
        """Set whether the user data stream is up and complete."""
        self.account_proven = proven
        self._on_change()

    def market_ms(self, now_s: float) -> int:
        """Return the exchange's time: the newest one received, plus the time since by our clock.

        Returns 0 before the first one is received.
        """
        if not self._event_ms:
            return 0
        return self._event_ms + max(0, round((now_s - self._event_received_s) * 1000))

    def view(self, now_s: float) -> StateView:
        """Return the state now.

        The closed klines and the best prices since the last view are handed over: the next view does not contain them.
        """
        closed, self._unseen_klines = tuple(self._unseen_klines), []
        highest_bid, self._highest_bid = self._highest_bid, None
        lowest_ask, self._lowest_ask = self._lowest_ask, None
        return StateView(
            now_s=now_s,
            market_ms=self.market_ms(now_s),
            top=self.top,
            top_age_s=now_s - self.top_confirmed_s,
            balances=self.balances,
            balances_ms=self.balances_ms,
            balances_in_doubt=self.balances_in_doubt,
            account_proven=self.account_proven,
            closed_klines=closed,
            balance_updates=self.balance_updates,
            highest_bid=highest_bid,
            lowest_ask=lowest_ask,
        )
