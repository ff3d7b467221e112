"""Events of the matching engine as typed values: what happened to an order, to an account, or to a request.

The engine passes each event to its sink at once, in the order in which things happen. `exchange` turns them into JSON,
a backtest into the values that its trading core reads. An event refers to the order and account objects, which change
later, so a sink must read what it needs before it returns.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from trailingedge.model.market import ExecutionType
from trailingedge.simulator.accounts import SimAccount
from trailingedge.simulator.errors import ExchangeError
from trailingedge.simulator.orders import PreventedMatch, SimOrder, SimTrade


class OrderReport(NamedTuple):
    """What just happened to one order of `account`; the account stream sends it as an `executionReport`.

    `trade` is the fill (TRADE), `prevented` the self-trade that did not take place (TRADE_PREVENTION), `cancel_id` the
    client order id of the cancel (CANCELED), `previous_id` the order's client order id before an amendment (REPLACED)
    and `reject_reason` the reason in the exchange's words (REJECTED). `by_hand`: the account's owner caused it, not a
    session.
    """

    account: SimAccount
    order: SimOrder
    execution: ExecutionType
    execution_id: int
    event_ms: int
    trade: SimTrade | None = None
    prevented: PreventedMatch | None = None
    cancel_id: str | None = None
    previous_id: str = ""
    reject_reason: str = "NONE"
    by_hand: bool = False


class BalancesChanged(NamedTuple):
    """An action changed the account's balances or orders. There is one such event per account and action."""

    account: SimAccount
    event_ms: int


class FundsTransferred(NamedTuple):
    """A deposit or, with a negative `amount`, a withdrawal."""

    account: SimAccount
    asset: str
    amount: Decimal
    event_ms: int


class HalfRejected(NamedTuple):
    """One half of a cancel-replace was rejected; the reply to the whole request follows."""

    account: SimAccount
    error: ExchangeError


@dataclass(frozen=True, slots=True)
class ActionEnded:
    """A tick or a request is finished: all its other events came before this one, and the book may have changed."""


EngineEvent = OrderReport | BalancesChanged | FundsTransferred | HalfRejected | ActionEnded
EventSink = Callable[[EngineEvent], None]
