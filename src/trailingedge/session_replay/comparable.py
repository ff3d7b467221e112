"""Action keys: record lines of the same action have the same key, even under different settings.

With other settings prices, quantities and limits in a line may differ although the daemon does the
same thing. The key of an event is its kind. The key of a decision is the decision key in the
record. For a request the whole text counts, because another price or quantity on the exchange is
another action.
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
    """Return a request without its id and time stamp.

    Of each client order id of ours, only the kind is kept.
    """
    return _REQUEST_ID.sub("{", _CLIENT_ORDER_ID.sub(r'"\1"', _TIMESTAMP.sub('"timestamp":0', text)))
