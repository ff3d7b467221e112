"""Builders for the simulator's tests: ticks, tick sources, exchanges and clients without sockets."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trailingedge.core.clock import Clock, ManualClock
from trailingedge.model.market import Kline, Side
from trailingedge.simulator.connection_hub import ConnectionHub, HubClient
from trailingedge.simulator.exchange import OWNER, Exchange
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.faults import Faults
from trailingedge.simulator.feeds.ticks import LargestNumbers, Tick
from trailingedge.simulator.orders import NewOrder, OrderType
from trailingedge.simulator.payloads import UserEvent

START_MS = 1_700_000_040_000  # a full minute, far from the wall clock of ManualClock
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def tick(
    bid: str = "100.00",
    ask: str = "100.10",
    *,
    at_s: float = 0.0,
    last: str | None = None,
    traded: str = "0",
    aggressor: Side | None = None,
    bid_quantity: str = "2",
    ask_quantity: str = "3",
) -> Tick:
    """A tick `at_s` seconds after the market's start."""
    return Tick(
        time_ms=START_MS + round(at_s * 1000),
        bid=Decimal(bid),
        bid_quantity=Decimal(bid_quantity),
        ask=Decimal(ask),
        ask_quantity=Decimal(ask_quantity),
        last_price=Decimal(last or bid),
        traded=Decimal(traded),
        aggressor=aggressor,
    )


@dataclass
class ListSource:
    """A source of the given ticks."""

    ticks: Sequence[Tick]
    symbol: str = "ETHFDUSD"
    base_asset: str = "ETH"
    quote_asset: str = "FDUSD"
    tick_size: Decimal = Decimal("0.01")
    step_size: Decimal = Decimal("0.0001")
    history: Sequence[Kline] = ()
    gaps: Sequence[str] = ()
    largest: LargestNumbers | None = None

    def __iter__(self) -> Iterator[Tick]:
        return iter(self.ticks)


def an_exchange(
    base: str = "10", quote: str = "1000", clock: Clock | None = None, opened: bool = True, **spec: Any
) -> Exchange:
    """An exchange whose owner has these balances. Its market stands at 100.00 to 100.10, unless `opened` is False."""
    balances = {"ETH": Decimal(base), "FDUSD": Decimal(quote)}
    exchange = Exchange(ExchangeSpec(**spec), clock or ManualClock(), balances, keep_all=True)
    if opened:
        exchange.on_tick(tick())
        exchange.take_events()
    return exchange


def sell(price: str = "100.10", quantity: str = "1", client_order_id: str | None = None) -> NewOrder:
    return NewOrder(
        Side.SELL, OrderType.LIMIT_MAKER, Decimal(quantity), Decimal(price), client_order_id=client_order_id
    )


def buy(price: str = "100.00", quantity: str = "1", client_order_id: str | None = None) -> NewOrder:
    return NewOrder(Side.BUY, OrderType.LIMIT_MAKER, Decimal(quantity), Decimal(price), client_order_id=client_order_id)


def take_user_events(exchange: Exchange, account: str = OWNER) -> list[tuple[str, str]]:
    """The account's events since the last call: (execution, status) of reports, (event type, "") of others."""
    words = []
    for event in exchange.take_events():
        if isinstance(event, UserEvent) and event.account == account:
            payload = event.payload
            if payload["e"] == "executionReport":
                words.append((str(payload["x"]), str(payload["X"])))
            else:
                words.append((str(payload["e"]), ""))
    return words


class ListConnection:
    """A client's transport that collects its frames."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.texts: list[str] = []
        self.closed: tuple[int, str] | None = None

    def send(self, text: str) -> None:
        self.texts.append(text)
        try:
            self.frames.append(json.loads(text))
        except ValueError:
            self.frames.append({"garbage": text})

    def close(self, code: int, reason: str) -> None:
        self.closed = code, reason


@dataclass
class ApiClient:
    """A client of the WebSocket API, without a socket."""

    hub: ConnectionHub
    connection: ListConnection
    client: HubClient
    clock: Clock
    sent: int = field(default=0)

    def request(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a request and return its reply; {} if there was none. Events are in `events`."""
        self.sent += 1
        seen = len(self.connection.frames)
        self.send({"id": self.sent, "method": method, "params": params})
        return next((each for each in self.connection.frames[seen:] if each.get("id") == self.sent), {})

    def order_request(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a request with symbol and timestamp."""
        return self.request(method, symbol="ETHFDUSD", timestamp=self.clock.unix_ms(), **params)

    def send(self, body: object) -> None:
        self.hub.on_message(self.client, body if isinstance(body, str) else json.dumps(body))

    def log_on(self) -> dict[str, Any]:
        return self.request("session.logon", **signed({"apiKey": "test-key", "timestamp": self.clock.unix_ms()}))

    @property
    def events(self) -> list[dict[str, Any]]:
        return [each["event"] for each in self.connection.frames if "event" in each]


def signed(params: dict[str, Any], key: Ed25519PrivateKey = KEY) -> dict[str, Any]:
    """`params` with the signature over them."""
    payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
    return params | {"signature": b64encode(key.sign(payload.encode())).decode()}


def a_hub(exchange: Exchange | None = None, faults: Faults | None = None, **options: Any) -> ConnectionHub:
    """A connection hub in front of an exchange with the tests' key."""
    exchange = exchange or an_exchange()
    exchange.register_key(KEY.public_key(), api_key="test-key")
    return ConnectionHub(exchange, faults, **options)


def a_client(hub: ConnectionHub, url: str = "/ws-api/v3") -> ApiClient:
    line = ListConnection()
    hub.check_admission(url)
    return ApiClient(hub, line, hub.connect(url, line), hub.exchange.clock)


class ManualScheduler:
    """A `call_later` whose calls the test runs itself."""

    def __init__(self) -> None:
        self.due: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, seconds: float, act: Callable[[], None]) -> None:
        self.due.append((seconds, act))

    def run_all(self) -> list[float]:
        """Run all calls, the earliest first. Returns their delays."""
        due, self.due = sorted(self.due, key=lambda each: each[0]), []
        for _, act in due:
            act()
        return [seconds for seconds, _ in due]


def a_trader(exchange: Exchange | None = None, **options: Any) -> ApiClient:
    """A client that is logged on and subscribed to its account."""
    client = a_client(a_hub(exchange, **options))
    client.log_on()
    client.request("userDataStream.subscribe")
    return client
