"""Error replies of the simulated exchange: one exception, with Binance's codes and texts.

The codes are those that Binance publishes. The texts are those of the real exchange, if known. Clients can tell some
errors apart only by their text (−2010 has many), so a text must be exact.
"""

from collections.abc import Mapping
from typing import Final

from trailingedge.core.errors import RequestRefused

INSUFFICIENT_BALANCE: Final = "Account has insufficient balance for requested action."
WOULD_TAKE: Final = "Order would immediately match and take."
DUPLICATE_ORDER: Final = "Duplicate order sent."
UNKNOWN_ORDER: Final = "Unknown order sent."
CANCEL_RESTRICTED: Final = "Order was not canceled due to cancel restrictions."
MARKET_CLOSED: Final = "Market is closed."
WRONG_PHASE: Final = "This order type is not possible in this trading phase."
PEG_TYPE: Final = "This order type may not use pegged price."
PEG_PRICE: Final = "This price peg cannot be used with this order type."
PEG_FORBIDDEN: Final = "Pegged orders are not supported for this symbol."
PEG_LIQUIDITY: Final = "Order book liquidity is too low for this pegged order."
BAD_KEY: Final = "Invalid API-key, IP, or permissions for action."

AMEND_FORBIDDEN: Final = "Order amend is not supported for this symbol."
AMEND_INCREASE: Final = "Order amend (quantity increase) is not supported."
AMEND_NO_CHANGE: Final = "The requested action would change no state; rejecting"

# The error text of a reply and the reason in the execution report are two vocabularies for the same thing.
REJECT_REASONS: Final = {WOULD_TAKE: "WOULD_MATCH_IMMEDIATELY", INSUFFICIENT_BALANCE: "INSUFFICIENT_BALANCES"}

FILTER_CODE: Final = -1013
REJECTED_CODE: Final = -2010
CANCEL_REJECTED_CODE: Final = -2011
AMEND_REJECTED_CODE: Final = -2038


class ExchangeError(RequestRefused):
    """Ends a request with an error reply. `status` is the reply's HTTP-like status, `data` the error's `data`."""

    def __init__(self, code: int, text: str, status: int = 400, data: Mapping[str, object] | None = None) -> None:
        super().__init__(code, text)
        self.status = status
        self.data = data

    def as_json(self) -> dict[str, object]:
        """The `error` object of the reply."""
        error: dict[str, object] = {"code": self.code, "msg": self.text}
        if self.data is not None:
            error["data"] = self.data
        return error


def order_rejected(text: str) -> ExchangeError:
    """Return the error with which the matching engine rejects an order (−2010)."""
    return ExchangeError(REJECTED_CODE, text)


def cancel_rejected(text: str) -> ExchangeError:
    """Return the error of a rejected cancel (−2011): no such open order, or the request's restriction forbids it."""
    return ExchangeError(CANCEL_REJECTED_CODE, text)


def amend_rejected(text: str) -> ExchangeError:
    """Return the error with which the matching engine rejects an amendment (−2038); the order stays as it was."""
    return ExchangeError(AMEND_REJECTED_CODE, text)


def wrong_client_order_id() -> ExchangeError:
    """Return the error of a request whose order id and client order id name different orders."""
    return ExchangeError(-2039, "Client order ID is not correct for this order ID.")


def filter_failure(name: str, code: int = FILTER_CODE) -> ExchangeError:
    """Return the error for an order that fails the filter `name`.

    Filters that are checked before the engine give −1013. MAX_NUM_ORDERS, which the engine checks,
    gives −2010.
    """
    return ExchangeError(code, f"Filter failure: {name}")


def missing_parameter(name: str) -> ExchangeError:
    return ExchangeError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def illegal_characters(name: str, legal: str) -> ExchangeError:
    return ExchangeError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def empty_parameter(name: str) -> ExchangeError:
    return ExchangeError(-1105, f"Parameter '{name}' was empty.")


def parameter_not_required(name: str) -> ExchangeError:
    return ExchangeError(-1106, f"Parameter '{name}' sent when not required.")


def too_much_precision(name: str) -> ExchangeError:
    return ExchangeError(-1111, f"Parameter '{name}' has too much precision.")


def invalid_parameter(name: str) -> ExchangeError:
    return ExchangeError(-1130, f"Data sent for parameter '{name}' is not valid.")


def unread_parameters(read: int, sent: int) -> ExchangeError:
    return ExchangeError(
        -1104, f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}' parameter(s)."
    )


def bad_combination(text: str = "Combination of optional parameters invalid.") -> ExchangeError:
    return ExchangeError(-1128, text)


def invalid_symbol() -> ExchangeError:
    return ExchangeError(-1121, "Invalid symbol.")


def invalid_api_key() -> ExchangeError:
    return ExchangeError(-2015, BAD_KEY, status=401)
