"""What the methods of the WebSocket API have in common: what a call brings, and what a method costs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trailingedge.simulator.accounts import SimAccount
from trailingedge.simulator.errors import bad_symbol
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
    def newest_ms(self) -> int:
        """The later of wall and market: no time asked for may lie far beyond it."""
        return max(self.now_ms, self.exchange.engine.market_ms)

    def symbol(self) -> str:
        """The symbol asked for, which must be ours."""
        symbol = self.parameters.needed_text("symbol")
        if symbol != self.exchange.terms.symbol:
            raise bad_symbol()
        return symbol


@dataclass(frozen=True, slots=True)
class SignedCall(MethodCall):
    """A request of somebody known. `behind_s`: how old the records are that a query is answered from."""

    account: SimAccount
    behind_s: float = 0.0

    @property
    def records(self) -> AccountRecords:
        """The account's, as far as this query is told."""
        return self.account.as_of(self.now_ms - round(self.behind_s * 1000)) if self.behind_s else self.account


@dataclass(frozen=True, slots=True)
class RequestWeight:
    """Request weight; of the whole, or with one of the parameters `when` present."""

    weight: int
    when: tuple[str, ...] = ()
    weight_then: int = 0

    def of(self, parameters: RequestParameters) -> int:
        return self.weight_then if any(name in parameters for name in self.when) else self.weight


@dataclass(frozen=True, slots=True)
class MarketMethod:
    """Open to everybody."""

    answer: Callable[[MethodCall], Result]
    cost: RequestWeight


@dataclass(frozen=True, slots=True)
class AccountMethod:
    """Open to the holder of a key. `free`: weighs nothing when it succeeds. `places`: shows the order counts."""

    answer: Callable[[SignedCall], Result]
    cost: RequestWeight
    free: bool = False
    places: bool = False
