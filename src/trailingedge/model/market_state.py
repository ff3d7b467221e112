"""The newest of each kind, with the time it was heard.

Stream tasks write here whenever they like; the main loop takes one immutable `StateView` a beat. Nothing
queues up but closed klines, of which the strategy must see each.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from trailingedge.model.market import Balance, BookTop, Kline


@dataclass(frozen=True, slots=True)
class StateView:
    """One consistent picture.

    `top_age_s` counts since the top was heard or proved (infinite before the first); `market_ms` is the
    exchange's time as last heard and carried on; `balances_ms` is the exchange's time of the balances;
    `closed` are the klines that closed since the last view, oldest first; `pushes` is how often the stream has
    told balances so far. `balances_doubted`: what it told last was older than what it told before.
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


# Candles are told every few seconds, but a fast simulated market may run so far ahead of its last one.
_FURTHEST_AHEAD_MS: Final = 120_000
_CLOSE_LAG_MS: Final = 10_000  # a kline's last word comes this long after its close at most


class MarketState:
    """What the streams know. `changed` is called after every write that the main loop should see.

    `moved`, where given, is called in its place with a top that a stream told.
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
        self.balances: dict[str, Balance] = {}
        self.balances_ms = 0
        self.balance_updates = 0
        self.balances_in_doubt = False  # the stream told of an account older than it told before
        self.account_proven = False
        self._last_update_ms = 0
        self._event_ms = 0
        self._event_received_s = 0.0
        self._unseen_klines: list[Kline] = []
        self._on_change = changed
        self.on_top_moved = moved

    def on_top(self, top: BookTop, now_s: float, *, late: bool = False) -> None:
        """A bookTicker frame. `late`: a newer one may follow at once, so that nobody should answer this one."""
        self.top = top
        self.top_confirmed_s = now_s
        if self.on_top_moved is None or late:
            self._on_change()
        else:
            self.on_top_moved(top, now_s)

    def confirm_top(self, now_s: float) -> None:
        """A probe agreed with what we have."""
        self.top_confirmed_s = now_s
        self._on_change()

    def invalidate_top(self) -> None:
        """The stream is known to be dead: what it said last is history."""
        self.top_confirmed_s = float("-inf")
        self._on_change()

    def load_klines(self, klines: Sequence[Kline]) -> None:
        """Make `klines` the history: closed, oldest first. None counts as fresh, for whoever asks for it sees them all.

        Of those heard before, it keeps what follows on it without a gap. The rest is dropped: the next kline
        that is heard shows the gap, and what fills it brings them again.
        """
        heard = tuple(self.klines)
        self._unseen_klines.clear()
        if klines:
            self.klines.clear()
            self.klines.extend(klines)
            for kline in heard:
                if kline.open_ms == self.klines[-1].close_ms + 1:
                    self.klines.append(kline)

    def release_history(self) -> None:
        """Whoever needs the history has taken it in: from now on the newest kline tells what is missing after it."""
        self.klines = deque(self.klines, maxlen=1)

    def on_kline(self, kline: Kline, event_ms: int, now_s: float) -> None:
        """A kline frame. One that closed joins the history once; an older one is ignored."""
        # A frame that claims to come long after its own kline would carry the market's time away for good.
        self.on_event_time(min(event_ms, kline.close_ms + _CLOSE_LAG_MS), now_s)
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
        """The stream tells absolute balances of some assets as of `account_ms`.

        Ones older than it told before are not believed, but they leave a doubt that only a query ends:
        they may be late, or what came before them was wrong.
        """
        if account_ms < self._last_update_ms:
            self.mark_balances_in_doubt()
            return
        self.balance_updates += 1
        self._last_update_ms = account_ms
        self.balances_ms = max(self.balances_ms, account_ms)
        self.balances.update((balance.asset, balance) for balance in balances)
        self._on_change()

    def on_queried_balances(
        self, balances: Iterable[Balance], account_ms: int, pushes_before: int, settled_ms: int
    ) -> None:
        """The answer to a question asked when `pushes` was `pushes_before`, and all changes were before `settled_ms`.

        It is ignored where the stream has meanwhile told of a newer account than the answer's, unless
        the stream itself is in doubt.
        """
        if self.balances_in_doubt:
            self.balances_in_doubt = False
            self._last_update_ms = account_ms
        elif self.balance_updates != pushes_before and account_ms < self._last_update_ms:
            return
        self.balances_ms = max(self.balances_ms, account_ms, settled_ms)
        self.balances.update((balance.asset, balance) for balance in balances)
        self._on_change()

    def on_event_time(self, event_ms: int, now_s: float) -> None:
        """The exchange's time, as an event carries it."""
        if event_ms > self._event_ms:
            self._event_ms = event_ms
            self._event_received_s = now_s

    def is_plausible_time(self, event_ms: int, now_s: float) -> bool:
        """Whether an event of the account can be of that time: not far ahead of all that the market has told."""
        return not self._event_ms or event_ms <= self.market_ms(now_s) + _FURTHEST_AHEAD_MS

    def mark_balances_in_doubt(self) -> None:
        """What the stream told last cannot be believed; only a query ends that."""
        self.balances_in_doubt = True
        self._on_change()

    def set_account_proven(self, proven: bool) -> None:
        """Whether the user data stream can be trusted to tell everything."""
        self.account_proven = proven
        self._on_change()

    def market_ms(self, now_s: float) -> int:
        """The exchange's time: the newest heard, carried on by our own clock. 0 before the first."""
        if not self._event_ms:
            return 0
        return self._event_ms + max(0, round((now_s - self._event_received_s) * 1000))

    def view(self, now_s: float) -> StateView:
        """One consistent picture; the fresh klines in it are handed over and will not come again."""
        closed, self._unseen_klines = tuple(self._unseen_klines), []
        return StateView(
            now_s=now_s,
            market_ms=self.market_ms(now_s),
            top=self.top,
            top_age_s=now_s - self.top_confirmed_s,
            balances=MappingProxyType(dict(self.balances)),
            balances_ms=self.balances_ms,
            balances_in_doubt=self.balances_in_doubt,
            account_proven=self.account_proven,
            closed_klines=closed,
            balance_updates=self.balance_updates,
        )
