"""Unknown setting names: the error text for them, with the known name that was probably meant."""

import re
from collections.abc import Iterable
from typing import Final

from trailingedge.core.redaction import looks_secret

_SETTING_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,39}|[a-z][a-z0-9_]{0,39}", re.ASCII)
_HIDDEN: Final = "whose name is not shown because it may be a part of a secret"


def unknown_setting(name: str, known: Iterable[str]) -> str:
    """Return "unknown setting NAME (did you mean OTHER?)". A name that may be part of a secret is not shown."""
    likely = _likely_name(name, known)
    if likely:
        return f"unknown setting {name} (did you mean {likely}?)"
    return f"unknown setting {name}" if _is_harmless(name) else f"unknown setting, {_HIDDEN}"


def shown_name(name: str, known: Iterable[str]) -> str:
    """Return the name of an unknown setting, or "a name that is not shown" if it may be a part of a secret."""
    return name if _is_harmless(name) or _likely_name(name, known) else "a name that is not shown"


def _is_harmless(name: str) -> bool:
    return _SETTING_NAME.fullmatch(name) is not None and not looks_secret(name)


def _likely_name(name: str, known: Iterable[str]) -> str | None:
    """Return the name of `known` that is most like `name`; None if there is none."""
    import difflib

    return next(iter(difflib.get_close_matches(name.upper(), list(known), n=1)), None)
