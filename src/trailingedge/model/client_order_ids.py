"""Client order ids: `TE-<kind>-<number>` shows that an order is ours, and which exit it belongs to.

The number is in base 36 and names the exit: UTC milliseconds of its start. All orders of one exit have the same id,
so that the exchange itself rejects a second open one. An anchor marker carries its anchor price as well, in ticks:
`TE-n-<number>-<ticks>`. A restart reads exits and anchors from these ids, because nothing is saved on disk.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from trailingedge.model.intent import ExitKind

PREFIX: Final = "TE"
_LONGEST_NUMBER: Final = 8  # digits: milliseconds until the year 2059
_IDS_KEPT: Final = 256
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class ClientOrderId:
    """The parts of a client order id of ours.

    `ticks` is the anchor price in ticks in the id of an anchor marker, and None in all other ids.
    """

    kind: ExitKind
    number: int
    ticks: int | None = None

    def __str__(self) -> str:
        text = f"{PREFIX}-{self.kind.value}-{base36(self.number)}"
        return text if self.ticks is None else f"{text}-{base36(self.ticks)}"


# An exit that follows the price names the same id thousands of times, in requests, replies and reports.
@lru_cache(maxsize=_IDS_KEPT)
def own_id(client_order_id: str) -> ClientOrderId | None:
    """Return the parts of a client order id of ours; None for an id of another program."""
    # The exchange allows any text of up to 36 characters: ids of other programs must parse to None, never raise.
    parts = client_order_id.split("-")
    if len(parts) < 3 or parts[0] != PREFIX or len(parts[2]) > _LONGEST_NUMBER:
        return None
    try:
        kind, number = ExitKind(parts[1]), from_base36(parts[2])
        ticks = from_base36(parts[3]) if kind is ExitKind.NOTE and len(parts) > 3 else None
    except ValueError:
        return None
    return ClientOrderId(kind, number, ticks)


def is_own(client_order_id: str) -> bool:
    """Return whether the client order id is one of ours."""
    return own_id(client_order_id) is not None


def base36(number: int) -> str:
    """Return `number`, which must not be negative, in the digits 0-9 and a-z."""
    if number < 0:
        raise ValueError(f"a negative number cannot be written in base 36: {number}")
    digits = ""
    while number >= 36:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return _DIGITS[number] + digits


def from_base36(text: str) -> int:
    """Return the number that `base36` writes as `text`.

    Raises ValueError for any other text, such as one with capitals or a sign.
    """
    if not text or any(digit not in _DIGITS for digit in text):
        raise ValueError(f"not base 36: {text!r}")
    return int(text, 36)
