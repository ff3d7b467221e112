"""Benchmark exchange: one account and one market on the loopback, with as little work of its own as possible.

It checks nothing and accepts everything that a post-only SELL needs. Frames are prepared before they are
written, and a request is timestamped when its bytes arrive, before the library parses them, so that the measured time
contains little of the exchange's own.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

from tests.benchmarks import exchange_replies
from tests.benchmarks.exchange_replies import BASE, QUOTE, Json, Order
from tests.limits import PATIENCE_S
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from trailingedge.core.time_units import MINUTE_MS

MID_PRICE: Final = 200_000  # in ticks; all prices stay close to it
_KLINE_EVERY_S: Final = 2.0
_ROWS_AT_MOST: Final = 1000
_INTERVAL: Final = "15m"  # of the candles, as in the default settings
_INTERVALS_MS: Final = {"1s": 1000, "1m": MINUTE_MS, _INTERVAL: 15 * MINUTE_MS}
_EXITS: Final = ("TE-m-", "floor")
_FUNDS: Final = {BASE: Decimal(1), QUOTE: Decimal(0)}

Params = dict[str, Any]
Reply = tuple[object, Sequence[Json]]  # the result, and the events that follow it


class RequestError(Exception):
    """A request ends with an error reply."""

    def __init__(self, code: int, text: str, data: Json | None = None) -> None:
        super().__init__(text)
        self.error: Json = {"code": code, "msg": text} | ({} if data is None else {"data": data})


@dataclass(frozen=True, slots=True)
class ReceivedReplace:
    """A cancel-replace that arrived: the time of its bytes, and its new price in ticks."""

    at_s: float
    ticks: int


class TimestampedConnection(ServerConnection):
    """A connection that records when its newest bytes arrived."""

    received_s = 0.0

    def data_received(self, data: bytes) -> None:
        self.received_s = time.perf_counter()
        super().data_received(data)


class BenchmarkExchange:
    """An exchange for one client, as an async context manager. The client connects to `api_url` and `stream_url`."""

    def __init__(self) -> None:
        self.api_url = self.stream_url = ""
        self.ask = MID_PRICE
        self.requests = 0
        self.replaces = 0
        self.resting = asyncio.Event()  # an exit order is on the book
        self.subscribed = asyncio.Event()  # the client has connected to the market stream
        self.subscribed_s = 0.0
        self._received: deque[ReceivedReplace] = deque()
        self._replace_received = asyncio.Event()
        self._update_id = 1
        self._order_id = 100
        self._execution_id = 1000
        self._open: dict[int, Order] = {}
        self._closed: dict[int, Order] = {}
        self._stream_connections: set[ServerConnection] = set()
        self._servers: list[Server] = []
        self._kline_task: asyncio.Task[None] | None = None
        self._methods: dict[str, Callable[[Params], Reply]] = {
            "ping": lambda _: ({}, ()),
            "time": lambda _: ({"serverTime": _now_ms()}, ()),
            "session.logon": lambda params: (exchange_replies.session(params["apiKey"], _now_ms()), ()),
            "session.logout": lambda _: (exchange_replies.session(None, _now_ms()), ()),
            "userDataStream.subscribe": lambda _: ({"subscriptionId": 0}, ()),
            "userDataStream.subscribe.signature": lambda _: ({"subscriptionId": 0}, ()),
            "exchangeInfo": lambda _: (exchange_replies.exchange_info(_now_ms()), ()),
            "account.commission": lambda _: (exchange_replies.commission(), ()),
            "account.status": lambda _: (exchange_replies.account(*self._balances(), _now_ms()), ()),
            "ticker.book": lambda _: (exchange_replies.book(self.ask), ()),
            "klines": lambda params: (_klines(params), ()),
            "myTrades": lambda _: ([], ()),
            "allOrders": lambda _: ([exchange_replies.queried(order, "NEW") for order in self._open.values()], ()),
            "openOrders.status": lambda _: (
                [exchange_replies.queried(order, "NEW") for order in self._open.values()],
                (),
            ),
            "order.status": self._status,
            "order.place": self._place,
            "order.cancel": self._cancel,
            "order.cancelReplace": self._replace,
        }

    async def __aenter__(self) -> Self:
        for handler in (self._serve_api, self._serve_stream):
            self._servers.append(
                await serve(
                    handler,
                    "127.0.0.1",
                    0,
                    compression=None,
                    ping_interval=None,
                    create_connection=TimestampedConnection,
                )
            )
        api, stream = (server.sockets[0].getsockname()[1] for server in self._servers)
        self.api_url, self.stream_url = f"ws://127.0.0.1:{api}/ws-api/v3", f"ws://127.0.0.1:{stream}"
        self._kline_task = asyncio.create_task(self._publish_klines())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._kline_task is not None:
            self._kline_task.cancel()
        for server in self._servers:
            server.close()
            await server.wait_closed()

    def settings(self, private_key: Path) -> dict[str, str]:
        """The settings that point a daemon to this exchange, with that key."""
        return {
            "TRADING_MODE": "testnet",
            "BINANCE_WS_API_URL": self.api_url,
            "BINANCE_WS_STREAM_URL": self.stream_url,
            "BINANCE_ED25519_API_KEY": "benchmark",
            "BINANCE_ED25519_PRIV_PATH": str(private_key),
        }

    # The market ------------------------------------------------------------------------------

    def book_frame(self, ask: int, ask_quantity: str = "10.00000000") -> bytes:
        """The next bookTicker as a complete WebSocket frame."""
        self.ask = ask
        self._update_id += 1
        text = exchange_replies.top_frame(self._update_id, ask, ask_quantity)
        return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)

    def write_frames(self, frames: bytes) -> float:
        """Write prepared frames to all stream connections. Returns the time right before the write."""
        wrote_s = time.perf_counter()
        for connection in self._stream_connections:
            connection.transport.write(frames)
        return wrote_s

    async def drain(self) -> None:
        """Wait until the kernel has taken nearly all written bytes: the client's pace limits the rate."""
        for connection in self._stream_connections:
            await connection.drain()

    async def order_at(self, ticks: int, within_s: float = PATIENCE_S) -> float:
        """The time at which an order at that price arrived. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while True:
                while self._received:
                    heard = self._received.popleft()
                    if heard.ticks == ticks:
                        return heard.at_s
                self._replace_received.clear()
                await self._replace_received.wait()

    async def move_price(self, ask: int) -> float:
        """Move the best price. Returns the seconds until the order at it arrived; raises TimeoutError."""
        self._received.clear()
        wrote_s = self.write_frames(self.book_frame(ask))
        return await self.order_at(ask) - wrote_s

    async def _publish_klines(self) -> None:
        """Publish the forming kline every two seconds, and each one that closes."""
        published_ms = 0
        while True:
            await asyncio.sleep(_KLINE_EVERY_S)
            now_ms = _now_ms()
            length_ms = _INTERVALS_MS[_INTERVAL]
            open_ms = now_ms // length_ms * length_ms
            rows = exchange_replies.kline_rows(length_ms, open_ms - length_ms, open_ms, MID_PRICE)
            if published_ms and published_ms != open_ms:
                self._send_kline(exchange_replies.kline_event(rows[0], _INTERVAL, now_ms, closed=True))
            self._send_kline(exchange_replies.kline_event(rows[1], _INTERVAL, now_ms, closed=False))
            published_ms = open_ms

    def _send_kline(self, event: Json) -> None:
        for connection in self._stream_connections:
            if "kline" in (connection.request.path if connection.request else ""):
                connection.transport.write(Frame(Opcode.TEXT, json.dumps(event).encode()).serialize(mask=False))

    async def _serve_stream(self, connection: ServerConnection) -> None:
        path = connection.request.path if connection.request else ""
        if not parse_qs(urlsplit(path).query).get("streams"):
            raise ValueError(f"no combined stream: {path}")
        self._stream_connections.add(connection)
        self.subscribed_s = time.perf_counter()
        self.subscribed.set()
        try:
            await connection.wait_closed()
        finally:
            self._stream_connections.discard(connection)

    # The account -----------------------------------------------------------------------------

    async def _serve_api(self, connection: ServerConnection) -> None:
        try:
            async for frame in connection:
                request = json.loads(frame)
                if request["method"] == "order.cancelReplace":
                    self._record_replace(connection, request["params"])
                for message in self._reply_messages(request):
                    await connection.send(json.dumps(message, separators=(",", ":")))
        except ConnectionClosed:
            pass

    def _record_replace(self, connection: ServerConnection, params: Params) -> None:
        at_s = connection.received_s if isinstance(connection, TimestampedConnection) else time.perf_counter()
        self.replaces += 1
        self._received.append(ReceivedReplace(at_s, exchange_replies.ticks_of(params["price"])))
        self._replace_received.set()

    def _reply_messages(self, request: Json) -> list[Json]:
        """The reply and then the events, in the real exchange's order."""
        self.requests += 1
        method = self._methods[str(request["method"])]
        params = request.get("params")
        try:
            result, events = method(params if isinstance(params, dict) else {})
        except RequestError as refusal:
            return [exchange_replies.error_reply(request["id"], 400, refusal.error)]
        return [
            exchange_replies.reply(request["id"], result),
            *({"subscriptionId": 0, "event": each} for each in events),
        ]

    def _place(self, params: Params) -> Reply:
        order = self._new_order(params)
        if params["side"] == "BUY":  # the account has no quote asset
            raise RequestError(-2010, "Account has insufficient balance for requested action.")
        return exchange_replies.placed(order), [*self._open_order(order), self._position()]

    def _cancel(self, params: Params) -> Reply:
        order = self._find_open(params.get("orderId"), params.get("origClientOrderId"), -2011, "Unknown order sent.")
        events = self._cancel_order(order)
        return exchange_replies.cancelled(order, _now_ms()), [*events, self._position()]

    def _replace(self, params: Params) -> Reply:
        wanted, own = params.get("cancelOrderId"), params.get("cancelOrigClientOrderId")
        try:
            before = self._find_open(wanted, own, -2011, "Unknown order sent.")
        except RequestError as refusal:
            halves: Json = {"cancelResult": "FAILURE", "newOrderResult": "NOT_ATTEMPTED"}
            halves |= {"cancelResponse": refusal.error, "newOrderResponse": None}
            raise RequestError(-2022, "Order cancel-replace failed.", halves) from refusal
        events = self._cancel_order(before)
        order = self._new_order(params)
        events += self._open_order(order)
        result = {
            "cancelResult": "SUCCESS",
            "newOrderResult": "SUCCESS",
            "cancelResponse": exchange_replies.cancelled(before, order.time_ms),
            "newOrderResponse": exchange_replies.placed(order),
        }
        return result, [*events, self._position()]

    def _status(self, params: Params) -> Reply:
        wanted, own = params.get("orderId"), params.get("origClientOrderId")
        order = self._closed.get(wanted) if isinstance(wanted, int) else None
        if order is not None:
            return exchange_replies.queried(order, "CANCELED"), ()
        return exchange_replies.queried(self._find_open(wanted, own, -2013, "Order does not exist."), "NEW"), ()

    def _find_open(self, order_id: object, own: object, code: int, otherwise: str) -> Order:
        for order in self._open.values():
            if order_id == order.order_id or (order_id is None and own == order.client_order_id):
                return order
        raise RequestError(code, otherwise)

    def _new_order(self, params: Params) -> Order:
        self._order_id += 1
        return Order(
            self._order_id,
            params["newClientOrderId"],
            params["side"],
            params["price"],
            params["quantity"],
            _now_ms(),
        )

    def _open_order(self, order: Order) -> list[Json]:
        self._open[order.order_id] = order
        if order.client_order_id.startswith(_EXITS):
            self.resting.set()
        return [self._report(order, "NEW", "NEW")]

    def _cancel_order(self, order: Order) -> list[Json]:
        gone = replace(self._open.pop(order.order_id), time_ms=_now_ms())
        self._closed = {order.order_id: gone}  # the daemon never queries an older one
        return [self._report(order, "CANCELED", "CANCELED")]

    def _report(self, order: Order, execution: str, status: str) -> Json:
        self._execution_id += 1
        return exchange_replies.report(order, execution, status, self._execution_id, _now_ms())

    def _position(self) -> Json:
        return exchange_replies.position(*self._balances(), _now_ms())

    def _balances(self) -> tuple[dict[str, str], dict[str, str]]:
        locked = dict.fromkeys(_FUNDS, Decimal(0))
        locked[BASE] = sum((Decimal(order.quantity) for order in self._open.values()), Decimal(0))
        free = {asset: f"{funds - locked[asset]:.8f}" for asset, funds in _FUNDS.items()}
        return free, {asset: f"{each:.8f}" for asset, each in locked.items()}


def _klines(params: Params) -> Sequence[list[object]]:
    """A page of klines: with a start time the oldest from there, else the newest."""
    interval_ms, limit = _INTERVALS_MS[params["interval"]], params.get("limit", 500)
    until_ms = min(params.get("endTime", _now_ms()), _now_ms())
    from_ms = params.get("startTime")
    if from_ms is not None:
        return exchange_replies.kline_rows(interval_ms, from_ms, until_ms, MID_PRICE)[:limit]
    return exchange_replies.kline_rows(interval_ms, until_ms - (_ROWS_AT_MOST + 1) * interval_ms, until_ms, MID_PRICE)[
        -limit:
    ]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
