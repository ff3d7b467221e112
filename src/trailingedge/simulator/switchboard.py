"""Who is connected, and what each of them hears: the exchange's events on their way to its lines.

Nothing here waits. A line takes frames in order and delivers them in its own time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final, Protocol
from urllib.parse import parse_qs, urlsplit

from trailingedge.simulator.api import CONNECT_WEIGHT, Answer, ApiSession, Close, Request
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.faults import Faults, Misfortune
from trailingedge.simulator.refusals import Refusal
from trailingedge.simulator.shapes import Event, MarketEvent, UserEvent
from trailingedge.simulator.streams import StreamSession, kline_interval
from trailingedge.simulator.tape import Tick

API_PATH: Final = "/ws-api/v3"


class Line(Protocol):
    """The way back to one client. Neither method waits."""

    def send(self, text: str, late_s: float = 0.0) -> None:
        """Frames arrive in order, but those that are `late_s` after later ones."""
        ...

    def close(self, code: int, reason: str) -> None:
        """After what was sent before; nothing is sent any more."""
        ...


class NotServed(ValueError):
    """There is nothing behind that address, or no admittance."""


@dataclass(frozen=True, slots=True, eq=False)
class ApiCaller:
    line: Line
    session: ApiSession


@dataclass(frozen=True, slots=True, eq=False)
class Listener:
    line: Line
    session: StreamSession


Client = ApiCaller | Listener


class Switchboard:
    """All lines. `awaited` is called when somebody first subscribes to bookTicker.

    `events_first`: events go out before the answer of the request that caused them; the real exchange
    promises no order.
    """

    def __init__(
        self,
        exchange: Exchange,
        faults: Faults | None = None,
        chance: Random | None = None,
        events_first: bool = False,
        awaited: Callable[[], None] = lambda: None,
    ) -> None:
        self.exchange = exchange
        self.misfortune = Misfortune(faults or Faults(), chance or Random(0))
        self._events_first = events_first
        self._awaited = awaited
        self._clients: list[Client] = []  # in order of arrival

    def connect(self, url: str, line: Line) -> Client:
        """A client at that address (only path and query count). Raises NotServed."""
        address = urlsplit(url)
        path = address.path.rstrip("/")
        client: Client
        if path == API_PATH:
            asked = parse_qs(address.query)
            if asked.get("timeUnit", ["MILLISECOND"])[0].upper() != "MILLISECOND":
                raise NotServed("microseconds are not offered")
            self._admit()
            show_limits = asked.get("returnRateLimits", ["true"])[0] != "false"
            client = ApiCaller(line, ApiSession(self.exchange, show_limits))
        elif is_served(path):
            client = Listener(line, StreamSession(url, self._subscribed))
        else:
            raise NotServed(f"nothing is served at {address.path}")
        self._clients.append(client)
        return client

    def leave(self, client: Client) -> None:
        """The client's connection is gone."""
        if client in self._clients:
            self._clients.remove(client)

    def hear(self, client: Client, text: str) -> None:
        """A client said something: answer, and tell everybody what came of it. Who was cut off is not heard."""
        if client not in self._clients:
            return
        if isinstance(client, Listener):
            self._give(client, client.session.hear(text, self.exchange.clock.unix_ms()))
            return
        asked = client.session.read(text)
        if isinstance(asked, Answer):
            self._give(client, asked)
            return
        self._handle(client, asked)

    def play(self, tick: Tick) -> bool:
        """The outside world moves on; whether anybody was told anything."""
        self.exchange.engine.play(tick)
        return self.deliver()

    def deliver(self) -> bool:
        """Tell what has collected, for example after something done by hand; whether anybody heard."""
        heard = [
            self._tell(client, event)
            for event in self.exchange.engine.take_events()
            for client in list(self._clients)  # a copy: who is cut off on the way is gone from the list
        ]
        return any(heard)

    def shut_down(self) -> None:
        """Announce the server's end to everybody."""
        for client in self._clients:
            if isinstance(client, ApiCaller):
                client.line.send(client.session.shutdown())
            else:
                client.line.send(client.session.shutdown(self.exchange.engine.market_ms))

    def cut(self, streams: bool = True, api: bool = True) -> None:
        """Drop the connections of either kind without a warning."""
        for client in list(self._clients):
            if streams if isinstance(client, Listener) else api:
                self._cut(client, Close(1006, ""))

    def _admit(self) -> None:
        """Connecting has its weight as well; an address that is banned stays outside."""
        try:
            self.exchange.weights.spend(self.exchange.clock.unix_ms(), CONNECT_WEIGHT)
        except Refusal as refusal:
            raise NotServed(refusal.text) from refusal

    def _handle(self, client: ApiCaller, request: Request) -> None:
        fate = self.misfortune.of_request(request.method)
        answer = client.session.answer(request) if fate.done else Answer()
        if self._events_first:
            self.deliver()
        if fate.cut:
            self._cut(client, Close(1006, ""))
        elif fate.error is not None:
            status, code, text = fate.error
            client.line.send(request.refused(status, {"code": code, "msg": text}), fate.late_s)
        elif fate.answered:
            self._give(client, answer, fate.late_s)
        self.deliver()

    def _tell(self, client: Client, event: Event) -> bool:
        """Send `event` to a client who wants to hear of it; whether he does."""
        text = None
        if isinstance(client, ApiCaller) and isinstance(event, UserEvent):
            text = client.session.tell(event)
            if text is not None:
                client.line.send(text)
        elif isinstance(client, Listener) and isinstance(event, MarketEvent):
            text = client.session.tell(event)
            if text is not None:
                self._broadcast(client, text)
        return text is not None

    def _give(self, client: Client, answer: Answer, late_s: float = 0.0) -> None:
        for text in answer.frames:
            client.line.send(text, late_s)
        if answer.close is not None:
            self._cut(client, answer.close)

    def _broadcast(self, client: Listener, text: str) -> None:
        sent = self.misfortune.of_frame(text)
        if sent is None:
            self._cut(client, Close(1006, ""))
            return
        for each in sent:
            client.line.send(each)

    def _cut(self, client: Client, close: Close) -> None:
        client.line.close(close.code, close.reason)
        self.leave(client)

    def _subscribed(self, stream: str) -> None:
        interval = kline_interval(stream)
        if stream.split("@")[0] != self.exchange.terms.stream_prefix:
            return
        if interval is not None:
            self.exchange.engine.follow(stream, interval)
        elif stream.endswith("@bookTicker"):
            self._awaited()


def is_served(address: str) -> bool:
    """There is something behind that address."""
    path = urlsplit(address).path.rstrip("/")
    return path in {API_PATH, "/ws", "/stream"} or path.startswith("/ws/")
