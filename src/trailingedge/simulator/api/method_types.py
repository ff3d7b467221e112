"""Method descriptors of the WebSocket API: the arguments of a handler, and the request weight of a method."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from trailingedge.simulator.accounts import SimAccount
from trailingedge.simulator.errors import invalid_symbol
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.lagged_view import AccountRecords
from trailingedge.simulator.payloads import Json
from trailingedge.simulator.request_params import RequestParameters

Result = Json | Sequence[object]


@dataclass(frozen=True, slots=True)
class MethodCall:
    """The arguments of a handler. `now_ms` is the wall clock."""

    exchange: Exchange
    parameters: RequestParameters
    now_ms: int

    @property
    def latest_ms(self) -> int:
        """Return the later of wall clock and market time. Times in a request may be at most 10 s later than that."""
        return max(self.now_ms, self.exchange.engine.market_ms)

    def symbol(self) -> str:
        """Return the parameter `symbol`. Raises ExchangeError unless it names this exchange's symbol."""
        symbol = self.parameters.required_text("symbol")
        if symbol != self.exchange.spec.symbol:
            raise invalid_symbol()
        return symbol


@dataclass(frozen=True, slots=True)
class SignedCall(MethodCall):
    """The arguments of a handler that needs an account. Queries are answered from records `lag_s` seconds old."""

    account: SimAccount
    lag_s: float = 0.0

    @property
    def records(self) -> AccountRecords:
        """Return the records for a query: the account itself or, under the fault `lag`, its state `lag_s` ago."""
        return self.account.as_of(self.now_ms - round(self.lag_s * 1000)) if self.lag_s else self.account


class WeightRule(Protocol):
    """Rule for the request weight of a method."""

    def for_parameters(self, parameters: RequestParameters) -> int:
        """The weight of a request with these parameters."""
        ...


@dataclass(frozen=True, slots=True)
class RequestWeight:
    """The weight of a method: `alternative_weight` if a request has any of `alternative_parameters`, else `weight`."""

    weight: int
    alternative_parameters: tuple[str, ...] = ()
    alternative_weight: int = 0

    def for_parameters(self, parameters: RequestParameters) -> int:
        """The weight of a request with these parameters."""
        return (
            self.alternative_weight if any(name in parameters for name in self.alternative_parameters) else self.weight
        )


@dataclass(frozen=True, slots=True)
class MarketMethod:
    """Describes a method that needs no API key."""

    handler: Callable[[MethodCall], Result]
    weight: WeightRule


@dataclass(frozen=True, slots=True)
class AccountMethod:
    """Describes a method that needs an API key.

    `free_on_success`: the weight is refunded if the request succeeds, as for order methods of the real exchange.
    `shows_order_counts`: its reply carries the unfilled-order counts.
    """

    handler: Callable[[SignedCall], Result]
    weight: RequestWeight
    free_on_success: bool = False
    shows_order_counts: bool = False
