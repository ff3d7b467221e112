"""Misbehaviour, as a menu: empty by default, drawn from a seed, or arranged for one request by hand.

A request's fate says whether it is carried out and what its sender hears of it; to add a dish, give it a
name and its fate in `REQUEST_FAULTS`. A frame's mishaps say what arrives in its place. What lasts (silence, half-open
lines, bans, a halted symbol, a clock that drifts) is set by hand where it belongs: see `Switchboard`,
`Weights`, `Engine.status` and `DriftingClock`.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from types import MappingProxyType
from typing import Final

from trailingedge.core.clock import Clock, TimerHandle
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

    executed: bool = True
    replied: bool = True
    error: tuple[int, int, str] | None = None
    reply_delay_s: float = 0.0
    execution_delay_s: float = 0.0
    disconnects: bool = False
    lag_s: float = 0.0


NO_FAULT: Final = RequestFault()
TIMEOUT_ERROR: Final = (
    500,
    -1007,
    "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
)
# What an exchange may refuse a request with out of the blue: known codes, and one nobody has heard of.
REQUEST_ERRORS: Final = (
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
ANY_REQUEST_ERROR: Final = "reject_any"

REQUEST_FAULTS: Final[Mapping[str, RequestFault]] = MappingProxyType(
    {
        "lose_request": RequestFault(executed=False, replied=False),
        "lose_reply": RequestFault(replied=False),
        "late_reply": RequestFault(reply_delay_s=2.0),
        "forgotten_reply": RequestFault(reply_delay_s=20.0),  # most who asked have given up by then
        "slow_request": RequestFault(execution_delay_s=4.0),
        "stuck_request": RequestFault(execution_delay_s=8.0),  # may be too old for its recvWindow when its turn comes
        "lose_reply_done_late": RequestFault(replied=False, execution_delay_s=4.0),
        "cut_before": RequestFault(executed=False, disconnects=True),
        "cut_after": RequestFault(disconnects=True),
        "timeout_undone": RequestFault(executed=False, error=TIMEOUT_ERROR),
        "timeout_done": RequestFault(error=TIMEOUT_ERROR),
        "timeout_done_late": RequestFault(error=TIMEOUT_ERROR, execution_delay_s=4.0),
        "unexpected_response": RequestFault(
            error=(
                500,
                -1006,
                "An unexpected response was received from the message bus. Execution status unknown.",
            )
        ),
        "busy": RequestFault(executed=False, error=(503, -1008, "Server is currently overloaded with other requests.")),
        "reject": RequestFault(executed=False, error=(400, -2010, "This action is disabled on this account.")),
        ANY_REQUEST_ERROR: RequestFault(executed=False, error=REQUEST_ERRORS[0]),  # which of them is drawn
        "lag": RequestFault(lag_s=3.0),
    }
)


@dataclass(frozen=True, slots=True)
class FrameFaults:
    """How likely each is to befall a frame that nobody asked for.

    It may come twice, be late (so that later ones overtake it) by up to `late_s`, be followed by a torn
    copy or by one too large to read, or be lost with its connection.
    """

    duplicate: float = 0.0
    delay: float = 0.0
    truncated: float = 0.0
    oversized: float = 0.0
    disconnect: float = 0.0
    max_delay_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Faults:
    """How likely each misbehaviour is, from 0 to 1. `requests` by names of the `REQUEST_FAULTS`; none by default.

    Those befall requests whose method begins with one of `methods`. `market` and `account` are about the
    frames of either stream. `nibble`: at a tick, strangers take some of an order that rests at the best price.
    """

    requests: Mapping[str, float] = field(default_factory=dict)
    methods: tuple[str, ...] = ("order.", "openOrders.")
    market: FrameFaults = FrameFaults()
    account: FrameFaults = FrameFaults()
    partial_fill: float = 0.0

    def __post_init__(self) -> None:
        unknown = sorted(self.requests.keys() - REQUEST_FAULTS.keys())
        if unknown:
            raise ValueError(f"not on the menu: {', '.join(unknown)}")


NO_FAULTS: Final = Faults()


class FaultInjector:
    """Draws fates by `faults`, which may be changed at any time. An empty menu draws nothing and disturbs no seed."""

    def __init__(self, faults: Faults, chance: Random) -> None:
        self.faults = faults
        self._chance = chance
        self._scheduled: deque[tuple[str, RequestFault]] = deque()

    def schedule(self, method: str, fate: RequestFault | str) -> None:
        """The next request of `method` meets this fate (one of the menu's by name), whatever chance says."""
        self._scheduled.append((method, REQUEST_FAULTS[fate] if isinstance(fate, str) else fate))

    def request_fault(self, method: str) -> RequestFault:
        for arranged in self._scheduled:
            if arranged[0] == method:
                self._scheduled.remove(arranged)
                return arranged[1]
        if method.startswith(self.faults.methods):
            for name, likelihood in self.faults.requests.items():
                if self._occurs(likelihood):
                    return self._draw(name)
        return NO_FAULT

    def frame_deliveries(self, text: str, mishaps: FrameFaults) -> list[tuple[str, float]] | None:
        """What is sent in place of a frame, each part with how late it is; None: the connection is cut."""
        if self._occurs(mishaps.disconnect):
            return None
        late_s = self._chance.uniform(0.0, mishaps.max_delay_s) if self._occurs(mishaps.delay) else 0.0
        sent = [(text, late_s)]
        if self._occurs(mishaps.duplicate):
            sent.append((text, late_s))
        if self._occurs(mishaps.truncated):
            sent.append((text[: len(text) // 2], late_s))
        if self._occurs(mishaps.oversized):
            sent.append((text.ljust(HUGE_FRAME_BYTES), late_s))
        return sent

    def partial_fill_steps(self, steps: int) -> int:
        """How many of an order's remaining steps strangers take at this tick; most often none."""
        return self._chance.randint(1, steps) if self._occurs(self.faults.partial_fill) else 0

    def _draw(self, name: str) -> RequestFault:
        fate, chance = REQUEST_FAULTS[name], self._chance
        if name == ANY_REQUEST_ERROR:
            return replace(fate, error=chance.choice(REQUEST_ERRORS))
        share = chance.random()
        return replace(
            fate,
            reply_delay_s=fate.reply_delay_s * share,
            execution_delay_s=fate.execution_delay_s * share,
            lag_s=fate.lag_s * share,
        )

    def _occurs(self, likelihood: float) -> bool:
        return likelihood > 0 and self._chance.random() < likelihood


class DriftingClock:
    """The wall of an exchange that does not agree with ours: set off by some amount, and drifting on.

    Only what it stamps is off; ages and sleep are the inner clock's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_ms = 0.0
        self._drift_ms_per_s = 0.0
        self._drift_since_s = clock.now_s()

    @property
    def offset_ms(self) -> float:
        """How far it is ahead of the inner clock; negative where it is behind."""
        return self._offset_ms + self._drift_ms_per_s * (self._clock.now_s() - self._drift_since_s)

    def step(self, ms: float) -> None:
        """Jump ahead, or (negative) back."""
        self._offset_ms += ms

    def set_drift(self, ms_per_s: float) -> None:
        """From now on run that much faster, or (negative) slower."""
        self._offset_ms, self._drift_since_s = self.offset_ms, self._clock.now_s()
        self._drift_ms_per_s = ms_per_s

    def now_s(self) -> float:
        return self._clock.now_s()

    def unix_ms(self) -> int:
        return self._clock.unix_ms() + round(self.offset_ms)

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    def call_later(self, seconds: float, act: Callable[[], None]) -> TimerHandle:
        return self._clock.call_later(seconds, act)
