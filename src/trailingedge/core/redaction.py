"""Redaction: strikes API keys, signatures, bot tokens and private keys out of text before it is kept or shown.

This is the only module that knows what a secret looks like. The log, the session record, the saved frames and the
debug lines of the connections all use it, so that a secret that one of them hides cannot be read in another. Two
kinds are struck out: secrets that the program was given (`Redactor`), and text that looks like a secret even
though the program does not know it (`redact`, `redact_bytes`). `looks_secret` tests whether a text looks like a
secret. The program refuses such a value in a setting that is not meant for a secret.
"""

import re
from collections.abc import Iterable
from typing import AnyStr, Final

from trailingedge.core.printable import printable

REDACTED: Final = "[redacted]"
# Within a frame: short, and the frame stays valid JSON.
ELLIPSIS: Final = "…"

# Names of secrets; they may end a longer name, such as NAME_API_KEY or X-MBX-APIKEY.
_NAMES: Final = r"(?:api[_-]?key|signature)"
# Words that name a secret only before an equals sign or in quotes: "token: 401" in a sentence shows no token.
_WORDS: Final = r"(?:(?<![a-z])token|secret(?:[_-]?key)?|private[_-]?key|password|passphrase)"
# A quote, also one in JSON inside JSON strings, at any depth (`\"apiKey\":\"…`, `\\\"apiKey\\\":\\\"…`), or
# percent-encoded, once or more than once.
_QUOTE: Final = r"""(?:\\*["']|%(?:25)*22)"""
_ENCODED_EQUALS: Final = r"%(?:25)*3d"
_EQUALS: Final = rf"(?:[:=]|%(?:25)*3a|{_ENCODED_EQUALS})"
# A JSON string after one of the names. The closing quote may be missing, because frames are cut to a length before
# they are kept; escaped quotes belong to the value.
_JSON_STRING: Final = rf'({_NAMES}|{_WORDS})"\s*:\s*"(?:[^"\\]|\\.)*"?'
# The same names in query strings, dictionaries, headers and nested JSON. null, true, false and numbers after a name are
# no secrets, and to replace them would make a frame invalid JSON: the exchange answers `"apiKey":null` to a session
# that is not logged on. The same for a list or an object after a name.
_NO_SECRET: Final = r"\s*(?:(?:null|true|false|[-+.0-9e]+)\s*[,}\]]|[\[{])"
_VALUE: Final = r"""(?:\\(?!\\*["'])|[^\s"'&,}\\])+"""
_PARAMETER: Final = (
    rf"((?:{_NAMES}{_QUOTE}?\s*{_EQUALS}|{_WORDS}(?:{_QUOTE}\s*{_EQUALS}|=|{_ENCODED_EQUALS}))(?!{_NO_SECRET})"
    rf"\s*{_QUOTE}?){_VALUE}"
)
# From BEGIN to END, or to the end of the text where END was cut off.
_PEM: Final = r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
# Digits, a colon, 35 characters. Source: Telegram's Bot API. In an URL the colon may be percent-encoded, once or more
# than once; in JSON it may be an escape.
_BOT_TOKEN: Final = r"(?<!\d)\d{6,}(?::|%(?:25)*3A|\\+u003a)[\w-]{30,}"
# A colon before thirty such characters. It begins with a literal, so that the search takes a quarter of the time.
_TOKEN_HINT: Final = r":[\w-]{30}"
# User and password in an address, such as that of a proxy.
# A path keeps only one of the two slashes.
_PASSWORD: Final = r"(?<=:/)/?[^\s/?#@\"']*:[^\s/?#@\"']+(?=@)"

# What looks like a key without any name beside it: a long run of capitals, small letters and digits, such as an API
# key of Binance (64 of them). A hash in hexadecimal digits has no capitals, a client order id has 36 characters.
_MIXED: Final = r"(?=[A-Za-z]*[0-9])(?=[A-Z0-9]*[a-z])(?=[a-z0-9]*[A-Z])"
_KEY: Final = rf"(?<![A-Za-z0-9]){_MIXED}[A-Za-z0-9]{{40,}}"
# The same in base64, where a few other signs lie between the letters and digits. In a path the runs between them are
# shorter, or are words.
_BASE64: Final = (
    rf"(?<![A-Za-z0-9+/_-])(?=[A-Za-z0-9+/_-]*?(?<![A-Za-z0-9]){_MIXED}[A-Za-z0-9]{{12}})[A-Za-z0-9+/_-]{{40,}}={{0,2}}"
)
_KEY_HINT: Final = r"[A-Za-z0-9+/_-]{20}[A-Za-z0-9+/_-]{20}"
# The body of a private key in PKCS#8, PKCS#1 or SEC 1, without its BEGIN line: DER in base64 begins so.
_DER: Final = r"(?:MC4CAQ|MFECAQ|MH[a-z]CAQ|MI[A-Z][A-Za-z0-9+/]{2}[A-Z]IBA|MIG[A-Za-z0-9]AgEA)"
_KEY_BODY: Final = rf"(?<![A-Za-z0-9+/]){_DER}[A-Za-z0-9+/=_-]*"
_PEM_LINE: Final = r"-----\s*(?:BEGIN|END)|(?:BEGIN|END) [A-Z ]*PRIVATE KEY"
# In a setting less is suspect: a part of PEM text or of a token, a shorter run, hexadecimal digits that are no folder
# of a path, and base64 with its padding.
_SUSPECT: Final = (
    rf"{_PEM_LINE}|(?<!\d)\d{{6,}}(?::|%(?:25)*3[Aa])[\w-]{{10,}}"
    rf"|(?<![A-Za-z0-9]){_MIXED}[A-Za-z0-9]{{24,}}"
    r"|(?<![A-Za-z0-9/])(?=[0-9]*[A-Fa-f])[0-9A-Fa-f]{32,256}(?![A-Za-z0-9/])"
    r"|\A[A-Za-z0-9+/_-]{40,}={1,2}\Z"
)

