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
LOST: Final = CloseConnection(1006, "")  # not a code that is sent: the connection just ends

Later = Callable[[float, Callable[[], None]], object]


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
class ApiCaller:
    line: ClientConnection
    session: ClientSession


@dataclass(frozen=True, slots=True, eq=False)
class Listener:
    line: ClientConnection
    session: StreamSession


HubClient = ApiCaller | Listener


def at_once(_: float, act: Callable[[], None]) -> None:
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
        later: Later = at_once,
    ) -> None:
        self.exchange = exchange
        self.misfortune = FaultInjector(faults or Faults(), chance or Random(0))
        self.closed = False
        self.mute_streams = False
        self.mute_account = False
        self._events_first = events_first
        self._awaited = awaited
        self._later = later
        self._clients: list[HubClient] = []  # in order of arrival

    # Coming and going

    def admit(self, url: str) -> None:
        """Let somebody in at that address, at the price of connecting. Raises NotServed."""
        if not is_served(url):
            raise NotServed(f"nothing is served at {urlsplit(url).path}")
        if self.closed:
            raise NotServed("the server is away", 503)
        now_ms, weights = self.exchange.clock.unix_ms(), self.exchange.weights
        try:
            if urlsplit(url).path.rstrip("/") == API_PATH:
                weights.spend(now_ms, CONNECT_WEIGHT)
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
            client = ApiCaller(line, ClientSession(self.exchange, show_limits))
        else:
            client = Listener(line, StreamSession(url, self._subscribed))
        self._clients.append(client)
        return client

    def leave(self, client: HubClient) -> None:
        """The client's connection is gone."""
        if client in self._clients:
            self._clients.remove(client)

    def hear(self, client: HubClient, text: str) -> None:
        """A client said something: answer, and tell everybody what came of it. Who was cut off is not heard."""
        if client not in self._clients:
            return
        if isinstance(client, Listener):
            self._give(client, client.session.hear(text, self.exchange.clock.unix_ms()))
            return
        asked = client.session.read(text)
        if isinstance(asked, ApiResponse):
            self._give(client, asked)
            return
        self._handle(client, asked)

    # The world

    def play(self, tick: Tick) -> bool:
        """The outside world moves on; whether anybody was told anything."""
        engine = self.exchange.engine
        engine.play(tick)
        if self.misfortune.faults.nibble and engine.status == TRADING:
            step = engine.terms.step_size
            for order in engine.book.at_best():
                taken = self.misfortune.bite(int(order.remaining / step))
                if taken:
                    engine.nibble(order, taken * step)
        return self.deliver()

    def deliver(self) -> bool:
        """Tell what has collected, for example after something done by hand; whether anybody heard."""
        heard = [
            self._tell(client, event)
            for event in self.exchange.engine.take_events()
            for client in list(self._clients)  # a copy: who is cut off on the way is gone from the list
        ]
        return any(heard)

    # Misbehaviour

    def shut_down(self, streams: bool = True, api: bool = True, leave_s: float | None = None) -> None:
        """Announce the server's end to those connected; where `leave_s` is given, drop them that much later."""
        told = self._of_kind(streams, api)
        for client in told:
            if isinstance(client, ApiCaller):
                client.line.send(client.session.shutdown())
            else:
                client.line.send(client.session.shutdown(self.exchange.engine.market_ms))

        def drop() -> None:
            for client in told:
                self._cut(client, LOST)

        if leave_s is not None:
            self._later(leave_s, drop)

    def terminate_subscriptions(self) -> None:
        """End every user data stream, while its session lives on."""
        for client in self._clients:
            if isinstance(client, ApiCaller):
                for text in client.session.terminate():
                    client.line.send(text)

    def cut(self, streams: bool = True, api: bool = True) -> None:
        """Drop the connections of either kind without a warning."""
        for client in self._of_kind(streams, api):
            self._cut(client, LOST)

    def half_open(self, streams: bool = True, api: bool = True) -> None:
        """The lines of either kind stay open, and nothing goes through them any more, either way."""
        for client in self._of_kind(streams, api):
            self.leave(client)

    def expire(self, client: HubClient) -> None:
        """The client has been connected for as long as anybody may be."""
        self._cut(client, LOST)

    # Inside

    def _of_kind(self, streams: bool, api: bool) -> list[HubClient]:
        return [client for client in self._clients if (streams if isinstance(client, Listener) else api)]

    def _handle(self, client: ApiCaller, request: ApiRequest) -> None:
        fate = self.misfortune.of_request(request.method)
        if not fate.done_after_s:
            self._carry_out(client, request, fate)
            return
        if fate.error is not None:
            self._refuse(client, request, fate)
        self._later(fate.done_after_s, lambda: self._carry_out(client, request, fate))

    def _carry_out(self, client: ApiCaller, request: ApiRequest, fate: RequestFault) -> None:
        answer = client.session.answer(request, fate.behind_s) if fate.done else ApiResponse()
        if self._events_first:
            self.deliver()
        if fate.cut:
            self._cut(client, LOST)
        elif fate.error is None and fate.answered:
            self._in(fate.late_s, lambda: self._answer(client, request, answer))
        elif fate.error is not None and not fate.done_after_s:
            self._in(fate.late_s, lambda: self._refuse(client, request, fate))
        self.deliver()

    def _answer(self, client: ApiCaller, request: ApiRequest, answer: ApiResponse) -> None:
        if client not in self._clients:
            return
        engine = self.exchange.engine
        engine.journal.answered(self.exchange.clock.unix_ms(), engine.market_ms, client.session.account, request.method)
        self._give(client, answer)

    def _refuse(self, client: ApiCaller, request: ApiRequest, fate: RequestFault) -> None:
        if fate.error is not None and client in self._clients:
            status, code, text = fate.error
            client.line.send(request.refused(status, {"code": code, "msg": text}))

    def _in(self, seconds: float, act: Callable[[], None]) -> None:
        if seconds > 0:
            self._later(seconds, act)
        else:
            act()

    def _tell(self, client: HubClient, event: ExchangeEvent) -> bool:
        """Send `event` to a client who wants to hear of it; whether he does."""
        text, mishaps, mute = None, self.misfortune.faults.market, self.mute_streams
        if isinstance(client, ApiCaller) and isinstance(event, UserEvent):
            text = client.session.tell(event)
            mishaps, mute = self.misfortune.faults.account, self.mute_account
        elif isinstance(client, Listener) and isinstance(event, MarketEvent):
            text = client.session.tell(event)
        if text is None or mute:
            return False
        self._broadcast(client, text, mishaps)
        return True

    def _give(self, client: HubClient, answer: ApiResponse) -> None:
        for text in answer.frames:
            client.line.send(text)
        if answer.close is not None:
            self._cut(client, answer.close)

    def _broadcast(self, client: HubClient, text: str, mishaps: FrameFaults) -> None:
        sent = self.misfortune.of_frame(text, mishaps)
        if sent is None:
            self._cut(client, LOST)
            return
        for part, late_s in sent:
            if late_s > 0:
                self._later(late_s, partial(self._send, client, part))
            else:
                client.line.send(part)

    def _send(self, client: HubClient, text: str) -> None:
        if client in self._clients:
            client.line.send(text)

    def _cut(self, client: HubClient, close: CloseConnection) -> None:
        if client in self._clients:
            client.line.close(close.code, close.reason)
            self.leave(client)

    def _subscribed(self, stream: str) -> None:
        interval = kline_interval(stream)
        if stream.split("@")[0] != self.exchange.terms.stream_prefix:
            return
        if interval is not None:
            self.exchange.engine.follow(stream, interval)
        elif stream.endswith("@aggTrade"):
            self.exchange.engine.tell_trades()
        elif stream.endswith("@bookTicker"):
            self._awaited()


def is_served(address: str) -> bool:
    """There is something behind that address."""
    path = urlsplit(address).path.rstrip("/")
    return path in {API_PATH, "/ws", "/stream"} or path.startswith("/ws/")
