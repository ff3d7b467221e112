"""Fault injection for the simulated exchange: faults are drawn from a seed or scheduled by a test.

By default there are no faults.

A request fault says whether the request is executed and what its sender receives. `REQUEST_FAULTS` names them
(`--fault NAME=LIKELIHOOD` uses these names); a new kind needs only an entry there. Frame faults say what
arrives in place of an event's frame. Lasting faults are set where they belong: silence, half-open and refused
connections in `ConnectionHub`, bans in `RequestWeightLimiter`, a halted symbol in `Engine.symbol_status`, and
a wrong server clock in `DriftingClock`.
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

# Larger than any client accepts in one frame (16 MiB): the client's library closes the connection with 1009.
HUGE_FRAME_BYTES: Final = 16 * 1024 * 1024 + 1


@dataclass(frozen=True, slots=True)
class RequestFault:
    """Describes what happens to one request.

    Its times are exact for a scheduled fault, and upper limits for a drawn fault. `executed` and `replied` are
    independent: a request may change the account and get no reply, or get a reply and change nothing. With an
    `execution_delay_s`, an `error` is sent at once and the request takes effect later.
    """

    executed: bool = True
    replied: bool = True
    error: tuple[int, int, str] | None = None  # status, code and text of the reply, in place of the true one
    reply_delay_s: float = 0.0
    execution_delay_s: float = 0.0
    disconnects: bool = False  # the connection drops instead of the reply
    lag_s: float = 0.0  # a query is answered from records this old


NO_FAULT: Final = RequestFault()
TIMEOUT_ERROR: Final = (
    500,
    -1007,
    "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
)
# Error replies that a real exchange may send to any request: known codes, and one that no document lists.
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
        "forgotten_reply": RequestFault(reply_delay_s=20.0),  # mostly after the client's timeout
        "slow_request": RequestFault(execution_delay_s=4.0),
        "stuck_request": RequestFault(execution_delay_s=8.0),  # may be outside its recvWindow when it is executed
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
        ANY_REQUEST_ERROR: RequestFault(executed=False, error=REQUEST_ERRORS[0]),  # `_draw` picks one of them
        "lag": RequestFault(lag_s=3.0),
    }
)


@dataclass(frozen=True, slots=True)
class FrameFaults:
    """Likelihood of each fault of an event's frame, from 0 to 1.

    The frame may arrive twice, late by up to `max_delay_s` (so that later frames overtake it), be followed by a
    truncated or an oversized copy, or be lost together with its connection.
    """

    duplicate: float = 0.0
    delay: float = 0.0
    truncated: float = 0.0
    oversized: float = 0.0
    disconnect: float = 0.0
    max_delay_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Faults:
    """Likelihood of each fault, from 0 to 1; none by default.

    `requests` is keyed by the names in `REQUEST_FAULTS` and applies to methods that begin with one of `methods`.
    `market` and `account` apply to event frames. `partial_fill` is the likelihood, per tick and order, that a
    market participant takes part of an order resting at the best price.
    """

    requests: Mapping[str, float] = field(default_factory=dict)
    methods: tuple[str, ...] = ("order.", "openOrders.")
    market: FrameFaults = FrameFaults()
    account: FrameFaults = FrameFaults()
    partial_fill: float = 0.0

    def __post_init__(self) -> None:
        unknown = sorted(self.requests.keys() - REQUEST_FAULTS.keys())
        if unknown:
            raise ValueError(f"unknown faults: {', '.join(unknown)}")


NO_FAULTS: Final = Faults()


class FaultInjector:
    """Draws faults from a random source by the likelihoods in `faults`, which may be replaced at any time.

    A likelihood of zero draws no random number, so that a new kind of fault does not change the runs of existing seeds.
    """

    def __init__(self, faults: Faults, chance: Random) -> None:
        self.faults = faults
        self._chance = chance
        self._scheduled: deque[tuple[str, RequestFault]] = deque()

    def schedule(self, method: str, fault: RequestFault | str) -> None:
        """Apply `fault` to the next request of `method`. `fault` may also be a name in `REQUEST_FAULTS`."""
        self._scheduled.append((method, REQUEST_FAULTS[fault] if isinstance(fault, str) else fault))

    def request_fault(self, method: str) -> RequestFault:
        """Return the fault for a request: a scheduled fault, else a drawn fault, else `NO_FAULT`."""
        for scheduled in self._scheduled:
            if scheduled[0] == method:
                self._scheduled.remove(scheduled)
                return scheduled[1]
        # A request gets at most one fault: the first that occurs, in the order of the mapping. Later faults are
        # therefore slightly less likely than stated.
        if method.startswith(self.faults.methods):
            for name, likelihood in self.faults.requests.items():
                if self._occurs(likelihood):
                    return self._draw(name)
        return NO_FAULT

    def frame_deliveries(self, text: str, frame_faults: FrameFaults) -> list[tuple[str, float]] | None:
        """Return the frames to send instead of `text`, each with its delay in seconds.

        None means that the connection is to be dropped.
        """
        # Drawn first: a dropped connection makes all other faults of the frame pointless.
        if self._occurs(frame_faults.disconnect):
            return None
        delay_s = self._chance.uniform(0.0, frame_faults.max_delay_s) if self._occurs(frame_faults.delay) else 0.0
        # The copies below share the delay of the original: an independent one would need another random number per
        # frame.
        sent = [(text, delay_s)]
        if self._occurs(frame_faults.duplicate):
            sent.append((text, delay_s))
        if self._occurs(frame_faults.truncated):
            sent.append((text[: len(text) // 2], delay_s))
        if self._occurs(frame_faults.oversized):
            sent.append((text.ljust(HUGE_FRAME_BYTES), delay_s))
        return sent

    def partial_fill_steps(self, steps: int) -> int:
        """Return how many steps of the lot size are taken from a resting order now; 0 = no forced partial fill.

        `steps` is the order's remaining quantity in such steps.
        """
        return self._chance.randint(1, steps) if self._occurs(self.faults.partial_fill) else 0

    def _draw(self, name: str) -> RequestFault:
        fault, chance = REQUEST_FAULTS[name], self._chance
        if name == ANY_REQUEST_ERROR:
            return replace(fault, error=chance.choice(REQUEST_ERRORS))
        # One random number for all times of a fault: they keep their proportion.
        share = chance.random()
        return replace(
            fault,
            reply_delay_s=fault.reply_delay_s * share,
            execution_delay_s=fault.execution_delay_s * share,
            lag_s=fault.lag_s * share,
        )

    def _occurs(self, likelihood: float) -> bool:
        return likelihood > 0 and self._chance.random() < likelihood


class DriftingClock:
    """A server clock that differs from the client's clock by an offset, and may drift.

    Only `unix_ms` differs. `now_s`, `sleep` and timers follow the inner clock, so that a call of
    `step` fires no timer early.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_ms = 0.0
        self._drift_ms_per_s = 0.0
        self._drift_since_s = clock.now_s()

    @property
    def offset_ms(self) -> float:
        """How far this clock is ahead of the inner one; negative if it is behind."""
        return self._offset_ms + self._drift_ms_per_s * (self._clock.now_s() - self._drift_since_s)

    def step(self, ms: float) -> None:
        """Jump by `ms`, backwards if negative."""
        self._offset_ms += ms

    def set_drift(self, ms_per_s: float) -> None:
        """Run faster by `ms_per_s` from now on, slower if negative. The present offset is kept."""
        # Fold the drift so far into the offset, or the new rate would apply to the past as well.
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
