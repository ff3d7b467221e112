"""Comparison of two record lines: whether they say the same, or at least stand for the same action.

With other settings prices, quantities and limits in a line may differ although the daemon does the
same thing. The key of an event is its kind. The key of a decision is the decision key in the
record. For a request the whole text counts, because another price or quantity on the exchange is
another action.

A record of an older version lacks the fields of events and decisions that were added since. Such
fields are not compared.
"""

import json
import re
from typing import Any, Final

_WITH_FIELDS: Final = (b'["decision",', b'["news",')

_REQUEST_ID: Final = re.compile(r'^\{"id": ?\d+,')
_TIMESTAMP: Final = re.compile(r'"timestamp": ?\d+')
_CLIENT_ORDER_ID: Final = re.compile(r'"(TE-[a-z])-[0-9a-z-]+"')


def says_the_same(recorded: bytes, replayed: bytes) -> bool:
    """Whether the lines are equal, leaving out fields that a version older than this one did not record."""
    if recorded == replayed:
        return True
    if not (recorded.startswith(_WITH_FIELDS) and replayed.startswith(_WITH_FIELDS)):
        return False
    before = json.loads(recorded)
    # Compared as text, because `==` takes 1, 1.0 and True for the same value.
    return json.dumps(before) == json.dumps(without_newer_fields(json.loads(replayed), before))


def without_newer_fields(replayed: Any, recorded: Any) -> Any:
    """Return the JSON value `replayed` without the fields that `recorded` does not have, at any depth."""
    match replayed, recorded:
        case dict(), dict():
            return {
                name: without_newer_fields(each, recorded[name]) for name, each in replayed.items() if name in recorded
            }
        case list(), list() if len(replayed) == len(recorded):
            return [without_newer_fields(*pair) for pair in zip(replayed, recorded, strict=True)]
        case _:
            return replayed


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
