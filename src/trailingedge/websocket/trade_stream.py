"""Trade stream: the public trades (aggTrade) of one symbol, for the simulated fills of paper trading.

Trades that happen while no connection is open are lost: the stream does not repeat them. Trades around a planned
rotation are not lost, since both connections deliver for a while; each trade id is passed on once.
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
from trailingedge.websocket.json_fields import amount, decode, fields, flag, id_number, time_ms
from trailingedge.websocket.socket_dialer import Backoff, Dial, Socket, ViolationCount, shown

logger = logging.getLogger(__name__)

_MAX_SEEN_IDS: Final = 1000  # more trades than two connections can differ by
_LATE_TRADES_S: Final = 1.0  # trades from before the new connection may still be on their way over the old one


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """One taker's trade at one price; `aggressor` is the side of the taker."""

    trade_id: int
    price: Decimal
    quantity: Decimal
    aggressor: Side
    time_ms: int


def read_trade(frame: str | bytes, symbol: str) -> PublicTrade | str | None:
    """Return the trade in an `aggTrade` frame of `symbol`, or None for any other frame.

    If the frame announces a shutdown of the server, return the reason for a rotation as text.
    Raises ProtocolViolation for a frame that cannot be read.
    """
    message = fields(decode(frame))
    if message.get("e") == "serverShutdown":
        return "the server shuts down"
    if message.get("e") != "aggTrade" or message.get("s") != symbol:
        return None
    price, quantity = amount(message, "p"), amount(message, "q")
    if not (price > ZERO and quantity > ZERO):
        raise ProtocolViolation(f"trade with a price or quantity that is not positive: {quantity} at {price}")
    aggressor = Side.SELL if flag(message, "m") else Side.BUY  # `m`: the buyer is the maker
    return PublicTrade(id_number(message, "a"), price, quantity, aggressor, time_ms(message, "T"))


class TradeStream:
    """Calls `on_trade` once for each trade of one symbol; in order, except while one connection replaces another."""

    def __init__(
        self,
        base_url: str,
        symbol: str,
        on_trade: Callable[[PublicTrade], None],
        *,
        dial: Dial,
        clock: Clock,
        backoff: Backoff,
    ) -> None:
        self._symbol = symbol
        self._on_trade = on_trade
        self._clock = clock
        self._seen_ids: dict[int, None] = {}  # the newest trade ids, oldest first
        url = f"{base_url.rstrip('/')}/ws/{symbol.lower()}@aggTrade"
        self._supervisor: ConnectionSupervisor[_TradeFrames] = ConnectionSupervisor(
            "trades", url, self._make_handler, dial=dial, clock=clock, backoff=backoff
        )

    @property
    def reconnects(self) -> int:
        """How often a lost connection was replaced."""
        return self._supervisor.reconnects

    def stop_reconnecting(self) -> None:
        """Open no further connection; `run` returns when the active one has ended."""
        self._supervisor.stop_reconnecting()

    async def run(self) -> None:
        """Keep a connection open until `stop_reconnecting` is called. Raises ExchangeUnreachable."""
        await self._supervisor.run()

    def on_frame(self, frame: str | bytes, request_rotation: RotationCallback) -> None:
        """Handle a frame. During a rotation two connections call this. Raises ProtocolViolation."""
        trade = read_trade(frame, self._symbol)
        if isinstance(trade, str):
            request_rotation(trade)
        elif trade is not None and trade.trade_id not in self._seen_ids:
            self._seen_ids[trade.trade_id] = None
            if len(self._seen_ids) > _MAX_SEEN_IDS:
                del self._seen_ids[next(iter(self._seen_ids))]
            self._on_trade(trade)

    def _make_handler(self, socket: Socket, request_rotation: RotationCallback) -> "_TradeFrames":
        if self._supervisor.active is None:  # after a loss the ids may start again
            self._seen_ids.clear()
        return _TradeFrames(self, socket, self._clock, request_rotation)


class _TradeFrames:
    """Reads the frames of one connection of the trade stream, as its `ConnectionHandler`."""

    def __init__(self, stream: TradeStream, socket: Socket, clock: Clock, request_rotation: RotationCallback) -> None:
        self._stream = stream
        self._socket = socket
        self._clock = clock
        self._request_rotation = request_rotation
        self._violations = ViolationCount()

    async def run(self) -> None:
        """Read every frame until the connection is lost. Raises SessionLost."""
        await self._socket.receive(self._on_frames)

    def _on_frames(self, frames: Sequence[str | bytes]) -> None:
        for frame in frames:
            try:
                self._stream.on_frame(frame, self._request_rotation)
            except ProtocolViolation as violation:
                self._violations.add(violation, self._clock.now_s())
            except Exception:  # an error in a handler must not cut us off from the market
                logger.exception("trade frame handler failed frame=%s", shown(frame))

    async def open(self) -> None:
        """Return at once: the URL names the stream, so there is nothing to subscribe to."""

    async def watch(self) -> None:
        """Check nothing: a market may have no trades for hours, so silence is no sign of a dead stream."""
        await asyncio.Event().wait()

    async def drain(self) -> None:
        """Wait for late trades from before the successor was connected."""
        await self._clock.sleep(_LATE_TRADES_S)

    def on_lost(self, _: SessionLost) -> None:
        """Do nothing: no caller waits for this connection."""
