"""Who is connected, and what each of them hears: the exchange's events on their way to its lines.

Nothing here waits. A line takes frames in order and delivers them in its own time; what is to happen later
is left to `later`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final, Protocol
from urllib.parse import parse_qs, urlsplit

from trailingedge.simulator.api.session import CONNECT_WEIGHT, ApiRequest, ApiResponse, ClientSession, CloseConnection
from trailingedge.simulator.engine import TRADING
from trailingedge.simulator.errors import ExchangeError
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.faults import FaultInjector, Faults, FrameFaults, RequestFault
from trailingedge.simulator.feeds.ticks import Tick
from trailingedge.simulator.payloads import ExchangeEvent, MarketEvent, UserEvent
from trailingedge.simulator.streams import StreamSession, kline_interval

API_PATH: Final = "/ws-api/v3"
LIFETIME_S: Final = 24 * 3600.0
ABNORMAL_CLOSE: Final = CloseConnection(1006, "")  # not a code that is sent: the connection just ends

CallLater = Callable[[float, Callable[[], None]], object]


class ClientConnection(Protocol):
    """The way back to one client. Neither method waits."""

    def send(self, text: str) -> None:
        """Frames arrive in order."""
        ...

    def close(self, code: int, reason: str) -> None:
        """After what was sent before; nothing is sent any more."""
        ...


class NotServed(ValueError):
    """There is nothing behind that address, or no admittance: until `retry_after_s` are over, where that is known."""

    def __init__(self, text: str, status: int = 404, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.status = status
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, eq=False)
class ApiHubClient:
    connection: ClientConnection
    session: ClientSession


@dataclass(frozen=True, slots=True, eq=False)
class StreamHubClient:
    connection: ClientConnection
    session: StreamSession


HubClient = ApiHubClient | StreamHubClient


def run_immediately(_: float, act: Callable[[], None]) -> None:
    """For whoever has no time to wait."""
    act()


class ConnectionHub:
    """All lines. `awaited` is called when somebody first subscribes to bookTicker.

    `events_first`: events go out before the answer of the request that caused them; the real exchange
    promises no order. Lasting misbehaviour: `closed` admits nobody, `mute_streams` and `mute_account` keep
    quiet while their lines live; what is not said then is never said.
    """

    def __init__(
        self,
        exchange: Exchange,
        faults: Faults | None = None,
        chance: Random | None = None,
        events_first: bool = False,
        awaited: Callable[[], None] = lambda: None,
        later: CallLater = run_immediately,
    ) -> None:
        self.exchange = exchange
        self.fault_injector = FaultInjector(faults or Faults(), chance or Random(0))
        self.refuses_connections = False
        self.streams_muted = False
        self.account_muted = False
        self._events_first = events_first
        self._on_book_subscription = awaited
        self._call_later = later
        self._clients: list[HubClient] = []  # in order of arrival

    # Coming and going

    def check_admission(self, url: str) -> None:
        """Let somebody in at that address, at the price of connecting. Raises NotServed."""
        if not is_served(url):
            raise NotServed(f"nothing is served at {urlsplit(url).path}")
        if self.refuses_connections:
            raise NotServed("the server is away", 503)
        now_ms, weights = self.exchange.clock.unix_ms(), self.exchange.weight_limiter
        try:
            if urlsplit(url).path.rstrip("/") == API_PATH:
                weights.charge(now_ms, CONNECT_WEIGHT)
            else:
                weights.check_ban(now_ms)
        except ExchangeError as refusal:
            ends_ms = (refusal.data or {}).get("retryAfter", now_ms)
            wait_s = max(0.0, (int(str(ends_ms)) - now_ms) / 1000)
            raise NotServed(refusal.text, refusal.status, wait_s) from refusal

    def connect(self, url: str, line: ClientConnection) -> HubClient:
        """A client at that address (only path and query count), who was admitted. Raises NotServed."""
        address = urlsplit(url)
        client: HubClient
        if address.path.rstrip("/") == API_PATH:
            asked = parse_qs(address.query)
            if asked.get("timeUnit", ["MILLISECOND"])[0].upper() != "MILLISECOND":
                raise NotServed("microseconds are not offered")
            show_limits = asked.get("returnRateLimits", ["true"])[0] != "false"
            client = ApiHubClient(line, ClientSession(self.exchange, show_limits))
        else:
            client = StreamHubClient(line, StreamSession(url, self._on_subscribe))
        self._clients.append(client)
        return client

    def remove(self, client: HubClient) -> None:
        """The client's connection is gone."""
        if client in self._clients:
            self._clients.remove(client)

    def on_message(self, client: HubClient, text: str) -> None:
        """A client said something: answer, and tell everybody what came of it. Who was cut off is not heard."""
        if client not in self._clients:
            return
        if isinstance(client, StreamHubClient):
            self._send_response(client, client.session.on_message(text, self.exchange.clock.unix_ms()))
            return
        asked = client.session.parse_request(text)
        if isinstance(asked, ApiResponse):
            self._send_response(client, asked)
            return
        self._schedule_request(client, asked)

    # The world

    def on_tick(self, tick: Tick) -> bool:
        """The outside world moves on; whether anybody was told anything."""
        engine = self.exchange.engine
        engine.on_tick(tick)
        if self.fault_injector.faults.partial_fill and engine.symbol_status == TRADING:
            step = engine.spec.step_size
            for order in engine.book.orders_at_best():
                taken = self.fault_injector.partial_fill_steps(int(order.remaining / step))
                if taken:
                    engine.partial_fill(order, taken * step)
        return self.publish_events()

    def publish_events(self) -> bool:
        """Tell what has collected, for example after something done by hand; whether anybody heard."""
        heard = [
            self._publish(client, event)
            for event in self.exchange.engine.take_events()
            for client in list(self._clients)  # a copy: who is cut off on the way is gone from the list
        ]
        return any(heard)

    # Misbehaviour

    def announce_shutdown(self, streams: bool = True, api: bool = True, leave_s: float | None = None) -> None:
        """Announce the server's end to those connected; where `leave_s` is given, drop them that much later."""
        told = self._select(streams, api)
        for client in told:
            if isinstance(client, ApiHubClient):
                client.connection.send(client.session.shutdown_frame())
            else:
                client.connection.send(client.session.shutdown_frame(self.exchange.engine.market_ms))

        def drop() -> None:
            for client in told:
                self._disconnect(client, ABNORMAL_CLOSE)

        if leave_s is not None:
            self._call_later(leave_s, drop)

    def terminate_subscriptions(self) -> None:
        """End every user data stream, while its session lives on."""
        for client in self._clients:
            if isinstance(client, ApiHubClient):
                for text in client.session.terminate_subscriptions():
                    client.connection.send(text)

    def disconnect(self, streams: bool = True, api: bool = True) -> None:
        """Drop the connections of either kind without a warning."""
        for client in self._select(streams, api):
            self._disconnect(client, ABNORMAL_CLOSE)

    def half_open(self, streams: bool = True, api: bool = True) -> None:
        """The lines of either kind stay open, and nothing goes through them any more, either way."""
        for client in self._select(streams, api):
            self.remove(client)

    def end_lifetime(self, client: HubClient) -> None:
        """The client has been connected for as long as anybody may be."""
        self._disconnect(client, ABNORMAL_CLOSE)

    # Inside

    def _select(self, streams: bool, api: bool) -> list[HubClient]:
        return [client for client in self._clients if (streams if isinstance(client, StreamHubClient) else api)]

    def _schedule_request(self, client: ApiHubClient, request: ApiRequest) -> None:
        fate = self.fault_injector.request_fault(request.method)
        if not fate.execution_delay_s:
            self._execute_request(client, request, fate)
            return
        if fate.error is not None:
            self._send_error(client, request, fate)
        self._call_later(fate.execution_delay_s, lambda: self._execute_request(client, request, fate))

    def _execute_request(self, client: ApiHubClient, request: ApiRequest, fate: RequestFault) -> None:
        answer = client.session.execute(request, fate.lag_s) if fate.executed else ApiResponse()
        if self._events_first:
            self.publish_events()
        if fate.disconnects:
            self._disconnect(client, ABNORMAL_CLOSE)
        elif fate.error is None and fate.replied:
            self._run_after(fate.reply_delay_s, lambda: self._send_reply(client, request, answer))
        elif fate.error is not None and not fate.execution_delay_s:
            self._run_after(fate.reply_delay_s, lambda: self._send_error(client, request, fate))
        self.publish_events()

    def _send_reply(self, client: ApiHubClient, request: ApiRequest, answer: ApiResponse) -> None:
        if client not in self._clients:
            return
        engine = self.exchange.engine
        engine.audit_log.record_reply(
            self.exchange.clock.unix_ms(), engine.market_ms, client.session.account, request.method
        )
        self._send_response(client, answer)

    def _send_error(self, client: ApiHubClient, request: ApiRequest, fate: RequestFault) -> None:
        if fate.error is not None and client in self._clients:
            status, code, text = fate.error
            client.connection.send(request.error_frame(status, {"code": code, "msg": text}))

    def _run_after(self, seconds: float, act: Callable[[], None]) -> None:
        if seconds > 0:
            self._call_later(seconds, act)
        else:
            act()

    def _publish(self, client: HubClient, event: ExchangeEvent) -> bool:
        """Send `event` to a client who wants to hear of it; whether he does."""
        text, mishaps, mute = None, self.fault_injector.faults.market, self.streams_muted
        if isinstance(client, ApiHubClient) and isinstance(event, UserEvent):
            text = client.session.frame_for(event)
            mishaps, mute = self.fault_injector.faults.account, self.account_muted
        elif isinstance(client, StreamHubClient) and isinstance(event, MarketEvent):
            text = client.session.frame_for(event)
        if text is None or mute:
            return False
        self._send_with_faults(client, text, mishaps)
        return True

    def _send_response(self, client: HubClient, answer: ApiResponse) -> None:
        for text in answer.frames:
            client.connection.send(text)
        if answer.close is not None:
            self._disconnect(client, answer.close)

    def _send_with_faults(self, client: HubClient, text: str, mishaps: FrameFaults) -> None:
        sent = self.fault_injector.frame_deliveries(text, mishaps)
        if sent is None:
            self._disconnect(client, ABNORMAL_CLOSE)
            return
        for part, late_s in sent:
            if late_s > 0:
                self._call_later(late_s, partial(self._send_if_connected, client, part))
            else:
                client.connection.send(part)

    def _send_if_connected(self, client: HubClient, text: str) -> None:
        if client in self._clients:
            client.connection.send(text)

    def _disconnect(self, client: HubClient, close: CloseConnection) -> None:
        if client in self._clients:
            client.connection.close(close.code, close.reason)
            self.remove(client)

    def _on_subscribe(self, stream: str) -> None:
        interval = kline_interval(stream)
        if stream.split("@")[0] != self.exchange.spec.stream_prefix:
            return
        if interval is not None:
            self.exchange.engine.publish_klines(stream, interval)
        elif stream.endswith("@aggTrade"):
            self.exchange.engine.publish_trades()
        elif stream.endswith("@bookTicker"):
            self._on_book_subscription()


def is_served(address: str) -> bool:
    """There is something behind that address."""
    path = urlsplit(address).path.rstrip("/")
    return path in {API_PATH, "/ws", "/stream"} or path.startswith("/ws/")
