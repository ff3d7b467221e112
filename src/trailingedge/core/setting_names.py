"""Names of settings that do not exist: how an error text says so, and which known name was probably meant."""

import re
from collections.abc import Iterable
from typing import Final

from trailingedge.core.redaction import looks_secret

_SETTING_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,39}|[a-z][a-z0-9_]{0,39}", re.ASCII)


def unknown_setting(name: str, known: Iterable[str]) -> str:
    """Return "unknown setting NAME"; without the name if it may be a part of a secret."""
    if did_you_mean(name, known) or (_SETTING_NAME.fullmatch(name) and not looks_secret(name)):
        return f"unknown setting {name}"
    return "unknown setting, whose name is not shown because it may be a part of a secret"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint with the setting of `known` whose name is most like `name`; "" if there is none."""
    import difflib

    near = difflib.get_close_matches(name.upper(), list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""
