"""The market's trades over a connection that comes back by itself: what feeds a market on paper.

What trades while no connection stands is not told later.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.core.errors import ProtocolViolation, SessionLost
from trailingedge.model.market import ZERO, Side
from trailingedge.websocket.connection_supervisor import ConnectionSupervisor, RotationCallback
from trailingedge.websocket.json_fields import amount, decode, fields, flag, integer
from trailingedge.websocket.transport import Backoff, Dial, Socket, ViolationCount, shown

logger = logging.getLogger(__name__)

_MAX_SEEN_IDS: Final = 1000  # trades: more than two connections can differ by
_LATE_TRADES_S: Final = 1.0  # trades of before the new connection may still be on their way over the old one


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """What one taker took at one price; `aggressor` is his side."""

    trade_id: int
    price: Decimal
    quantity: Decimal
    aggressor: Side
    time_ms: int


def read_trade(frame: str | bytes, symbol: str) -> PublicTrade | str | None:
    """An `aggTrade` of `symbol`, the reason why the connection ends soon, or None for anything else.

    Raises ProtocolViolation for what cannot be read.
    """
    message = fields(decode(frame))
    if message.get("e") == "serverShutdown":
        return "the server shuts down"
    if message.get("e") != "aggTrade" or message.get("s") != symbol:
        return None
    price, quantity = amount(message, "p"), amount(message, "q")
    if not (price > ZERO and quantity > ZERO):
        raise ProtocolViolation(f"not a trade: {quantity} at {price}")
    aggressor = Side.SELL if flag(message, "m") else Side.BUY  # `m`: the buyer was there before
    return PublicTrade(integer(message, "a"), price, quantity, aggressor, integer(message, "T"))


class TradeStream:
    """Tells `hear` each trade of one symbol, once; in order, but where one connection follows another."""

    def __init__(
        self,
        base_url: str,
        symbol: str,
        hear: Callable[[PublicTrade], None],
        *,
        dial: Dial,
        clock: Clock,
        backoff: Backoff,
    ) -> None:
        self._symbol = symbol
        self._on_trade = hear
        self._clock = clock
        self._seen_ids: dict[int, None] = {}  # the newest numbers, oldest first
        url = f"{base_url.rstrip('/')}/ws/{symbol.lower()}@aggTrade"
        self._supervisor: ConnectionSupervisor[_TradeFrames] = ConnectionSupervisor(
            "trades", url, self._make_handler, dial=dial, clock=clock, backoff=backoff
        )

    def stop_reconnecting(self) -> None:
        """From now on a lost connection stays lost, and `run` returns."""
        self._supervisor.stop_reconnecting()

    async def run(self) -> None:
        """Until `stay_down`. Raises ExchangeUnreachable."""
        await self._supervisor.run()

    def on_frame(self, frame: str | bytes, follow: RotationCallback) -> None:
        """A frame, over whichever connection: while one follows another, both tell. Raises ProtocolViolation."""
        told = read_trade(frame, self._symbol)
        if isinstance(told, str):
            follow(told)
        elif told is not None and told.trade_id not in self._seen_ids:
            self._seen_ids[told.trade_id] = None
            if len(self._seen_ids) > _MAX_SEEN_IDS:
                del self._seen_ids[next(iter(self._seen_ids))]
            self._on_trade(told)

    def _make_handler(self, socket: Socket, follow: RotationCallback) -> "_TradeFrames":
        if self._supervisor.active is None:  # a new beginning, which may be that of another count
            self._seen_ids.clear()
        return _TradeFrames(self, socket, self._clock, follow)


class _TradeFrames:
    """One connection's frames: a life on the link."""

    def __init__(self, stream: TradeStream, socket: Socket, clock: Clock, follow: RotationCallback) -> None:
        self._stream = stream
        self._socket = socket
        self._clock = clock
        self._follow = follow
        self._violations = ViolationCount()

    async def run(self) -> None:
        """Hear every frame. Raises SessionLost."""
        await self._socket.receive(self._hear_all)

    def _hear_all(self, frames: Sequence[str | bytes]) -> None:
        for frame in frames:
            try:
                self._stream.on_frame(frame, self._follow)
            except ProtocolViolation as violation:
                self._violations.add(violation, self._clock.now_s())
            except Exception:  # a handler's mistake must not cut us off from the market
                logger.exception("frame handler failed frame=%s", shown(frame))

    async def open(self) -> None:
        """Nothing is to be said first."""

    async def watch(self) -> None:
        """A market may be without trades for as long as it likes."""
        await asyncio.Event().wait()

    async def drain(self) -> None:
        """The one that follows tells everything since; what was before that may be late."""
        await self._clock.sleep(_LATE_TRADES_S)

    def on_lost(self, _: SessionLost) -> None:
        """Nothing waits for more."""
