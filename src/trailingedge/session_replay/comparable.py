"""Comparison of output lines: decides whether a line of the record and a line of the replay are the same.

A record of an older version does not have the fields that were added since then. Such fields are not compared. The
checksum of a decision is computed without them (`eventlog.decision_sums`).
"""

import json
from typing import Any, Final

from trailingedge.core.foreign_json import parse

_DECISION: Final = b'["decision",'


def says_the_same(recorded: bytes, replayed: bytes) -> bool:
    """Whether the lines are equal.

    Fields that the recorded line lacks, because an older version wrote it, are not compared.
    """
    if recorded == replayed:
        return True
    before, now = parse(recorded), parse(replayed)
    if recorded.startswith(_DECISION) and replayed.startswith(_DECISION):
        return bool(before[1] == now[1])  # the sum covers all of it; only where it is written in full may differ
    # Compared as text, because `==` takes 1, 1.0 and True for the same value.
    return json.dumps(without_newer_fields(now, before), sort_keys=True) == json.dumps(before, sort_keys=True)


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
