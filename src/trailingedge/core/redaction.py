"""Redaction: strikes API keys, signatures, bot tokens and private keys out of text before it is kept or shown.

This is the only module that knows what a secret looks like. The log, the session record, the saved frames and the
debug lines of the connections all use it, so that a secret that one of them hides cannot be read in another. Two
kinds are struck out: secrets that the program was given (`Redactor`), and text that looks like a secret even
though the program does not know it (`redact`, `redact_bytes`).
"""

import re
from collections.abc import Iterable
from typing import AnyStr, Final

REDACTED: Final = "[redacted]"
# Within a frame: short, and the frame stays valid JSON. Version 1 of the session record uses this mark, and a replay
# compares requests as they were recorded: another mark would make every old record differ.
ELLIPSIS: Final = "…"

_NAMES: Final = r"(?:api_?key|signature)"
# A JSON string after one of the names. The closing quote may be missing, because frames are cut to a length before
# they are kept; escaped quotes belong to the value.
_JSON_STRING: Final = rf'"({_NAMES})"\s*:\s*"(?:[^"\\]|\\.)*"?'
# The same names in query strings, dictionaries, headers and JSON inside a JSON string (`\"apiKey\":\"…`). null, true,
# false and numbers after a name are no secrets, and to replace them would make a frame invalid JSON: the exchange
# answers `"apiKey":null` to a session that is not logged on. The same for a list or an object after a name.
_NO_SECRET: Final = r"\s*(?:(?:null|true|false|[-+.0-9e]+)\s*[,}\]]|[\[{])"
_QUOTE: Final = r"""(?:\\?["'])?"""
_VALUE: Final = r"""(?:\\(?!["'])|[^\s"'&,}\\])+"""
_PARAMETER: Final = rf"(\b{_NAMES}{_QUOTE}\s*[:=](?!{_NO_SECRET})\s*{_QUOTE}){_VALUE}"
# From BEGIN to END, or to the end of the text where END was cut off.
_PEM: Final = r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
_BOT_TOKEN: Final = r"(?<!\d)\d{6,}:[\w-]{30,}"  # digits, a colon, 35 characters. Source: Telegram's Bot API
# A colon before thirty such characters. It begins with a literal, so that the search takes a quarter of the time.
_TOKEN_HINT: Final = r":[\w-]{30}"

_LONG: Final = 65_536  # characters; longer texts are redacted in steps

_PATTERNS: Final = tuple(re.compile(pattern, re.IGNORECASE) for pattern in (_JSON_STRING, _PARAMETER, _PEM))
_TOKEN: Final = re.compile(_BOT_TOKEN)
_HINT: Final = re.compile(_TOKEN_HINT)
_PATTERNS_IN_BYTES: Final = tuple(
    re.compile(pattern.encode(), re.IGNORECASE) for pattern in (_JSON_STRING, _PARAMETER, _PEM)
)
_TOKEN_IN_BYTES: Final = re.compile(_BOT_TOKEN.encode())
_HINT_IN_BYTES: Final = re.compile(_TOKEN_HINT.encode())


class Redactor:
    """Strikes out the secrets that it was given, and everything that looks like a secret."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: tuple[str, ...] = ()
        self._secrets_in_bytes: tuple[bytes, ...] = ()
        self.add_secrets(secrets)

    def add_secrets(self, secrets: Iterable[str]) -> None:
        """Strike out `secrets` as well from now on. Earlier secrets stay secret; empty ones are ignored."""
        known = {secret for secret in (*self._secrets, *secrets) if secret}
        # The longest first, so that no secret is cut in two by a shorter one inside it.
        self._secrets = tuple(sorted(known, key=len, reverse=True))
        # A secret from the environment may hold bytes that are no UTF-8; Python keeps them as surrogates.
        self._secrets_in_bytes = tuple(secret.encode(errors="surrogateescape") for secret in self._secrets)

    def redact(self, text: str) -> str:
        """Return `text` without the known secrets and without anything that looks like a secret."""
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return redact(text)

    def redact_known(self, line: bytes) -> bytes:
        """Return `line` without the known secrets.

        This is for a line of a session record. Text that only looks like a secret was struck out
        before.
        """
        for secret in self._secrets_in_bytes:
            if secret in line:
                line = line.replace(secret, REDACTED.encode())
        return line


def redact(text: str, mark: str = REDACTED) -> str:
    """`text` with `mark` in place of everything that looks like a secret."""
    # Few texts hold a secret, and the patterns take ten times as long as this search. The names are written out:
    # "api" alone occurs by chance in client order ids.
    lowered = text.lower()
    if "apikey" in lowered or "api_key" in lowered or "signature" in lowered or "private key" in lowered:
        json_string, parameter, pem = _PATTERNS
        text = _replace(pem, mark, text)
        text = _replace(json_string, rf'"\1":"{mark}"', text)
        text = _replace(parameter, rf"\1{mark}", text)
    return _TOKEN.sub(mark, text) if _HINT.search(text) else text


def redact_bytes(raw: bytes, mark: str = ELLIPSIS) -> bytes:
    """Like `redact`, but for bytes, and by default with the mark of the session record."""
    lowered = raw.lower()
    if b"apikey" in lowered or b"api_key" in lowered or b"signature" in lowered or b"private key" in lowered:
        json_string, parameter, pem = _PATTERNS_IN_BYTES
        raw = _replace(pem, mark.encode(), raw)
        raw = _replace(json_string, rf'"\1":"{mark}"'.encode(), raw)
        raw = _replace(parameter, rf"\1{mark}".encode(), raw)
    return _TOKEN_IN_BYTES.sub(mark.encode(), raw) if _HINT_IN_BYTES.search(raw) else raw


def _replace(pattern: re.Pattern[AnyStr], mark: AnyStr, text: AnyStr) -> AnyStr:
    """Return `pattern.sub(mark, text)`; a long text is processed in steps."""
    if len(text) <= _LONG:
        return pattern.sub(mark, text)
    # `re` holds the interpreter for a whole `sub`: in a frame of megabytes with many matches the event loop would wait
    # for more than a second. Between two matches of this loop it may run.
    pieces: list[AnyStr] = []
    end = 0
    for found in pattern.finditer(text):
        pieces += [text[end : found.start()], found.expand(mark)]
        end = found.end()
    pieces.append(text[end:])
    return text[:0].join(pieces)
