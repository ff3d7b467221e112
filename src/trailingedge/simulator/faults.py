"""Misbehaviour, as a menu: empty by default, drawn from a seed, or arranged for one request by hand.

A request's fate says whether it is carried out and what its sender hears of it. To add a dish, give it a
name and its fate in `MENU`.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a request. `error` (status, code, text) takes the place of its answer.

    `answered` False: nobody hears anything; `late_s`: how long the answer lies about; `cut`: the
    connection is closed, before the answer is sent.
    """

    done: bool = True
    answered: bool = True
    error: tuple[int, int, str] | None = None
    late_s: float = 0.0
    cut: bool = False


NORMAL: Final = Fate()
TIMEOUT: Final = (
    500,
    -1007,
    "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
)

MENU: Final[Mapping[str, Fate]] = MappingProxyType(
    {
        "lose_request": Fate(done=False, answered=False),
        "lose_reply": Fate(answered=False),
        "late_reply": Fate(late_s=2.0),
        "cut_before": Fate(done=False, cut=True),
        "cut_after": Fate(cut=True),
        "timeout_undone": Fate(done=False, error=TIMEOUT),
        "timeout_done": Fate(error=TIMEOUT),
        "unexpected_response": Fate(
            error=(
                500,
                -1006,
                "An unexpected response was received from the message bus. Execution status unknown.",
            )
        ),
        "busy": Fate(done=False, error=(503, -1008, "Server is currently overloaded with other requests.")),
        "reject": Fate(done=False, error=(400, -2010, "This action is disabled on this account.")),
    }
)


@dataclass(frozen=True, slots=True)
class Faults:
    """How likely each misbehaviour is, from 0 to 1. `requests` by names of the `MENU`; none by default.

    They befall requests whose method begins with one of `methods`. `duplicate_frame`, `garbage_frame` and
    `cut_stream` befall market frames.
    """

    requests: Mapping[str, float] = field(default_factory=dict)
    methods: tuple[str, ...] = ("order.", "openOrders.")
    duplicate_frame: float = 0.0
    garbage_frame: float = 0.0
    cut_stream: float = 0.0

    def __post_init__(self) -> None:
        unknown = sorted(self.requests.keys() - MENU.keys())
        if unknown:
            raise ValueError(f"not on the menu: {', '.join(unknown)}")


class Misfortune:
    """Draws fates. Draws nothing, and so disturbs no seed, while the menu is empty."""

    def __init__(self, faults: Faults, chance: Random) -> None:
        self._faults = faults
        self._chance = chance
        self._arranged: deque[tuple[str, Fate]] = deque()

    def arrange(self, method: str, fate: Fate | str) -> None:
        """The next request of `method` meets this fate (one of the menu's by name), whatever chance says."""
        self._arranged.append((method, MENU[fate] if isinstance(fate, str) else fate))

    def of_request(self, method: str) -> Fate:
        for arranged in self._arranged:
            if arranged[0] == method:
                self._arranged.remove(arranged)
                return arranged[1]
        if method.startswith(self._faults.methods):
            for name, likelihood in self._faults.requests.items():
                if self._strikes(likelihood):
                    return MENU[name]
        return NORMAL

    def of_frame(self, text: str) -> list[str] | None:
        """What is sent in place of a market frame; None: the connection is cut."""
        if self._strikes(self._faults.cut_stream):
            return None
        sent = [text]
        if self._strikes(self._faults.duplicate_frame):
            sent.append(text)
        if self._strikes(self._faults.garbage_frame):
            sent.append(text[: len(text) // 2])
        return sent

    def _strikes(self, likelihood: float) -> bool:
        return likelihood > 0 and self._chance.random() < likelihood
