"""Trailing Edge: a daemon that trades one Binance spot pair with post-only orders.

Reading order and layering: `README.md` beside this file. `VERSION` is the package's own number; it is written
here because looking it up in the installed metadata takes longer than opening the first connection.
"""

from typing import Final

DISTRIBUTION: Final = "trailing-edge"
VERSION: Final = "0.3.0"
