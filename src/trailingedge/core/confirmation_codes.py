"""Confirmation codes: one-time codes, so that a command is not sent by accident.

A code is valid for one minute, for one use, for five tries and for one command only.
"""

import secrets
from dataclasses import dataclass
from typing import Final

CODE_VALID_S: Final = 60.0
CODE_DIGITS: Final = 6
CODE_TRIES: Final = 5


@dataclass(slots=True)
class _IssuedCode:
    code: str
    valid_until_s: float
    tries_left: int = CODE_TRIES


class ConfirmationCodes:
    """Issues and checks confirmation codes. Each command has at most one valid code."""

    def __init__(self) -> None:
        self._issued: dict[str, _IssuedCode] = {}

    def issue(self, command: str, now_s: float) -> str:
        """Return a new code for `command`. The code issued for `command` before becomes invalid."""
        code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
        self._issued[command] = _IssuedCode(code, now_s + CODE_VALID_S)
        return code

    def redeem(self, command: str, code: str, now_s: float) -> bool:
        """Return whether `code` is valid for `command`. A valid code can be redeemed only once."""
        issued = self._issued.get(command)
        if issued is None:
            return False
        is_right = secrets.compare_digest(code.encode(errors="replace"), issued.code.encode())
        # A wrong code does not invalidate the right one at once: a typing error can be corrected. But it must not be
        # found by trying.
        issued.tries_left -= 1
        if is_right or not issued.tries_left:
            del self._issued[command]
        return is_right and now_s <= issued.valid_until_s

    def redeem_any(self, code: str, now_s: float) -> str | None:
        """Return the command for which `code` is valid, or None. This uses up one try of each command's code."""
        valid = [command for command in list(self._issued) if self.redeem(command, code, now_s)]
        return valid[0] if valid else None
