"""The balances of an account at one time, from a push of the stream or a reply to a request."""

from dataclasses import dataclass

from trailingedge.model.market import Balance


@dataclass(frozen=True, slots=True)
class AccountPosition:
    """Absolute balances of some assets as of `account_ms`, by the exchange's clock."""

    balances: tuple[Balance, ...]
    account_ms: int
