"""Misbehaviour, as a menu: empty by default, drawn from a seed, or arranged for one request by hand.

A request's fate says whether it is carried out and what its sender hears of it; to add a dish, give it a
name and its fate in `MENU`. A frame's mishaps say what arrives in its place. What lasts (silence, half-open
lines, bans, a halted symbol, a clock that drifts) is set by hand where it belongs: see `Switchboard`,
`Weights`, `Engine.status` and `DriftingClock`.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from types import MappingProxyType
from typing import Final

from trailingedge.core.clock import Alarm, Clock
from trailingedge.simulator.errors import (
    DUPLICATE_ORDER,
    INSUFFICIENT_BALANCE,
    MARKET_CLOSED,
    WOULD_TAKE,
)

# More than any client takes in one frame: its library closes the connection.
HUGE_FRAME_BYTES: Final = 16 * 1024 * 1024 + 1


@dataclass(frozen=True, slots=True)
class RequestFault:
    """What becomes of a request. `error` (status, code, text) takes the place of its answer.

    `answered` False: nobody hears anything; `late_s`: how long the answer lies about; `done_after_s`: how
    long the request does, while `error` is told at once; `cut`: the connection is closed, before the answer
    is sent; `behind_s`: how old the records are from which a query is answered. Where a fate is drawn, its
    times are drawn up to these.
    """

    done: bool = True
    answered: bool = True
    error: tuple[int, int, str] | None = None
    late_s: float = 0.0
    done_after_s: float = 0.0
    cut: bool = False
    behind_s: float = 0.0


NORMAL: Final = RequestFault()
TIMEOUT: Final = (
    500,
    -1007,
    "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
)
# What an exchange may refuse a request with out of the blue: known codes, and one nobody has heard of.
REJECTS: Final = (
    (400, -1000, "An unknown error occurred while processing the request."),
    (400, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    (429, -1015, "Too many new orders; current limit is 100 orders per 10 SECOND."),
    (503, -1008, "Server is currently overloaded with other requests."),
    (400, -1021, "Timestamp for this request is outside of the recvWindow."),
    (400, -1022, "Signature for this request is not valid."),
    (400, -1034, "Too many new connections."),
    (400, -2010, "This action is disabled on this account."),
    (400, -2010, DUPLICATE_ORDER),
    (400, -2010, INSUFFICIENT_BALANCE),
    (400, -2010, MARKET_CLOSED),
    (400, -2010, WOULD_TAKE),
    (400, -9876, "Something new."),
)
ANY_REJECT: Final = "reject_any"

MENU: Final[Mapping[str, RequestFault]] = MappingProxyType(
    {
        "lose_request": RequestFault(done=False, answered=False),
        "lose_reply": RequestFault(answered=False),
        "late_reply": RequestFault(late_s=2.0),
        "forgotten_reply": RequestFault(late_s=20.0),  # most who asked have given up by then
        "slow_request": RequestFault(done_after_s=4.0),
        "stuck_request": RequestFault(done_after_s=8.0),  # may be too old for its recvWindow when its turn comes
        "lose_reply_done_late": RequestFault(answered=False, done_after_s=4.0),
        "cut_before": RequestFault(done=False, cut=True),
        "cut_after": RequestFault(cut=True),
        "timeout_undone": RequestFault(done=False, error=TIMEOUT),
        "timeout_done": RequestFault(error=TIMEOUT),
        "timeout_done_late": RequestFault(error=TIMEOUT, done_after_s=4.0),
        "unexpected_response": RequestFault(
            error=(
                500,
                -1006,
                "An unexpected response was received from the message bus. Execution status unknown.",
            )
        ),
        "busy": RequestFault(done=False, error=(503, -1008, "Server is currently overloaded with other requests.")),
        "reject": RequestFault(done=False, error=(400, -2010, "This action is disabled on this account.")),
        ANY_REJECT: RequestFault(done=False, error=REJECTS[0]),  # which of them is drawn
        "lag": RequestFault(behind_s=3.0),
    }
)


@dataclass(frozen=True, slots=True)
class FrameFaults:
    """How likely each is to befall a frame that nobody asked for.

    It may come twice, be late (so that later ones overtake it) by up to `late_s`, be followed by a torn
    copy or by one too large to read, or be lost with its connection.
    """

    twice: float = 0.0
    late: float = 0.0
    torn: float = 0.0
    huge: float = 0.0
    cut: float = 0.0
    late_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Faults:
    """How likely each misbehaviour is, from 0 to 1. `requests` by names of the `MENU`; none by default.

    Those befall requests whose method begins with one of `methods`. `market` and `account` are about the
    frames of either stream. `nibble`: at a tick, strangers take some of an order that rests at the best price.
    """

    requests: Mapping[str, float] = field(default_factory=dict)
    methods: tuple[str, ...] = ("order.", "openOrders.")
    market: FrameFaults = FrameFaults()
    account: FrameFaults = FrameFaults()
    nibble: float = 0.0

    def __post_init__(self) -> None:
        unknown = sorted(self.requests.keys() - MENU.keys())
        if unknown:
            raise ValueError(f"not on the menu: {', '.join(unknown)}")


NONE: Final = Faults()


class FaultInjector:
    """Draws fates by `faults`, which may be changed at any time. An empty menu draws nothing and disturbs no seed."""

    def __init__(self, faults: Faults, chance: Random) -> None:
        self.faults = faults
        self._chance = chance
        self._arranged: deque[tuple[str, RequestFault]] = deque()

    def arrange(self, method: str, fate: RequestFault | str) -> None:
        """The next request of `method` meets this fate (one of the menu's by name), whatever chance says."""
        self._arranged.append((method, MENU[fate] if isinstance(fate, str) else fate))

    def of_request(self, method: str) -> RequestFault:
        for arranged in self._arranged:
            if arranged[0] == method:
                self._arranged.remove(arranged)
                return arranged[1]
        if method.startswith(self.faults.methods):
            for name, likelihood in self.faults.requests.items():
                if self._strikes(likelihood):
                    return self._drawn(name)
        return NORMAL

    def of_frame(self, text: str, mishaps: FrameFaults) -> list[tuple[str, float]] | None:
        """What is sent in place of a frame, each part with how late it is; None: the connection is cut."""
        if self._strikes(mishaps.cut):
            return None
        late_s = self._chance.uniform(0.0, mishaps.late_s) if self._strikes(mishaps.late) else 0.0
        sent = [(text, late_s)]
        if self._strikes(mishaps.twice):
            sent.append((text, late_s))
        if self._strikes(mishaps.torn):
            sent.append((text[: len(text) // 2], late_s))
        if self._strikes(mishaps.huge):
            sent.append((text.ljust(HUGE_FRAME_BYTES), late_s))
        return sent

    def bite(self, steps: int) -> int:
        """How many of an order's remaining steps strangers take at this tick; most often none."""
        return self._chance.randint(1, steps) if self._strikes(self.faults.nibble) else 0

    def _drawn(self, name: str) -> RequestFault:
        fate, chance = MENU[name], self._chance
        if name == ANY_REJECT:
            return replace(fate, error=chance.choice(REJECTS))
        share = chance.random()
        return replace(
            fate, late_s=fate.late_s * share, done_after_s=fate.done_after_s * share, behind_s=fate.behind_s * share
        )

    def _strikes(self, likelihood: float) -> bool:
        return likelihood > 0 and self._chance.random() < likelihood


class DriftingClock:
    """The wall of an exchange that does not agree with ours: set off by some amount, and drifting on.

    Only what it stamps is off; ages and sleep are the inner clock's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_ms = 0.0
        self._ms_per_s = 0.0
        self._since_s = clock.now_s()

    @property
    def ahead_ms(self) -> float:
        """How far it is ahead of the inner clock; negative where it is behind."""
        return self._ahead_ms + self._ms_per_s * (self._clock.now_s() - self._since_s)

    def step(self, ms: float) -> None:
        """Jump ahead, or (negative) back."""
        self._ahead_ms += ms

    def drift(self, ms_per_s: float) -> None:
        """From now on run that much faster, or (negative) slower."""
        self._ahead_ms, self._since_s = self.ahead_ms, self._clock.now_s()
        self._ms_per_s = ms_per_s

    def now_s(self) -> float:
        return self._clock.now_s()

    def unix_ms(self) -> int:
        return self._clock.unix_ms() + round(self.ahead_ms)

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    def call_later(self, seconds: float, act: Callable[[], None]) -> Alarm:
        return self._clock.call_later(seconds, act)