_LONG: Final = 65_536  # characters; longer texts are redacted in steps

_PATTERNS: Final = tuple(re.compile(pattern, re.IGNORECASE) for pattern in (_JSON_STRING, _PARAMETER, _PEM))
_TOKEN: Final = re.compile(_BOT_TOKEN, re.IGNORECASE)
_HINT: Final = re.compile(_TOKEN_HINT)
_PATTERNS_IN_BYTES: Final = tuple(
    re.compile(pattern.encode(), re.IGNORECASE) for pattern in (_JSON_STRING, _PARAMETER, _PEM)
)
_TOKEN_IN_BYTES: Final = re.compile(_BOT_TOKEN.encode(), re.IGNORECASE)
_HINT_IN_BYTES: Final = re.compile(_TOKEN_HINT.encode())
_KEYS: Final = tuple(map(re.compile, (_KEY, _BASE64, _KEY_BODY, _PASSWORD)))
_MAY_BE_KEY: Final = re.compile(_KEY_HINT)
# An address, or what follows the first characters of a private key's body: each of its patterns has one of them.
_KEY_HINTS: Final = (":/", "CAQ", "IBA", "AgEA")
_LOOKS: Final = (*_KEYS, _TOKEN, re.compile(_SUSPECT))
_KEY_TEXT: Final = tuple(map(re.compile, (_KEY_BODY, _PEM_LINE)))
# Each pattern with a name of a secret needs one of these, in small letters: "key" is in all names of keys, "pass" in
# "password" and "passphrase".
_HINTS: Final = ("key", "signature", "token", "secret", "pass")
_HINTS_IN_BYTES: Final = tuple(hint.encode() for hint in _HINTS)


class Redactor:
    """Strikes out the secrets that it was given, and everything that looks like a secret."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: tuple[str, ...] = ()
        self._secrets_in_bytes: tuple[bytes, ...] = ()
        self.add_secrets(secrets)

    def add_secrets(self, secrets: Iterable[str]) -> None:
        """Strike out `secrets` as well from now on. Earlier secrets stay secret; empty ones are ignored."""
        # An URL shows a secret percent-encoded, and the log shows it printable.
        given = [secret for secret in secrets if secret]
        forms = (form for secret in given for form in (secret, printable(secret), _percent_encoded(secret)))
        # The longest first, so that no secret is cut in two by a shorter one inside it.
        self._secrets = tuple(sorted({*self._secrets, *forms}, key=len, reverse=True))
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
    """Return `text` with `mark` in place of everything that looks like a secret."""
    # Few texts hold a secret, and the patterns take ten times as long as these searches.
    lowered = text.lower()
    if any(map(lowered.__contains__, _HINTS)):
        json_string, parameter, pem = _PATTERNS
        text = _replace(pem, mark, text)
        text = _replace(json_string, rf'\1":"{mark}"', text)
        text = _replace(parameter, rf"\1{mark}", text)
    encoded = ("%" in text and "3a" in lowered) or ("\\" in text and "u003a" in lowered)
    if encoded or _HINT.search(text):
        text = _TOKEN.sub(mark, text)
    if any(map(text.__contains__, _KEY_HINTS)) or _MAY_BE_KEY.search(text):
        for pattern in _KEYS:
            text = _replace(pattern, mark, text)
    return text


def redact_bytes(raw: bytes, mark: str = ELLIPSIS) -> bytes:
    """Like `redact`, but for frames in bytes, and by default with the mark of the session record.

    To save time, an API key is found only by a name before it, such as "apiKey". That is enough: an exchange names the
    keys in its frames, and `Redactor.redact_known` strikes out our own key anywhere.
    """
    lowered = raw.lower()
    if any(map(lowered.__contains__, _HINTS_IN_BYTES)):
        json_string, parameter, pem = _PATTERNS_IN_BYTES
        raw = _replace(pem, mark.encode(), raw)
        raw = _replace(json_string, rf'\1":"{mark}"'.encode(), raw)
        raw = _replace(parameter, rf"\1{mark}".encode(), raw)
    encoded = (b"%" in raw and b"3a" in lowered) or (b"\\" in raw and b"u003a" in lowered)
    return _TOKEN_IN_BYTES.sub(mark.encode(), raw) if encoded or _HINT_IN_BYTES.search(raw) else raw


def looks_secret(text: str) -> bool:
    """Return whether a text that should hold no secret contains something that looks like one.

    It looks for PEM text, bot tokens, addresses with a password, and long runs of characters as in an API key, in
    base64 or in hexadecimal digits. In doubt the answer is yes. Such a text must not be shown, and a person is asked
    to write it in another way.
    """
    return any(pattern.search(text) for pattern in _LOOKS)


def redact_words(text: str) -> str:
    """Return `text` with each word redacted for which `looks_secret` is true; that is stricter than `redact`."""
    return " ".join(REDACTED if looks_secret(word) else word for word in redact(text).split(" "))


def looks_like_private_key(text: str) -> bool:
    """Return whether a text is a private key or a part of one: PEM, or the base64 inside."""
    return any(pattern.search(text) for pattern in _KEY_TEXT)


def _percent_encoded(secret: str) -> str:
    from urllib.parse import quote  # imported late: a command without a secret does not need it

    return quote(secret, safe="", errors="surrogateescape")


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
