"""Misplaced secrets: refuses a key or a token in a setting that is meant for something else, and never quotes it.

Otherwise a secret that is pasted into the wrong setting would appear in an error text, and so in a log or a terminal.
The messages say in which setting the secret belongs.
"""

import re
from typing import Final

from trailingedge.core.redaction import looks_like_private_key, looks_secret

API_KEY_NAME: Final = "BINANCE_ED25519_API_KEY"
TOKEN_NAME: Final = "TELEGRAM_BOT_TOKEN"
KEY_FILE_NAME: Final = "BINANCE_ED25519_PRIV_PATH"
_TOKEN: Final = re.compile(r"[0-9]{6,}:[A-Za-z0-9_-]{30,}", re.ASCII)
_NOT_SHOWN: Final = "and is not shown here"
_KEY_PLACE: Final = f"put it into a file of mode 0600 and set {KEY_FILE_NAME} to its path"
_PLACES: Final = (
    f"an API key belongs in {API_KEY_NAME}, a token in {TOKEN_NAME}, a private key in the file that "
    f"{KEY_FILE_NAME} names"
)


class UnshownValueError(ValueError):
    """The text of a setting is wrong and may be a secret: no message may quote it."""


def refuse_misplaced_secret(text: str, name: str, *, secret: bool) -> None:
    """Raise UnshownValueError if `text` cannot be printed, or looks like a secret that belongs elsewhere.

    `name` is the setting that it was given to, and `secret` says whether that setting is made for a secret.
    """
    if looks_like_private_key(text):
        raise UnshownValueError(f"the value looks like the text of a private key, {_NOT_SHOWN}; {_KEY_PLACE}")
    if not text.isprintable():
        raise UnshownValueError("the value has a character that cannot be printed, such as a line break; type it again")
    if secret:
        if name != TOKEN_NAME and _TOKEN.fullmatch(text):
            raise UnshownValueError(f"the value looks like the token of a bot, {_NOT_SHOWN}; set {TOKEN_NAME} to it")
    elif looks_secret(text):
        raise UnshownValueError(f"the value looks like a key, a token or a password, {_NOT_SHOWN}; {_PLACES}")


def problem_with_name(name: str) -> str | None:
    """Return the problem if the name of a setting, in a file, looks like a secret; otherwise None."""
    if looks_secret(name) or looks_like_private_key(name):
        return f"the name looks like a key or a token, {_NOT_SHOWN}; remove the line. {_PLACES}"
    return None
