"""Of a record's lines, what is done: by that alone two sessions with different settings can be compared."""

import json
import re
from typing import Final

_FIRST: Final = re.compile(r'^\{"id": ?\d+,')
_STAMPED: Final = re.compile(r'"timestamp": ?\d+')
_NUMBERED: Final = re.compile(r'"(TE-[a-z])-[0-9a-z-]+"')


def action_key(line: bytes, *, own_time: bool = False) -> object:
    """Equal for lines that tell of the same act. By its `own_time` a request bears another time stamp."""
    kind, *said = json.loads(line)
    match kind, said:
        case ((">" | "!>"), [number, text, *_]):
            return kind, number, _without_times(text) if own_time else text
        case "news", [event, _]:
            return kind, event
        case "decision", [about, _]:
            return kind, about
        case "ask", [_, what] if own_time:
            return kind, what
        case _:
            return kind, *said


def _without_times(text: str) -> str:
    return _FIRST.sub("{", _NUMBERED.sub(r'"\1"', _STAMPED.sub('"timestamp":0', text)))
