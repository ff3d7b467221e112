"""Tight settings: under them small and quick moves of the price lead to actions, as many tests need.

They are the set of the same name in `.env.example`. Tests of the program's own defaults do not use them.
"""

import dataclasses
from typing import Final

from trailingedge.config import TIGHT_SETTINGS, Settings, changed_settings

TIGHT: Final = changed_settings(Settings(), TIGHT_SETTINGS)
TIGHT_ARGV: Final = [word for name, value in TIGHT_SETTINGS.items() for word in ("--set", f"{name}={value}")]


def tight(**changes: object) -> Settings:
    """The tight settings with `changes`, typed values by field name."""
    return dataclasses.replace(TIGHT, **changes)  # type: ignore[arg-type]  # a test that errs here fails at once
