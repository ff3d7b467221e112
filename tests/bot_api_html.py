"""HTML of the Bot API: returns the text that Telegram would show, or the words with which it refuses the message.

Rules and words are those of Telegram's own parser: only a few tags, closed in order; four named entities and
the numeric ones, with or without a semicolon; anything else that begins with "<" is an error, anything else
that begins with "&" is shown as it is. Afterwards control characters become blanks, and blanks around are cut.
"""

import re
from typing import Final

TAGS: Final = frozenset(
    "a b strong i em s strike del u ins tg-spoiler tg-emoji span pre code blockquote".split()  # noqa: SIM905
)
_NAMED: Final = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_ENTITY: Final = re.compile(r"&(?:#x([0-9a-fA-F]+)|#([0-9]+)|([a-zA-Z]+));?")
_START: Final = re.compile(r"<([^\s>]*)((?:\s+[^\s=>]+\s*=\s*(?:\"[^\"]*\"|'[^']*'|[a-zA-Z0-9.-]+))*)\s*>")
_END: Final = re.compile(r"</([^\s>]*)\s*>")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f]")
_REMOVED: Final = re.compile("[\r\u2028-\u202e\u0333\u033f\u030a]")


class BadEntities(Exception):
    """The text is refused."""


def shown(html: str) -> str:
    """What people see of `html`. Raises BadEntities."""
    text: list[str] = []
    opened: list[str] = []
    position = 0
    while position < len(html):
        if html[position] == "<":
            position = _tag(html, position, opened)
        elif html[position] == "&" and (entity := _ENTITY.match(html, position)) and (decoded := _decoded(entity)):
            text.append(decoded)
            position = entity.end()
        else:
            text.append(html[position])
            position += 1
    if opened:
        raise BadEntities(f'Can\'t find end tag corresponding to start tag "{opened[-1]}"')
    return cleaned("".join(text))


def cleaned(text: str) -> str:
    """`text` as the Bot API keeps it."""
    return _REMOVED.sub("", _CONTROL.sub(" ", text)).strip(" \n")


def _tag(html: str, position: int, opened: list[str]) -> int:
    """Where the text goes on behind the tag."""
    offset = len(html[:position].encode())
    if html.startswith("</", position):
        if not opened:
            raise BadEntities(f"Unexpected end tag at byte offset {offset}")
        end = _END.match(html, position)
        if end is None:
            raise BadEntities(f"Unclosed end tag at byte offset {offset}")
        expected = opened.pop()
        if end[1] and end[1].lower() != expected:
            raise BadEntities(
                f'Unmatched end tag at byte offset {offset}, expected "</{expected}>", found "</{end[1]}>"'
            )
        return end.end()
    name = re.match(r"<([^\s>]*)", html[position:])
    if name is None or position + name.end() == len(html):
        raise BadEntities(f"Unclosed start tag at byte offset {offset}")
    if name[1].lower() not in TAGS:
        raise BadEntities(f'Unsupported start tag "{name[1].lower()}" at byte offset {offset}')
    start = _START.match(html, position)
    if start is None:
        raise BadEntities(f'Unclosed start tag "{name[1].lower()}" at byte offset {offset}')
    opened.append(start[1].lower())
    return start.end()


def _decoded(entity: re.Match[str]) -> str:
    """The character, "" where it is none."""
    hexadecimal, decimal, name = entity.groups()
    if name:
        return _NAMED.get(name, "")
    code = int(hexadecimal, 16) if hexadecimal else int(decimal)
    if not 0 < code < 0x10FFFF or len(entity[0].rstrip(";")) >= 10:
        return ""
    if 0xD800 <= code <= 0xDFFF:
        raise BadEntities("Text contains invalid Unicode characters after decoding HTML entities")
    return chr(code)
