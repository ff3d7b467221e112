"""Connection hub: routes requests, replies and events between the exchange and its connected clients.

Theory of operation. A client is an API session or a stream session behind a transport (`ClientConnection`). The hub
passes each incoming frame to the session, sends the reply, and after every request and every tick publishes the events
that the engine collected, to each client that subscribed to them.

Faults are applied here, to incoming and outgoing frames, so that engine and sessions need no code for them: a request
may be lost, delayed, answered late or with an error, or end the connection (`RequestFault`); an event's frame may be
delayed, doubled, truncated or lost with its connection (`FrameFaults`). Lasting faults are plain attributes and methods
(`streams_muted`, `half_open`, `refuses_connections`).

Nothing here waits. A transport queues frames and delivers them in order in its own task; anything that happens later
goes through `call_later`, which the server implements with its clock. A delayed action checks that its client is still
connected, because the connection may have ended in between.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final, Protocol
from urllib.parse import urlsplit

from trailingedge.simulator.api.session import CONNECT_WEIGHT, ApiRequest, ApiResponse, ClientSession, CloseConnection
from trailingedge.simulator.engine import TRADING
from trailingedge.simulator.errors import ExchangeError
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.faults import FaultInjector, Faults, FrameFaults, RequestFault
from trailingedge.simulator.feeds.ticks import Tick
from trailingedge.simulator.market_streams import is_missing_stream
from trailingedge.simulator.payloads import ExchangeEvent, MarketEvent, UserEvent
from trailingedge.simulator.rate_limits import ConnectionLimiter
from trailingedge.simulator.stream_session import StreamSession
from trailingedge.simulator.time_unit import wants_microseconds
from trailingedge.simulator.url_options import query_option, stream_names

API_PATH: Final = "/ws-api/v3"
LIFETIME_S: Final = 24 * 3600.0  # Binance ends every connection after 24 hours
ABNORMAL_CLOSE: Final = CloseConnection(1006, "")  # RFC 6455: never sent; the TCP connection just ends

CallLater = Callable[[float, Callable[[], None]], object]


class ClientConnection(Protocol):
    """The transport to one client. `send` and `close` return at once."""

    def send(self, text: str) -> None:
        """Queue a frame; frames arrive in the order of the calls."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Close the connection after everything queued so far has been sent.

        Nothing may be sent after this call.
        """
        ...


class NotServed(ValueError):
    """Raised when a connection is refused: unknown path or option, too many connections, a ban, or server away.

    `status` is the HTTP status of the reply to the WebSocket upgrade. `retry_after_s` is its
    Retry-After header, or 0 if unknown.
    """

    def __init__(self, text: str, status: int = 404, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.status = status
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, eq=False)
class ApiHubClient:
    """A client of the WebSocket API."""

    connection: ClientConnection
    session: ClientSession


@dataclass(frozen=True, slots=True, eq=False)
class StreamHubClient:
    """A client of the market streams."""

    connection: ClientConnection
    session: StreamSession


HubClient = ApiHubClient | StreamHubClient


def run_immediately(_: float, act: Callable[[], None]) -> None:
    """Do what a `CallLater` does, but without a clock: call `act` at once and skip the delay."""
    act()


class ConnectionHub:
    """Connects all clients to the exchange.

    `events_first`: events are sent before the reply to the request that caused them. The real exchange does not promise
    whether a reply or its events come first, so tests run with both settings. Lasting faults: `refuses_connections`
    answers 503 to new connections; `streams_muted` and `account_muted` drop events while the connections stay open. A
    dropped event is never sent later.
    """

    def __init__(
        self,
        exchange: Exchange,
        faults: Faults | None = None,
        chance: Random | None = None,
        events_first: bool = False,
        call_later: CallLater = run_immediately,
    ) -> None:
        self.exchange = exchange
        self.fault_injector = FaultInjector(faults or Faults(), chance or Random(0))
        self.refuses_connections = False
        self.streams_muted = False
        self.account_muted = False
        self._events_first = events_first
        self._call_later = call_later
        self._clients: list[HubClient] = []  # in order of arrival
        # API and streams are two services, each with its limit.
        self._connection_limits = {to_api: ConnectionLimiter(exchange.spec) for to_api in (True, False)}

    # Connections

    def check_admission(self, url: str) -> None:
        """Raise NotServed if a connection to `url` is refused.

        Counts the connection toward the connection limit of its service. A connection to the WebSocket API also costs
        request weight.
        """
        if not is_served(url):
            raise NotServed(f"nothing is served at {urlsplit(url).path}")
        missing = [name for name in stream_names(urlsplit(url)) if is_missing_stream(name)]
        if missing:
            raise NotServed(f"stream {missing[0]} is not offered")
        if self.refuses_connections:
            raise NotServed("the server is away", 503)
        now_ms, weights = self.exchange.clock.unix_ms(), self.exchange.weight_limiter
        to_api = _is_api(url)
        try:
            wants_microseconds(urlsplit(url))
            self._connection_limits[to_api].charge(now_ms)
            if to_api:
                weights.charge(now_ms, CONNECT_WEIGHT)
            else:
                weights.check_ban(now_ms)
        except ExchangeError as refusal:
            # Like the real exchange over HTTP: the end of a limit becomes a Retry-After header, in seconds.
            ends_ms = (refusal.data or {}).get("retryAfter", now_ms)
            wait_s = max(0.0, (int(str(ends_ms)) - now_ms) / 1000)
            text = json.dumps({"code": refusal.code, "msg": refusal.text})
            raise NotServed(text, refusal.status, wait_s) from refusal

    def connect(self, url: str, connection: ClientConnection) -> HubClient:
        """Register a client that `check_admission` let in. Only path and query of `url` matter."""
        address = urlsplit(url)
        client: HubClient
        if _is_api(url):
            show_limits = query_option(address, "returnRateLimits") != "false"
            client = ApiHubClient(connection, ClientSession(self.exchange, show_limits, wants_microseconds(address)))
        else:
            client = StreamHubClient(connection, StreamSession(url, self._on_subscribe))
        self._clients.append(client)
        return client

    def remove(self, client: HubClient) -> None:
        """Forget a client whose connection has ended."""
        if client in self._clients:
            self._clients.remove(client)

    def on_message(self, client: HubClient, text: str) -> None:
        """Handle a client's frame: send the reply, and publish the events that the frame caused.

        Ignores frames of removed clients: a frame may still arrive after its client was disconnected.
        """
        if client not in self._clients:
            return
        if isinstance(client, StreamHubClient):
            self._send_response(client, client.session.on_message(text, self.exchange.clock.unix_ms()))
            return
        request = client.session.parse_request(text)
        if isinstance(request, ApiResponse):
            self._send_response(client, request)
            return
        self._schedule_request(client, request)

    # The market

    def on_tick(self, tick: Tick) -> bool:
        """Play a tick and publish the events that it caused. Returns whether any client was sent an event.

        With the fault `partial_fill`, a market participant may take part of an order that rests at the best price.
        """
        engine = self.exchange.engine
        self.exchange.on_tick(tick)
        if self.fault_injector.faults.partial_fill and engine.symbol_status == TRADING:
            step = engine.spec.step_size
            for order in engine.book.orders_at_best():
                steps = self.fault_injector.partial_fill_steps(int(order.remaining / step))
                if steps:
                    engine.partial_fill(order, steps * step)
        return self.publish_events()

    def publish_events(self) -> bool:
        """Send the engine's collected events, for example after a manual order. Returns whether any was sent."""
        sent = [
            self._publish(client, event)
            for event in self.exchange.take_events()
            for client in list(self._clients)  # a copy: a fault may disconnect a client, which removes it
        ]
        return any(sent)  # a list, because with a generator `any` would stop at the first event sent

    # Lasting faults

    def announce_shutdown(self, streams: bool = True, api: bool = True, leave_s: float | None = None) -> None:
        """Send `serverShutdown` to stream clients, API clients or both.

        If `leave_s` is given, these clients are disconnected that many seconds later.
        """
        announced = self._select(streams, api)
        for client in announced:
            if isinstance(client, ApiHubClient):
                client.connection.send(client.session.shutdown_frame())
            else:
                client.connection.send(client.session.shutdown_frame(self.exchange.engine.market_ms))

        def drop() -> None:
            for client in announced:
                self._disconnect(client, ABNORMAL_CLOSE)

        if leave_s is not None:
            self._call_later(leave_s, drop)

    def terminate_subscriptions(self) -> None:
        """End every user data stream subscription (`eventStreamTerminated`); the sessions stay logged on."""
        for client in self._clients:
            if isinstance(client, ApiHubClient):
                for text in client.session.terminate_subscriptions():
                    client.connection.send(text)

    def disconnect(self, streams: bool = True, api: bool = True) -> None:
        """Drop the TCP connections of the chosen kinds of clients, without a close frame."""
        for client in self._select(streams, api):
            self._disconnect(client, ABNORMAL_CLOSE)

    def half_open(self, streams: bool = True, api: bool = True) -> None:
        """Stop all traffic of the chosen kinds of clients until they disconnect; their connections stay open.

        This is a half-open TCP connection as the client sees it: no error, no close, only silence.
        """
        for client in self._select(streams, api):
            self.remove(client)

    def end_lifetime(self, client: HubClient) -> None:
        """Disconnect a client that has reached the maximum lifetime of a connection."""
        self._disconnect(client, ABNORMAL_CLOSE)

    # Inside

    def _select(self, streams: bool, api: bool) -> list[HubClient]:
        return [client for client in self._clients if (streams if isinstance(client, StreamHubClient) else api)]

    def _schedule_request(self, client: ApiHubClient, request: ApiRequest) -> None:
        fault = self.fault_injector.request_fault(request.method)
        if not fault.execution_delay_s:
            self._execute_request(client, request, fault)
            return
        # The error is sent before the execution: the client gets −1007 now, and the order appears seconds later.
        if fault.error is not None:
            self._send_error(client, request, fault)
        self._call_later(fault.execution_delay_s, lambda: self._execute_request(client, request, fault))

    def _execute_request(self, client: ApiHubClient, request: ApiRequest, fault: RequestFault) -> None:
        answer = client.session.execute(request, fault.lag_s) if fault.executed else ApiResponse()
        if self._events_first:
            self.publish_events()
        if fault.disconnects:
            self._disconnect(client, ABNORMAL_CLOSE)
        elif fault.error is None and fault.replied:
            self._run_after(fault.reply_delay_s, lambda: self._send_reply(client, request, answer))
        elif fault.error is not None and not fault.execution_delay_s:
            self._run_after(fault.reply_delay_s, lambda: self._send_error(client, request, fault))
        self.publish_events()

    def _send_reply(self, client: ApiHubClient, request: ApiRequest, answer: ApiResponse) -> None:
        if client not in self._clients:
            return
        engine = self.exchange.engine
        self.exchange.audit_log.record_reply(
            self.exchange.clock.unix_ms(), engine.market_ms, client.session.account, request.method
        )
        self._send_response(client, answer)

    def _send_error(self, client: ApiHubClient, request: ApiRequest, fault: RequestFault) -> None:
        if fault.error is not None and client in self._clients:
            status, code, text = fault.error
            client.connection.send(request.error_frame(status, {"code": code, "msg": text}))

    def _run_after(self, seconds: float, act: Callable[[], None]) -> None:
        if seconds > 0:
            self._call_later(seconds, act)
        else:
            act()

    def _publish(self, client: HubClient, event: ExchangeEvent) -> bool:
        """Send `event` to the client if the client subscribed to it and no fault mutes it.

        Returns whether the event was to be sent. Even then, a frame fault may lose the frame.
        """
        text, frame_faults, muted = None, self.fault_injector.faults.market, self.streams_muted
        if isinstance(client, ApiHubClient) and isinstance(event, UserEvent):
            text = client.session.frame_for(event)
            frame_faults, muted = self.fault_injector.faults.account, self.account_muted
        elif isinstance(client, StreamHubClient) and isinstance(event, MarketEvent):
            text = client.session.frame_for(event)
        if text is None or muted:
            return False
        self._send_with_faults(client, text, frame_faults)
        return True

    def _send_response(self, client: HubClient, answer: ApiResponse) -> None:
        for text in answer.frames:
            client.connection.send(text)
        if answer.close is not None:
            self._disconnect(client, answer.close)

    def _send_with_faults(self, client: HubClient, text: str, frame_faults: FrameFaults) -> None:
        deliveries = self.fault_injector.frame_deliveries(text, frame_faults)
        if deliveries is None:
            self._disconnect(client, ABNORMAL_CLOSE)
            return
        for part, delay_s in deliveries:
            if delay_s > 0:
                self._call_later(delay_s, partial(self._send_if_connected, client, part))
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
        self.exchange.streams.open(stream)


def _is_api(address: str) -> bool:
    return urlsplit(address).path.rstrip("/") == API_PATH


def is_served(address: str) -> bool:
    """Whether the exchange serves the path of the URL `address`."""
    path = urlsplit(address).path.rstrip("/")
    return path in {API_PATH, "/ws", "/stream"} or path.startswith("/ws/")
