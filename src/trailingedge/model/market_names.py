"""Market names: which texts can be the name of an asset or of a symbol.

The exchange lists names of letters and digits in any script: `1INCH`, `1000SATS`, `币安人生`. Its own rule for a symbol
is `^[\\w\\-._&&[^a-z]]{1,50}$` (errors.md, -1100). We accept only names that begin with a letter or a digit: a
spreadsheet program takes a CSV cell that begins with `=`, `+`, `-` or `@` for a formula.
"""

import unicodedata
from functools import lru_cache
from typing import Final

LONGEST_NAME: Final = 50
_SIGNS: Final = frozenset("-._")


@lru_cache(maxsize=4096)  # nearly every frame names the same few
def is_market_name(text: str) -> bool:
    """Return whether `text` can be the name of an asset or of a symbol."""
    return 0 < len(text) <= LONGEST_NAME and text[0].isalnum() and all(map(_belongs, text))


def _belongs(character: str) -> bool:
    # Several scripts write a letter with marks of their own, which Python does not count among the letters.
    return character.isalnum() or character in _SIGNS or unicodedata.category(character) in ("Mn", "Mc")
