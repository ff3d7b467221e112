"""Key of a record line by the action it stands for, so that two runs with different settings can be compared.

With other settings prices, quantities and limits in a line may differ although the daemon does the same thing. The key
of an event is its kind, that of a decision is its decision key; of a request the whole text counts, because another
price or quantity on the exchange is another action.
"""

import json
import re
from typing import Final

_REQUEST_ID: Final = re.compile(r'^\{"id": ?\d+,')
_TIMESTAMP: Final = re.compile(r'"timestamp": ?\d+')
_CLIENT_ORDER_ID: Final = re.compile(r'"(TE-[a-z])-[0-9a-z-]+"')


def action_key(line: bytes, *, own_timing: bool = False) -> object:
    """Return a key that is equal for lines of the same action. `own_timing` ignores times and ids in requests."""
    kind, *fields = json.loads(line)
    match kind, fields:
        case ((">" | "!>"), [number, text, *_]):
            return kind, number, _without_times(text) if own_timing else text
        case "news", [event, _]:
            return kind, event
        case "decision", [key, _]:
            return kind, key
        # With own timing operations start in another order, so their numbers differ.
        case "ask", [_, what] if own_timing:
            return kind, what
        case _:
            return kind, *fields


def _without_times(text: str) -> str:
    """A request without its id and time stamp, and with only the kind of our client order ids."""
    return _REQUEST_ID.sub("{", _CLIENT_ORDER_ID.sub(r'"\1"', _TIMESTAMP.sub('"timestamp":0', text)))
