"""What the methods of the WebSocket API have in common: what a call brings, and what a method costs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trailingedge.simulator.accounts import SimAccount
from trailingedge.simulator.errors import invalid_symbol
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.lagged_view import AccountRecords
from trailingedge.simulator.payloads import Json
from trailingedge.simulator.request_params import RequestParameters

Result = Json | Sequence[object]


@dataclass(frozen=True, slots=True)
class MethodCall:
    """One request on its way. `now_ms` is the wall."""

    exchange: Exchange
    parameters: RequestParameters
    now_ms: int

    @property
    def latest_ms(self) -> int:
        """The later of wall and market: no time asked for may lie far beyond it."""
        return max(self.now_ms, self.exchange.engine.market_ms)

    def symbol(self) -> str:
        """The symbol asked for, which must be ours."""
        symbol = self.parameters.required_text("symbol")
        if symbol != self.exchange.spec.symbol:
            raise invalid_symbol()
        return symbol


@dataclass(frozen=True, slots=True)
class SignedCall(MethodCall):
    """A request of somebody known. `behind_s`: how old the records are that a query is answered from."""

    account: SimAccount
    lag_s: float = 0.0

    @property
    def records(self) -> AccountRecords:
        """The account's, as far as this query is told."""
        return self.account.as_of(self.now_ms - round(self.lag_s * 1000)) if self.lag_s else self.account


@dataclass(frozen=True, slots=True)
class RequestWeight:
    """Request weight; of the whole, or with one of the parameters `when` present."""

    weight: int
    alternative_parameters: tuple[str, ...] = ()
    alternative_weight: int = 0

    def for_parameters(self, parameters: RequestParameters) -> int:
        return (
            self.alternative_weight if any(name in parameters for name in self.alternative_parameters) else self.weight
        )


@dataclass(frozen=True, slots=True)
class MarketMethod:
    """Open to everybody."""

    handler: Callable[[MethodCall], Result]
    weight: RequestWeight


@dataclass(frozen=True, slots=True)
class AccountMethod:
    """Open to the holder of a key. `free`: weighs nothing when it succeeds. `places`: shows the order counts."""

    handler: Callable[[SignedCall], Result]
    weight: RequestWeight
    free_on_success: bool = False
    shows_order_counts: bool = False
