"""Parameters of an API request: typed access by name, and a check that finds parameters which the method does not know.

Numbers are kept as the text that was sent, because the signature covers that text: 0.10 and 0.1 are the same number and
two different payloads.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Final, TypeVar

from trailingedge.core import foreign_json
from trailingedge.simulator.errors import (
    ExchangeError,
    empty_parameter,
    illegal_characters,
    invalid_parameter,
    missing_parameter,
    too_much_precision,
    unread_parameters,
)
from trailingedge.simulator.exchange_spec import PRECISION

AMOUNT_PATTERN: Final = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
CLIENT_ORDER_ID_PATTERN: Final = r"^[a-zA-Z0-9-_]{1,36}$"
MICROSECONDS: Final = 10**15  # a time from here on is in microseconds
OLDEST_MS: Final = 1_483_228_800_000  # 2017-01-01; the exchange accepts no earlier time

Choice = TypeVar("Choice", bound=Enum)


class JsonNumber(str):
    """A JSON number, kept as the text that was sent. A JSON string becomes a plain `str` instead."""

    __slots__ = ()


_DECODER: Final = foreign_json.decoder(parse_float=JsonNumber, parse_int=JsonNumber)


def read_json(text: str) -> object:
    """Parse JSON, with numbers as `JsonNumber`. Raises UnreadableJson."""
    return foreign_json.parse(text, _DECODER)


def plain_json(value: object) -> object:
    """Convert a `JsonNumber` to a number and return any other value unchanged.

    A reply uses this to echo the request's `id` in its own type.
    """
    # An id is echoed in its own type: 1 stays a number and "1" a text.
    if isinstance(value, JsonNumber):
        return foreign_json.parse(value)
    return value


class RequestParameters:
    """The parameters of one request, with an accessor for each type of value.

    An accessor marks the parameter as read and raises ExchangeError for a wrong value. Most
    accessors return None for a parameter that was not sent. `check_all_read` then finds parameters
    that the method does not know.
    """

    def __init__(self, sent: Mapping[str, object]) -> None:
        self._sent = {name: value for name, value in sent.items() if value is not None}
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._sent

    def check_all_read(self) -> None:
        """Raise ExchangeError (−1104) if the request has a parameter that no accessor has read."""
        if not self._sent.keys() <= self._read:
            raise unread_parameters(len(self._sent.keys() & self._read), len(self._sent))

    def signed_payload(self) -> str:
        """Return the text that the signature covers.

        It has all parameters but `signature` as `name=value`, sorted by name and joined by `&`.
        """
        # Sorted by name, as signed requests demand; the order in which they were sent does not matter.
        return "&".join(f"{name}={_as_sent(self._sent[name])}" for name in sorted(self._sent) if name != "signature")

    def text(self, name: str) -> str | None:
        """Read a text that must not be empty. A number is returned as its text."""
        self._read.add(name)
        value = self._sent.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise missing_parameter(name)
        if not value:
            raise empty_parameter(name)
        return value

    def required_text(self, name: str) -> str:
        """Read a mandatory text. Raises ExchangeError (−1102) if it was not sent or is empty."""
        value = self.text(name) if self._sent.get(name) != "" else None
        if value is None:
            raise missing_parameter(name)
        return value

    def amount(self, name: str) -> Decimal | None:
        """Read a plain decimal: digits and at most one dot, no sign, no exponent.

        It may have at most eight decimals.
        """
        value = self.text(name)
        if value is None:
            return None
        # Checked as text: float("1e-8") would be a legal number, and the exchange rejects its notation.
        if not re.fullmatch(AMOUNT_PATTERN, value):
            raise illegal_characters(name, AMOUNT_PATTERN)
        # Trailing zeros are not precision: 1.000000000 passes.
        if len(value.partition(".")[2].rstrip("0")) > PRECISION:
            raise too_much_precision(name)
        return Decimal(value)

    def required_amount(self, name: str) -> Decimal:
        value = self.amount(name)
        if value is None:
            raise missing_parameter(name)
        return value

    def integer(self, name: str) -> int | None:
        """Read a whole number with an optional minus sign."""
        value = self.text(name)
        if value is None:
            return None
        if not re.fullmatch("-?[0-9]{1,19}", value):
            raise illegal_characters(name, "^[0-9]{1,20}$")
        return int(value)

    def flag(self, name: str) -> bool | None:
        """Read a boolean, or the text "true" or "false"."""
        self._read.add(name)
        value = self._sent.get(name)
        if value is None or isinstance(value, bool):
            return value
        if value in {"true", "false"}:
            return value == "true"
        raise invalid_parameter(name)

    def client_order_id(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and not re.fullmatch(CLIENT_ORDER_ID_PATTERN, value):
            raise illegal_characters(name, CLIENT_ORDER_ID_PATTERN)
        return value

    def choice(self, name: str, kind: type[Choice], refusal: ExchangeError | None = None) -> Choice | None:
        """Read a value of the enumeration `kind` and return its member.

        Raises `refusal` for any other value, or error −1130 if `refusal` is None.
        """
        value = self.text(name)
        if value is None:
            return None
        try:
            return kind(value)
        except ValueError as exc:
            raise refusal or invalid_parameter(name) from exc

    def required_choice(self, name: str, kind: type[Choice], refusal: ExchangeError | None = None) -> Choice:
        value = self.choice(name, kind, refusal)
        if value is None:
            raise missing_parameter(name)
        return value

    def market_time_ms(self, name: str, now_ms: int) -> int | None:
        """Read a market time, sent in milliseconds or microseconds. Returns milliseconds.

        The time must lie between 2017 and ten seconds after `now_ms`.
        """
        value = self.integer(name)
        if value is None:
            return None
        time_ms = value // 1000 if value >= MICROSECONDS else value
        if not OLDEST_MS <= time_ms <= now_ms + 10_000:
            raise invalid_parameter(name)
        return time_ms

    def limit(self, default: int, most: int = 1000) -> int:
        """Read `limit`, the number of rows to return, and cap it at `most`."""
        value = self.integer("limit")
        if value is None:
            return default
        if value < 1:
            raise invalid_parameter("limit")
        return min(value, most)

    def symbol_count(self) -> int | None:
        """How many symbols the request names, by `symbol` or `symbols`; None if it has neither parameter."""
        several = self._sent.get("symbols")
        if isinstance(several, list):
            return len(several)
        return 1 if "symbol" in self._sent else None

    def one_or_more(self, name: str) -> list[str] | None:
        """Read one text, or a list of them."""
        return [self.required_text(name)] if isinstance(self._sent.get(name), str) else self.text_list(name)

    def text_list(self, name: str) -> list[str] | None:
        """Read a list of one or more texts."""
        self._read.add(name)
        value = self._sent.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
            raise invalid_parameter(name)
        return [str(each) for each in value]


def _as_sent(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
